//! Records of compacted topics: each says its number in a header, for a tombstone has no value.

use levada_core::Seed;
use levada_log::{Batch, Record, RecordView};

use super::require;
use crate::campaign::Fault;

/// The header in which a record says its number.
const NUMBER: &str = "number";

/// A key, by its number.
pub(super) type Key = u8;

/// A record of a compacted topic. All its bytes follow from this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keyed {
    pub(super) number: u64,
    pub(super) key: Key,
    pub(super) is_tombstone: bool,
}

impl Keyed {
    /// Adds the record to a batch.
    pub(super) fn push(self, batch: &mut Batch) -> levada_log::Result<()> {
        let value = if self.is_tombstone {
            Vec::new()
        } else {
            value(self.number)
        };
        batch.push(&Record {
            key: Some(&[self.key]),
            value: &value,
            headers: &[(NUMBER, &self.number.to_le_bytes())],
            tombstone: self.is_tombstone,
            ..Record::default()
        })
    }

    /// What a record says it is, if its bytes are right.
    pub(super) fn of(record: &RecordView<'_>) -> Result<Self, Fault> {
        let number = record.headers.get(NUMBER).and_then(|it| it.first_chunk());
        let number = u64::from_le_bytes(*number.ok_or("bytes of nobody were fetched")?);
        let is_right = if record.tombstone {
            record.value.is_empty()
        } else {
            record.value == value(number)
        };
        require!(is_right, "record {number} has another value");
        let key = record.key.and_then(|key| key.first());
        Ok(Self {
            number,
            key: *key.ok_or("a record without a key was fetched")?,
            is_tombstone: record.tombstone,
        })
    }
}

/// The value of a record: some of them are repeated bytes, some are not.
fn value(number: u64) -> Vec<u8> {
    let mut rng = Seed::new(number).rng("value");
    let words = rng.below(12);
    let repeats = rng.chance(1, 2).then(|| rng.next_u64());
    (0..words)
        .flat_map(|_| repeats.unwrap_or_else(|| rng.next_u64()).to_le_bytes())
        .collect()
}
