//! Locks vanish: a second log opens the folder, and the first must notice.

use levada_log::{Error, Log};

use super::{FOLDER, Life, Scene};
use crate::{
    campaign::Fault,
    log::{audit::audit, require, steps::Steps},
};

impl Scene {
    /// Opens the folder past the lock, and lets the log that had it go on until it is refused.
    pub(super) fn takeover(&mut self) -> Result<(), Fault> {
        // A stop in here is another matter.
        self.fs.heal();
        let next = Steps::new(self.seed.rng(&format!("steps {}", self.fs.calls())));
        let refused = self
            .options()
            .spawner(std::sync::Arc::new(next.clone()))
            .open(FOLDER);
        let in_use = matches!(refused, Err(Error::InUse(_)));
        require!(in_use, "a second log has the folder: {refused:?}");
        if self.life.is_dead {
            return Ok(());
        }
        self.fs.drop_locks();
        let log = self
            .options()
            .spawner(std::sync::Arc::new(next.clone()))
            .open(FOLDER)?;
        self.shown.takeovers += 1;

        // What the first log says from here on proves nothing; what it said before must hold.
        self.life.asked.clear();
        audit(&mut self.ledger, &log, &next)?;
        self.usurped()?;
        self.shown.restarts += 1;
        let life = Life {
            number: self.shown.restarts,
            log: Some(log),
            steps: next,
            before: self.fs.fired(),
            ..Life::ended(self.seed)
        };
        drop(std::mem::replace(&mut self.life, life));
        audit(&mut self.ledger, self.life.log(), &self.life.steps)
    }

    /// Lets a log whose folder was taken append until it is refused.
    fn usurped(&mut self) -> Result<(), Fault> {
        let Some((topic, partition)) = self.pick_usurped() else {
            return Ok(());
        };
        // Two journals can be filled before the third is begun.
        let mut bytes = 4 * self.journal_bytes.max(64 << 10);
        while bytes > 0 {
            let (_, batch) = self.batch(topic, partition, 8)?;
            bytes = bytes.saturating_sub(batch.size() as u64);
            let ticket = self.partition(topic, partition)?.append(batch);
            match self.life.steps.wait(ticket)? {
                Ok(_) | Err(Error::NoSpace { .. }) => {}
                Err(Error::Dead { cause }) => {
                    let sentence = cause.to_string();
                    let names = sentence.contains("was opened by instance");
                    require!(names, "the first log has died of {sentence}");
                    return Ok(());
                }
                Err(error) => return Err(format!("the first log says {error}").into()),
            }
        }
        Err("a log goes on although its folder was taken".into())
    }

    /// A partition that can be appended to.
    fn pick_usurped(&mut self) -> Option<(usize, usize)> {
        let log: &Log = self.life.log();
        let topics = self.ledger.topics.iter().enumerate();
        let mut open = topics.filter(|(_, topic)| {
            topic.sealed == super::Fate::Refused && log.topic(&topic.name).is_ok()
        });
        open.next().map(|(at, _)| (at, 0))
    }
}
