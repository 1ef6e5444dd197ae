//! How a life of the log ends, and how the next begins.

use levada_core::Seed;
use levada_log::Error;
use levada_testkit::vfs::{Fault as Faulty, Keep, When};

use super::{
    asked::Asked,
    stage::{FOLDER, Stage},
};
use crate::{
    campaign::Fault,
    history::Outcome,
    log::{
        require,
        steps::{Steps, answered},
    },
};

/// How often the opening of a folder may meet faults before it meets none.
const MOST_FAULTS_IN_RECOVERY: u32 = 4;

/// What stops without having been asked.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// The process.
    Kill,
    /// The machine, with any part of what was not synced.
    PowerCut,
}

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
        let stop = self.any_stop();
        self.strike(stop);
        self.reopen()
    }

    /// Drops the last handle without closing.
    pub(super) fn drop_log(&mut self) -> Result<(), Fault> {
        self.partitions.clear();
        self.producers.clear();
        self.log = None;
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
        self.fs.heal();
        if self.fs.is_crashed() || self.is_dead {
            return Ok(());
        }
        for at in 0..self.partitions.len() {
            self.send(0, at, 1)?;
        }
        self.fs.drop_locks();
        let steps = Steps::new(self.seed.rng(&format!("steps {}", self.fs.calls())));
        let log = self.options(&steps).open(FOLDER);
        // Whatever it says from here on, it must be true.
        while self.step()? {}
        // The first log has written meanwhile, or has stopped in a sync that failed before.
        let Ok(log) = log else {
            return self.crash();
        };
        self.recorder.restarted()?;
        self.struck.takeovers += 1;
        self.asked.clear();
        self.steps = steps;
        self.begin(log)
    }

    /// Damages the log, and reads what it still gives: either it says that it is damaged, or all is
    /// there.
    pub(super) fn rot(&mut self) -> Result<(), Fault> {
        self.crash()?;
        self.fs.heal();
        self.send(0, 0, 1)?;
        self.drain_as_unknown()?;
        self.strike(Stop::Kill);
        let files = self.fs.files();
        let is_data = |path: &&std::path::PathBuf| {
            let path = path.to_string_lossy();
            path.contains("/journal/") || path.contains("/topics/")
        };
        let files: Vec<_> = files.iter().filter(is_data).collect();
        let path = files[self.below(files.len())];
        let content = self.fs.contents(path).unwrap_or_default();
        if let Some(end) = content.iter().rposition(|byte| *byte != 0) {
            let at = self.below(end + 1);
            let bit = 1 << self.rng.below(8);
            self.fs.rot(path, at, &[content[at] ^ bit]);
            self.struck.rotten += 1;
        }
        self.recorder.restarted()?;
        match self.options(&self.steps).open(FOLDER) {
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
        while self.steps.step() {}
        for asked in std::mem::take(&mut self.asked) {
            let (Asked::Send { operation, .. }
            | Asked::End { operation, .. }
            | Asked::Poll { operation, .. }) = asked;
            self.recorder.completed(operation, Outcome::Unknown)?;
        }
        Ok(())
    }

    fn any_stop(&mut self) -> Stop {
        if self.rng.chance(1, 3) {
            Stop::Kill
        } else {
            Stop::PowerCut
        }
    }

    /// Lets the machine or the process stop.
    fn strike(&mut self, stop: Stop) {
        self.partitions.clear();
        self.producers.clear();
        self.log = None;
        self.asked.clear();
        let (fs, count) = match stop {
            Stop::Kill => (self.fs.kill(), &mut self.struck.kills),
            Stop::PowerCut => (self.fs.power_cut(Keep::Any), &mut self.struck.power_cuts),
        };
        *count += 1;
        self.fs = fs;
        self.steps = Steps::new(Seed::new(self.fs.calls()).rng("steps"));
    }

    /// Opens the folder, with faults on the way.
    fn reopen(&mut self) -> Result<(), Fault> {
        self.recorder.restarted()?;
        for tries in 0.. {
            if tries < MOST_FAULTS_IN_RECOVERY && self.rng.chance(1, 4) {
                self.trip();
            }
            let before = self.fs.fired();
            match self.options(&self.steps).open(FOLDER) {
                Ok(_) if self.fs.is_crashed() => {}
                Ok(log) => {
                    self.fs.heal();
                    return self.begin(log);
                }
                Err(error) => {
                    let is_met = self.fs.fired() != before;
                    require!(is_met, "a healthy folder was refused: {error}");
                }
            }
            self.struck.in_recovery += 1;
            let stop = self.any_stop();
            self.strike(stop);
        }
        Ok(())
    }

    /// Lets something go wrong while the folder is opened.
    fn trip(&mut self) {
        let calls = self.rng.below(60);
        match self.rng.below(4) {
            0 => self.fs.inject(Faulty::Crash, When::After(calls)),
            1 => self.fs.inject(Faulty::SyncFailed, When::After(calls / 6)),
            2 => self
                .fs
                .inject(Faulty::DirSyncFailed, When::After(calls / 6)),
            _ => self.fs.set_room(Some(128 * calls)),
        }
    }
}
