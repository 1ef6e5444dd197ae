//! What goes, and when: retention by age and size, compaction by key, and a disk that is full.
//!
//! This decides; the [`keeper`](crate::keeper) does it, since it alone owns the image. What holds:
//!
//! 1. Consuming removes nothing. Only retention does, whole segments at a time, oldest first.
//! 2. **The commit point is the image** that names the new start and no longer the segments, and
//!    has them in `dropped`. Before it nothing has happened. After it readers are told the new
//!    start, then the files are removed and their folder is synced, and the next image forgets
//!    them. A crash in between leaves them in `dropped`: the next opening removes them.
//! 3. What lies below the start is [`OutOfRange`](crate::Error::OutOfRange), never something later.
//! 4. A partition that has stopped keeps its files: they are evidence.
//! 5. Ages are measured by the [`steady`] clock, not by what the wall clock says now.
//! 6. Offsets are never given again, also when all segments of a partition have gone: the image
//!    keeps its end and next offset.
//! 7. An aborted transaction is forgotten once all that lies in its range is gone: by the image,
//!    and by readers at the same time.
//!
//! What was appended but never filled a journal lies in memory and in the journal only. When it
//! expires there, the writer is asked to start another journal, so that it is flushed and dropped.
//!
//! What compaction adds is said there: [`compaction`]. One pass runs at a time, a slice a turn.
//!
//! A full disk can hold a flush up half way. Retention works all the same: it takes from the image
//! on disk and from the one that the flush prepares, but only segments that the flush has not
//! touched. The alarm before that, and the reserve, are said there: [`space`].

mod compaction;
mod expiry;
mod keys;
mod plan;
mod rules;
mod scan;
mod space;
mod steady;

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use levada_core::{Clock, Timestamp};

use crate::{meta::Image, shared::lock};
pub(crate) use compaction::{Compacted, Compaction, Stop};
pub(crate) use expiry::{expired, stays};
pub(crate) use plan::{Plan, plan};
pub use space::Space;
pub(crate) use space::{Reserving, Room};
use steady::SteadyClock;

/// What handles, writer and keeper share about cleaning.
#[derive(Debug)]
pub(crate) struct Cleaning {
    clock: Mutex<SteadyClock>,
    asked: AtomicBool,
    pub(crate) room: Room,
}

impl Cleaning {
    pub(crate) fn new(clock: &dyn Clock, image: &Image) -> Self {
        let partitions = image.topics.values().flat_map(|topic| &topic.partitions);
        let written = partitions.filter(|record| record.end > 0);
        let newest = written.map(|record| record.append_time).max();
        Self {
            clock: Mutex::new(SteadyClock::new(clock.now(), clock.elapsed(), newest)),
            asked: AtomicBool::new(false),
            room: Room::default(),
        }
    }

    /// The time to measure ages by.
    pub(crate) fn now(&self, clock: &dyn Clock) -> Timestamp {
        lock(&self.clock).read(clock.now(), clock.elapsed())
    }

    /// Asks for a pass soon; the keeper must be woken for it.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
    }

    pub(crate) fn take_asked(&self) -> bool {
        self.asked.swap(false, Ordering::AcqRel)
    }
}
