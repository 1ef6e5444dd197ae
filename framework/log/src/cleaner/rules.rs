//! What stays of a topic that is compacted, and what goes: the decision, without files.

use std::collections::BTreeSet;

use super::keys::Keys;
use crate::{
    FetchedBatch,
    batch::{
        header::{Header, How},
        records::RecordView,
        rewrite::rewrite,
    },
    planted::planted,
    segment::Stored,
};

/// What stays.
pub(super) struct Rules {
    pub(super) keys: Keys,
    /// All keys before it are noted.
    pub(super) noted_to: u64,
    pub(super) sweep_to: u64,
    /// Producers and epochs.
    pub(super) aborted: BTreeSet<(u64, u64)>,
    /// The tombstones that stay: how many of those before `noted_to`, and of those among them that
    /// an earlier pass has seen.
    pub(super) tombstones: u64,
    pub(super) waiting: u64,
    pub(super) waiting_to: u64,
}

impl Rules {
    /// Notes the keys of some batches; `false` when there is no room for more.
    pub(super) fn note(&mut self, batches: &[FetchedBatch], from: u64) -> bool {
        for batch in batches {
            if self.is_aborted(batch.header()) && !planted("aborted_supersedes") {
                continue;
            }
            for record in batch.records().filter(|record| record.offset >= from) {
                let noted = |key| self.keys.note(key, record.offset);
                if !record.key.is_none_or(noted) {
                    self.noted_to = record.offset;
                    return false;
                }
            }
        }
        true
    }

    /// What stays of some batches, after one that ends at `end`.
    pub(super) fn kept(&mut self, batches: &[FetchedBatch], mut end: u64) -> Vec<Stored> {
        let mut kept = Vec::new();
        for batch in batches {
            if self.is_aborted(batch.header()) {
                continue;
            }
            let bytes = batch.bytes();
            let rewritten = rewrite(batch.header(), bytes, end, |record| self.keeps(record));
            if let Some((header, bytes)) = rewritten {
                end = header.end();
                kept.push((header, bytes));
            }
        }
        kept
    }

    fn keeps(&mut self, record: &RecordView<'_>) -> bool {
        let is_last = |key| !self.keys.has_later(key, record.offset);
        let stays =
            record.key.is_none_or(is_last) && !(record.tombstone && record.offset < self.sweep_to);
        if stays && record.tombstone {
            self.tombstones += u64::from(record.offset < self.noted_to);
            self.waiting += u64::from(record.offset < self.waiting_to);
        }
        stays
    }

    fn is_aborted(&self, header: &Header) -> bool {
        let by = header.produced.filter(|by| by.how == How::Transactional);
        by.is_some_and(|by| self.aborted.contains(&(by.producer, by.epoch)))
    }
}

#[cfg(test)]
mod tests {
    use levada_core::Timestamp;

    use super::*;
    use crate::{
        Batch, Record,
        batch::{Place, header::Produced},
        partition::PartitionId,
    };

    /// A batch of a put and a tombstone, of a transaction if an epoch is said.
    fn batch(base_offset: u64, epoch: Option<u64>) -> FetchedBatch {
        let mut batch = Batch::new();
        let put = Record {
            key: Some(b"put"),
            ..Record::of(b"value")
        };
        batch.push(&put).unwrap();
        batch.push(&Record::tombstone(b"gone")).unwrap();
        let id = PartitionId {
            topic: 1,
            partition: 0,
        };
        let (header, bytes) = batch.seal(&Place {
            id,
            incarnation: 1,
            previous_end: base_offset,
            base_offset,
            append_time: Timestamp::from_millis(0),
            produced: epoch.map(|epoch| Produced {
                producer: 1,
                epoch,
                how: How::Transactional,
            }),
        });
        FetchedBatch::new(header, bytes, 0)
    }

    fn offsets(kept: &[Stored]) -> Vec<u64> {
        let batches = kept.iter();
        let records = batches.flat_map(|(header, bytes)| {
            let batch = FetchedBatch::new(*header, bytes.clone(), 0);
            batch.records().map(|it| it.offset).collect::<Vec<_>>()
        });
        records.collect()
    }

    fn rules(sweep_to: u64) -> Rules {
        Rules {
            keys: Keys::new(1 << 20),
            noted_to: 100,
            sweep_to,
            aborted: BTreeSet::from([(1, 7)]),
            tombstones: 0,
            waiting: 0,
            waiting_to: 13,
        }
    }

    #[test]
    fn what_was_aborted_goes_and_takes_nothing_with_it() {
        let batches = [batch(10, Some(6)), batch(20, Some(7))];
        let mut rules = rules(0);
        assert!(rules.note(&batches, 0));
        assert_eq!(offsets(&rules.kept(&batches, 0)), [10, 11]);
        assert_eq!((rules.tombstones, rules.waiting), (1, 1));
    }

    #[test]
    fn last_record_of_a_key_stays_and_its_tombstone_until_it_is_swept() {
        let batches = [batch(10, None), batch(20, None), batch(30, Some(7))];
        let mut unswept = rules(0);
        assert!(unswept.note(&batches, 0));
        let kept = unswept.kept(&batches, 5);
        assert_eq!(offsets(&kept), [20, 21]);
        assert_eq!(kept[0].0.previous_end, 5);
        assert_eq!((unswept.tombstones, unswept.waiting), (1, 0));

        let mut swept = rules(22);
        assert!(swept.note(&batches, 0));
        assert_eq!(offsets(&swept.kept(&batches, 5)), [20]);
    }
}
