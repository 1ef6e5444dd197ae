//! The flushers: each takes the batches of one partition to its segments at a time.
//!
//! A flush touches as many files as a journal has partitions, and each of them has to be synced. A
//! disk is done with several syncs in little more time than with one, so several are on their way
//! at once. Of a partition with much to flush a slice is synced by one flusher while the next is
//! written by another, so that the disk does not wait for the copying, nor the copying for it. That
//! is in a hurry; as long as there is none, one flusher writes and syncs small slices in turn.
//!
//! The keeper gives out the jobs and takes in what they came to; it alone owns the image. A job
//! that is lost to a panic counts as failed. Whoever waits for another's sync does syncs meanwhile:
//! so they cannot all wait for one another.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
};

use futures::{FutureExt as _, channel::oneshot, task::AtomicWaker};

use crate::{
    Error,
    error::Failure,
    keeper::Pace,
    meta::Segment,
    partition::PartitionId,
    segment::{
        Roll, Stored,
        append::{Appender, Unsynced},
    },
    shared::{Life, Shared, lock},
};

/// How many there are. Over a thousand partitions one appends 3.0 million records of 100 bytes a
/// second with four, and 3.6 with eight (the bench `log`, measure `spread`).
pub(crate) const FLUSHERS: usize = 8;
/// Slices of a full journal: by default each takes a disk some milliseconds.
const SLICES: u64 = 8;
/// The same while there is no hurry: so long may a group commit have to wait.
const GENTLE_SLICES: u64 = 64;
/// Slices of one partition that are being synced while the next is written.
const SYNCING: usize = 2;

/// Batches that are to go to the segments of a partition.
pub(crate) struct Job {
    pub(crate) id: PartitionId,
    pub(crate) segments: Vec<Segment>,
    pub(crate) batches: Vec<Stored>,
    pub(crate) roll: Roll,
}

/// What a job came to: the segments that there are then.
pub(crate) type Done = Result<Vec<Segment>, Failure>;

/// What waits for a flusher; the keeper gives out no more jobs at a time than there are flushers.
#[derive(Default)]
pub(crate) struct Jobs {
    waiting: Mutex<Waiting>,
    flushers: [AtomicWaker; FLUSHERS],
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<(Job, oneshot::Sender<Done>)>,
    syncs: VecDeque<(Unsynced, oneshot::Sender<Synced>)>,
    idle: Vec<Idle>,
}

/// A flusher that has nothing to do until it is woken.
struct Idle {
    number: usize,
    takes: Takes,
}

/// What a flusher can do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    JobsAndSyncs,
    /// It has a job, which waits for syncs.
    Syncs,
}

type Synced = Result<(), Failure>;

impl Jobs {
    /// Gives out a job.
    pub(crate) fn push(&self, job: Job) -> oneshot::Receiver<Done> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = lock(&self.waiting);
        waiting.jobs.push_back((job, sender));
        self.wake_one(waiting, |idle| idle.takes == Takes::JobsAndSyncs);
        receiver
    }

    fn push_sync(&self, unsynced: Unsynced) -> oneshot::Receiver<Synced> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = lock(&self.waiting);
        waiting.syncs.push_back((unsynced, sender));
        self.wake_one(waiting, |_| true);
        receiver
    }

    fn take(&self) -> Option<(Job, oneshot::Sender<Done>)> {
        lock(&self.waiting).jobs.pop_front()
    }

    fn take_sync(&self) -> Option<(Unsynced, oneshot::Sender<Synced>)> {
        lock(&self.waiting).syncs.pop_front()
    }

    /// Wakes a flusher for what was added. If none is idle, the first that has nothing else to do
    /// finds it.
    fn wake_one(&self, mut waiting: MutexGuard<'_, Waiting>, is_for: impl Fn(&Idle) -> bool) {
        let found = waiting.idle.iter().position(is_for);
        let found = found.map(|at| waiting.idle.swap_remove(at));
        drop(waiting);
        if let Some(idle) = found {
            self.flushers[idle.number].wake();
        }
    }

    /// Says that a flusher waits until it is woken; `false` if there is something for it to do.
    fn rest(&self, number: usize, takes: Takes) -> bool {
        let mut waiting = lock(&self.waiting);
        let has_job = takes == Takes::JobsAndSyncs && !waiting.jobs.is_empty();
        let rests = !has_job && waiting.syncs.is_empty();
        if rests {
            waiting.idle.push(Idle { number, takes });
        }
        rests
    }

    /// Says that a flusher is awake, whoever has woken it.
    fn rise(&self, number: usize) {
        lock(&self.waiting).idle.retain(|it| it.number != number);
    }

    /// Wakes all flushers, because the log ends.
    pub(crate) fn wake(&self) {
        self.flushers.iter().for_each(AtomicWaker::wake);
    }
}

/// The I/O work that takes batches to segments.
pub(crate) struct Flusher {
    life: Life,
    /// Which of all it is.
    number: usize,
    flushing: Option<Flushing>,
}

impl Flusher {
    /// Of [`FLUSHERS`], by its number from 0.
    pub(crate) fn new(shared: Arc<Shared>, number: usize) -> Self {
        Self {
            life: Life(shared),
            number,
            flushing: None,
        }
    }

    /// Does one step. Ready when the log has ended.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let shared = Arc::clone(&self.life.0);
        shared.jobs.flushers[self.number].register(context.waker());
        shared.jobs.rise(self.number);
        if shared.is_stopping() {
            return Poll::Ready(());
        }
        if shared.queue.is_closed() {
            // The log has died: no file is written any more, and nobody waits for the answers.
            self.flushing = None;
        } else if self.step(&shared, context) || !shared.jobs.rest(self.number, self.takes()) {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn takes(&self) -> Takes {
        match self.flushing {
            None => Takes::JobsAndSyncs,
            Some(_) => Takes::Syncs,
        }
    }

    /// `false` if there is nothing to do before somebody wakes it.
    fn step(&mut self, shared: &Shared, context: &mut Context<'_>) -> bool {
        if let Some((unsynced, answer)) = shared.jobs.take_sync() {
            // The other may have ended meanwhile.
            drop(answer.send(sync(shared, unsynced)));
            return true;
        }
        let Some(mut flushing) = self.flushing.take() else {
            let job = shared.jobs.take();
            self.flushing = job.map(|(job, answer)| Flushing::new(job, answer));
            return self.flushing.is_some();
        };
        flushing.take_in(context);
        let goes_on = flushing.wants_to_write();
        if goes_on {
            flushing.write(shared);
        } else if flushing.syncs.is_empty() {
            flushing.end(shared);
            return true;
        }
        self.flushing = Some(flushing);
        goes_on
    }
}

/// Makes it durable; without that the log ends at once, so that no other file is synced after this.
fn sync(shared: &Shared, unsynced: Unsynced) -> Synced {
    let synced = unsynced.sync(&*shared.vfs);
    if let Err(Failure::Fatal(cause)) = &synced {
        shared.die(cause);
    }
    synced
}

/// A job that is being done.
struct Flushing {
    segments: Appender,
    batches: Vec<Stored>,
    /// How many of them are written.
    written: usize,
    syncs: Vec<oneshot::Receiver<Synced>>,
    /// Why no more is written.
    failed: Option<Failure>,
    answer: oneshot::Sender<Done>,
}

impl Flushing {
    fn new(job: Job, answer: oneshot::Sender<Done>) -> Self {
        Self {
            segments: Appender::new(job.id, job.segments, 0, job.roll),
            batches: job.batches,
            written: 0,
            syncs: Vec::new(),
            failed: None,
            answer,
        }
    }

    fn take_in(&mut self, context: &mut Context<'_>) {
        let failed = &mut self.failed;
        self.syncs.retain_mut(|sync| {
            let Poll::Ready(synced) = sync.poll_unpin(context) else {
                return true;
            };
            let lost = |_| {
                let cause = "a flusher that has gone".into();
                Err(Failure::Fatal(Error::Dead { cause }))
            };
            if let Err(failure) = synced.unwrap_or_else(lost) {
                failed.get_or_insert(failure);
            }
            false
        });
    }

    fn is_written(&self) -> bool {
        self.failed.is_some() || self.written == self.batches.len()
    }

    fn wants_to_write(&self) -> bool {
        !self.is_written() && self.syncs.len() < SYNCING
    }

    /// Writes a slice; the last is synced here, the others by somebody else.
    fn write(&mut self, shared: &Shared) {
        let pace = shared.flush.pace();
        match self.write_slice(shared, pace) {
            Ok(unsynced) if self.is_written() || pace == Pace::Gentle => {
                self.failed = sync(shared, unsynced).err();
            }
            Ok(unsynced) => self.syncs.push(shared.jobs.push_sync(unsynced)),
            Err(failure) => self.failed = Some(failure),
        }
    }

    fn write_slice(&mut self, shared: &Shared, pace: Pace) -> Result<Unsynced, Failure> {
        // Right before the file is touched: the folder may be another's by now.
        shared.check_fence()?;
        let (vfs, paths) = (&*shared.vfs, &shared.paths);
        let left = &self.batches[self.written..];
        let slices = match pace {
            Pace::Gentle => GENTLE_SLICES,
            Pace::Hurried => SLICES,
        };
        let max_bytes = shared.limits.journal_bytes / slices;
        let (taken, unsynced) = self.segments.write(vfs, paths, left, max_bytes)?;
        self.written += taken;
        Ok(unsynced)
    }

    fn end(self, shared: &Shared) {
        if let Some(Failure::Fatal(cause)) = &self.failed {
            shared.die(cause);
        }
        let segments = self.segments;
        let done = self.failed.map_or_else(|| Ok(segments.segments()), Err);
        // The keeper may have ended meanwhile.
        drop(self.answer.send(done));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::{Wake, Waker},
    };

    use super::*;
    use crate::Retention;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn job() -> Job {
        Job {
            id: PartitionId {
                topic: 1,
                partition: 0,
            },
            segments: Vec::new(),
            batches: Vec::new(),
            roll: Roll::of(1 << 20, &Retention::forever()),
        }
    }

    #[test]
    fn job_wakes_one_flusher_that_has_none() {
        let (jobs, woken) = (Jobs::default(), Arc::new(Woken::default()));
        let waker = Waker::from(Arc::clone(&woken));
        let wait = |number: usize, takes| {
            jobs.flushers[number].register(&waker);
            jobs.rest(number, takes)
        };
        let free = [FLUSHERS - 2, FLUSHERS - 1];
        for number in 0..free[0] {
            assert!(wait(number, Takes::Syncs));
        }
        assert!(free.iter().all(|it| wait(*it, Takes::JobsAndSyncs)));
        let woken = || woken.0.load(Ordering::SeqCst);
        for expected in [1, 2, 2] {
            drop(jobs.push(job()));
            assert_eq!(woken(), expected);
        }
        // Those that were woken find something; who has a job does not wait for another.
        assert!(!free.iter().any(|it| wait(*it, Takes::JobsAndSyncs)));
        assert!(wait(0, Takes::Syncs));
        (0..3).for_each(|_| drop(jobs.take()));
        assert!(wait(free[0], Takes::JobsAndSyncs));
        jobs.wake();
        assert_eq!(woken(), 2 + FLUSHERS);
    }
}
