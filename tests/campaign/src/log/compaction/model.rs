//! What a compacted partition must hold: a map, and what of its history may still be there.
//!
//! Records of a key are numbered in the order of the calls, which is that of their offsets. Of
//! those that were committed the ones that are found are the *last few*, for compaction takes the
//! oldest first. None is left only if the last is a tombstone that has been there for its time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use levada_core::{Rng, Timestamp};
use levada_log::{Batch, Partition};

use crate::{
    campaign::Fault,
    log::{
        keyed::{Key, Keyed},
        ledger::Fate,
        require,
        steps::Steps,
    },
};

/// Keys that records are appended of; a quarter of them is named often.
const KEYS: u64 = 40;

/// A record that was to be appended.
#[derive(Clone, Copy, Debug)]
pub(in crate::log) struct Operation {
    pub(in crate::log) partition: usize,
    pub(in crate::log) key: Key,
    pub(in crate::log) is_tombstone: bool,
    /// The append that it was in.
    pub(in crate::log) append: usize,
}

/// An append, of one or more operations.
#[derive(Clone, Copy, Debug)]
pub(in crate::log) struct Append {
    /// The number of its first operation.
    pub(in crate::log) first: usize,
    pub(in crate::log) fate: Fate,
    /// The offset of its first record, once that is known.
    pub(in crate::log) base: Option<u64>,
    pub(in crate::log) transaction: Option<usize>,
    pub(in crate::log) time: Timestamp,
}

/// A record that was read.
#[derive(Clone, Copy, Debug)]
pub(in crate::log) struct Found {
    pub(in crate::log) offset: u64,
    /// Its number, which it carries.
    pub(in crate::log) number: usize,
    pub(in crate::log) key: Key,
    pub(in crate::log) is_tombstone: bool,
}

/// All that was asked for.
#[derive(Clone, Debug, Default)]
pub(in crate::log) struct Model {
    pub(in crate::log) operations: Vec<Operation>,
    pub(in crate::log) appends: Vec<Append>,
    /// Whether each transaction was committed.
    pub(in crate::log) transactions: Vec<Fate>,
}

/// What a look has shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looked {
    /// Records that later ones have taken the place of, and that are gone.
    pub(crate) superseded: u64,
    /// Keys of which nothing is left, not even the tombstone.
    pub(crate) forgotten: u64,
}

impl Model {
    /// Takes in that some puts and tombstones are about to be appended: the number of the append,
    /// and the batch.
    pub(in crate::log) fn append(
        &mut self,
        rng: &mut Rng,
        partition: usize,
        transaction: Option<usize>,
        time: Timestamp,
    ) -> Result<(usize, Batch), Fault> {
        let (append, first) = (self.appends.len(), self.operations.len());
        let mut batch = Batch::new();
        for _ in 0..=rng.below(8) {
            // A few keys are seldom named again.
            let keys = if rng.chance(1, 8) { KEYS } else { KEYS / 4 };
            let keyed = Keyed {
                number: self.operations.len() as u64,
                key: Key::try_from(rng.below(keys))?,
                is_tombstone: rng.chance(1, 3),
            };
            keyed.push(&mut batch)?;
            self.operations.push(Operation {
                partition,
                key: keyed.key,
                is_tombstone: keyed.is_tombstone,
                append,
            });
        }
        self.appends.push(Append {
            first,
            fate: Fate::Unknown,
            base: None,
            transaction,
            time,
        });
        Ok((append, batch))
    }

    /// Compares what a reader of committed records found in a partition, with no call waiting.
    pub(in crate::log) fn compare(
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
    pub(in crate::log) fn settle(&mut self) {
        let appends = self.appends.iter_mut().map(|append| &mut append.fate);
        for fate in appends.chain(&mut self.transactions) {
            if *fate == Fate::Unknown {
                *fate = Fate::Refused;
            }
        }
    }
}

/// Reads a partition from its start to its end.
pub(in crate::log) fn read(
    partition: &Partition,
    steps: &Steps,
    max_bytes: usize,
) -> Result<Vec<Found>, Fault> {
    let (mut from, mut all, mut seen) = (0, Vec::new(), BTreeSet::new());
    loop {
        let fetched = steps.wait(partition.fetch(from, max_bytes))??;
        for record in fetched.records() {
            let keyed = Keyed::of(&record)?;
            let number = usize::try_from(keyed.number)?;
            require!(seen.insert(number), "record {number} is there twice");
            all.push(Found {
                offset: record.offset,
                number,
                key: keyed.key,
                is_tombstone: keyed.is_tombstone,
            });
        }
        if fetched.next == from {
            return Ok(all);
        }
        from = fetched.next;
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
