//! A compacted topic beside the others of a scene: a map, and what of its history may be left.

use std::time::Duration;

use levada_core::{Rng, Timestamp};
use levada_log::{Batch, Error, Log, Partition, Retention, Ticket, Topic, TopicOptions};

use super::{
    compaction::model::{Looked, Model, read},
    ledger::Fate,
    require,
    steps::Steps,
};
use crate::campaign::Fault;

const TOPIC: &str = "accounts";
const PARTITIONS: usize = 2;
/// How long tombstones stay.
const TOMBSTONES: Duration = Duration::from_secs(8);

/// The topic, as it must be.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    /// `Refused` while nobody asked for it.
    pub(crate) fate: Fate,
    pub(crate) model: Model,
    /// What all looks have shown.
    pub(crate) looked: Looked,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            fate: Fate::Refused,
            model: Model::default(),
            looked: Looked::default(),
        }
    }
}

impl Accounts {
    /// Asks for the topic.
    pub(crate) fn create(&mut self, log: &Log) -> Ticket<Topic> {
        self.fate = Fate::Unknown;
        let retention = Retention::forever().tombstones(TOMBSTONES);
        let partitions = u32::try_from(PARTITIONS).expect("there are few");
        let options = TopicOptions::new().partitions(partitions);
        log.create_topic(TOPIC, options.retention(retention))
    }

    /// The next puts and tombstones: where they go, the number of the append, and the batch.
    pub(crate) fn append(
        &mut self,
        rng: &mut Rng,
        log: &Log,
        now: Timestamp,
    ) -> Result<(Partition, usize, Batch), Fault> {
        let at = rng.below(PARTITIONS as u64);
        let place = log.topic(TOPIC)?.partition(u32::try_from(at)?)?;
        let (append, batch) = self.model.append(rng, usize::try_from(at)?, None, now)?;
        Ok((place, append, batch))
    }

    /// Compares the topic with the map. One whose files have rotted may say that it is damaged.
    pub(crate) fn compare(
        &mut self,
        log: &Log,
        steps: &Steps,
        (now, is_rotten): (Timestamp, bool),
    ) -> Result<(), Fault> {
        let Ok(topic) = log.topic(TOPIC) else {
            require!(self.fate != Fate::Acknowledged, "it is gone");
            self.fate = Fate::Refused;
            return Ok(());
        };
        require!(self.fate != Fate::Refused, "nobody asked, and it is there");
        self.fate = Fate::Acknowledged;
        for (at, number) in (0..PARTITIONS).zip(0..) {
            let found = match read(&topic.partition(number)?, steps, 10_000) {
                Err(fault) if is_rotten && says_damaged(&fault) => continue,
                found => found?,
            };
            let looked = self.model.compare(at, &found, (now, TOMBSTONES))?;
            self.looked.superseded += looked.superseded;
            self.looked.forgotten += looked.forgotten;
        }
        self.model.settle();
        Ok(())
    }
}

fn says_damaged(fault: &Fault) -> bool {
    matches!(fault.downcast_ref(), Some(Error::Damaged { .. }))
}
