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

use std::sync::Arc;

use levada_core::Timestamp;

use super::{keys::Keys, plan::Plan, rules::Rules, scan::Scan};
use crate::{
    error::Failure,
    meta::{Aborted, Segment, Swept},
    partition::{PartitionId, state::PartitionState},
    segment::{Roll, append::Appender, read::Unread},
    shared::Shared,
};

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

/// The new segments.
struct Output {
    segments: Appender,
    /// The end of the last batch that was written.
    end: u64,
}

/// What a pass has come to.
#[derive(Debug)]
pub(crate) struct Compacted {
    pub(crate) id: PartitionId,
    /// How many of the oldest segments are replaced.
    pub(crate) inputs: usize,
    pub(crate) outputs: Vec<Segment>,
    pub(crate) clean_to: u64,
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
    pub(crate) fn step(&mut self, shared: &Shared) -> Result<Option<Compacted>, Stop> {
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
                // As much as was read at once: no sync takes long.
                let segments = &mut output.segments;
                let written = segments.append(&*shared.vfs, &shared.paths, &kept);
                written.map_err(Stop::Unwritten)?;
                output.end = kept.last().map_or(output.end, |(last, _)| last.end());
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
        let retention = self.partition.reading().retention;
        let roll = Roll::compacted(shared.limits.segment_bytes, &retention);
        let generation = generations.max().unwrap_or(0) + 1;
        self.output = Some(Output {
            segments: Appender::new(self.partition.id, Vec::new(), generation, roll),
            end: 0,
        });
    }

    fn outcome(&self) -> Compacted {
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
        Compacted {
            id: self.partition.id,
            inputs: self.plan.inputs.len(),
            outputs: self.written(),
            clean_to: rules.noted_to,
            swept: Some(swept),
        }
    }

    /// The segments that were written: they go if the pass does not come to its end.
    pub(crate) fn written(&self) -> Vec<Segment> {
        let output = self.output.as_ref();
        output.map_or(Vec::new(), |it| it.segments.segments())
    }
}
