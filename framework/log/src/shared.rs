//! What the handles of a log and its I/O work share.
//!
//! The works are the *writer* (group commits), the *keeper* (flushes full journals to segments, and
//! cleans), its *flushers*, and the *reader* (fetches that need a file). Each is one future. What
//! passes between them:
//!
//! 1. Handles push items into the queue and reads into the reads; both have bounds.
//! 2. The writer gives a full journal to the keeper through `flush`, one at a time. The next one
//!    has a bound, where it waits for it: that is the bound on memory.
//! 3. The first failure that leaves the disk's content unknown goes to `die`: the queue is closed
//!    with it, everything that waits gets it, and no file is written any more.
//! 4. The lock on the folder is let go by the last of the works to end.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use futures::task::AtomicWaker;
use levada_core::Clock;

use crate::{
    Error, Producer, Retention, Topic,
    batch::header::Header,
    catalog::{Catalog, GroupState, TopicState},
    cleaner::Cleaning,
    error::Failure,
    fence::Fence,
    flusher::Jobs,
    keeper::FlushSlot,
    member::Mover,
    meta::{Outcome, Sequenced},
    partition::{Appended, PartitionId, state::PartitionState},
    paths::Paths,
    pins::Pins,
    producer::{Moves, ProducerState},
    queue::Queue,
    quota::Quotas,
    reader::Reads,
    ticket::Completion,
    vfs::Vfs,
};

/// What the writer is asked to make durable.
pub(crate) enum Item {
    Batch {
        partition: Arc<PartitionState>,
        producer: Option<Arc<ProducerState>>,
        header: Header,
        bytes: Bytes,
        /// `None` if it was acknowledged when it was queued.
        completion: Option<Completion<Appended>>,
    },
    /// Nothing, but it is answered when its original is acknowledged.
    Repeat {
        partition: Arc<PartitionState>,
        original: Sequenced,
        completion: Completion<Appended>,
    },
    OpenProducer {
        producer: Producer,
        completion: Completion<Producer>,
    },
    ForgetProducer {
        producer: Arc<ProducerState>,
        completion: Completion<()>,
    },
    /// A transaction begins.
    Begin {
        producer: Arc<ProducerState>,
        epoch: u64,
        /// By the clock's elapsed time.
        began: Duration,
    },
    /// A transaction ends.
    End {
        producer: Arc<ProducerState>,
        epoch: u64,
        outcome: Outcome,
        /// In how many partitions it may have records.
        partitions: usize,
        positions: Option<Moves>,
        completion: Option<Completion<()>>,
    },
    CreateTopic {
        topic: Topic,
        completion: Completion<Topic>,
    },
    MovePositions {
        group: Arc<GroupState>,
        positions: Vec<(PartitionId, u64)>,
        by: Mover,
        completion: Completion<()>,
    },
    Seal {
        topic: Arc<TopicState>,
        completion: Completion<()>,
    },
    SetRetention {
        topic: Arc<TopicState>,
        retention: Retention,
        completion: Completion<()>,
    },
    /// Nothing comes after it.
    Close { completion: Completion<()> },
}

impl Item {
    /// Answers that it was not done, after it was queued: what follows from it is undone.
    pub(crate) fn refuse(self, error: Error) {
        match self {
            Self::Batch {
                partition,
                producer,
                header,
                completion,
                ..
            } => {
                if let (Some(producer), Some(by)) = (producer, header.produced) {
                    producer.fail(by.epoch, &error);
                }
                partition.refuse(&header, completion, error);
            }
            Self::Begin {
                producer, epoch, ..
            } => {
                producer.fail(epoch, &error);
            }
            item => item.answer(error),
        }
    }

    /// Answers that it was not done.
    pub(crate) fn answer(self, error: Error) {
        match self {
            Self::Batch { completion, .. } => {
                if let Some(completion) = completion {
                    completion.complete(Err(error));
                }
            }
            Self::End { completion, .. } => {
                if let Some(completion) = completion {
                    completion.complete(Err(error));
                }
            }
            Self::Begin { .. } => {}
            Self::Repeat { completion, .. } => completion.complete(Err(error)),
            Self::CreateTopic { completion, .. } => completion.complete(Err(error)),
            Self::OpenProducer { completion, .. } => completion.complete(Err(error)),
            Self::MovePositions { completion, .. }
            | Self::Seal { completion, .. }
            | Self::ForgetProducer { completion, .. }
            | Self::SetRetention { completion, .. }
            | Self::Close { completion } => completion.complete(Err(error)),
        }
    }
}

/// What handles and works share.
pub(crate) struct Shared {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) paths: Paths,
    pub(crate) instance: u64,
    /// Nothing is written: this is a look at somebody else's folder.
    pub(crate) read_only: bool,
    pub(crate) limits: Limits,
    /// The last group commit of which anything was acknowledged.
    pub(crate) acknowledged: AtomicU64,
    pub(crate) pins: Pins,
    pub(crate) queue: Queue,
    pub(crate) quotas: Quotas,
    pub(crate) reads: Reads,
    pub(crate) flush: FlushSlot,
    pub(crate) jobs: Jobs,
    pub(crate) catalog: Mutex<Catalog>,
    /// All handles are gone, or the log was closed or has died: the works end.
    stopping: AtomicBool,
    pub(crate) keeper: AtomicWaker,
    pub(crate) cleaning: Cleaning,
    fence: Fence,
    running: Mutex<Running>,
}

/// Which works are left, and what their last one does.
struct Running {
    works: usize,
    /// Held until the last work has ended.
    lock: Option<FolderLock>,
    closing: Vec<Completion<()>>,
}

/// The lock on a data folder.
pub(crate) type FolderLock = Box<dyn fmt::Debug + Send + Sync>;

/// What [`Shared`] is made of.
pub(crate) struct Parts {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) paths: Paths,
    pub(crate) instance: u64,
    pub(crate) read_only: bool,
    pub(crate) limits: Limits,
    /// The last group commit that was acknowledged before.
    pub(crate) acknowledged: u64,
    pub(crate) quotas: Quotas,
    pub(crate) catalog: Catalog,
    /// An old journal whose file can be used again.
    pub(crate) spare: Option<u64>,
    pub(crate) lock: FolderLock,
    pub(crate) cleaning: Cleaning,
    pub(crate) fence: Fence,
}

/// What a user may choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) segment_bytes: u64,
    pub(crate) journal_bytes: u64,
    pub(crate) queue_bytes: usize,
    pub(crate) transaction_timeout: Duration,
    pub(crate) open_files: usize,
    pub(crate) cleaning_interval: Duration,
    pub(crate) compaction_bytes: usize,
    pub(crate) reserve_bytes: u64,
    pub(crate) low_space_bytes: u64,
    pub(crate) loss_notice: Duration,
}

impl Shared {
    /// Shared by handles and `works` works.
    pub(crate) fn new(parts: Parts, works: usize) -> Self {
        let Parts {
            vfs,
            clock,
            paths,
            instance,
            read_only,
            limits,
            acknowledged,
            quotas,
            catalog,
            spare,
            lock,
            cleaning,
            fence,
        } = parts;
        Self {
            vfs,
            clock,
            paths,
            instance,
            read_only,
            limits,
            acknowledged: AtomicU64::new(acknowledged),
            pins: Pins::default(),
            queue: Queue::new(limits.queue_bytes),
            quotas,
            reads: Reads::default(),
            flush: FlushSlot::with_spare(spare),
            jobs: Jobs::default(),
            catalog: Mutex::new(catalog),
            stopping: AtomicBool::new(false),
            keeper: AtomicWaker::new(),
            cleaning,
            fence,
            running: Mutex::new(Running {
                works,
                lock: Some(lock),
                closing: Vec::new(),
            }),
        }
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        for waker in [&self.queue.filled, &self.keeper, &self.reads.filled] {
            waker.wake();
        }
        self.jobs.wake();
    }

    /// Lets the keeper see soon what can go.
    pub(crate) fn clean_soon(&self) {
        self.cleaning.ask();
        self.keeper.wake();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Stops the log because what the disk holds is unknown.
    pub(crate) fn die(&self, cause: &Error) -> Error {
        tracing::error!(%cause, "the log has stopped: open it again to read what the disk holds");
        let error = Error::Dead {
            cause: cause.to_string().into(),
        };
        self.refuse_all(&error);
        error
    }

    /// Refuses what waits, and all that is still to come.
    pub(crate) fn refuse_all(&self, error: &Error) {
        for item in self.queue.close(error) {
            item.refuse(error.clone());
        }
        let partitions = lock(&self.catalog).partitions();
        for partition in partitions {
            partition.reading().stop();
        }
    }

    /// Answers `completion` when the last work has ended and the folder is free.
    pub(crate) fn when_ended(&self, completion: Completion<()>) {
        lock(&self.running).closing.push(completion);
    }

    /// Fails unless the folder still belongs to this instance: see [`fence`](crate::fence).
    pub(crate) fn check_fence(&self) -> Result<(), Failure> {
        self.fence.check(&*self.vfs, &self.paths)
    }

    /// Says that one of the works has ended.
    fn ended(&self) {
        let mut running = lock(&self.running);
        running.works -= 1;
        if running.works > 0 {
            return;
        }
        drop(running.lock.take());
        let closing = std::mem::take(&mut running.closing);
        drop(running);
        for completion in closing {
            completion.complete(Ok(()));
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("folder", &self.paths.folder())
            .finish_non_exhaustive()
    }
}

/// Held by each work while it lives.
#[derive(Debug)]
pub(crate) struct Life(pub(crate) Arc<Shared>);

impl Drop for Life {
    fn drop(&mut self) {
        // A work may panic, or be dropped by who runs it: nobody is left waiting.
        self.0.refuse_all(&if thread::panicking() {
            Error::Dead {
                cause: "a panic of its own I/O work".into(),
            }
        } else {
            Error::Closed
        });
        self.0.reads.close();
        self.0.ended();
    }
}

/// What user handles hold: when the last one goes, the works end.
#[derive(Debug)]
pub(crate) struct Handle(Arc<Shared>);

impl Handle {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Locks. A poisoned lock is taken all the same: a work that panics closes the log when it ends,
/// and it must be able to say so to those who wait.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
