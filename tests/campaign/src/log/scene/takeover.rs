//! Locks vanish: a second log opens the folder, and the first must notice.

use std::sync::Arc;

use levada_log::{Acks, Error, Log};
use levada_testkit::vfs::Fault as Faulty;

use super::{FOLDER, Fate, Life, Scene};
use crate::{
    campaign::Fault,
    log::{audit::audit, require, steps::Steps},
};

impl Scene {
    /// Opens the folder past the lock, and lets the log that had it go on until it is refused.
    pub(in crate::log) fn takeover(&mut self) -> Result<(), Fault> {
        // A stop in here is another matter.
        self.fs.heal();
        if self.fs.is_crashed() || self.life.is_doomed || self.life.is_dead {
            return Ok(());
        }
        let steps = Steps::new(self.seed.rng(&format!("steps {}", self.fs.calls())));
        let open = || self.options().spawner(Arc::new(steps.clone())).open(FOLDER);
        let refused = open();
        let in_use = matches!(refused, Err(Error::InUse(_)));
        require!(in_use, "a second log has the folder: {refused:?}");
        self.fs.drop_locks();
        let log = open()?;
        self.shown.takeovers += 1;
        self.shown.restarts += 1;

        let life = Life {
            number: self.shown.restarts,
            log: Some(log),
            steps,
            before: self.fs.fired(),
            ..Life::ended(self.seed)
        };
        // What the first log says from here on proves nothing; what it said before must hold.
        let first = std::mem::replace(&mut self.life, life);
        audit(&mut self.ledger, self.life.log(), &self.life.steps)?;
        self.ledger.opened();
        for _ in 0..self.rng.below(20) {
            self.append()?;
        }
        self.drain()?;
        self.outlive(first)?;
        self.append()?;
        self.drain()?;
        audit(&mut self.ledger, self.life.log(), &self.life.steps)
    }

    /// Lets a log whose folder was taken go on until it is refused: it must acknowledge nothing.
    fn outlive(&mut self, mut first: Life) -> Result<(), Fault> {
        while first.steps.step() {}
        let at_once: Vec<_> = self.topics(|topic| topic.acks == Acks::None).collect();
        let acknowledged = first
            .asked
            .iter_mut()
            .any(|asked| asked.is_acknowledged(&at_once));
        require!(!acknowledged, "acknowledged what waited in a taken folder");
        let Some(topic) = self.taken_topic(first.log()) else {
            return Ok(());
        };
        let partition = first
            .log()
            .topic(&self.ledger.topics[topic].name)?
            .partition(0)?;
        // A disk that was full may be so in its memory.
        for _ in 0..4 {
            let (number, batch) = self.batch((topic, 0), 8, None)?;
            // Nobody reads the folder through the first log any more.
            self.ledger.topics[topic].partitions[0].attempts[number].fate = Fate::Refused;
            match first.steps.wait(partition.append(batch))? {
                Ok(appended) => {
                    return Err(format!("acknowledged {appended:?} in a taken folder").into());
                }
                // It takes back what it set aside, which is where it meets the fence.
                Err(Error::NoSpace { .. }) => while first.steps.step() {},
                // It had been told to seal the topic.
                Err(Error::Sealed { .. }) => return Ok(()),
                Err(Error::Dead { cause }) => {
                    let sentence = cause.to_string();
                    let names = sentence.contains("was opened by instance");
                    let was_dead = first.met(self.fs.fired(), &[Faulty::ReadError]);
                    require!(names || was_dead, "the first log has died of {sentence}");
                    return Ok(());
                }
                Err(error) => return Err(format!("the first log says {error}").into()),
            }
        }
        Err("a log goes on although its folder was taken".into())
    }

    /// A topic that the first log can append to.
    fn taken_topic(&self, log: &Log) -> Option<usize> {
        let open = |topic: &super::TopicLedger| {
            topic.acks != Acks::None
                && topic.sealed == Fate::Refused
                && log.topic(&topic.name).is_ok()
        };
        self.ledger.topics.iter().position(open)
    }
}
