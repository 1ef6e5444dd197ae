//! One life of the log: from its opening to its end, whatever that is.

use levada_core::Seed;
use levada_log::{Error, Log, Producer};
use levada_testkit::vfs::{Fault as Faulty, Fired};

use super::{Asked, MOST_ASKED, PRODUCERS, Scene};
use crate::{
    campaign::Fault,
    log::{ledger::Fate, require, steps::Steps},
};

/// One life of the log.
#[expect(
    clippy::struct_excessive_bools,
    reason = "the three can be true together, in any combination"
)]
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) number: u64,
    /// `None` between two lives.
    pub(crate) log: Option<Log>,
    pub(crate) steps: Steps,
    /// Those that were opened in this life.
    pub(crate) producers: [Option<Producer>; PRODUCERS],
    /// Which of them have sent something in this life.
    pub(crate) sent: [bool; PRODUCERS],
    /// What waits for an answer, in the order of the calls.
    pub(crate) asked: Vec<Asked>,
    /// How often each fault had fired when this life began.
    pub(crate) before: Fired,
    /// A sync has failed: nothing may be acknowledged any more.
    pub(crate) is_doomed: bool,
    /// The log was told to close.
    pub(crate) is_closing: bool,
    /// The log has said that it is dead.
    pub(crate) is_dead: bool,
}

impl Life {
    /// No life.
    pub(crate) fn ended(seed: Seed) -> Self {
        Self {
            number: 0,
            log: None,
            steps: Steps::new(seed.rng("steps")),
            producers: [const { None }; PRODUCERS],
            sent: [false; PRODUCERS],
            asked: Vec::new(),
            before: Fired::default(),
            is_doomed: false,
            is_closing: false,
            is_dead: false,
        }
    }

    pub(crate) fn log(&self) -> &Log {
        self.log
            .as_ref()
            .expect("nothing is done between two lives")
    }

    /// Whether any of these faults has fired in this life.
    pub(crate) fn met(&self, now: Fired, faults: &[Faulty]) -> bool {
        faults.iter().any(|fault| now[*fault] > self.before[*fault])
    }
}

impl Scene {
    /// Keeps a call that was made, and lets the log work when too many wait.
    pub(super) fn ask(&mut self, asked: Asked) -> Result<(), Fault> {
        self.life.asked.push(asked);
        while self.life.asked.len() > MOST_ASKED && self.step()? {}
        Ok(())
    }

    /// Lets the log's works be polled up to so many times.
    pub(in crate::log) fn work(&mut self, polls: u64) -> Result<(), Fault> {
        for _ in 0..polls {
            if !self.step()? {
                break;
            }
        }
        if self.fs.is_crashed() {
            let ending = self.any_crash();
            return self.end(ending);
        }
        if self.life.is_dead {
            return self.bury();
        }
        Ok(())
    }

    /// Lets the log work until it sleeps, and then nothing waits.
    pub(in crate::log) fn drain(&mut self) -> Result<(), Fault> {
        while self.step()? {}
        require!(
            self.life.asked.is_empty(),
            "the log sleeps while {} calls wait",
            self.life.asked.len()
        );
        Ok(())
    }

    /// Polls one work, and takes in what is answered; `false` if all sleep.
    pub(super) fn step(&mut self) -> Result<bool, Fault> {
        let polled = self.life.steps.step();
        self.ledger.step += 1;
        let doom = [Faulty::SyncFailed, Faulty::DirSyncFailed];
        self.life.is_doomed |= self.life.met(self.fs.fired(), &doom);
        let mut left = Vec::new();
        for asked in std::mem::take(&mut self.life.asked) {
            left.extend(self.answer(asked)?);
        }
        self.life.asked = left;
        Ok(polled)
    }

    /// What a call that was not done says of the thing that was asked for.
    pub(super) fn fate(&mut self, error: &Error) -> Result<Fate, Fault> {
        let fired = self.fs.fired();
        match error {
            Error::NoSpace { .. } => {
                let full = self.life.met(fired, &[Faulty::NoSpace]);
                require!(full, "the disk is not full: {error}");
                Ok(Fate::Refused)
            }
            Error::Dead { .. } => {
                let deadly = [
                    Faulty::SyncFailed,
                    Faulty::DirSyncFailed,
                    Faulty::Crash,
                    Faulty::ReadError,
                ];
                let cause = self.life.met(fired, &deadly);
                require!(cause, "nothing has happened: {error}");
                self.life.is_dead = true;
                Ok(Fate::Unknown)
            }
            Error::Sealed { .. } => Ok(Fate::Refused),
            error => Err(format!("a call was refused: {error}").into()),
        }
    }

    /// A dead log takes nothing more, and a new life begins.
    fn bury(&mut self) -> Result<(), Fault> {
        self.shown.dead_logs += 1;
        // Reads that wait are still served.
        self.drain()?;
        let calls = self.fs.calls();
        self.append()?;
        self.drain()?;
        require!(
            self.fs.calls() == calls || self.fs.is_crashed(),
            "a dead log uses its files"
        );
        let ending = self.any_crash();
        self.end(ending)
    }
}
