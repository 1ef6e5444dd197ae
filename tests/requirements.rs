//! `requirements.toml` tells the truth: the tests that it names exist, run, and show few things
//! each.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::support::{File, files};

/// How many requirements one test may serve: one that serves more shows none of them clearly.
const MOST_SERVED: usize = 3;

/// The groups of rows, and how many rows each has.
const ROWS: &[(char, u32)] = &[
    ('O', 8),
    ('D', 9),
    ('L', 9),
    ('B', 13),
    ('G', 6),
    ('R', 8),
    ('P', 9),
    ('C', 8),
    ('K', 5),
    ('X', 11),
    ('T', 6),
];

/// How many scenarios there are, from S1.
const SCENARIOS: u32 = 72;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirements {
    /// What a user can do, by row.
    rows: BTreeMap<String, Entry>,
    /// What goes wrong and is survived, by scenario.
    scenarios: BTreeMap<String, Entry>,
}

/// One row or scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The requirement in a sentence.
    what: String,
    /// The tests that show it, each as `path/of/file.rs::name`.
    tests: Vec<String>,
    /// What they do not show. Empty when nothing is missing.
    #[serde(default)]
    missing: String,
}

#[test]
fn requirements_are_shown_by_tests_that_run() {
    let files = files();
    let list = files
        .iter()
        .find(|file| file.path == "requirements.toml")
        .expect("it is there");
    let complaints = complaints(&list.text, &files);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Everything that is wrong with a list of requirements for these files.
fn complaints(list: &str, files: &[File]) -> Vec<String> {
    let list: Requirements = match toml::from_str(list) {
        Ok(list) => list,
        Err(error) => return vec![error.to_string()],
    };
    let mut complaints = Vec::new();
    let unknown_rows = list.rows.keys().filter(|id| !is_row(id));
    let unknown = unknown_rows.chain(list.scenarios.keys().filter(|id| !is_scenario(id)));
    complaints.extend(unknown.map(|id| format!("{id} is neither a row nor a scenario")));

    let mut served: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, entry) in list.rows.iter().chain(&list.scenarios) {
        if entry.what.is_empty() {
            complaints.push(format!("{id} does not say what it is"));
        }
        if entry.tests.is_empty() && entry.missing.is_empty() {
            complaints.push(format!(
                "{id} names no test and says nothing of what is missing"
            ));
        }
        for test in &entry.tests {
            served.entry(test).or_default().push(id);
        }
    }
    for (test, ids) in served {
        if let Some(problem) = problem(test, files) {
            complaints.push(format!("{}: {test} {problem}", ids.join(", ")));
        }
        if ids.len() > MOST_SERVED {
            complaints.push(format!(
                "{test} serves more than {MOST_SERVED}: {}",
                ids.join(", ")
            ));
        }
    }
    complaints
}

/// Why a test shows nothing, if it does not.
fn problem(test: &str, files: &[File]) -> Option<&'static str> {
    let Some((path, name)) = test.split_once("::") else {
        return Some("is not of the form path::name");
    };
    let Some(file) = files.iter().find(|file| file.path == path) else {
        return Some("is in a file that does not exist");
    };
    let lines: Vec<_> = file.text.lines().map(str::trim).collect();
    let head = format!("fn {name}(");
    let is_head = |line: &&str| {
        line.split_once(&head)
            .is_some_and(|(before, _)| is_prefix(before))
    };
    let Some(at) = lines.iter().position(is_head) else {
        return Some("does not exist");
    };
    let above = lines[..at].iter().rev();
    let attributes: Vec<_> = above
        .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
        .collect();
    if attributes.iter().any(|line| line.starts_with("#[ignore")) {
        return Some("is ignored");
    }
    let is_test = attributes
        .iter()
        .any(|line| line.contains("test]") || line.contains("test("));
    (!is_test).then_some("is not a test")
}

/// Whether what stands before `fn` on its line belongs to a function's head.
fn is_prefix(before: &str) -> bool {
    before
        .split_whitespace()
        .all(|word| ["pub", "pub(crate)", "async"].contains(&word))
}

fn is_row(id: &str) -> bool {
    ROWS.iter()
        .any(|(group, count)| is_numbered(id, *group, *count))
}

fn is_scenario(id: &str) -> bool {
    is_numbered(id, 'S', SCENARIOS)
}

fn is_numbered(id: &str, group: char, count: u32) -> bool {
    let number = id
        .strip_prefix(group)
        .and_then(|number| number.parse::<u32>().ok());
    number.is_some_and(|number| (1..=count).contains(&number) && id == format!("{group}{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The complaints about one entry `head` that names `tests`, and whose file holds `text`.
    fn about(head: &str, tests: &[&str], text: &str) -> Vec<String> {
        let other = if head.starts_with("[rows") {
            "[scenarios]"
        } else {
            "[rows]"
        };
        let list = format!("{other}\n\n{head}\nwhat = \"A fact.\"\ntests = {tests:?}\n");
        complaints(&list, &[File::new("a.rs", text)])
    }

    const SOUND: &str = "/// Keeps.\n#[test]\nfn keeps() {}\n";

    #[test]
    fn a_test_that_runs_is_enough() {
        assert_eq!(about("[rows.O2]", &["a.rs::keeps"], SOUND), [""; 0]);
        let later = "#[test]\n#[should_panic(expected = \"no\")]\nasync fn keeps() {}\n";
        assert_eq!(about("[scenarios.S72]", &["a.rs::keeps"], later), [""; 0]);
    }

    #[test]
    fn a_test_that_shows_nothing_is_found() {
        let problem = |test, text| about("[rows.O2]", &[test], text).join("\n");
        assert_eq!(
            problem("a.rs::kept", SOUND),
            "O2: a.rs::kept does not exist"
        );
        assert_eq!(
            problem("keeps", SOUND),
            "O2: keeps is not of the form path::name"
        );
        assert!(problem("b.rs::keeps", SOUND).ends_with("is in a file that does not exist"));
        assert!(problem("a.rs::keeps", "fn keeps() {}").ends_with("is not a test"));
        assert!(problem("a.rs::keeps", "// #[test]\n// fn keeps() {}").ends_with("does not exist"));
        let ignored = "#[test]\n#[ignore = \"slow\"]\nfn keeps() {}";
        assert!(problem("a.rs::keeps", ignored).ends_with("is ignored"));
    }

    #[test]
    fn an_entry_without_tests_says_what_is_missing() {
        assert_eq!(about("[rows.O2]", &[], "").len(), 1);
        assert_eq!(
            about("[rows.O2]\nmissing = \"The table.\"", &[], ""),
            [""; 0]
        );
    }

    #[test]
    fn only_known_rows_and_scenarios_are_listed() {
        for head in [
            "[rows.O9]",
            "[rows.Z1]",
            "[rows.S1]",
            "[scenarios.S0]",
            "[scenarios.S73]",
        ] {
            assert_eq!(about(head, &["a.rs::keeps"], SOUND).len(), 1, "{head}");
        }
        assert_eq!(about("[rows.O02]", &["a.rs::keeps"], SOUND).len(), 1);
    }

    #[test]
    fn a_test_serves_three_requirements_at_most() {
        let entry =
            |id: u32| format!("[scenarios.S{id}]\nwhat = \"A fact.\"\ntests = [\"a.rs::keeps\"]");
        let list = |ids: &[u32]| {
            let entries: Vec<_> = ids.iter().map(|id| entry(*id)).collect();
            complaints(
                &format!("[rows]\n{}", entries.join("\n")),
                &[File::new("a.rs", SOUND)],
            )
        };
        assert_eq!(list(&[1, 2, 3]), [""; 0]);
        assert_eq!(
            list(&[1, 2, 3, 4]),
            ["a.rs::keeps serves more than 3: S1, S2, S3, S4"]
        );
    }
}
