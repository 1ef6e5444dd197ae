//! Records that say who they are, so that whatever comes back can be recognised, byte by byte.

use levada_core::Seed;
use levada_log::{Batch, Record};

use crate::campaign::Fault;

/// Bytes of a tag at the front of a value.
const TAG_LEN: usize = 24;

/// Which record of which batch this is. All bytes of the record follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) topic: u32,
    pub(crate) partition: u32,
    /// The number of the append.
    pub(crate) attempt: u64,
    /// The record's place in its batch, from 0.
    pub(crate) index: u32,
    /// How many records the batch has.
    pub(crate) count: u32,
}

impl Tag {
    /// The record's value: the tag, and a filler of some length, sometimes of a page.
    pub(crate) fn value(self) -> Vec<u8> {
        let Self {
            topic,
            partition,
            attempt,
            index,
            count,
        } = self;
        let mut value = Vec::with_capacity(256);
        for number in [topic, partition, index, count] {
            value.extend_from_slice(&number.to_le_bytes());
        }
        value.extend_from_slice(&attempt.to_le_bytes());
        let place = (u64::from(topic) << 40) ^ (u64::from(partition) << 32) ^ u64::from(index);
        let mut rng = Seed::new(attempt ^ place.rotate_left(24)).rng("filler");
        let most = if rng.chance(1, 32) { 4096 } else { 128 };
        // Of some a compressed topic makes something smaller.
        let repeats = rng.chance(1, 2).then(|| rng.next_u64());
        for _ in 0..rng.below(most / 8) {
            let word = repeats.unwrap_or_else(|| rng.next_u64());
            value.extend_from_slice(&word.to_le_bytes());
        }
        value
    }

    /// The tag of a value; `None` if these are not the bytes of any record of ours.
    pub(crate) fn of(value: &[u8]) -> Option<Self> {
        let tag = value.first_chunk::<TAG_LEN>()?;
        let number = |at: usize| {
            let bytes = tag[at..].first_chunk().expect("the tag is long enough");
            u32::from_le_bytes(*bytes)
        };
        let attempt = tag.last_chunk().expect("the tag is long enough");
        let tag = Self {
            topic: number(0),
            partition: number(4),
            attempt: u64::from_le_bytes(*attempt),
            index: number(8),
            count: number(12),
        };
        (tag.value() == value).then_some(tag)
    }

    /// The batch that this tag is of.
    pub(crate) fn batch(self) -> Result<Batch, Fault> {
        let mut batch = Batch::new();
        for index in 0..self.count {
            let value = Self { index, ..self }.value();
            batch.push(&Record {
                key: Some(&value[..4]),
                ..Record::of(&value)
            })?;
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_of_a_value_is_noticed() {
        let tag = Tag {
            topic: 1,
            partition: 2,
            attempt: 3,
            index: 4,
            count: 5,
        };
        let value = tag.value();
        assert_eq!(Tag::of(&value), Some(tag));
        for at in 0..value.len() {
            let mut spoilt = value.clone();
            spoilt[at] ^= 1;
            assert_ne!(Tag::of(&spoilt), Some(tag), "byte {at}");
        }
        assert_eq!(Tag::of(&value[..value.len() - 1]), None);
    }
}
