//! When timers fall due: buckets of entries, sorted only when their time has come.
//!
//! Timers mostly fall into few buckets far from now, so setting one is a push to the bucket that
//! was used last. Invariants:
//!
//! 1. Every entry at or before the bucket at hand is in `current`, which is sorted, or in `late`,
//!    which is a heap; every later entry is in `buckets` or in `last`.
//! 2. To ask for the earliest time sorts nothing: a bucket is taken in hand when it is due.
//! 3. Setting a timer costs a push, or the height of the heap of those set late.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap},
    mem,
};

use super::RowId;
use crate::Timestamp;

/// 2¹⁰ ms in a bucket: a choice; a second of timers is sorted in well under a millisecond.
const BUCKET_BITS: u32 = 10;

/// Names a timer that was set, and may since have been replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) hash: u32,
    pub(super) row: RowId,
    pub(super) tag: u32,
}

/// An entry that was set for the bucket at hand. The greatest is the earliest, by what an entry
/// knows of itself; which of two at one time with one hash is first, its rows must say.
#[derive(Debug)]
struct Late(Entry);

impl Late {
    fn rank(&self) -> (Timestamp, u32) {
        (self.0.at, self.0.hash)
    }
}

impl Ord for Late {
    fn cmp(&self, other: &Self) -> Ordering {
        other.rank().cmp(&self.rank())
    }
}

impl PartialOrd for Late {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Late {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Late {}

/// Entries of one bucket that is still to come, in no order.
#[derive(Debug)]
struct Bucket {
    entries: Vec<Entry>,
    earliest: Timestamp,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            earliest: Timestamp::MAX,
        }
    }
}

impl Bucket {
    fn push(&mut self, entry: Entry) {
        self.earliest = self.earliest.min(entry.at);
        self.entries.push(entry);
    }
}

#[derive(Debug)]
pub(super) struct Calendar {
    /// Latest first, so that the next one is popped from the end.
    current: Vec<Entry>,
    late: BinaryHeap<Late>,
    current_bucket: i64,
    buckets: BTreeMap<i64, Bucket>,
    /// The bucket that was pushed to last, taken out of the map.
    last: Bucket,
    last_bucket: i64,
    /// The earliest entry of all buckets that are still to come.
    earliest_to_come: Option<Timestamp>,
}

impl Default for Calendar {
    fn default() -> Self {
        Self {
            current: Vec::new(),
            late: BinaryHeap::new(),
            current_bucket: i64::MIN,
            buckets: BTreeMap::new(),
            last: Bucket::default(),
            last_bucket: i64::MAX,
            earliest_to_come: None,
        }
    }
}

impl Calendar {
    pub(super) fn insert(&mut self, entry: Entry) {
        let bucket = bucket_of(entry.at);
        if bucket <= self.current_bucket {
            self.late.push(Late(entry));
            return;
        }
        if bucket != self.last_bucket {
            self.put_last_back();
            self.last = self.buckets.remove(&bucket).unwrap_or_default();
            self.last_bucket = bucket;
        }
        self.last.push(entry);
        let earliest = self.earliest_to_come.get_or_insert(entry.at);
        *earliest = entry.at.min(*earliest);
    }

    #[inline]
    pub(super) fn may_be_due(&self, limit: Timestamp) -> bool {
        self.earliest().is_some_and(|at| at <= limit)
    }

    pub(super) fn earliest(&self) -> Option<Timestamp> {
        let current = self.current.last().map(|entry| entry.at);
        let late = self.late.peek().map(|late| late.0.at);
        [current, late, self.earliest_to_come]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes the first entry that is due at `limit`, in this order.
    pub(super) fn pop_due(
        &mut self,
        limit: Timestamp,
        order: impl Fn(&Entry, &Entry) -> Ordering,
    ) -> Option<Entry> {
        if !self.may_be_due(limit) {
            return None;
        }
        if self.current.is_empty() && self.late.is_empty() {
            self.take_in_hand(&order);
        }
        let Some(late) = self.pop_late(&order) else {
            return self.current.pop_if(|entry| entry.at <= limit);
        };
        let current = self.current.last();
        if late.at <= limit && current.is_none_or(|entry| order(&late, entry).is_lt()) {
            return Some(late);
        }
        self.late.push(Late(late));
        self.current.pop_if(|entry| entry.at <= limit)
    }

    /// Takes the first of those that were set late.
    fn pop_late(&mut self, order: impl Fn(&Entry, &Entry) -> Ordering) -> Option<Entry> {
        let mut first = self.late.pop()?.0;
        // Nearly never are there two keys of one hash, or two tags of one key, at one time.
        let mut others = Vec::new();
        while self
            .late
            .peek()
            .is_some_and(|late| late.rank() == (first.at, first.hash))
        {
            others.extend(self.late.pop().map(|late| late.0));
        }
        for other in others {
            let later = if order(&other, &first).is_lt() {
                mem::replace(&mut first, other)
            } else {
                other
            };
            self.late.push(Late(later));
        }
        Some(first)
    }

    /// Makes the earliest bucket the one at hand.
    fn take_in_hand(&mut self, order: impl Fn(&Entry, &Entry) -> Ordering) {
        self.put_last_back();
        if let Some((number, bucket)) = self.buckets.pop_first() {
            self.current = bucket.entries;
            self.current.sort_unstable_by(|a, b| order(b, a));
            self.current_bucket = number;
        }
        let first = self.buckets.first_key_value();
        self.earliest_to_come = first.map(|(_, bucket)| bucket.earliest);
    }

    fn put_last_back(&mut self) {
        let number = mem::replace(&mut self.last_bucket, i64::MAX);
        let last = mem::take(&mut self.last);
        if !last.entries.is_empty() {
            // It was taken out of the map, so nothing is there.
            self.buckets.insert(number, last);
        }
    }
}

fn bucket_of(at: Timestamp) -> i64 {
    at.as_millis() >> BUCKET_BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Seed, state::table::Table};

    /// By all that an entry knows of itself.
    fn order(a: &Entry, b: &Entry) -> Ordering {
        (a.at, a.hash, a.tag).cmp(&(b.at, b.hash, b.tag))
    }

    #[test]
    fn entries_come_out_in_their_order_whenever_they_were_set() {
        let mut table = Table::<u64, u64>::new(1, 1);
        let row = crate::state::AnyTable::find_or_insert(&mut table, &0, 0);
        let mut rng = Seed::new(5).rng("calendar");
        let (mut calendar, mut held) = (Calendar::default(), Vec::new());
        let mut now = 0;
        for step in 0..20_000_u32 {
            let ahead = if rng.chance(1, 2) { 100 } else { 10_000 };
            let entry = Entry {
                at: Timestamp::from_millis(now + i64::try_from(rng.below(ahead)).unwrap()),
                hash: u32::try_from(rng.below(4)).unwrap(),
                row,
                tag: step,
            };
            calendar.insert(entry);
            held.push(entry);
            if rng.chance(1, 4) {
                now += i64::try_from(rng.below(50)).unwrap();
                let limit = Timestamp::from_millis(now);
                held.sort_by(order);
                assert_eq!(calendar.earliest(), held.first().map(|entry| entry.at));
                let due = held.partition_point(|entry| entry.at <= limit);
                let want: Vec<Entry> = held.drain(..due).collect();
                let fired = std::iter::from_fn(|| calendar.pop_due(limit, order));
                assert_eq!(fired.collect::<Vec<_>>(), want);
            }
        }
        assert!(held.len() > 100, "some are still to come");
    }
}
