//! The keeper's turns of compaction: one pass at a time, a slice a turn.

use std::sync::Arc;

use super::{
    Keeper,
    cleaning::{remove, remove_now},
    write,
};
use crate::{
    cleaner::{Compacted, Compaction, Plan, Stop, plan},
    error::Failure,
    partition::state::PartitionState,
    planted::planted,
    segment::read::Unread,
    shared::{Shared, lock},
};

impl Keeper {
    /// Does a slice of the pass that runs; `false` if none does.
    pub(super) fn compact(&mut self, shared: &Shared) -> Result<bool, Failure> {
        if self.turns.is_doubted {
            self.settle(shared)?;
        }
        let Some(compaction) = &mut self.turns.compaction else {
            return Ok(false);
        };
        let has_failed = compaction.partition.reading().failed.is_some();
        if has_failed || self.flush.is_some() {
            // A flush that was held up by a full disk must not find other segments than it knows.
            self.abandon(shared);
            return Ok(false);
        }
        shared.check_fence()?;
        let stop = match compaction.step(shared) {
            Ok(None) => return Ok(true),
            Ok(Some(outcome)) => match self.replace(shared, &outcome) {
                Ok(()) => return Ok(true),
                Err(failure) => {
                    self.turns.is_doubted = is_named(&failure);
                    Stop::Unwritten(failure)
                }
            },
            Err(stop) => stop,
        };
        self.stop(shared, stop)?;
        Ok(true)
    }

    /// Gives up a pass whose image may be there under its name or not: not before the image that
    /// stands without it is durable again, since nothing goes that an image names.
    fn settle(&mut self, shared: &Shared) -> Result<(), Failure> {
        write(shared, &self.image)?;
        self.turns.is_doubted = false;
        self.abandon(shared);
        Ok(())
    }

    /// Begins a pass over the partition that needs it most, if one does and none runs.
    pub(super) fn begin_compaction(&mut self, shared: &Shared) {
        if self.turns.compaction.is_some() || self.flush.is_some() {
            return;
        }
        let now = shared.cleaning.now(&*shared.clock);
        let partitions = lock(&shared.catalog).partitions();
        let plans = partitions.into_iter().filter_map(|partition| {
            let plan = self.plan(&partition, now)?;
            Some((partition, plan))
        });
        let Some((partition, plan)) = plans.max_by_key(|(_, plan)| plan.dirty) else {
            return;
        };
        let record = self.image.partition(partition.id);
        let record = record.expect("a plan is made of what is in the image");
        tracing::debug!(
            topic = %partition.topic, partition = partition.id.partition,
            dirty = plan.dirty, "compaction begins"
        );
        let known = (&record.aborted[..], record.swept);
        let compaction = Compaction::new(shared, partition, plan, known, now);
        self.turns.compaction = Some(compaction);
    }

    fn plan(&self, partition: &PartitionState, now: levada_core::Timestamp) -> Option<Plan> {
        let tombstone_time = partition.reading().retention.tombstone_time()?;
        let record = self.image.partition(partition.id)?;
        if partition.reading().failed.is_some() {
            return None;
        }
        let stable_end = self.image.stable_end(partition.id);
        plan(record, stable_end, tombstone_time, now)
    }

    /// Puts the new segments in the place of the old: the image is the commit point.
    fn replace(&mut self, shared: &Shared, outcome: &Compacted) -> Result<(), Failure> {
        let mut next = self.image.clone();
        let gone = next.compacted(outcome);
        if planted("inputs_removed_first") {
            remove_now(shared, &next);
        }
        write(shared, &next)?;
        self.image = next;
        if let Some(compaction) = self.turns.compaction.take() {
            let partition = &compaction.partition;
            let record = self.image.partition(outcome.id);
            partition
                .reading()
                .compacted(&record.expect("it was compacted").segments, gone);
            tracing::info!(
                topic = %partition.topic, partition = outcome.id.partition,
                segments = outcome.inputs, into = outcome.outputs.len(), "compacted"
            );
        }
        self.remove_dropped();
        // There may be more to do.
        shared.cleaning.ask();
        Ok(())
    }

    /// Ends a pass that cannot go on.
    fn stop(&mut self, shared: &Shared, stop: Stop) -> Result<(), Failure> {
        let compaction = self.turns.compaction.as_ref();
        let partition = compaction.map(|it| Arc::clone(&it.partition));
        let why = match stop {
            Stop::Unread(Unread::Damaged(reason)) => {
                if let Some(partition) = partition {
                    partition.fail(&reason);
                }
                reason
            }
            Stop::Unread(Unread::Io(error)) => error.to_string(),
            Stop::Unwritten(Failure::NoSpace(error)) => {
                if error.is_full_disk() {
                    shared.cleaning.room.ran_out(shared.paths.folder());
                }
                error.to_string()
            }
            Stop::Unwritten(failure) => return Err(failure),
        };
        tracing::warn!(why, "compaction stops here, and nothing has changed");
        self.abandon(shared);
        Ok(())
    }

    /// Gives up the pass that runs, and the room that it has taken, unless that must wait.
    pub(super) fn abandon(&mut self, shared: &Shared) {
        if self.turns.is_doubted {
            return;
        }
        let Some(compaction) = self.turns.compaction.take() else {
            return;
        };
        let id = compaction.partition.id;
        let written = compaction.written();
        drop(compaction);
        for segment in written {
            // What stays is removed at the next opening, or written over by the next pass.
            remove(shared, id, segment.name());
        }
    }
}

/// Whether an image that could not be made durable may have its name nevertheless: where no file
/// could be opened, that can be the folder, to sync the name.
fn is_named(failure: &Failure) -> bool {
    matches!(failure, Failure::NoSpace(error) if !error.is_full_disk())
}
