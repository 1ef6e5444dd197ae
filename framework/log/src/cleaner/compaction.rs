//! Compaction: of each key only the latest record stays.
//!
//! A pass over a partition reads the part that no pass has seen and notes where each key was last;
//! then it reads all from the start and writes what is still to be known into new segments, of the
//! next generation. What goes:
//!
//! 1. Records of a key of which a later one was noted. Offsets of what stays do not change.
//! 2. Batches of aborted transactions.
//! 3. Tombstones, once they have been there for the tombstone time since the pass that removed what
//!    was before them. So a reader that starts from the beginning and takes no longer than that
//!    learns of each key that is gone, however late a pass comes. (Kafka does so since 2.8; counted
//!    from the append, a late pass would remove a value and its tombstone at once, under the eyes
//!    of a reader that has seen the value.)
//!
//! What holds, besides what the [module](super) says:
//!
//! 1. The last segment is never touched, nor any that holds part of an open transaction. What is
//!    open, and what was aborted, is asked of the image, which agrees with the segments it names.
//! 2. **The commit point is the image** that names the new segments instead of the old. The new
//!    ones are written and synced before, through one descriptor each, their names too; the old
//!    ones are in `dropped` from then on. A crash before leaves files of a generation that no image
//!    names: the next opening removes them. A new name was never used before.
//! 3. The keys are bounded by [`Options::compaction_bytes`](crate::Options::compaction_bytes). If
//!    they do not fit, the pass ends where they did, and the next begins there.
//! 4. What an aborted transaction was is forgotten one pass after its batches have gone: a reader
//!    may still have the segment before.
//! 5. Damage that a pass finds stops the partition, and nothing is changed.

use std::{collections::BTreeSet, io, sync::Arc};

use levada_core::Timestamp;

use super::{keys::Keys, plan::Plan};
use crate::{
    Error, FetchedBatch,
    batch::{
        header::{Header, How},
        records::RecordView,
        rewrite::rewrite,
    },
    error::Failure,
    meta::{Aborted, Segment, SegmentName, Swept},
    partition::{PartitionId, state::PartitionState},
    segment::{
        Roll, Stored, Writing,
        read::{Index, Unread, Want},
    },
    shared::Shared,
    vfs::{Open, VfsFile},
};

/// Read at once, and then at most written: what a flush may have to wait for.
const SLICE_BYTES: usize = 1 << 20;

/// A pass over one partition.
pub(crate) struct Compaction {
    pub(crate) partition: Arc<PartitionState>,
    plan: Plan,
    rules: Rules,
    scan: Scan,
    /// Nothing while keys are noted.
    output: Option<Output>,
    now: Timestamp,
    swept: Option<Swept>,
}

/// What stays.
struct Rules {
    keys: Keys,
    /// All keys before it are noted.
    noted_to: u64,
    sweep_to: u64,
    /// Producers and epochs.
    aborted: BTreeSet<(u64, u64)>,
    /// The tombstones that stay: how many of those before `noted_to`, and of those among them that
    /// an earlier pass has seen.
    tombstones: u64,
    waiting: u64,
    waiting_to: u64,
}

/// What a pass has come to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) id: PartitionId,
    /// How many of the oldest segments are replaced.
    pub(crate) inputs: usize,
    pub(crate) outputs: Vec<Segment>,
    pub(crate) compacted: u64,
    pub(crate) swept: Option<Swept>,
}

/// Why a pass cannot go on.
pub(crate) enum Stop {
    Unread(Unread),
    Unwritten(Failure),
}

impl Compaction {
    pub(crate) fn new(
        shared: &Shared,
        partition: Arc<PartitionState>,
        plan: Plan,
        (aborted, swept): (&[Aborted], Option<Swept>),
        now: Timestamp,
    ) -> Self {
        let dirty = plan.inputs.iter().filter(|it| it.end > plan.clean_to);
        let scan = Scan::of(dirty.copied().collect());
        let swept = swept.filter(|it| it.upto > plan.sweep_to);
        let aborted = aborted.iter().map(|it| (it.producer, it.epoch));
        let rules = Rules {
            keys: Keys::new(shared.limits.compaction_bytes),
            noted_to: plan.clean_to,
            sweep_to: plan.sweep_to,
            aborted: aborted.collect(),
            tombstones: 0,
            waiting: 0,
            waiting_to: swept.map_or(0, |it| it.upto),
        };
        Self {
            partition,
            plan,
            rules,
            scan,
            output: None,
            now,
            swept,
        }
    }

    /// Reads a slice and does what is to be done with it. What it came to, at the end.
    pub(crate) fn step(&mut self, shared: &Shared) -> Result<Option<Outcome>, Stop> {
        let id = self.partition.id;
        let found = self.scan.read(shared, id).map_err(Stop::Unread)?;
        match (&mut self.output, found) {
            (None, Some(batches)) => {
                if !self.rules.note(&batches, self.plan.clean_to) {
                    self.begin_writing(shared);
                }
            }
            (None, None) => {
                let end = self.plan.inputs.last().map_or(0, |last| last.end);
                self.rules.noted_to = self.rules.noted_to.max(end);
                self.begin_writing(shared);
            }
            (Some(output), Some(batches)) => {
                let kept = self.rules.kept(&batches, output.end);
                output.put(shared, id, &kept).map_err(Stop::Unwritten)?;
            }
            (Some(_), None) => return Ok(Some(self.outcome())),
        }
        Ok(None)
    }

    fn begin_writing(&mut self, shared: &Shared) {
        let upto = self.rules.noted_to;
        self.plan.inputs.retain(|segment| segment.base < upto);
        self.scan = Scan::of(self.plan.inputs.clone());
        let generations = self.plan.inputs.iter().map(|segment| segment.generation);
        let retention = self.partition.retention();
        self.output = Some(Output {
            generation: generations.max().unwrap_or(0) + 1,
            roll: Roll::compacted(shared.limits.segment_bytes, &retention),
            end: 0,
            open: None,
            done: Vec::new(),
        });
    }

    fn outcome(&mut self) -> Outcome {
        let output = self.output.take();
        let outputs = output.map_or(Vec::new(), Output::into_segments);
        let rules = &self.rules;
        let swept = match self.swept {
            // Those that wait go on waiting; the others begin when those have gone.
            Some(waiting) if rules.waiting > 0 => Swept {
                tombstones: rules.waiting,
                ..waiting
            },
            _ => Swept {
                upto: rules.noted_to,
                at: self.now,
                tombstones: rules.tombstones,
            },
        };
        Outcome {
            id: self.partition.id,
            inputs: self.plan.inputs.len(),
            outputs,
            compacted: rules.noted_to,
            swept: Some(swept),
        }
    }

    /// The files that were written: they go if the pass does not come to its end.
    pub(crate) fn written(&self) -> Vec<SegmentName> {
        let output = self.output.iter();
        output.flat_map(Output::names).collect()
    }
}

impl Rules {
    /// Notes the keys of some batches; `false` when there is no room for more.
    fn note(&mut self, batches: &[FetchedBatch], from: u64) -> bool {
        for batch in batches {
            if self.is_aborted(batch.header()) {
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
    fn kept(&mut self, batches: &[FetchedBatch], mut end: u64) -> Vec<Stored> {
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

/// A walk through segments, a slice at a time.
struct Scan {
    segments: std::vec::IntoIter<Segment>,
    open: Option<(Segment, Box<dyn VfsFile>)>,
    index: Index,
    next: u64,
}

impl Scan {
    fn of(segments: Vec<Segment>) -> Self {
        Self {
            segments: segments.into_iter(),
            open: None,
            index: Index::default(),
            next: 0,
        }
    }

    /// The next batches, checked; `None` at the end.
    fn read(
        &mut self,
        shared: &Shared,
        id: PartitionId,
    ) -> Result<Option<Vec<FetchedBatch>>, Unread> {
        if !matches!(&self.open, Some((segment, _)) if self.next < segment.end) {
            let Some(segment) = self.segments.next() else {
                return Ok(None);
            };
            self.open = Some((segment, open(shared, id, &segment)?));
            self.index = Index::default();
            self.next = segment.base;
        }
        let Some((segment, file)) = &self.open else {
            return Ok(None);
        };
        let found = Want {
            id,
            segment: *segment,
            path: &shared.paths.segment(id, segment.name()),
            from: self.next,
            max_bytes: SLICE_BYTES,
        }
        .read(&**file, &mut self.index)?;
        self.next = found.last().map_or(segment.end, FetchedBatch::end_offset);
        Ok(Some(found))
    }
}

fn open(shared: &Shared, id: PartitionId, segment: &Segment) -> Result<Box<dyn VfsFile>, Unread> {
    let path = shared.paths.segment(id, segment.name());
    shared.vfs.open(&path, Open::Read).map_err(|e| {
        if e.kind() == io::ErrorKind::NotFound {
            return Unread::Damaged(format!("segment {} is missing", path.display()));
        }
        Unread::Io(Error::io("cannot open", path, e))
    })
}

/// The new segments.
struct Output {
    generation: u32,
    roll: Roll,
    /// The end of the last batch that was written.
    end: u64,
    open: Option<Writing>,
    done: Vec<Segment>,
}

impl Output {
    /// Writes batches, and syncs them: a slice at a time, so that no sync takes long.
    fn put(&mut self, shared: &Shared, id: PartitionId, batches: &[Stored]) -> Result<(), Failure> {
        let (vfs, paths) = (&*shared.vfs, &shared.paths);
        let mut left = batches;
        while let Some(((first, _), _)) = left.split_first() {
            let mut open = match self.open.take() {
                Some(open) if self.roll.fits(open.segment(), first) => open,
                full => {
                    self.done.extend(full.map(|full| *full.segment()));
                    Writing::create(vfs, paths, id, first, self.generation)?
                }
            };
            let taken = open.append(left, self.roll);
            self.open = Some(open);
            left = &left[taken?..];
        }
        self.end = batches.last().map_or(self.end, |(last, _)| last.end());
        Ok(())
    }

    fn into_segments(mut self) -> Vec<Segment> {
        self.done
            .extend(self.open.iter().map(|open| *open.segment()));
        self.done
    }

    fn names(&self) -> impl Iterator<Item = SegmentName> {
        let open = self.open.iter().map(|open| open.segment().name());
        self.done.iter().map(Segment::name).chain(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Batch, Record,
        batch::{Place, header::Produced},
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
