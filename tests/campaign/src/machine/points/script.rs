//! What the process that is killed does: a list of acts, the same each time.

use std::time::Duration;

use levada_core::Timestamp;
use levada_log::{Batch, Compression, Record, Retention, TopicOptions};

use crate::campaign::Fault;

/// When the first act is done.
pub(super) const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// How much time a [rest](Act::Rest) takes.
pub(super) const REST: Duration = Duration::from_mins(1);
/// After so many rests a record of [`Topic::Short`] has expired.
pub(super) const EXPIRES: u32 = 3;
/// Rounds of acts. After each but the last the log is closed and opened again.
const ROUNDS: u32 = 3;

/// The topics, each kept in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// Two partitions, kept for ever; transactions go here.
    Orders,
    /// Compressed.
    Packed,
    /// Compacted by key.
    Map,
    /// Kept for a few rests.
    Short,
}

impl Topic {
    pub(super) const ALL: [Self; 4] = [Self::Orders, Self::Packed, Self::Map, Self::Short];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Packed => "packed",
            Self::Map => "map",
            Self::Short => "short",
        }
    }

    pub(super) fn partitions(self) -> u32 {
        match self {
            Self::Orders => 2,
            Self::Packed | Self::Map | Self::Short => 1,
        }
    }

    pub(super) fn options(self) -> TopicOptions {
        let options = TopicOptions::new().partitions(self.partitions());
        let forever = Retention::forever();
        match self {
            Self::Orders => options,
            Self::Packed => options.compression(Compression::Lz4),
            Self::Map => options.retention(forever.tombstones(2 * REST)),
            Self::Short => options.retention(forever.age(EXPIRES * REST)),
        }
    }
}

/// One thing that is done. Readers see all of it or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Create(Topic),
    /// Appends a batch: two records with values that follow from this number.
    Append(Topic, u32, u32),
    /// Appends a batch of two records with sequences, to the second partition of the orders.
    Sequence(u64),
    /// A transaction over both partitions of the orders that moves a position when it is committed.
    Commit(u32),
    /// One that is aborted.
    Abort(u32),
    /// Moves the position of a group in the first partition of the orders.
    Move(u64),
    /// Time passes, and the log does what is due.
    Rest,
    /// Backs the folder up.
    Backup,
    /// Closes the log and opens it again.
    Reopen,
    /// Seals the packed topic.
    Seal,
}

/// All acts, in their order.
pub(super) fn script() -> Vec<Act> {
    use Topic::{Map, Orders, Packed, Short};
    let mut acts: Vec<Act> = Topic::ALL.into_iter().map(Act::Create).collect();
    for round in 0..ROUNDS {
        let number = round * 10;
        acts.extend([
            Act::Append(Orders, 0, number),
            Act::Append(Packed, 0, number + 1),
            Act::Append(Short, 0, number + 2),
            Act::Sequence(u64::from(round) * 2),
            Act::Append(Map, 0, number),
            Act::Append(Map, 0, number + 1),
            Act::Commit(number + 3),
            Act::Append(Map, 0, number + 2),
            Act::Abort(number + 4),
            Act::Move(u64::from(round) + 1),
            Act::Append(Orders, 1, number + 5),
            Act::Rest,
            Act::Append(Map, 0, number + 3),
            Act::Append(Short, 0, number + 6),
            Act::Rest,
        ]);
        match round {
            0 => acts.extend([Act::Backup, Act::Reopen]),
            1 => acts.push(Act::Reopen),
            _ => acts.push(Act::Seal),
        }
    }
    acts
}

/// A record of the script: its key, if any, and its value unless it is a tombstone.
pub(super) type Told = (Option<String>, Option<String>);

/// The records of the batch with this number. In the compacted topic, there are four keys, one of
/// which is removed now and then.
pub(super) fn records(topic: Topic, number: u32) -> [Told; 2] {
    let value = |which: &str| Some(format!("{which} of {number} ").repeat(60));
    match topic {
        Topic::Map => {
            let removed = number % 10 == 3;
            let second = if removed { None } else { value("second") };
            [
                (Some(format!("key {}", number % 2)), value("first")),
                (Some(format!("key {}", 2 + number / 10 % 2)), second),
            ]
        }
        _ => [
            (None, value("first")),
            (Some(number.to_string()), value("second")),
        ],
    }
}

/// A batch of records.
pub(super) fn batch(records: &[Told]) -> Result<Batch, Fault> {
    let mut batch = Batch::new();
    for (key, value) in records {
        let key = key.as_ref().map(String::as_bytes);
        batch.push(&Record {
            key,
            value: value.as_ref().map_or(b"", String::as_bytes),
            tombstone: value.is_none(),
            ..Record::default()
        })?;
    }
    Ok(batch)
}
