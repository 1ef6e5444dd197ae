//! What an image has of a producer: its epoch, and its transaction that is open.

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};

use crate::{batch::header::Header, partition::PartitionId};

/// A producer in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProducerImage {
    pub(crate) name: String,
    /// The last epoch that was given out.
    pub(crate) epoch: u64,
    /// Its transaction that is open, if one is.
    pub(crate) open: Option<OpenTransaction>,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Committed,
    Aborted,
}

/// A transaction that has begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenTransaction {
    pub(crate) epoch: u64,
    /// What it has in the partitions: everything of its epoch lies in these offsets.
    pub(crate) ranges: BTreeMap<PartitionId, Range<u64>>,
}

impl OpenTransaction {
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            epoch,
            ranges: BTreeMap::new(),
        }
    }

    /// Takes in a batch of its own.
    pub(crate) fn note(&mut self, header: &Header) {
        let range = self.ranges.entry(header.id);
        let range = range.or_insert(header.base_offset..header.base_offset);
        range.start = range.start.min(header.base_offset);
        range.end = range.end.max(header.end());
    }
}
