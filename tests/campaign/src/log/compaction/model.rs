//! What a compacted partition must hold: a map, and what of its history may still be there.
//!
//! Records of a key are numbered in the order of the calls, which is that of their offsets. Of
//! those that were committed the ones that are found are the *last few*, for compaction takes the
//! oldest first. None is left only if the last is a tombstone that has been there for its time.

use std::{collections::BTreeMap, time::Duration};

use levada_core::Timestamp;

use crate::{
    campaign::Fault,
    log::{ledger::Fate, require},
};

/// A key, by its number.
pub(super) type Key = u8;

/// A record that was to be appended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub(super) partition: usize,
    pub(super) key: Key,
    pub(super) is_tombstone: bool,
    /// The append that it was in.
    pub(super) append: usize,
}

/// An append, of one or more operations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Append {
    /// The number of its first operation.
    pub(super) first: usize,
    pub(super) fate: Fate,
    /// The offset of its first record, once that is known.
    pub(super) base: Option<u64>,
    pub(super) transaction: Option<usize>,
    pub(super) time: Timestamp,
}

/// A record that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) offset: u64,
    /// Its number, which it carries.
    pub(super) number: usize,
    pub(super) key: Key,
    pub(super) is_tombstone: bool,
}

/// All that was asked for.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) operations: Vec<Operation>,
    pub(super) appends: Vec<Append>,
    /// Whether each transaction was committed.
    pub(super) transactions: Vec<Fate>,
}

/// What a look has shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looked {
    /// Records that later ones have taken the place of, and that are gone.
    pub(super) superseded: u64,
    /// Keys of which nothing is left, not even the tombstone.
    pub(super) forgotten: u64,
}

impl Model {
    /// Compares what a reader of committed records found in a partition, with no call waiting.
    pub(super) fn compare(
        &mut self,
        partition: usize,
        found: &[Found],
        (now, tombstone_time): (Timestamp, Duration),
    ) -> Result<Looked, Fault> {
        for record in found {
            self.take_in(partition, record)?;
        }
        let is_later = found.windows(2).all(|two| two[0].offset < two[1].offset);
        require!(is_later, "partition {partition} is out of order: {found:?}");
        let mut of_keys: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for record in found {
            of_keys.entry(record.key).or_default().push(record.number);
        }
        let mut looked = Looked::default();
        for (key, committed) in self.committed(partition) {
            let there = of_keys.remove(&key).unwrap_or_default();
            require!(
                committed.ends_with(&there),
                "partition {partition}, key {key}: {there:?} are there, of {committed:?}"
            );
            looked.superseded += (committed.len() - there.len()) as u64;
            let (Some(last), true) = (committed.last(), there.is_empty()) else {
                continue;
            };
            let operation = &self.operations[*last];
            let time = self.appends[operation.append].time;
            require!(
                operation.is_tombstone && now > time + tombstone_time,
                "partition {partition}, key {key}: {last} of {time:?} is gone at {now:?}: \
                 {operation:?}"
            );
            looked.forgotten += 1;
        }
        Ok(looked)
    }

    /// Takes in a record that is there: so is its append, and its transaction.
    fn take_in(&mut self, partition: usize, found: &Found) -> Result<(), Fault> {
        let operation = self.operations.get(found.number);
        let operation = *operation.ok_or_else(|| format!("{found:?} was never sent"))?;
        let is_same = (operation.partition, operation.key, operation.is_tombstone)
            == (partition, found.key, found.is_tombstone);
        require!(
            is_same,
            "{found:?} in partition {partition} was sent as {operation:?}"
        );
        let append = &mut self.appends[operation.append];
        let base = found
            .offset
            .checked_sub((found.number - append.first) as u64);
        require!(
            append.fate != Fate::Refused
                && base.is_some()
                && append.base.is_none_or(|it| Some(it) == base),
            "{found:?} is there, of {append:?}"
        );
        (append.fate, append.base) = (Fate::Acknowledged, base);
        if let Some(transaction) = append.transaction {
            let fate = &mut self.transactions[transaction];
            require!(
                *fate != Fate::Refused,
                "{found:?} is of a transaction that was aborted"
            );
            *fate = Fate::Acknowledged;
        }
        Ok(())
    }

    /// The records of each key that are known to be committed, in order.
    fn committed(&self, partition: usize) -> BTreeMap<Key, Vec<usize>> {
        let mut keys: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for (number, operation) in self.operations.iter().enumerate() {
            let append = &self.appends[operation.append];
            let is_committed = match append.transaction {
                Some(transaction) => self.transactions[transaction] == Fate::Acknowledged,
                None => append.fate == Fate::Acknowledged,
            };
            if is_committed && operation.partition == partition {
                keys.entry(operation.key).or_default().push(number);
            }
        }
        keys
    }

    /// Takes in that all was looked at: what nobody has spoken of and is not there will never be.
    ///
    /// It may have been there, and later records have taken its place: then it does not come back
    /// either.
    pub(super) fn settle(&mut self) {
        let appends = self.appends.iter_mut().map(|append| &mut append.fate);
        for fate in appends.chain(&mut self.transactions) {
            if *fate == Fate::Unknown {
                *fate = Fate::Refused;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_mins(1);

    /// Appends of one record each to one partition: keys, and whether they are tombstones.
    fn model(operations: &[(Key, bool)]) -> Model {
        let mut model = Model::default();
        for (number, &(key, is_tombstone)) in operations.iter().enumerate() {
            model.operations.push(Operation {
                partition: 0,
                key,
                is_tombstone,
                append: number,
            });
            model.appends.push(Append {
                first: number,
                fate: Fate::Acknowledged,
                base: Some(number as u64),
                transaction: None,
                time: Timestamp::from_millis(0),
            });
        }
        model
    }

    /// Whether a partition may hold these, of all that was appended, after so many seconds.
    fn allows(model: &mut Model, numbers: &[usize], seconds: i64) -> bool {
        let found = numbers.iter().map(|&number| Found {
            offset: number as u64,
            number,
            key: model.operations[number].key,
            is_tombstone: model.operations[number].is_tombstone,
        });
        let found: Vec<_> = found.collect();
        let now = Timestamp::from_millis(1000 * seconds);
        model.compare(0, &found, (now, TIME)).is_ok()
    }

    #[test]
    fn last_record_of_each_key_must_be_there_and_earlier_ones_may() {
        let mut model = model(&[(1, false), (2, false), (1, false), (1, false)]);
        for there in [&[1, 3][..], &[1, 2, 3], &[0, 1, 2, 3]] {
            assert!(allows(&mut model, there, 0), "{there:?}");
        }
        for there in [&[1][..], &[3], &[1, 2], &[0, 1, 3], &[]] {
            assert!(!allows(&mut model, there, 99), "{there:?}");
        }
    }

    #[test]
    fn tombstone_goes_after_its_time_and_nothing_before_it_comes_back() {
        let mut model = model(&[(1, false), (1, true)]);
        for (there, seconds, allowed) in [
            (&[0, 1][..], 0, true),
            (&[1], 0, true),
            (&[], 60, false),
            (&[], 61, true),
            (&[0], 61, false),
        ] {
            assert_eq!(
                allows(&mut model, there, seconds),
                allowed,
                "{there:?} {seconds}"
            );
        }
    }

    #[test]
    fn what_was_aborted_is_never_there_and_takes_nothing_with_it() {
        let mut model = model(&[(1, false), (1, true)]);
        model.transactions.push(Fate::Unknown);
        model.appends[1].transaction = Some(0);
        model.settle();
        assert!(allows(&mut model, &[0], 99));
        assert!(!allows(&mut model, &[0, 1], 99));
        assert!(!allows(&mut model, &[], 99));
    }
}
