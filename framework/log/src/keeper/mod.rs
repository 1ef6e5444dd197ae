//! The keeper: takes a full journal's batches to their segments, then lets the journal go; and
//! removes what is not to be kept.
//!
//! It alone owns the image. One step per turn: one partition, one image, one slice of cleaning. A
//! flush that can go on goes first; between two of them is some time for cleaning, since under load
//! there always is a next one. A stop between any two steps of a flush costs nothing, since
//! the journal goes last: recovery does the whole flush again, to the same places. What holds for
//! cleaning is said in [`cleaner`](crate::cleaner).

mod cleaning;
mod compacting;
mod flush;
mod notices;
mod slot;

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::future::BoxFuture;

use crate::{
    error::Failure,
    image,
    meta::Image,
    shared::{Life, Shared},
};
use cleaning::Turns;
use flush::Flush;
use slot::SlotState;
pub(crate) use slot::{FlushSlot, FullJournal, Pace, Room};

/// How long to wait where only time can help: the process has no more files to open.
const PAUSE: Duration = Duration::from_millis(100);
/// Steps of cleaning that come before the next flush, if there is so much to clean: together they
/// take about as long as a flush.
const CLEANINGS: u32 = 32;

/// The I/O work that flushes and cleans.
pub(crate) struct Keeper {
    life: Life,
    /// The image that is on disk, except that files which are gone are no longer in `dropped`.
    image: Image,
    flush: Option<Flush>,
    /// Journals that no image names any more, and that a backup may still need.
    retired: Vec<u64>,
    turns: Turns,
    /// Steps of cleaning that the next flush waits for, if there is something to clean.
    cleanings: u32,
    /// Until when to wait where only time can help.
    pause: Option<BoxFuture<'static, ()>>,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>, image: Image) -> Self {
        Self {
            turns: Turns::new(&shared),
            life: Life(shared),
            image,
            flush: None,
            retired: Vec::new(),
            cleanings: 0,
            pause: None,
        }
    }

    /// Does one step. Ready when the log has ended.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let shared = Arc::clone(&self.life.0);
        shared.keeper.register(context.waker());
        if shared.is_stopping() {
            return Poll::Ready(());
        }
        if shared.queue.is_closed() {
            // The log has died: no file is written any more.
            return Poll::Pending;
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        match self.turn(&shared, context) {
            Ok(true) => context.waker().wake_by_ref(),
            Ok(false) => {}
            Err(Failure::NoSpace(error)) => {
                tracing::debug!(%error, "cleaning waits");
                let until = shared.clock.elapsed() + PAUSE;
                self.pause = Some(shared.clock.sleep_until(until));
                context.waker().wake_by_ref();
            }
            Err(Failure::Fatal(error)) => {
                shared.die(&error);
            }
            Err(Failure::Damaged(_)) => unreachable!("damage stops its partition, not the keeper"),
        }
        Poll::Pending
    }

    /// Does one step; `false` if there is nothing to do before somebody wakes it.
    fn turn(&mut self, shared: &Shared, context: &mut Context<'_>) -> Result<bool, Failure> {
        if self.flush.is_none() {
            if self.cleanings > 0 && self.clean(shared, context)? {
                self.cleanings -= 1;
                return Ok(true);
            }
            let full = shared.flush.take();
            self.flush = full.map(|full| Flush::new(full, &self.image));
        }
        let flush = self.flush.as_mut();
        let Some(flush) = flush.filter(|_| shared.flush.is_flushing()) else {
            return self.clean(shared, context);
        };
        match flush.poll(shared, context) {
            Ok(Poll::Pending) if flush.is_running() => Ok(false),
            // What it would take of a reserve that was let go is for images.
            Ok(Poll::Pending) => self.clean(shared, context),
            Ok(Poll::Ready(())) => self.finish_flush(shared),
            Err(failure) => Self::hold_up_flush(shared, failure),
        }
    }

    /// Ends a flush whose batches are all in segments.
    fn finish_flush(&mut self, shared: &Shared) -> Result<bool, Failure> {
        match self.finish(shared) {
            Ok(()) => Ok(true),
            Err(failure) => Self::hold_up_flush(shared, failure),
        }
    }

    /// Lets a flush wait until there is room.
    fn hold_up_flush(shared: &Shared, failure: Failure) -> Result<bool, Failure> {
        let Failure::NoSpace(error) = failure else {
            return Err(failure);
        };
        // The next who appends is told; and what has expired makes room.
        tracing::debug!(%error, "a full journal cannot be flushed");
        if error.is_full_disk() {
            shared.cleaning.room.ran_out(shared.paths.folder());
            shared.cleaning.ask();
        }
        shared.flush.set(SlotState::NoSpace(error));
        shared.queue.filled.wake();
        Ok(true)
    }

    /// Writes the image and lets the journal go.
    fn finish(&mut self, shared: &Shared) -> Result<(), Failure> {
        let Some(flush) = &self.flush else {
            return Ok(());
        };
        write(shared, &flush.image)?;
        shared.cleaning.room.wrote();
        shared.cleaning.room.look(shared);
        self.cleanings = CLEANINGS;
        let number = flush.full.number;
        tracing::debug!(journal = number, "journal flushed");
        if let Some(flush) = self.flush.take() {
            self.image = flush.image;
        }
        if !self.image.kept_journals.contains(&number) {
            self.retired.push(number);
        }
        self.retire(shared);
        shared.flush.set(SlotState::Free);
        shared.queue.filled.wake();
        shared.cleaning.ask();
        Ok(())
    }

    /// Lets go of the files of old journals, unless a backup that has begun may need them.
    fn retire(&mut self, shared: &Shared) {
        // Asked after the image was replaced: a backup that begins later reads the new one.
        if shared.pins.are_there() {
            return;
        }
        for number in self.retired.drain(..) {
            if shared.flush.keep_spare(number) {
                continue;
            }
            let path = shared.paths.journal(number);
            // Left behind, it costs room and nothing else: no image names it.
            if let Err(error) = shared.vfs.remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "an old journal cannot be removed");
            }
        }
    }
}

/// Replaces the image, in a folder that is still ours. If there is no room the reserve is.
fn write(shared: &Shared, image: &Image) -> Result<(), Failure> {
    shared.check_fence()?;
    let write = || image::write(&*shared.vfs, &shared.paths, image);
    match write() {
        Err(Failure::NoSpace(error))
            if error.is_full_disk() && shared.cleaning.room.release(shared) =>
        {
            shared.cleaning.ask();
            write()
        }
        written => written,
    }
}
