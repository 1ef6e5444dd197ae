//! Children that `strace` watches: which calls one makes, and one that it kills before a call.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    time::Duration,
};

use levada_testkit::{Heard, Victim};
use tempfile::TempDir;

use super::{child::SURVIVED, path};
use crate::{
    campaign::Fault,
    log::require,
    machine::{lacks, run},
};

/// What the log calls; reading as well, although nothing has changed since the call before.
const CALLS: &str = "openat,mkdir,rename,unlink,rmdir,flock,ftruncate,pread64,pwrite64,fdatasync,\
                     fsync";
/// A child that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A call, as `strace` counts: its name, and how many of the name there were with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call(pub(super) String, pub(super) u64);

/// What a child did until it was killed.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) begun: usize,
    pub(super) done: usize,
}

/// Tries `strace`, for the campaign of this name.
pub(super) fn try_tracing(name: &str) -> Result<(), Fault> {
    let traced = run(Command::new("strace").args(["-f", "-o", "/dev/null", "true"]));
    let reason = |fault| lacks(name, &format!("strace does not run: {fault}"));
    traced.map(drop).map_err(reason)
}

/// The calls that a child makes if it is let be.
pub(super) fn calls(word: &str, folder: &Path, rests: u32) -> Result<Vec<Call>, Fault> {
    let traces = TempDir::new()?;
    let told = traces.path().join("told");
    let trace = format!("trace={CALLS}");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", &trace, "-o", path(&told)?]);
    command.arg(std::env::current_exe()?);
    let said = run(command.args([word, path(folder)?, &rests.to_string()]))?;
    require!(
        said.trim_end().ends_with(SURVIVED),
        "the child says: {said}"
    );
    let mut counts = BTreeMap::new();
    let mut calls = Vec::new();
    let mut threads = BTreeSet::new();
    for line in fs::read_to_string(told)?.lines() {
        let mut words = line.split_whitespace();
        threads.insert(words.next().unwrap_or_default().to_owned());
        let name = words.next().and_then(|call| call.split_once('('));
        let (name, _) = name.ok_or_else(|| format!("strace says: {line}"))?;
        let count = counts.entry(name.to_owned()).or_insert(0);
        *count += 1;
        calls.push(Call(name.to_owned(), *count));
    }
    require!(threads.len() == 1, "the child has threads: {threads:?}");
    Ok(calls)
}

/// Runs a child that is killed before a call.
pub(super) fn killed(
    word: &str,
    folder: &Path,
    rests: u32,
    Call(name, count): &Call,
) -> Result<Life, Fault> {
    let inject = format!("inject={name}:signal=KILL:when={count}");
    let trace = format!("trace={name}");
    let mut command = Command::new("strace");
    let quiet = ["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    command.args(quiet).arg(std::env::current_exe()?);
    let victim = Victim::start(command.args([word, path(folder)?, &rests.to_string()]))?;
    let mut life = Life::default();
    loop {
        let line = match victim.listen(PATIENCE) {
            Heard::Line(line) => line,
            Heard::End => break,
            Heard::Nothing => return Err("the child hangs".into()),
        };
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "begin" => life.begun = rest.parse::<usize>()? + 1,
            "done" => life.done = rest.parse::<usize>()? + 1,
            SURVIVED => return Err("it made other calls than before, and survived".into()),
            _ => return Err(format!("the child says: {line}").into()),
        }
    }
    victim.kill()?;
    Ok(life)
}
