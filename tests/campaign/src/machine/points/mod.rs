//! Campaigns: a process that lives by a script is killed before each of its file syscalls in turn,
//! and so is the process that recovers what another has left.
//!
//! `strace` kills it. It counts the calls of each thread and of each kind, so the child does
//! everything on one thread: a life that is let be tells which call comes when, and each other life
//! makes the same calls up to its end. What the script has done so far decides what must be there,
//! with the act during which it was killed or without; nothing is asked of the log. That the script
//! does what it is there for is seen in the files of the life that is let be.

mod child;
mod deeds;
mod lives;
mod recoveries;
mod script;
mod seen;
mod traced;
mod truth;

use std::path::Path;

use tempfile::TempDir;

use crate::{campaign::Fault, folder};
use child::LIFE;
pub(crate) use child::child;
pub(crate) use lives::CRASH_POINTS;
pub(crate) use recoveries::RECOVERY_POINTS;
use script::{Act, script};
use seen::{Seen, look};
use traced::{Call, Life, calls, killed};
use truth::Truth;

/// What a life does, and the calls that it makes if it is let be.
#[derive(Debug)]
struct Script {
    acts: Vec<Act>,
    calls: Vec<Call>,
}

impl Script {
    /// Lets a life be, which must have done all that the script is there for.
    fn lived() -> Result<Self, Fault> {
        let (acts, folder) = (script(), TempDir::new()?);
        let calls = calls(LIFE, folder.path(), 0)?;
        let truth = Truth::of(&acts);
        let seen = look_at_copy(folder.path(), truth.rests)?;
        let done = truth.compare(&seen, truth.rests);
        let done = done.and_then(|()| deeds::look(&folder.path().join("data"), &acts));
        done.map_err(|fault| format!("a life that was let be: {fault}"))?;
        Ok(Self { acts, calls })
    }

    /// Kills a life before a call.
    fn kill(&self, call: usize, folder: &Path) -> Result<Life, Fault> {
        killed(LIFE, folder, 0, &self.calls[call])
    }

    /// How many rests there were in a life.
    fn rests(&self, life: &Life) -> u32 {
        Truth::of(&self.acts[..life.begun]).rests
    }

    fn killed_before(&self, call: usize, fault: &Fault) -> Fault {
        let Call(name, count) = &self.calls[call];
        format!("killed before call {call}, {name} {count}: {fault}").into()
    }
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

#[cfg(test)]
impl Script {
    /// One whose life makes so many calls.
    fn of_calls(count: u64) -> Self {
        Self {
            acts: script(),
            calls: (1..=count).map(|it| Call("fsync".into(), it)).collect(),
        }
    }
}
