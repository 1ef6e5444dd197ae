//! What an image has of a partition: its segments, and what goes by its records.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
};

use levada_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Appended,
    batch::header::{Header, How},
    limits::SEQUENCE_WINDOW,
    planted::planted,
};

/// A partition in an image: what of it is in segments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionImage {
    /// The first offset that is kept.
    pub(crate) start: u64,
    /// The acknowledged end.
    pub(crate) end: u64,
    /// The next offset to be given: at or above the end.
    pub(crate) next: u64,
    /// The append time of the last batch.
    pub(crate) append_time: Timestamp,
    /// In order of their base offsets.
    pub(crate) segments: Vec<Segment>,
    /// Why the partition has stopped, if it has.
    pub(crate) failed: Option<String>,
    /// The transactions that readers of committed records pass over, as long as any of their
    /// records may be there.
    pub(crate) aborted: Vec<Aborted>,
    /// The last batches of each producer, so that a repeat is known.
    pub(crate) sequences: BTreeMap<u64, VecDeque<Sequenced>>,
    /// All before it holds one record of a key at most.
    pub(crate) compacted: u64,
    /// Where its tombstones stand.
    pub(crate) swept: Option<Swept>,
}

/// Tombstones whose keys have nothing before them any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Swept {
    /// Those before it are meant.
    pub(crate) upto: u64,
    /// When what was before them went.
    pub(crate) at: Timestamp,
    /// How many there are.
    pub(crate) tombstones: u64,
}

/// An aborted transaction, as far as it lies in one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Aborted {
    pub(crate) producer: u64,
    pub(crate) epoch: u64,
    /// Everything of it lies in here, and other batches as well.
    pub(crate) range: Range<u64>,
}

impl Aborted {
    /// Its producer and epoch.
    pub(crate) fn transaction(&self) -> (u64, u64) {
        (self.producer, self.epoch)
    }

    /// Whether records may be left of one that ends at `end`, where none is before `gone`.
    pub(crate) fn is_left(end: u64, gone: u64) -> bool {
        end > gone
    }
}

/// A batch that a producer appended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sequenced {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) offsets: Range<u64>,
    pub(crate) append_time: Timestamp,
}

/// A segment file, as far as it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    /// The offset of its first batch, and its name.
    pub(crate) base: u64,
    /// The offset after its last batch.
    pub(crate) end: u64,
    /// The length that is part of the log; what the file has beyond is not.
    pub(crate) bytes: u64,
    /// How often what is in it was compacted: part of its name.
    pub(crate) generation: u32,
    /// The append times of its first and of its last batch.
    pub(crate) first_append: Timestamp,
    pub(crate) last_append: Timestamp,
}

/// What a segment's file is called by, within its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct SegmentName {
    pub(crate) base: u64,
    pub(crate) generation: u32,
}

impl Segment {
    pub(crate) fn name(&self) -> SegmentName {
        SegmentName {
            base: self.base,
            generation: self.generation,
        }
    }
}

impl Sequenced {
    /// What is remembered of a batch that has sequences, and whose they are.
    pub(crate) fn of(header: &Header) -> Option<(u64, Self)> {
        let by = header.produced?;
        let How::Sequenced(first, last) = by.how else {
            return None;
        };
        let batch = Self {
            first,
            last,
            offsets: header.base_offset..header.end(),
            append_time: header.append_time,
        };
        Some((by.producer, batch))
    }

    /// What its producer is told, each time.
    pub(crate) fn appended(&self) -> Appended {
        Appended {
            offsets: self.offsets.clone(),
            append_time: self.append_time,
        }
    }
}

impl PartitionImage {
    /// Forgets aborted transactions, where none of their records is before `gone`.
    pub(super) fn forget_aborted(&mut self, gone: u64) {
        let aborted = &mut self.aborted;
        aborted.retain(|aborted| Aborted::is_left(aborted.range.end, gone));
    }

    /// Remembers what a producer appended, and forgets the oldest.
    pub(super) fn note_sequences(&mut self, header: &Header) {
        if let Some((producer, batch)) = Sequenced::of(header)
            && !planted("sequences_forgotten")
        {
            let window = self.sequences.entry(producer).or_default();
            window.push_back(batch);
            if window.len() > SEQUENCE_WINDOW {
                window.pop_front();
            }
        }
    }
}
