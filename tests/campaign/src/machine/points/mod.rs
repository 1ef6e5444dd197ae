//! Campaign: a process that lives by a script is killed before each of its file syscalls in turn,
//! and so is the process that recovers what another has left.
//!
//! `strace` kills it. It counts the calls of each thread and of each kind, so the child does
//! everything on one thread: a life that is let be tells which call comes when, and each other life
//! makes the same calls up to its end. What the script has done so far decides what must be there,
//! with the act during which it was killed or without; nothing is asked of the log.

mod child;
mod script;
mod seen;
mod truth;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    time::Duration,
};

use levada_testkit::{Heard, Victim};
use tempfile::TempDir;

use super::{lacks, run};
use crate::{
    campaign::{Campaign, Cases, Extent, Fault, Verdict},
    folder,
    log::require,
};
pub(crate) use child::child;
use child::{LIFE, RECOVERY, SURVIVED};
use script::{Act, script};
use seen::{Seen, look};
use truth::Truth;

/// Case `n` kills before each call whose number is `n` more than a multiple of this.
const EVERY: u64 = 50;
/// What the log calls; reading as well, although nothing has changed since the call before.
const CALLS: &str = "openat,mkdir,rename,unlink,rmdir,flock,ftruncate,pread64,pwrite64,fdatasync,\
                     fsync";
/// A child that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// The campaign.
pub(crate) const CRASH_POINTS: Campaign = Campaign {
    name: "crash-points",
    about: "Kills a process before each of its file syscalls, also in recovery, and looks.",
    full: EVERY,
    ci: 1,
    weight: 1,
    start: || Ok(Box::new(Points::new()?)),
};

/// What the cases so far have shown.
#[derive(Debug)]
struct Points {
    script: Vec<Act>,
    /// The calls of a life that is let be.
    calls: Vec<Call>,
    lives: u64,
    recoveries: u64,
    /// Whether a life was killed in each act.
    killed_in: Vec<bool>,
    backups: u64,
}

/// A call, as `strace` counts: its name, and how many of the name there were with it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call(String, u64);

/// What a child did until it was killed.
#[derive(Debug, Default)]
struct Life {
    begun: usize,
    done: usize,
}

impl Points {
    fn new() -> Result<Self, Fault> {
        let traced = run(Command::new("strace").args(["-f", "-o", "/dev/null", "true"]));
        traced.map_err(|fault| lacks("crash-points", &format!("strace does not run: {fault}")))?;
        let script = script();
        let folder = TempDir::new()?;
        Ok(Self {
            calls: calls(&[LIFE, path(folder.path())?, "0"])?,
            killed_in: vec![false; script.len()],
            script,
            lives: 0,
            recoveries: 0,
            backups: 0,
        })
    }

    /// Kills a life before a call and looks at what is left: what is seen, after how many rests.
    fn kill_life(&mut self, call: usize, folder: &Path) -> Result<(Seen, u32), Fault> {
        let life = killed(&[LIFE, path(folder)?, "0"], &self.calls[call])?;
        self.lives += 1;
        let rests = Truth::of(&self.script[..life.begun]).rests;
        if let Some(act) = self.killed_in.get_mut(life.done) {
            *act |= life.begun > life.done;
        }
        let seen = self.compare(folder, &life, rests)?;
        self.look_at_backup(folder, &life)?;
        Ok((seen, rests))
    }

    /// Compares what was left with the script. It is opened as a copy.
    fn compare(&self, folder: &Path, life: &Life, rests: u32) -> Result<Seen, Fault> {
        let seen = look_at_copy(folder, rests)?;
        let of = |acts: usize| Truth::of(&self.script[..acts]).compare(&seen, rests);
        if let Err(without) = of(life.done)
            && let Err(with) = of(life.begun)
        {
            let act = self.script.get(life.done);
            let sentence = format!("{without}; had {act:?} been done: {with}");
            return Err(sentence.into());
        }
        Ok(seen)
    }

    /// A backup that was acknowledged holds all that was done before it.
    fn look_at_backup(&mut self, folder: &Path, life: &Life) -> Result<(), Fault> {
        let at = self.script.iter().position(|act| *act == Act::Backup);
        let Some(at) = at.filter(|at| *at < life.done) else {
            return Ok(());
        };
        let restored = TempDir::new()?;
        let data = restored.path().join("data");
        levada_log::restore(folder.join("backup"), &data)?;
        let truth = Truth::of(&self.script[..at]);
        let compared = truth.compare(&look(&data, truth.rests)?, truth.rests);
        compared.map_err(|fault| format!("the backup: {fault}"))?;
        self.backups += 1;
        Ok(())
    }

    /// Kills the recovery of a folder before each of its calls: what is seen then is what is seen
    /// after a recovery that was let be.
    fn kill_recoveries(&mut self, folder: &Path, seen: &Seen, rests: u32) -> Result<(), Fault> {
        let rests_said = rests.to_string();
        let copy = || {
            let copy = TempDir::new()?;
            folder::copy(folder, copy.path())?;
            Ok::<_, Fault>(copy)
        };
        let first = copy()?;
        for call in calls(&[RECOVERY, path(first.path())?, &rests_said])? {
            let copy = copy()?;
            killed(&[RECOVERY, path(copy.path())?, &rests_said], &call)?;
            self.recoveries += 1;
            let again = look_at_copy(copy.path(), rests)?;
            require!(
                again == *seen,
                "recovery killed before {call:?} converges to something else:\n{again:?}\n{seen:?}"
            );
        }
        Ok(())
    }
}

impl Cases for Points {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        let every = usize::try_from(EVERY)?;
        let mine: Vec<_> = (usize::try_from(number)?..self.calls.len())
            .step_by(every)
            .collect();
        // In each case the recovery of another life, so that all of them together have all acts.
        let recovered = mine.len() * (usize::try_from(number)? % every + 1) / (every + 1);
        for (turn, call) in mine.into_iter().enumerate() {
            let folder = TempDir::new()?;
            let killed = self.kill_life(call, folder.path());
            let looked = killed.and_then(|(seen, rests)| {
                if turn != recovered {
                    return Ok(());
                }
                self.kill_recoveries(folder.path(), &seen, rests)
            });
            looked.map_err(|fault| {
                let Call(name, count) = &self.calls[call];
                format!("killed before call {call}, {name} {count}: {fault}")
            })?;
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let (lives, recoveries, backups) = (self.lives, self.recoveries, self.backups);
        let acts = self.killed_in.iter().filter(|killed| **killed).count();
        let (all, calls) = (self.script.len(), self.calls.len());
        vec![
            format!("{lives} lives killed, each before another of {calls} calls"),
            format!("in {acts} of {all} acts; {backups} backups restored"),
            format!("{recoveries} recoveries killed, all of which came to the same"),
        ]
    }

    fn judge(&self, _: Extent) -> Result<Verdict, Fault> {
        require!(self.recoveries > 0, "no recovery was killed");
        Ok(Verdict::Shown)
    }
}

/// The calls that a child makes if it is let be.
fn calls(arguments: &[&str]) -> Result<Vec<Call>, Fault> {
    let folder = TempDir::new()?;
    let told = folder.path().join("told");
    let trace = format!("trace={CALLS}");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", &trace, "-o", path(&told)?]);
    let said = run(command.arg(std::env::current_exe()?).args(arguments))?;
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
fn killed(arguments: &[&str], Call(name, count): &Call) -> Result<Life, Fault> {
    let inject = format!("inject={name}:signal=KILL:when={count}");
    let trace = format!("trace={name}");
    let mut command = Command::new("strace");
    let quiet = ["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    command.args(quiet).arg(std::env::current_exe()?);
    let victim = Victim::start(command.args(arguments))?;
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

fn look_at_copy(folder: &Path, rests: u32) -> Result<Seen, Fault> {
    let copy = TempDir::new()?;
    let data = folder.join("data");
    if data.exists() {
        folder::copy(&data, copy.path())?;
    }
    look(copy.path(), rests)
}

fn path(folder: &Path) -> Result<&str, Fault> {
    Ok(folder.to_str().ok_or("the folder's name is not text")?)
}
