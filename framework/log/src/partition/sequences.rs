//! What each producer appended to a partition last, so that a repeat is known as one.
//!
//! 1. Sequences of a producer count the records that it appended to this partition, from 0. They
//!    belong to its name and go on after a restart.
//! 2. A batch that goes on where the last one ended is new. One that has both ends in common with
//!    one that is remembered is a repeat, and gets the offsets of the original.
//! 3. Anything else is refused: a gap would hide a loss, and what is older than what is remembered
//!    cannot be told from a mistake.
//! 4. A batch that was queued and then refused never was: its sequences are expected again. Batches
//!    behind it were refused as well, since they do not follow what is visible.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    batch::header::{Header, How},
    limits::SEQUENCE_WINDOW,
    meta::Sequenced,
};

/// The last batches of each producer.
#[derive(Debug, Default)]
pub(super) struct Sequences(BTreeMap<u64, Window>);

#[derive(Debug, Default)]
struct Window {
    /// The sequence that is expected.
    next: u64,
    batches: VecDeque<Sequenced>,
}

/// What a batch with sequences is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sequence {
    New,
    /// It was appended before, or is about to be.
    Repeat(Sequenced),
    /// Another sequence was expected.
    Refused {
        expected: u64,
    },
}

impl Sequences {
    pub(super) fn new(image: &BTreeMap<u64, VecDeque<Sequenced>>) -> Self {
        let windows = image.iter().map(|(&producer, batches)| {
            let next = batches.back().map_or(0, |batch| batch.last + 1);
            let batches = batches.clone();
            (producer, Window { next, batches })
        });
        Self(windows.collect())
    }

    /// The sequence that is expected of a producer.
    pub(super) fn next(&self, producer: u64) -> u64 {
        self.0.get(&producer).map_or(0, |window| window.next)
    }

    /// What a batch with these sequences is.
    pub(super) fn judge(&self, producer: u64, first: u64, last: u64) -> Sequence {
        let expected = self.next(producer);
        if first == expected {
            return Sequence::New;
        }
        let window = self.0.get(&producer);
        let mut batches = window.into_iter().flat_map(|window| &window.batches);
        match batches.find(|batch| (batch.first, batch.last) == (first, last)) {
            Some(original) => Sequence::Repeat(original.clone()),
            None => Sequence::Refused { expected },
        }
    }

    /// Remembers a batch that was queued.
    pub(super) fn pushed(&mut self, header: &Header) {
        let Some((producer, batch)) = Sequenced::of(header) else {
            return;
        };
        let window = self.0.entry(producer).or_default();
        window.next = batch.last + 1;
        window.batches.push_back(batch);
        if window.batches.len() > SEQUENCE_WINDOW {
            window.batches.pop_front();
        }
    }

    /// Forgets a batch that was queued and refused.
    pub(super) fn refused(&mut self, header: &Header) {
        if let Some(by) = header.produced
            && let How::Sequenced(first, _) = by.how
            && let Some(window) = self.0.get_mut(&by.producer)
        {
            window.next = window.next.min(first);
            window.batches.retain(|batch| batch.last < first);
        }
    }

    /// Forgets a producer.
    pub(super) fn forget(&mut self, producer: u64) {
        self.0.remove(&producer);
    }
}

#[cfg(test)]
mod tests {
    use levada_core::Timestamp;

    use super::*;
    use crate::{batch::header::Produced, partition::PartitionId};

    fn header(first: u64, last: u64) -> Header {
        let (topic, partition) = (1, 0);
        Header {
            len: 200,
            id: PartitionId { topic, partition },
            incarnation: 1,
            previous_end: 100 + first,
            base_offset: 100 + first,
            last_offset_delta: u32::try_from(last - first).unwrap(),
            count: 1,
            append_time: Timestamp::MIN,
            first_event_time: Timestamp::MIN,
            max_event_time: Timestamp::MIN,
            unpacked: None,
            produced: Some(Produced {
                producer: 7,
                epoch: 1,
                how: How::Sequenced(first, last),
            }),
        }
    }

    fn offsets(sequence: Sequence) -> Option<std::ops::Range<u64>> {
        match sequence {
            Sequence::Repeat(original) => Some(original.offsets),
            Sequence::New | Sequence::Refused { .. } => None,
        }
    }

    #[test]
    fn repeat_gets_the_original_and_gaps_and_resets_are_refused() {
        let mut sequences = Sequences::default();
        for n in 0..10 {
            assert_eq!(sequences.judge(7, 2 * n, 2 * n + 1), Sequence::New);
            sequences.pushed(&header(2 * n, 2 * n + 1));
        }
        assert_eq!(offsets(sequences.judge(7, 18, 19)), Some(118..120));
        assert_eq!(offsets(sequences.judge(7, 10, 11)), Some(110..112));
        let refused = Sequence::Refused { expected: 20 };
        for (first, last) in [(0, 1), (8, 9), (18, 18), (17, 18), (21, 22)] {
            assert_eq!(sequences.judge(7, first, last), refused, "{first}");
        }
        assert_eq!(sequences.judge(8, 0, 4), Sequence::New, "of another one");
    }

    #[test]
    fn sequences_of_refused_batches_are_expected_again() {
        let mut sequences = Sequences::default();
        for n in 0..8 {
            sequences.pushed(&header(n, n));
        }
        // More than are remembered were on their way when the first of them was refused.
        for n in 1..8 {
            sequences.refused(&header(n, n));
        }
        assert_eq!(sequences.judge(7, 1, 1), Sequence::New);
        assert_eq!(sequences.judge(7, 2, 2), Sequence::Refused { expected: 1 });
        sequences.forget(7);
        assert_eq!(sequences.next(7), 0);
    }
}
