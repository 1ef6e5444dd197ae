//! Each check finds what it is for, in a repository of a few lines.

use super::*;

#[track_caller]
fn expect(check: Check, files: &[(&str, &str)], complaints: &[&str]) {
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| File::new(path, text))
        .collect();
    assert_eq!(check(&files), complaints);
}

#[test]
fn an_orphan_is_found() {
    let manifest = ("log/Cargo.toml", "path = \"bench.rs\"");
    let files = [
        manifest,
        ("log/bench.rs", ""),
        ("log/src/lib.rs", "pub(crate) mod segment;\nmod index;\n"),
        ("log/src/segment.rs", "mod header;"),
        ("log/src/segment/header.rs", ""),
        ("log/src/index/mod.rs", ""),
        ("log/src/old_segment.rs", ""),
    ];
    expect(
        orphans,
        &files,
        &["log/src/old_segment.rs is never imported"],
    );
}

#[test]
fn a_chapter_without_a_test_is_found() {
    let summary = (
        "book/src/SUMMARY.md",
        "- [Log](log.md)\n- [Time](time.md)\n",
    );
    let files = [
        summary,
        ("book/lib.rs", ""),
        ("book/src/log.md", ""),
        ("book/src/keys.md", ""),
    ];
    let complaints = [
        "SUMMARY.md links time.md, which is not there",
        "log.md is not in book/lib.rs",
        "keys.md is not in SUMMARY.md",
        "keys.md is not in book/lib.rs",
    ];
    expect(untested_chapters, &files, &complaints);
}

#[test]
fn an_operator_that_is_hard_to_find_is_found() {
    let files = [
        (
            "operators/src/lib.rs",
            "//! | [`map`](Ops::map) | each record |\nmod map;\nmod fold;",
        ),
        (
            "operators/src/map.rs",
            "/// ```\n/// assert!(true);\n/// ```\n",
        ),
        ("operators/src/keyed/fold.rs", "/// Folds.\n"),
    ];
    let complaints = [
        "operators/src/keyed/fold.rs has no row in the index of operators",
        "operators/src/keyed/fold.rs has no running example",
    ];
    expect(hidden_operators, &files, &complaints);
}

#[test]
fn an_example_without_a_place_is_found() {
    let manifest = "[[example]]\nname = \"word_count\"\n\n[[example]]\nname = \"order_bus\"\n";
    let files = [
        ("examples/Cargo.toml", manifest),
        ("examples/README.md", "1. `word_count`"),
    ];
    expect(
        unlisted_examples,
        &files,
        &["examples/README.md does not name `order_bus`"],
    );
}

#[test]
fn a_dependency_that_points_upwards_is_found() {
    let core = (
        "framework/core/Cargo.toml",
        "[dependencies]\nlevada-operators = \"1\"\n",
    );
    let facade = ("framework/levada/Cargo.toml", core.1);
    expect(
        upward_dependencies,
        &[core, facade],
        &["framework/core/Cargo.toml names the operators"],
    );
}

#[test]
fn actix_outside_the_engine_is_found() {
    let used = "use actix::Actor;\n";
    let files = [
        ("framework/engine/src/lib.rs", used),
        ("framework/log/src/lib.rs", used),
        ("framework/log/src/vfs.rs", "// As `actix::Actor` does.\n"),
    ];
    expect(
        actix_elsewhere,
        &files,
        &["framework/log/src/lib.rs names actix"],
    );
}

#[test]
fn a_dependency_without_a_reason_is_found() {
    let manifest =
        "[workspace]\n[workspace.dependencies]\ncsv = \"1\" # CSV.\ntoml = \"1\"\n[profile]\n";
    let complaint = "no comment says what for: toml = \"1\"";
    expect(
        unexplained_dependencies,
        &[("Cargo.toml", manifest)],
        &[complaint],
    );
}

#[test]
fn another_toolchain_is_found() {
    let toolchain = ("rust-toolchain.toml", "channel = \"1.96.0\"");
    let files = [("Cargo.toml", "rust-version = \"1.95\""), toolchain];
    expect(
        other_toolchain,
        &files,
        &["Rust 1.95 is promised, 1.96.0 is used"],
    );
}
