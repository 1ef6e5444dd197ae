//! Which packages are published, as cargo itself knows it.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{Error, cargo, run_quietly};

/// What `cargo metadata` says of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The registries it may go to. `None`: any; empty: it is not published.
    publish: Option<Vec<String>>,
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    ///
    /// When cargo fails, or answers in a form that this tool does not know.
    pub(crate) fn read() -> Result<Self, Error> {
        let mut command = cargo();
        let asked = command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let json = run_quietly("cargo metadata", asked)?;
        Ok(serde_json::from_slice(&json)?)
    }

    /// The packages that are published, by name.
    pub(crate) fn published(&self) -> Vec<&Package> {
        let is_published = |package: &&Package| package.publish.as_ref() != Some(&Vec::new());
        let mut published: Vec<_> = self.packages.iter().filter(is_published).collect();
        published.sort_by(|a, b| a.name.cmp(&b.name));
        published
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_may_not_be_published_are_left_out() {
        let json = r#"{
            "workspace_root": "w", "target_directory": "w/target", "version": 1,
            "packages": [
                {"name": "levada", "publish": null, "edition": "2024"},
                {"name": "levada-tests", "publish": []},
                {"name": "inside", "publish": ["ours"]}
            ]
        }"#;
        let workspace: Workspace = serde_json::from_str(json).unwrap();
        let names: Vec<_> = workspace
            .published()
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        assert_eq!(names, ["inside", "levada"]);
    }
}
