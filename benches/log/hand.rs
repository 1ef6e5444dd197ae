//! The log that is written by hand: a program of the peers, built into our own folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use levada::BoxError;
use levada_benches::paired::arguments::Scale;
use serde::Deserialize;

use crate::Work;

/// Which of its figures is wanted.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// Whether it syncs each batch of 1,000 records.
    sync: bool,
    /// The words that its figure begins with.
    says: &'static str,
    /// Records of a run, for each second that it is to last.
    per_second: u64,
}

pub(super) const SYNCED: Run = Run {
    sync: true,
    says: "hand log append",
    per_second: 4_000_000,
};
/// Without syncs it would write 2 GB a second, which soon is more than there is of page cache.
pub(super) const UNSYNCED: Run = Run {
    sync: false,
    says: "hand log append",
    per_second: 6_000_000,
};
pub(super) const READ: Run = Run {
    says: "hand log read",
    ..UNSYNCED
};

impl Run {
    /// What a side of a round does.
    pub(super) fn work(self, scale: Scale) -> Work {
        Work::new(scale, self.per_second)
    }
}

/// A line that it prints.
#[derive(Deserialize)]
struct Figure {
    what: String,
    msg_s: f64,
}

/// The program.
pub(super) struct Hand(PathBuf);

impl Hand {
    /// Builds it from the folder of the peers.
    pub(super) fn build(peers: &Path, scratch: &Path) -> Result<Self, BoxError> {
        if cfg!(feature = "mimalloc") {
            return Err("the log by hand has no mimalloc: leave `--features mimalloc` out".into());
        }
        let manifest = peers.join("logs/Cargo.toml");
        if !manifest.is_file() {
            let place = peers.display();
            return Err(format!("no `logs` in `{place}`: name the peers with `--peers`").into());
        }
        // Its folder has no lock file, and is not to get one.
        let sources = scratch.join("hand");
        fs::create_dir_all(sources.join("src"))?;
        fs::copy(&manifest, sources.join("Cargo.toml"))?;
        fs::copy(peers.join("logs/src/main.rs"), sources.join("src/main.rs"))?;
        let target = scratch.join("peers/logs");
        let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--release", "--manifest-path"])
            .arg(sources.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .status()?;
        if !status.success() {
            return Err(format!("{} does not build", manifest.display()).into());
        }
        let program = format!("release/logs-bench{}", env::consts::EXE_SUFFIX);
        Ok(Self(target.join(program)))
    }

    /// Millions of records a second.
    pub(super) fn rate(&self, run: Run, folder: &Path, work: Work) -> Result<f64, BoxError> {
        work.rate(|records| self.run(run, folder, records))
    }

    /// How long it took for so many records.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate is printed with two decimals"
    )]
    fn run(&self, run: Run, folder: &Path, records: u64) -> Result<Duration, BoxError> {
        let output = Command::new(&self.0)
            .current_dir(folder)
            .args(["log", &records.to_string(), "1000"])
            .arg(if run.sync { "1" } else { "0" })
            .stderr(Stdio::inherit())
            .output()?;
        let said = String::from_utf8(output.stdout)?;
        let figures = said.lines().map(serde_json::from_str::<Figure>);
        let figures = figures.collect::<Result<Vec<_>, _>>()?;
        let figure = figures
            .iter()
            .find(|figure| figure.what.starts_with(run.says));
        let figure = figure.ok_or_else(|| format!("the log by hand says only: {said}"))?;
        Ok(Duration::from_secs_f64(records as f64 / figure.msg_s))
    }
}
