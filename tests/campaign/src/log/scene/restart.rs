//! How a life ends, and how the next begins: the first act of which is to look what is there.

#[cfg(test)]
use levada_log::Recovery;
use levada_log::{Acks, Error, Log};
#[cfg(test)]
use levada_testkit::vfs::FaultyFs;
use levada_testkit::vfs::{Fault as Faulty, Keep, When};

use super::{FOLDER, Life, PRODUCERS, Scene, below};
use crate::{
    campaign::Fault,
    log::{audit::audit, require, steps::Steps},
};

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The process is killed.
    Kill,
    /// The power goes, and takes any part of what was not synced.
    PowerCut,
    /// The last handle is dropped without closing.
    Drop,
}

/// How often the opening of a folder may meet faults before it meets none.
const MOST_FAULTS_IN_RECOVERY: u32 = 4;

impl Scene {
    /// One of the endings that nobody expects.
    pub(super) fn any_crash(&mut self) -> Ending {
        if self.rng.chance(1, 3) {
            Ending::Kill
        } else {
            Ending::PowerCut
        }
    }

    /// Ends this life, begins the next and compares what it finds with the ledger.
    pub(crate) fn end(&mut self, ending: Ending) -> Result<(), Fault> {
        if ending == Ending::Drop {
            self.life.log = None;
            self.life.producers = [const { None }; PRODUCERS];
            while self.life.steps.step() {}
        }
        self.strike(ending);
        self.reopen()?;
        Ok(())
    }

    /// Closes the log in order, and opens it again.
    pub(super) fn close(&mut self) -> Result<(), Fault> {
        self.life.is_closing = true;
        let ticket = self.life.log().close();
        let closed = self.life.steps.wait(ticket)?;
        self.drain()?;
        let is_closed = match closed {
            Ok(()) => true,
            Err(error) => {
                self.fate(&error)?;
                false
            }
        };
        let ending = self.any_crash();
        self.strike(ending);
        let tries = self.reopen()?;
        let recovery = self.life.log().recovery();
        require!(
            recovery.clean || !is_closed || tries > 1,
            "closed in order, and found {recovery:?}"
        );
        Ok(())
    }

    /// Lets the machine or the process stop.
    fn strike(&mut self, ending: Ending) {
        self.life.log = None;
        self.life = Life::ended(self.seed);
        self.ledger.doubt(match ending {
            Ending::PowerCut => Acks::Written,
            Ending::Kill | Ending::Drop => Acks::None,
        });
        self.fs = match ending {
            Ending::Kill | Ending::Drop => self.fs.kill(),
            Ending::PowerCut => self.fs.power_cut(Keep::Any),
        };
    }

    /// Opens the folder, with faults on the way, and compares what is there with the ledger. How
    /// many tries it took.
    pub(super) fn reopen(&mut self) -> Result<u32, Fault> {
        let mut tries = 0;
        loop {
            tries += 1;
            if tries <= MOST_FAULTS_IN_RECOVERY && self.rng.chance(1, 3) {
                self.trip();
            }
            let before = self.fs.fired();
            let opened = self.open(tries);
            let (now, syncs) = (self.fs.fired(), [Faulty::SyncFailed, Faulty::DirSyncFailed]);
            match opened {
                // It has crashed in the last calls, whose failure does no harm.
                Ok(_) if self.fs.is_crashed() => {}
                Ok(log) => {
                    let failed = syncs.iter().any(|sync| now[*sync] > before[*sync]);
                    require!(!failed, "the folder was opened although a sync had failed");
                    self.fs.heal();
                    self.life.before = self.fs.fired();
                    self.life.log = Some(log);
                    break;
                }
                Err(error) => {
                    require!(now != before, "a healthy folder was refused: {error}");
                    let expected = matches!(error, Error::Io { .. } | Error::NoSpace { .. });
                    require!(expected, "a folder was refused: {error}");
                }
            }
            self.shown.crashes_in_recovery += 1;
            let ending = self.any_crash();
            self.strike(ending);
        }
        self.shown.restarts += 1;
        let recovery = self.life.log().recovery();
        self.shown.torn_commits += u64::from(recovery.cut.is_some());
        require!(
            recovery.cut.is_none() || !recovery.clean,
            "clean and torn: {recovery:?}"
        );
        audit(&mut self.ledger, self.life.log(), &self.life.steps)?;
        self.ledger.opened();
        Ok(tries)
    }

    fn open(&mut self, tries: u32) -> levada_log::Result<Log> {
        let steps = Steps::new(self.seed.rng(&format!("steps {} {tries}", self.fs.calls())));
        self.life = Life {
            number: self.shown.restarts + 1,
            steps: steps.clone(),
            before: self.fs.fired(),
            ..Life::ended(self.seed)
        };
        self.options()
            .spawner(std::sync::Arc::new(steps))
            .open(FOLDER)
    }

    /// Lets something go wrong while the folder is opened.
    fn trip(&mut self) {
        let calls = self.rng.below(60);
        let after = |calls| When::After(calls);
        match self.rng.below(6) {
            0..2 => self.fs.inject(Faulty::Crash, after(calls)),
            2 => self.fs.inject(Faulty::SyncFailed, after(calls / 6)),
            3 => self.fs.inject(Faulty::DirSyncFailed, after(calls / 6)),
            4 => self.fs.inject(Faulty::ReadError, after(calls / 4)),
            _ => {
                let room = below(&mut self.rng, 8192) as u64;
                self.fs.set_room(Some(room));
            }
        }
    }
}

/// What tests need that look at every crash, instead of those that a seed draws.
#[cfg(test)]
impl Scene {
    /// The scene as a crash has left it, with the log gone: each copy can be cut in another way.
    pub(in crate::log) fn stopped(&self) -> Self {
        Self {
            rng: self.rng.clone(),
            fs: self.fs.clone(),
            clock: self.clock.clone(),
            ledger: self.ledger.clone(),
            life: Life::ended(self.seed),
            ..*self
        }
    }

    /// Cuts the power so, opens the folder with nothing else going wrong, and compares what is
    /// there with the ledger.
    pub(in crate::log) fn cut(
        &mut self,
        cut: impl FnOnce(&FaultyFs) -> FaultyFs,
    ) -> Result<Recovery, Fault> {
        self.life.log = None;
        self.life = Life::ended(self.seed);
        self.ledger.doubt(Acks::Written);
        self.fs = cut(&self.fs);
        let log = self.open(1)?;
        let recovery = log.recovery().clone();
        self.life.log = Some(log);
        self.shown.restarts += 1;
        audit(&mut self.ledger, self.life.log(), &self.life.steps)?;
        self.ledger.opened();
        Ok(recovery)
    }

    /// Kills the process, and opens the folder with a crash before call `call`, if it has so many.
    pub(in crate::log) fn crash_in_opening(&mut self, call: u64) -> Result<(), Fault> {
        self.strike(Ending::Kill);
        self.fs.inject(Faulty::Crash, When::After(call));
        match self.open(1) {
            Ok(log) => self.life.log = Some(log),
            Err(error) => require!(self.fs.is_crashed(), "a folder was refused: {error}"),
        }
        Ok(())
    }
}
