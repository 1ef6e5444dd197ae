//! How the files of the repository fit together: what is imported, listed and depended upon.
//!
//! Each check is a function from files to complaints, so that it is seen to fail on a repository
//! of a few lines, and then runs on this one.

use crate::support::{File, files};

/// A Rust file that no `mod` declares, no manifest and no other file names is never compiled.
fn orphans(files: &[File]) -> Vec<String> {
    let found_by_cargo = ["src/lib.rs", "src/main.rs", "build.rs"];
    let is_imported = |file: &File| {
        let (folder, stem) = match file.stem() {
            "mod" => file
                .folder()
                .rsplit_once('/')
                .unwrap_or(("", file.folder())),
            stem => (file.folder(), stem),
        };
        let name = format!("{}.rs\"", file.stem());
        file.is(&found_by_cargo)
            || files.iter().any(|other| declares(other, folder, stem))
            || files
                .iter()
                .any(|other| other.is(&[".rs", "Cargo.toml"]) && other.text.contains(&name))
    };
    let orphan = |file: &&File| file.is(&[".rs"]) && !is_imported(file);
    let says = |file: &File| format!("{} is never imported", file.path);
    files.iter().filter(orphan).map(says).collect()
}

/// Whether `file` may have modules in `folder` and declares one called `stem`.
fn declares(file: &File, folder: &str, stem: &str) -> bool {
    let is_near = file.folder() == folder || format!("{}/{}", file.folder(), file.stem()) == folder;
    let declaration = format!("mod {stem};");
    let is_declared = |line: &str| {
        line.strip_suffix(&declaration)
            .is_some_and(|before| before.is_empty() || before.ends_with(' '))
    };
    is_near && file.is(&[".rs"]) && file.text.lines().map(str::trim).any(is_declared)
}

/// A chapter that is not in `SUMMARY.md` is not read; one that is not in `lib.rs` is not tested.
fn untested_chapters(files: &[File]) -> Vec<String> {
    let (summary, tested) = (
        text(files, "book/src/SUMMARY.md"),
        text(files, "book/lib.rs"),
    );
    let targets = summary.split("](").skip(1);
    let linked = targets.filter_map(|rest| rest.split(')').next());
    let pages = files
        .iter()
        .filter(|file| file.is(&[".md"]) && !file.is(&["/SUMMARY.md"]));
    let present: Vec<_> = pages
        .filter_map(|it| it.path.strip_prefix("book/src/"))
        .collect();

    let mut complaints = Vec::new();
    for chapter in linked {
        if !present.contains(&chapter) {
            complaints.push(format!("SUMMARY.md links {chapter}, which is not there"));
        }
    }
    for chapter in present {
        if !summary.contains(&format!("]({chapter})")) {
            complaints.push(format!("{chapter} is not in SUMMARY.md"));
        }
        if !tested.contains(&format!("\"src/{chapter}\"")) {
            complaints.push(format!("{chapter} is not in book/lib.rs"));
        }
    }
    complaints
}

/// Users find an operator in the index and learn it from its example.
fn hidden_operators(files: &[File]) -> Vec<String> {
    let index = text(files, "operators/src/lib.rs");
    let rows: Vec<_> = index
        .lines()
        .filter(|line| line.starts_with("//! |"))
        .collect();
    let is_operator = |file: &&File| {
        let is_no_operator = ["lib", "mod", "tests"].contains(&file.stem());
        file.path.starts_with("operators/src/") && file.is(&[".rs"]) && !is_no_operator
    };

    let mut complaints = Vec::new();
    for file in files.iter().filter(is_operator) {
        let name = format!("`{}`", file.stem());
        if !rows.iter().any(|row| row.contains(&name)) {
            complaints.push(format!(
                "{} has no row in the index of operators",
                file.path
            ));
        }
        if !file.text.contains("/// ```\n") {
            complaints.push(format!("{} has no running example", file.path));
        }
    }
    complaints
}

/// Examples are read in the order that their `README.md` gives.
fn unlisted_examples(files: &[File]) -> Vec<String> {
    let order = text(files, "examples/README.md");
    let sections = text(files, "examples/Cargo.toml")
        .split("[[example]]")
        .skip(1);
    let names = sections.filter_map(|section| quoted(section, "name"));
    let unlisted = names.filter(|name| !order.contains(&format!("`{name}`")));
    unlisted
        .map(|name| format!("examples/README.md does not name `{name}`"))
        .collect()
}

/// Dependencies point downwards: in the framework only the façade knows the operators.
fn upward_dependencies(files: &[File]) -> Vec<String> {
    let is_below = |file: &&File| {
        file.path.starts_with("framework/") && !file.path.starts_with("framework/levada/")
    };
    let names_operators = |file: &&File| {
        (file.is(&["Cargo.toml"]) && file.text.contains("levada-operators"))
            || (file.is(&[".rs"]) && file.text.contains("levada_operators"))
    };
    let found = files.iter().filter(is_below).filter(names_operators);
    found
        .map(|file| format!("{} names the operators", file.path))
        .collect()
}

/// Actors are an implementation detail of the engine.
fn actix_elsewhere(files: &[File]) -> Vec<String> {
    let depends = |line: &str| line.starts_with("actix");
    let uses = |line: &str| {
        let line = line.trim();
        let starts = ["actix::", "actix_rt::", "use actix"];
        !line.starts_with("//") && starts.iter().any(|start| line.contains(start))
    };
    let names_actix = |file: &&File| {
        (file.is(&["/Cargo.toml"]) && file.text.lines().any(depends))
            || (file.is(&[".rs"]) && file.text.lines().any(uses))
    };
    // This check has to name what it looks for.
    let homes = ["framework/engine/", "tests/structure/"];
    let is_elsewhere = |file: &&File| !homes.iter().any(|home| file.path.starts_with(home));
    let found = files.iter().filter(is_elsewhere).filter(names_actix);
    found
        .map(|file| format!("{} names actix", file.path))
        .collect()
}

/// A dependency that nobody can say the use of is one too many.
fn unexplained_dependencies(files: &[File]) -> Vec<String> {
    let manifest = text(files, "Cargo.toml").split("\n[");
    let section = manifest.filter_map(|it| it.strip_prefix("workspace.dependencies]\n"));
    let lines = section
        .flat_map(str::lines)
        .filter(|line| line.contains(" = "));
    let silent = lines.filter(|line| !line.starts_with("levada") && !line.contains(" # "));
    silent
        .map(|line| format!("no comment says what for: {line}"))
        .collect()
}

/// The toolchain that everything is tested with is the oldest that is promised.
fn other_toolchain(files: &[File]) -> Vec<String> {
    let promised = quoted(text(files, "Cargo.toml"), "rust-version").unwrap_or("nothing");
    let used = quoted(text(files, "rust-toolchain.toml"), "channel").unwrap_or("nothing");
    if used == promised || used.starts_with(&format!("{promised}.")) {
        return vec![];
    }
    vec![format!("Rust {promised} is promised, {used} is used")]
}

/// The text of the file at `path`, empty if there is none.
fn text<'a>(files: &'a [File], path: &str) -> &'a str {
    files
        .iter()
        .find(|file| file.path == path)
        .map_or("", |file| &file.text)
}

/// What a manifest says of `key`, in quotes.
fn quoted<'a>(manifest: &'a str, key: &str) -> Option<&'a str> {
    let after = manifest.split(&format!("{key} = \"")).nth(1)?;
    after.split('"').next()
}

type Check = fn(&[File]) -> Vec<String>;

const CHECKS: &[Check] = &[
    orphans,
    untested_chapters,
    hidden_operators,
    unlisted_examples,
    upward_dependencies,
    actix_elsewhere,
    unexplained_dependencies,
    other_toolchain,
];

#[test]
fn files_fit_together() {
    let files = files();
    let complaints: Vec<_> = CHECKS.iter().flat_map(|check| check(&files)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[cfg(test)]
mod tests;
