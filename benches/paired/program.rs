//! The programs that are paired: ours, and those of the peers, which are built first.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use levada::BoxError;
use serde::de::DeserializeOwned;

use super::{Figure, Peer, Workload};
use crate::ALLOCATOR_NAME;

/// How long and how often programs run.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// How long the fastest program runs, at least.
    pub seconds: u64,
    /// How often each runs.
    pub rounds: usize,
    /// Events of the first run, which shows how many are needed.
    pub(super) pilot: u64,
}

impl Scale {
    /// What a verdict needs.
    pub(super) const CHECK: Self = Self {
        seconds: 10,
        rounds: 5,
        pilot: 20_000_000,
    };

    /// Enough for a first look.
    pub(super) const LOOK: Self = Self {
        seconds: 3,
        rounds: 3,
        pilot: 5_000_000,
    };

    /// True if it is enough for a verdict.
    pub fn is_check(self) -> bool {
        self.seconds >= Self::CHECK.seconds && self.rounds >= Self::CHECK.rounds
    }

    /// True if this run was long enough.
    pub(super) fn lasted(self, figure: &Figure) -> bool {
        Duration::from_secs_f64(figure.seconds) >= Duration::from_secs(self.seconds)
    }

    /// How many events a program of this rate is busy with for long enough, in millions. A pilot is
    /// short of the full speed by the time of its start: hence a quarter more.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rate is positive, and a count of events is far below 2⁵³"
    )]
    pub(super) fn events(self, rate: f64) -> u64 {
        let millions = (rate * self.seconds as f64 * 1.25 / 1e6).ceil();
        (millions as u64).max(1) * 1_000_000
    }
}

/// Where all programs are.
#[derive(Debug)]
pub(super) struct Programs {
    ours: PathBuf,
    /// The folder of the peers' programs, if they are to run.
    peers: Option<PathBuf>,
}

impl Programs {
    /// Builds the peers in `sources`, with our allocator, into a folder below `scratch`.
    pub(super) fn build(
        sources: Option<&Path>,
        scratch: &Path,
        workloads: &[Workload],
    ) -> Result<Self, BoxError> {
        let peers = sources
            .map(|sources| build(sources, scratch, workloads))
            .transpose()?;
        let ours = env::current_exe()?;
        Ok(Self { ours, peers })
    }

    /// The programs of a workload, ours first.
    pub(super) fn of(&self, workload: &Workload) -> Vec<Program> {
        let ours = Program {
            label: "levada",
            file: self.ours.clone(),
            before: vec!["--run".into(), workload.name.into(), "--events".into()],
            after: None,
        };
        let peers = self.peers.iter().flat_map(|folder| {
            workload.peers.iter().map(|peer| Program {
                label: peer.label,
                file: folder.join(format!("{}{}", peer.package, env::consts::EXE_SUFFIX)),
                before: peer.before.iter().map(Into::into).collect(),
                after: peer.after.map(Into::into),
            })
        });
        std::iter::once(ours).chain(peers).collect()
    }
}

fn build(sources: &Path, scratch: &Path, workloads: &[Workload]) -> Result<PathBuf, BoxError> {
    let manifest = sources.join("Cargo.toml");
    if !manifest.is_file() {
        let place = sources.display();
        return Err(format!("no peers in `{place}`: name their folder with `--peers`").into());
    }
    let target = scratch.join("peers").join(ALLOCATOR_NAME);
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--locked", "--manifest-path"]);
    cargo.arg(&manifest).arg("--target-dir").arg(&target);
    let mut packages: Vec<_> = workloads
        .iter()
        .flat_map(|workload| workload.peers)
        .map(|Peer { package, .. }| *package)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    for package in packages {
        cargo.args(["--package", package]);
    }
    if cfg!(feature = "mimalloc") {
        cargo.args(["--features", "common/mi"]);
    }
    if !cargo.status()?.success() {
        return Err(format!("the peers in `{}` do not build", sources.display()).into());
    }
    Ok(target.join("release"))
}

/// A program with its arguments, short of the number of events.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) label: &'static str,
    file: PathBuf,
    before: Vec<OsString>,
    after: Option<OsString>,
}

impl Program {
    /// Runs it on so many events.
    pub(super) fn run(&self, events: u64) -> Result<Figure, BoxError> {
        let mut command = Command::new(&self.file);
        command
            .args(&self.before)
            .arg(events.to_string())
            .args(&self.after);
        let figure: Figure = told(self.label, &mut command)?;
        if figure.allocator != ALLOCATOR_NAME {
            return Err(format!("{} runs on {}", self.label, figure.allocator).into());
        }
        Ok(figure)
    }
}

/// This program, to be started as a child that runs `name` on so many events.
///
/// # Errors
///
/// The operating system does not say where the program is.
pub fn child(name: &str, events: u64) -> Result<Command, BoxError> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["--run", name, "--events", &events.to_string()]);
    Ok(command)
}

/// Runs a program to its end, and reads the line of JSON that it prints.
///
/// # Errors
///
/// It failed, or printed no such line.
pub fn told<T: DeserializeOwned>(label: &str, program: &mut Command) -> Result<T, BoxError> {
    let output = program.stderr(Stdio::inherit()).output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    let line = told.lines().find(|line| line.starts_with('{'));
    let Some(line) = line.filter(|_| output.status.success()) else {
        return Err(format!("{label} ended with {}: {told}", output.status).into());
    };
    Ok(serde_json::from_str(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faster_program_gets_more_events_so_that_it_runs_as_long() {
        let scale = Scale::CHECK;
        assert_eq!(scale.events(40e6), 500_000_000);
        assert_eq!(scale.events(80e6), 1_000_000_000);
        assert_eq!(scale.events(0.0), 1_000_000);
    }
}
