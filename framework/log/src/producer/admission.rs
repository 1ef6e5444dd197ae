//! Whether a batch may be appended, and what its header says of its producer.

use std::sync::{Arc, MutexGuard};

use super::state::{Life, Phase, ProducerState};
use crate::{
    Result,
    batch::header::{How, Produced},
    partition::PartitionId,
};

/// On whose behalf a batch is appended, and how.
pub(crate) struct By<'a> {
    pub(crate) producer: &'a Arc<ProducerState>,
    pub(super) epoch: u64,
    pub(super) partition: PartitionId,
    pub(super) numbers: Numbers,
}

/// Whether the records of a batch are numbered.
#[derive(Clone, Copy)]
pub(super) enum Numbers {
    /// From this sequence on.
    Sequenced(u64),
    /// They are not: the batch belongs to the open transaction.
    Transactional,
}

impl By<'_> {
    /// Whether its epoch may append. What is returned is held until the batch is queued.
    pub(crate) fn admit(&self) -> Result<MutexGuard<'_, Life>> {
        let mut life = self.producer.life(self.epoch)?;
        if let Numbers::Transactional = self.numbers {
            match &mut life.phase {
                Phase::Open {
                    failed: Some(error),
                    ..
                } => return Err(error.clone()),
                Phase::Open { partitions, .. } => partitions.insert(self.partition),
                _ => return Err(self.producer.over()),
            };
        }
        Ok(life)
    }

    /// What a batch of `count` records says about it.
    pub(crate) fn produced(&self, count: u64) -> Produced {
        Produced {
            producer: self.producer.id,
            epoch: self.epoch,
            how: match self.sequences(count) {
                Some((first, last)) => How::Sequenced(first, last),
                None => How::Transactional,
            },
        }
    }

    /// The first and last sequence of a batch of `count` records, if it has them.
    pub(crate) fn sequences(&self, count: u64) -> Option<(u64, u64)> {
        match self.numbers {
            Numbers::Sequenced(first) => Some((first, first.saturating_add(count - 1))),
            Numbers::Transactional => None,
        }
    }
}
