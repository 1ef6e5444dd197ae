//! What several promises look at: the files of this repository.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
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
