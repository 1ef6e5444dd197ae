//! Where the writer leaves a full journal for the keeper, and what the two tell each other there.

use std::sync::{Arc, Mutex};

use crate::{Error, meta::Change, partition::state::PartitionState, shared::lock};

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

/// How a journal is flushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pace {
    /// One small write at a time: group commits, which the disk does meanwhile, wait for little.
    #[default]
    Gentle,
    /// As fast as the disk is, since appends would wait for the flush soon, or wait already.
    Hurried,
}

/// Where the writer leaves a full journal for the keeper: room for one.
#[derive(Debug, Default)]
pub(crate) struct FlushSlot(Mutex<Slot>);

#[derive(Debug, Default)]
struct Slot {
    state: SlotState,
    pace: Pace,
    /// An old journal whose file can be used again.
    spare: Option<u64>,
    /// The keeper wants what the journal holds, full or not.
    wanted: bool,
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
    /// Leave it.
    Free,
    /// Wait to be woken.
    Wait,
    /// Refuse what waits: the disk is full. Being asked makes the keeper try again.
    NoSpace(Error),
}

impl FlushSlot {
    pub(crate) fn with_spare(spare: Option<u64>) -> Self {
        Self(Mutex::new(Slot {
            spare,
            ..Slot::default()
        }))
    }

    pub(crate) fn room(&self) -> Room {
        let mut slot = lock(&self.0);
        match &slot.state {
            SlotState::Free => Room::Free,
            SlotState::Given(_) | SlotState::Flushing => Room::Wait,
            SlotState::NoSpace(error) => {
                let error = error.clone();
                slot.state = SlotState::Flushing;
                Room::NoSpace(error)
            }
        }
    }

    pub(crate) fn give(&self, full: FullJournal, pace: Pace) {
        let mut slot = lock(&self.0);
        slot.state = SlotState::Given(full);
        slot.pace = pace;
    }

    /// Has what is being flushed be flushed faster; `true` if that is new.
    pub(crate) fn hurry(&self) -> bool {
        let before = std::mem::replace(&mut lock(&self.0).pace, Pace::Hurried);
        before != Pace::Hurried
    }

    pub(crate) fn pace(&self) -> Pace {
        lock(&self.0).pace
    }

    /// Asks for the journal although it is not full; the writer must be woken for it.
    pub(crate) fn want(&self) {
        lock(&self.0).wanted = true;
    }

    /// Whether a journal can be left.
    pub(crate) fn is_free(&self) -> bool {
        matches!(lock(&self.0).state, SlotState::Free)
    }

    /// Whether the journal is wanted although it is not full. Answering takes the wish back.
    pub(crate) fn take_wish(&self) -> bool {
        std::mem::take(&mut lock(&self.0).wanted)
    }

    pub(super) fn take(&self) -> Option<FullJournal> {
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

    pub(super) fn set(&self, state: SlotState) {
        lock(&self.0).state = state;
    }

    pub(super) fn is_flushing(&self) -> bool {
        matches!(lock(&self.0).state, SlotState::Flushing)
    }

    /// Lets a flush go on that a full disk had stopped.
    pub(crate) fn retry(&self) {
        let mut slot = lock(&self.0);
        if matches!(slot.state, SlotState::NoSpace(_)) {
            slot.state = SlotState::Flushing;
        }
    }

    /// The old journal whose file is to be used for the next, if there is one.
    pub(crate) fn take_spare(&self) -> Option<u64> {
        lock(&self.0).spare.take()
    }

    /// Keeps an old journal's file for later; `false` if there is one already.
    pub(super) fn keep_spare(&self, number: u64) -> bool {
        let mut slot = lock(&self.0);
        let keeps = slot.spare.is_none();
        slot.spare.get_or_insert(number);
        keeps
    }
}
