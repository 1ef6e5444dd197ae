//! What several promises need: the files of this repository, and a word where nothing is tested.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

/// A text file of the repository.
#[derive(Debug)]
pub(crate) struct File {
    /// Where it is, from the root, with `/` between folders.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Whether the path ends with one of `endings`.
    pub(crate) fn is(&self, endings: &[&str]) -> bool {
        endings.iter().any(|ending| self.path.ends_with(ending))
    }

    /// The folder of the file, empty for the root.
    pub(crate) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The name of the file without its folder and its last extension.
    pub(crate) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.rsplit_once('.').map_or(name, |(stem, _)| stem)
    }
}

/// The root folder of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in a folder of the root")
}

/// All text files of the repository: those that git has or would take, else all but build output.
pub(crate) fn files() -> Vec<File> {
    let mut paths = listed_by_git().unwrap_or_default();
    if paths.is_empty() {
        walk(root(), &mut paths);
    }
    let read = |path: PathBuf| {
        // Not there: deleted, but git does not know yet. Not UTF-8: not text.
        let text = fs::read_to_string(root().join(&path)).ok()?;
        Some(File {
            path: path.to_str()?.replace('\\', "/"),
            text,
        })
    };
    let files: Vec<File> = paths.into_iter().filter_map(read).collect();
    assert!(
        files.iter().any(|file| file.path == "tests/support.rs"),
        "the list lacks this file"
    );
    files
}

fn listed_by_git() -> Option<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.current_dir(root()).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let output = git.output().ok().filter(|output| output.status.success())?;
    let names = String::from_utf8(output.stdout).ok()?;
    Some(names.split_terminator('\0').map(PathBuf::from).collect())
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder)
        .expect("the repository can be read")
        .flatten()
    {
        let path = entry.path();
        let built = path.ends_with("target") || path.ends_with(".git");
        if path.is_dir() && !built {
            walk(&path, paths);
        } else if path.is_file() {
            paths.extend(path.strip_prefix(root()).map(Path::to_owned));
        }
    }
}

/// Says that this test checks nothing here, because it lacks `need`.
///
/// It is said on the process' standard error itself: what a test that passes prints by macros is
/// shown to nobody.
///
/// # Panics
///
/// Where `LEVADA_REQUIRE` lists `need`: then the test must not be skipped.
pub(crate) fn skip(need: &str, reason: &str) {
    let required = env::var("LEVADA_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|listed| listed == need);
    assert!(!is_required, "LEVADA_REQUIRE lists `{need}`: {reason}");
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("SKIPPED: {test}: {reason}\n");
    io::stderr()
        .write_all(line.as_bytes())
        .expect("somebody listens");
}

/// The names of the packages that `cargo tree` shows for these arguments.
pub(crate) fn tree(args: &[&str]) -> Vec<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).arg("tree").args(args);
    let output = cargo.args(["--prefix", "none"]).output();
    let output = output.expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let tree = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let name = |line: &str| line.split(' ').next().map(str::to_owned);
    let packages: Vec<_> = tree.lines().filter_map(name).collect();
    let is_ours = packages.iter().any(|package| package == "levada-core");
    assert!(is_ours, "not our tree:\n{tree}");
    packages
}

/// Runs a test of this program by its name, in a process of its own.
pub(crate) fn test_alone(name: &str) -> Command {
    let mut test = Command::new(env::current_exe().expect("this program is a file"));
    // With one thread it would run on the main one, which has no name of a test.
    test.args(["--exact", name, "--test-threads", "2"]);
    test
}

#[test]
fn a_skipped_test_is_seen_in_the_output_that_everybody_sees_and_fails_where_it_is_required() {
    let name = "orders::the_year_has_all_its_rows";
    let run = |required: &str| {
        let mut test = test_alone(name);
        test.env("LEVADA_SHARED", "no-such-folder");
        test.env("LEVADA_REQUIRE", required)
            .output()
            .expect("it runs")
    };
    let skipped = run("quick,night");
    let said = String::from_utf8_lossy(&skipped.stderr);
    assert!(skipped.status.success(), "{said}");
    let line = format!("SKIPPED: {name}: no order lines in `no-such-folder");
    assert_eq!(said.matches(&line).count(), 1, "{said}");

    let failed = run("quick,data");
    let said = String::from_utf8_lossy(&failed.stdout);
    assert!(!failed.status.success(), "{said}");
    assert!(said.contains("LEVADA_REQUIRE lists `data`"), "{said}");
}

#[test]
fn files_are_found_without_git_too() {
    let mut walked = Vec::new();
    walk(root(), &mut walked);
    let missed = |file: &&File| !walked.contains(&PathBuf::from(&file.path));
    let missed: Vec<_> = files()
        .iter()
        .filter(missed)
        .map(|file| file.path.clone())
        .collect();
    assert!(missed.is_empty(), "walking the folders misses {missed:?}");
}
