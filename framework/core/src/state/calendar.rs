//! When timers fall due: buckets of entries, sorted only when their time has come.
//!
//! Timers mostly fall into few buckets far from now, so setting one is a push to the bucket that
//! was used last. Invariant: every entry at or before the current bucket is in `current`, which is
//! sorted, latest first; every later entry is in `buckets` or in `last`.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, btree_map},
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

#[derive(Debug)]
pub(super) struct Calendar {
    /// Latest first, so that the next one is popped from the end.
    current: Vec<Entry>,
    current_bucket: i64,
    buckets: BTreeMap<i64, Vec<Entry>>,
    /// The bucket that was pushed to last, taken out of the map.
    last: Vec<Entry>,
    last_bucket: i64,
    /// No entry outside `current` is earlier than this bucket.
    first_bucket: i64,
}

impl Default for Calendar {
    fn default() -> Self {
        Self {
            current: Vec::new(),
            current_bucket: i64::MIN,
            buckets: BTreeMap::new(),
            last: Vec::new(),
            last_bucket: i64::MAX,
            first_bucket: i64::MAX,
        }
    }
}

impl Calendar {
    pub(super) fn insert(&mut self, entry: Entry, order: impl Fn(&Entry, &Entry) -> Ordering) {
        let bucket = bucket_of(entry.at);
        if bucket <= self.current_bucket {
            let at = self
                .current
                .partition_point(|other| order(other, &entry).is_gt());
            self.current.insert(at, entry);
            return;
        }
        if bucket != self.last_bucket {
            self.put_last_back();
            self.last = self.buckets.remove(&bucket).unwrap_or_default();
            self.last_bucket = bucket;
        }
        self.last.push(entry);
        self.first_bucket = self.first_bucket.min(bucket);
    }

    #[inline]
    pub(super) fn may_be_due(&self, limit: Timestamp) -> bool {
        self.current.last().is_some_and(|entry| entry.at <= limit)
            || self.first_bucket <= bucket_of(limit) && self.has_buckets()
    }

    pub(super) fn pop_due(
        &mut self,
        limit: Timestamp,
        order: impl Fn(&Entry, &Entry) -> Ordering,
    ) -> Option<Entry> {
        if self.current.is_empty() {
            if self.first_bucket > bucket_of(limit) {
                return None;
            }
            self.load_first(order);
        }
        self.current.pop_if(|entry| entry.at <= limit)
    }

    pub(super) fn earliest(
        &mut self,
        order: impl Fn(&Entry, &Entry) -> Ordering,
    ) -> Option<Timestamp> {
        if self.current.is_empty() {
            self.load_first(order);
        }
        self.current.last().map(|entry| entry.at)
    }

    /// Makes the earliest bucket the current one.
    fn load_first(&mut self, order: impl Fn(&Entry, &Entry) -> Ordering) {
        self.put_last_back();
        if let Some((bucket, entries)) = self.buckets.pop_first() {
            self.current = entries;
            self.current.sort_unstable_by(|a, b| order(b, a));
            self.current_bucket = bucket;
        }
        self.first_bucket = self
            .buckets
            .first_key_value()
            .map_or(i64::MAX, |(first, _)| *first);
    }

    fn put_last_back(&mut self) {
        let entries = std::mem::take(&mut self.last);
        let bucket = std::mem::replace(&mut self.last_bucket, i64::MAX);
        if entries.is_empty() {
            return;
        }
        match self.buckets.entry(bucket) {
            btree_map::Entry::Vacant(vacant) => drop(vacant.insert(entries)),
            btree_map::Entry::Occupied(mut held) => held.get_mut().extend(entries),
        }
    }

    fn has_buckets(&self) -> bool {
        !self.last.is_empty() || !self.buckets.is_empty()
    }
}

fn bucket_of(at: Timestamp) -> i64 {
    at.as_millis() >> BUCKET_BITS
}
