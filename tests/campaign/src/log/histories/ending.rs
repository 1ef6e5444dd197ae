//! How a life of the log ends, and how the next begins.

use levada_log::{Error, Log};

use super::{asked::Asked, stage::Stage};
use crate::{
    campaign::Fault,
    history::{Call, Outcome},
    log::{
        rig::{FOLDER, Stop},
        steps::{Steps, answered},
    },
};

/// The number, as a client, of whoever opens the folder.
const OPENER: u32 = 99;

impl Stage {
    pub(super) fn kill(&mut self) -> Result<(), Fault> {
        self.strike(Stop::Kill);
        self.reopen()
    }

    pub(super) fn cut_power(&mut self) -> Result<(), Fault> {
        self.strike(Stop::PowerCut);
        self.reopen()
    }

    /// One of the two.
    pub(super) fn crash(&mut self) -> Result<(), Fault> {
        let stop = self.rig.any_stop();
        self.strike(stop);
        self.reopen()
    }

    /// Drops the last handle without closing.
    pub(super) fn drop_log(&mut self) -> Result<(), Fault> {
        self.let_go();
        while self.step()? {}
        self.struck.dropped += 1;
        self.crash()
    }

    /// Closes the log in order, and opens it again.
    pub(super) fn close(&mut self) -> Result<(), Fault> {
        let log = self.log.as_ref().ok_or("no log is open")?;
        let mut ticket = log.close();
        while self.step()? {}
        let closed = answered(&mut ticket);
        let closed = closed.ok_or("the log sleeps while it closes")?;
        self.struck.closed += u64::from(closed.is_ok());
        self.crash()
    }

    /// Opens the folder past its lock, and lets the log that had it go on until it is refused.
    pub(super) fn takeover(&mut self) -> Result<(), Fault> {
        self.rig.fs.heal();
        if self.rig.fs.is_crashed() || self.is_dead {
            return Ok(());
        }
        for at in 0..self.partitions.len() {
            self.send(0, at, 1)?;
        }
        self.rig.fs.drop_locks();
        let purpose = format!("steps {}", self.rig.fs.calls());
        let steps = Steps::new(self.rig.seed.rng(&purpose));
        let log = self.sizes()(self.rig.options(&steps)).open(FOLDER);
        // Whatever it says from here on, it must be true.
        while self.step()? {}
        // The first log has written meanwhile, or has stopped in a sync that failed before.
        let Ok(log) = log else {
            return self.crash();
        };
        self.recorder.restarted()?;
        self.struck.takeovers += 1;
        self.asked.clear();
        self.rig.steps = steps;
        self.begin(log)
    }

    /// Damages the log, and reads what it still gives: either it says that it is damaged, or all is
    /// there.
    pub(super) fn rot(&mut self) -> Result<(), Fault> {
        self.crash()?;
        self.rig.fs.heal();
        for _ in 0..self.rig.rng.below(6) {
            self.send(0, 0, 1)?;
            self.drain()?;
        }
        self.send(0, 0, 1)?;
        self.drain_as_unknown()?;
        self.strike(Stop::Kill);
        // There are few journals, and in one there is more that can be taken for torn.
        let folder = if self.rig.rng.chance(1, 2) {
            "/journal/"
        } else {
            "/topics/"
        };
        let files = self.rig.fs.files();
        let is_there = |path: &&std::path::PathBuf| path.to_string_lossy().contains(folder);
        let files: Vec<_> = files.iter().filter(is_there).collect();
        let path = files[self.rig.below(files.len())];
        let content = self.rig.fs.contents(path).unwrap_or_default();
        self.recorder.restarted()?;
        if let Some(end) = content.iter().rposition(|byte| *byte != 0) {
            let at = self.rig.below(end + 1);
            let bit = 1 << self.rig.rng.below(8);
            self.rig.fs.rot(path, at, &[content[at] ^ bit]);
            self.recorder.rotted()?;
            self.struck.rotten += 1;
        }
        let options = self.rig.options(&self.rig.steps);
        match self.sizes()(options).open(FOLDER) {
            Ok(log) => {
                self.begin(log)?;
                self.read_all()
            }
            Err(Error::Unusable { .. } | Error::Newer { .. }) => Ok(()),
            Err(error) => Err(format!("damage is called {error}").into()),
        }
    }

    /// Lets what was sent be done. It is the last group commit, which damage may pass for torn, so
    /// nobody counts on it.
    fn drain_as_unknown(&mut self) -> Result<(), Fault> {
        while self.rig.steps.step() {}
        for asked in std::mem::take(&mut self.asked) {
            let (Asked::Send { operation, .. }
            | Asked::End { operation, .. }
            | Asked::Poll { operation, .. }) = asked;
            self.recorder.completed(operation, Outcome::Unknown)?;
        }
        Ok(())
    }

    /// Lets the machine or the process stop.
    fn strike(&mut self, stop: Stop) {
        self.let_go();
        self.asked.clear();
        self.rig.strike(stop);
    }

    /// Opens the folder, with faults on the way.
    fn reopen(&mut self) -> Result<(), Fault> {
        self.recorder.restarted()?;
        let opened = self.rig.reopen(self.sizes());
        let operation = self.recorder.invoked(OPENER, Call::Open)?;
        let outcome = opened
            .as_ref()
            .map_or(Outcome::Damaged, |_: &Log| Outcome::Done);
        self.recorder.completed(operation, outcome)?;
        self.begin(opened.map_err(|error| format!("a healthy folder was refused: {error}"))?)
    }
}
