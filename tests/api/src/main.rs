//! Compares the public interface of each published package with its listing in `api/`, and names
//! the items that no example teaches.
//!
//! A listing has a line for each public item, with its signature, so that a change of the
//! interface is a change that a reviewer sees. Both come from rustdoc's JSON, which only a nightly
//! toolchain writes.

mod examples;
mod listing;
mod packages;

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use clap::{Parser, ValueEnum};

use crate::{
    examples::Docs,
    listing::differences,
    packages::{Package, Workspace},
};

/// Watches the public interfaces of the published packages.
#[derive(Debug, Parser)]
#[command(name = "cargo api")]
struct Options {
    #[arg(value_enum, default_value_t = Task::Compare)]
    task: Task,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Task {
    /// Compares each interface with its listing in `api/`, and names what no example teaches.
    Compare,
    /// Writes the listings anew.
    Bless,
    /// Names the published packages.
    Packages,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error("`{0}` did not start: {1}")]
    Start(&'static str, io::Error),
    #[error("`{0}` failed: {1}")]
    Failed(&'static str, String),
    #[error("cargo's description of the workspace has another form than expected: {0}")]
    Metadata(#[from] serde_json::Error),
    #[error("rustdoc's JSON of {package} cannot be read, perhaps for another nightly: {source}")]
    Json {
        package: String,
        source: Box<dyn std::error::Error>,
    },
    #[error("the report could not be written: {0}")]
    Report(io::Error),
}

#[expect(
    clippy::print_stderr,
    reason = "a command says on stderr what stopped it"
)]
fn main() -> ExitCode {
    match run(Options::parse().task, &mut io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Does `task`. False when an interface is not the one that is listed, or an example is missing.
fn run(task: Task, out: &mut dyn Write) -> Result<bool, Error> {
    let workspace = Workspace::read()?;
    let folder = workspace.root.join("api");
    let (mut is_same, mut is_taught) = (true, true);
    for Package { name, .. } in workspace.published() {
        let file = folder.join(format!("{name}.txt"));
        match task {
            Task::Packages => writeln!(out, "{name}").map_err(Error::Report)?,
            Task::Bless => {
                fs::create_dir_all(&folder).map_err(|error| Error::File(folder.clone(), error))?;
                let present = interface(&described(&workspace, name)?, name)?;
                fs::write(&file, present).map_err(|error| Error::File(file, error))?;
            }
            Task::Compare => {
                let json = described(&workspace, name)?;
                for line in differences(&read(&file)?, &interface(&json, name)?) {
                    is_same = false;
                    writeln!(out, "{name}: {line}").map_err(Error::Report)?;
                }
                for path in docs(&json, name)?.untaught() {
                    is_taught = false;
                    writeln!(out, "{path} has no example").map_err(Error::Report)?;
                }
            }
        }
    }
    if !is_same {
        writeln!(out, "If this is meant: cargo api bless").map_err(Error::Report)?;
    }
    if !is_taught {
        let rule = "Show each of them in an example that asserts, or link to the one that does.";
        writeln!(out, "{rule}").map_err(Error::Report)?;
    }
    Ok(is_same && is_taught)
}

/// The text of a listing, empty for a package that has none yet.
fn read(file: &Path) -> Result<String, Error> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| Error::File(file.to_owned(), error)),
    }
}

/// Has rustdoc describe the public items of `package`, in a file of JSON.
fn described(workspace: &Workspace, package: &str) -> Result<PathBuf, Error> {
    // A folder of its own: the nightly toolchain would build everything else there anew.
    let target = workspace.target.join("api");
    let mut rustdoc = Command::new("rustup");
    rustdoc
        .current_dir(&workspace.root)
        .args(["run", "nightly", "cargo", "rustdoc", "--quiet"]);
    rustdoc
        .args(["--lib", "--package", package, "--target-dir"])
        .arg(&target);
    rustdoc.args([
        "--",
        "-Z",
        "unstable-options",
        "--output-format",
        "json",
        "--cap-lints=warn",
    ]);
    run_quietly("rustup run nightly cargo rustdoc", &mut rustdoc)?;

    let name = format!("{}.json", package.replace('-', "_"));
    Ok(target.join("doc").join(name))
}

/// What rustdoc has described of `package`, to look for examples in.
fn docs(json: &Path, package: &str) -> Result<Docs, Error> {
    let text = fs::read_to_string(json).map_err(|error| Error::File(json.to_owned(), error))?;
    serde_json::from_str(&text).map_err(|error| unreadable(package, error))
}

fn unreadable(package: &str, source: impl Into<Box<dyn std::error::Error>>) -> Error {
    Error::Json {
        package: package.to_owned(),
        source: source.into(),
    }
}

/// The public interface of `package` as it is, a line for each item.
fn interface(json: &Path, package: &str) -> Result<String, Error> {
    let listed = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    let api = listed.map_err(|error| unreadable(package, error))?;
    let lines: Vec<_> = api.items().map(ToString::to_string).collect();
    Ok(lines.join("\n") + "\n")
}

/// Runs a command to its end and returns what it wrote.
fn run_quietly(name: &'static str, command: &mut Command) -> Result<Vec<u8>, Error> {
    let output = command
        .output()
        .map_err(|error| Error::Start(name, error))?;
    if !output.status.success() {
        return Err(Error::Failed(
            name,
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ));
    }
    Ok(output.stdout)
}

/// The command that runs this tool's own cargo.
fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
