//! The keeper: takes a full journal's batches to their segments, then lets the journal go.
//!
//! One step per turn: one partition, or the image. A stop between any two steps costs nothing,
//! since the journal goes last: recovery does the whole flush again, to the same places.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use crate::{
    Error,
    error::Failure,
    image,
    meta::{Change, Image},
    partition::state::PartitionState,
    segment,
    shared::{Life, Shared, lock},
};

/// A full journal, and what was in it.
#[derive(Debug)]
pub(crate) struct FullJournal {
    pub(crate) number: u64,
    /// The journal that follows it.
    pub(crate) next: u64,
    /// The first group commit of the journal that follows it.
    pub(crate) commit: u64,
    pub(crate) changes: Vec<Change>,
    /// The partitions with batches in it, and where each ended when it was full.
    pub(crate) partitions: Vec<(Arc<PartitionState>, u64)>,
}

/// Where the writer leaves a full journal for the keeper: room for one.
#[derive(Debug, Default)]
pub(crate) struct FlushSlot(Mutex<Slot>);

#[derive(Debug, Default)]
struct Slot {
    state: SlotState,
    /// An old journal whose file can be used again.
    spare: Option<u64>,
}

/// How the flush stands.
#[derive(Debug, Default)]
pub(crate) enum SlotState {
    /// A full journal can be left.
    #[default]
    Free,
    Given(FullJournal),
    Flushing,
    /// The disk is full; the keeper tries again when it is woken.
    NoSpace(Error),
}

/// What the writer may do with a full journal.
pub(crate) enum Room {
    /// Leave it, and use the file of this old one for the next.
    Free { spare: Option<u64> },
    /// Wait to be woken.
    Wait,
    /// Refuse what waits: the disk is full. Being asked makes the keeper try again.
    NoSpace(Error),
}

impl FlushSlot {
    pub(crate) fn with_spare(spare: Option<u64>) -> Self {
        Self(Mutex::new(Slot {
            state: SlotState::Free,
            spare,
        }))
    }

    pub(crate) fn room(&self) -> Room {
        let mut slot = lock(&self.0);
        match &slot.state {
            SlotState::Free => Room::Free {
                spare: slot.spare.take(),
            },
            SlotState::Given(_) | SlotState::Flushing => Room::Wait,
            SlotState::NoSpace(error) => {
                let error = error.clone();
                slot.state = SlotState::Flushing;
                Room::NoSpace(error)
            }
        }
    }

    pub(crate) fn give(&self, full: FullJournal) {
        lock(&self.0).state = SlotState::Given(full);
    }

    fn take(&self) -> Option<FullJournal> {
        let mut slot = lock(&self.0);
        match std::mem::take(&mut slot.state) {
            SlotState::Given(full) => {
                slot.state = SlotState::Flushing;
                Some(full)
            }
            other => {
                slot.state = other;
                None
            }
        }
    }

    fn set(&self, state: SlotState) {
        lock(&self.0).state = state;
    }

    fn is_flushing(&self) -> bool {
        matches!(lock(&self.0).state, SlotState::Flushing)
    }

    /// Keeps an old journal's file for later; `false` if there is one already.
    fn keep_spare(&self, number: u64) -> bool {
        let mut slot = lock(&self.0);
        let keeps = slot.spare.is_none();
        slot.spare.get_or_insert(number);
        keeps
    }
}

/// The I/O work that flushes.
pub(crate) struct Keeper {
    life: Life,
    /// The image that was written last; while a journal is flushed, with what was done so far.
    image: Image,
    flushing: Option<FullJournal>,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>, image: Image) -> Self {
        Self {
            life: Life(shared),
            image,
            flushing: None,
        }
    }

    /// Does one step. Ready when the log has ended.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let shared = Arc::clone(&self.life.0);
        shared.keeper.register(context.waker());
        if shared.is_stopping() {
            return Poll::Ready(());
        }
        if shared.queue.is_closed() {
            // The log has died: no file is written any more.
            return Poll::Pending;
        }
        if self.flushing.is_none() {
            self.flushing = shared.flush.take();
            let changes = self
                .flushing
                .iter()
                .flat_map(|full| full.changes.iter().cloned());
            changes.for_each(|change| self.image.apply(change));
        }
        if self.flushing.is_none() || !shared.flush.is_flushing() {
            return Poll::Pending;
        }
        match self.step(&shared) {
            Ok(()) => context.waker().wake_by_ref(),
            Err(Failure::NoSpace(error)) => {
                // The next who appends is told.
                tracing::debug!(%error, "a full journal cannot be flushed");
                shared.flush.set(SlotState::NoSpace(error));
                shared.queue.filled.wake();
            }
            Err(Failure::Fatal(error)) => {
                shared.die(&error);
            }
            Err(Failure::Damaged(_)) => unreachable!("damage stops its partition, not the keeper"),
        }
        Poll::Pending
    }

    fn step(&mut self, shared: &Shared) -> Result<(), Failure> {
        let full = self
            .flushing
            .as_mut()
            .expect("a step is made while a journal is flushed");
        if let Some((partition, upto)) = full.partitions.last() {
            shared.check_fence()?;
            let batches = partition.reading().tail_upto(*upto);
            let record = self.image.partition_mut(partition.id);
            let record = record.expect("a partition is in the image before its batches");
            let (vfs, paths) = (&*shared.vfs, &shared.paths);
            let bytes = shared.limits.segment_bytes;
            let segments = record.segments.clone();
            match segment::flush(vfs, paths, partition.id, segments, &batches, bytes) {
                Ok(segments) => {
                    partition.reading().flushed(&segments);
                    let headers = batches.iter().map(|(header, _)| *header);
                    self.image.flushed(partition.id, segments, headers);
                }
                Err(Failure::Damaged(reason)) => {
                    partition.fail(&reason);
                    record.failed = Some(reason);
                    record.next = record.next.max(*upto);
                    self.image.kept_journals.push(full.number);
                }
                Err(failure) => return Err(failure),
            }
            full.partitions.pop();
            return Ok(());
        }
        self.finish(shared)
    }

    /// Writes the image and lets the journal go.
    fn finish(&mut self, shared: &Shared) -> Result<(), Failure> {
        let Some(full) = &self.flushing else {
            return Ok(());
        };
        shared.check_fence()?;
        self.image.journal = full.next;
        self.image.commit = full.commit;
        image::write(&*shared.vfs, &shared.paths, &self.image)?;
        tracing::debug!(journal = full.number, "journal flushed");
        let number = full.number;
        self.flushing = None;
        if !self.image.kept_journals.contains(&number) && !shared.flush.keep_spare(number) {
            let path = shared.paths.journal(number);
            // Left behind, it costs room and nothing else: no image names it.
            if let Err(error) = shared.vfs.remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "an old journal cannot be removed");
            }
        }
        shared.flush.set(SlotState::Free);
        shared.queue.filled.wake();
        Ok(())
    }
}
