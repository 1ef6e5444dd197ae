//! The house style, as far as a line or a file can show it.
//!
//! A rule carries a line that breaks it and one that only looks like it, so no rule is here that
//! cannot fail.

use crate::support::{File, files};

/// Something that no line may be.
struct Rule {
    /// What is wrong with a line that breaks the rule.
    says: &'static str,
    /// How the names of the files end that it is for.
    files: &'static [&'static str],
    breaks: fn(&str) -> bool,
    /// A line that breaks the rule.
    bad: &'static str,
    /// A line that looks like it and is right.
    good: &'static str,
}

const RUST: &[&str] = &[".rs"];
const PROGRAMS: &[&str] = &[".rs", ".py", ".ci/run"];
const ALL: &[&str] = &[""];

const RULES: &[Rule] = &[
    Rule {
        says: "a line has at most 100 columns, unless an address makes it longer",
        files: PROGRAMS,
        breaks: is_wide,
        bad: concat!(
            "// This comment has one word more than a reader of two files side by side ",
            "would like to see in any of them."
        ),
        good: concat!(
            "# https://github.com/apache/kafka/blob/trunk/clients/src/test/java/org/apache/",
            "kafka/common/utils/UtilsTest.java"
        ),
    },
    Rule {
        says: "what is to be mended is mended, or is an issue",
        files: ALL,
        breaks: |line| line.contains(concat!("FIX", "ME")),
        bad: concat!("// FIX", "ME: off by one."),
        good: "// The fix of #12 relies on this order.",
    },
    Rule {
        says: "what is to be done names its issue",
        files: RUST,
        breaks: |line| line.contains(concat!("TO", "DO")) && !line.contains('#'),
        bad: concat!("// TO", "DO: grow."),
        good: concat!("// TO", "DO(#12): grow."),
    },
    Rule {
        says: "code that is not needed is deleted",
        files: RUST,
        breaks: is_code_in_a_comment,
        bad: "    // let rest = take(1);",
        good: "    // Timers only clean up or speak; they never let a record go.",
    },
    Rule {
        says: "a `matches!` whose answer is dropped checks nothing",
        files: RUST,
        breaks: |line| line.trim().starts_with("matches!(") && line.ends_with(';'),
        bad: "    matches!(step, Step::Run(_));",
        good: "    assert!(matches!(step, Step::Run(_)));",
    },
    Rule {
        says: "a path of one machine means nothing on another",
        files: ALL,
        breaks: names_a_machine,
        bad: concat!("let data = \"/ro", "ot/data\";"),
        good: "let data = \"framework/root/data\";",
    },
    Rule {
        says: "this call ignores the bound of the mailbox; data goes through ports",
        files: RUST,
        breaks: |line| line.contains(concat!("do_", "send(")),
        bad: concat!("address.do_", "send(chunk);"),
        good: "port.send(chunk);",
    },
];

fn is_wide(line: &str) -> bool {
    let is_address = line.contains("://") && line.split_whitespace().count() <= 2;
    line.chars().count() > 100 && !is_address
}

/// Whether a comment reads as code: it starts with a keyword or a path and ends as statements do.
fn is_code_in_a_comment(line: &str) -> bool {
    let Some(comment) = line.trim().strip_prefix("// ") else {
        return false;
    };
    let starts = [
        "let ", "use ", "pub ", "fn ", "impl ", "mod ", "return ", "self.", "#[",
    ];
    let is_statement = starts.iter().any(|start| comment.starts_with(start))
        && [";", "{", "}", ",", "]"]
            .iter()
            .any(|end| comment.ends_with(end));
    is_statement || comment.ends_with(");") || matches!(comment, "}" | "};" | "})")
}

/// Whether a path begins here, at one of the folders that differ from machine to machine.
fn names_a_machine(line: &str) -> bool {
    ["work", "root", "home", "tmp"]
        .map(|name| format!("/{name}"))
        .iter()
        .any(|folder| {
            line.match_indices(folder).any(|(at, _)| {
                let (before, after) = (&line[..at], &line[at + folder.len()..]);
                let goes_on = |c: char| c.is_alphanumeric() || "._-}".contains(c);
                !before.ends_with(goes_on) && !after.starts_with(|c: char| c.is_alphanumeric())
            })
        })
}

#[test]
fn each_rule_can_be_broken() {
    for Rule {
        says,
        breaks,
        bad,
        good,
        ..
    } in RULES
    {
        assert!(breaks(bad), "not caught ({says}): {bad}");
        assert!(!breaks(good), "caught, but right ({says}): {good}");
    }
}

#[test]
fn no_line_breaks_a_rule() {
    let mut broken = Vec::new();
    for file in files()
        .iter()
        .filter(|file| !file.is(&["Cargo.lock", ".csv"]))
    {
        for rule in RULES.iter().filter(|rule| file.is(rule.files)) {
            let lines = file
                .text
                .lines()
                .enumerate()
                .filter(|(_, line)| (rule.breaks)(line));
            broken.extend(lines.map(|(at, line)| {
                format!(
                    "{}:{}: {}\n    {}",
                    file.path,
                    at + 1,
                    rule.says,
                    line.trim()
                )
            }));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn rust_files_say_first_what_they_are() {
    let silent = |file: &&File| file.is(RUST) && !file.text.starts_with("//! ");
    let silent: Vec<_> = files().into_iter().filter(|file| silent(&file)).collect();
    assert!(
        silent.is_empty(),
        "no `//!` in line 1: {:?}",
        paths(&silent)
    );
}

#[test]
fn markdown_pages_have_one_title() {
    // In the table of contents a title is a part of the book: mdBook reads it so.
    let is_page = |file: &File| file.is(&[".md"]) && !file.is(&["/SUMMARY.md"]);
    let wrong = |file: &File| is_page(file) && titles(&file.text) != 1;
    let wrong: Vec<_> = files().into_iter().filter(wrong).collect();
    assert!(wrong.is_empty(), "not one `# ` title: {:?}", paths(&wrong));
}

#[test]
fn a_hash_inside_a_code_block_is_no_title() {
    assert_eq!(titles("# One\n\n```sh\n# a comment\n```\n"), 1);
    assert_eq!(titles("# One\n\n# Two\n"), 2);
}

/// How many titles a page has, outside its code blocks.
fn titles(page: &str) -> usize {
    let outside = page.split("```").step_by(2);
    outside
        .flat_map(str::lines)
        .filter(|line| line.starts_with("# "))
        .count()
}

fn paths(files: &[File]) -> Vec<&str> {
    files.iter().map(|file| file.path.as_str()).collect()
}
