//! The flushers: each takes the batches of one partition to its segments at a time.
//!
//! A flush touches as many files as a journal has partitions, and each of them has to be synced. A
//! disk is done with several syncs in little more time than with one, so several are on their way
//! at once. Whoever writes a file syncs it, through the same descriptor.
//!
//! The keeper gives out the jobs and takes in what they came to; it alone owns the image. A job
//! that is lost to a panic counts as failed.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures::{channel::oneshot, task::AtomicWaker};

use crate::{
    error::Failure,
    meta::Segment,
    partition::PartitionId,
    segment::{self, Roll, Stored},
    shared::{Life, Shared, lock},
};

/// How many there are: with four, the syncs of a thousand files take a third of the time.
pub(crate) const FLUSHERS: usize = 4;

/// Batches that are to go to the segments of a partition.
pub(crate) struct Job {
    pub(crate) id: PartitionId,
    pub(crate) segments: Vec<Segment>,
    pub(crate) batches: Vec<Stored>,
    pub(crate) roll: Roll,
}

/// What a job came to: the segments that there are then.
pub(crate) type Done = Result<Vec<Segment>, Failure>;

/// The jobs that wait; the keeper gives out no more at a time than there are flushers.
#[derive(Default)]
pub(crate) struct Jobs {
    waiting: Mutex<VecDeque<(Job, oneshot::Sender<Done>)>>,
    flushers: [AtomicWaker; FLUSHERS],
}

impl Jobs {
    /// Gives out a job.
    pub(crate) fn push(&self, job: Job) -> oneshot::Receiver<Done> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.waiting).push_back((job, sender));
        self.wake();
        receiver
    }

    /// Wakes all flushers: for a job, or because the log ends.
    pub(crate) fn wake(&self) {
        self.flushers.iter().for_each(AtomicWaker::wake);
    }
}

/// The I/O work that takes batches to segments.
pub(crate) struct Flusher {
    life: Life,
    /// Which of all it is.
    number: usize,
}

impl Flusher {
    /// Of [`FLUSHERS`], by its number from 0.
    pub(crate) fn new(shared: Arc<Shared>, number: usize) -> Self {
        let life = Life(shared);
        Self { life, number }
    }

    /// Does one job. Ready when the log has ended.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let shared = &self.life.0;
        shared.jobs.flushers[self.number].register(context.waker());
        if shared.is_stopping() {
            return Poll::Ready(());
        }
        let job = lock(&shared.jobs.waiting).pop_front();
        if let Some((job, answer)) = job {
            // Once the log has died no file is written any more; nobody waits for the answer.
            if !shared.queue.is_closed() {
                let (vfs, paths) = (&*shared.vfs, &shared.paths);
                let Job {
                    id,
                    segments,
                    batches,
                    roll,
                } = job;
                // Right before the file is touched: the folder may be another's by now.
                let ours = shared.check_fence();
                let done =
                    ours.and_then(|()| segment::flush(vfs, paths, id, segments, &batches, roll));
                if let Err(Failure::Fatal(cause)) = &done {
                    // At once: no other file is to be synced after this.
                    shared.die(cause);
                }
                // The keeper may have ended meanwhile.
                drop(answer.send(done));
            }
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
