//! The reader: fetches that need a file, one per turn.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures::task::AtomicWaker;
use levada_core::Timestamp;

use crate::{
    Error, Fetched, FetchedBatch, Result,
    meta::{Segment, SegmentName},
    partition::{PartitionId, first_append_time, state::PartitionState},
    segment::read::{Index, Unread, Want},
    shared::{Life, Shared, lock},
    ticket::Completion,
    vfs::{Open, VfsFile},
};

/// Fetches that may wait: one for each reader, and no machine has more of them.
const MAX_READS: usize = 64 << 10;
/// Segments kept open for reading: far below the 256 descriptors of the strictest platform.
const MAX_FILES: usize = 64;
/// Segments whose index is kept: at most 64 MiB, if each segment has 64 MiB of batches.
const MAX_INDEXES: usize = 4096;

/// A fetch that waits for the reader.
pub(crate) struct Read {
    pub(crate) partition: Arc<PartitionState>,
    pub(crate) from: u64,
    pub(crate) max_bytes: usize,
    pub(crate) answer: Answer,
}

/// What is to be answered.
pub(crate) enum Answer {
    Fetched(Completion<Fetched>),
    AppendTime(Completion<Option<Timestamp>>),
}

impl Answer {
    fn complete(self, fetched: Result<Fetched>) {
        match self {
            Self::Fetched(completion) => completion.complete(fetched),
            Self::AppendTime(completion) => {
                completion.complete(fetched.map(|fetched| first_append_time(&fetched.batches)));
            }
        }
    }
}

/// The fetches that wait.
#[derive(Default)]
pub(crate) struct Reads {
    waiting: Mutex<Waiting>,
    /// Wakes the reader.
    pub(crate) filled: AtomicWaker,
}

#[derive(Default)]
struct Waiting {
    reads: VecDeque<Read>,
    closed: bool,
    /// Files that are being removed.
    gone: Vec<SegmentId>,
}

impl Reads {
    /// Adds a fetch, or refuses it.
    pub(crate) fn push(&self, read: Read) {
        let mut waiting = lock(&self.waiting);
        let refusal = if waiting.closed {
            Error::Closed
        } else if waiting.reads.len() >= MAX_READS {
            Error::Busy {
                what: "reads",
                waiting: waiting.reads.len(),
                limit: MAX_READS,
            }
        } else {
            waiting.reads.push_back(read);
            drop(waiting);
            return self.filled.wake();
        };
        drop(waiting);
        read.answer.complete(Err(refusal));
    }

    fn take(&self) -> Option<Read> {
        lock(&self.waiting).reads.pop_front()
    }

    /// Lets the reader close files that are being removed: until then their room is not free.
    pub(crate) fn forget(&self, files: &[SegmentId]) {
        lock(&self.waiting).gone.extend_from_slice(files);
        self.filled.wake();
    }

    fn take_gone(&self) -> Vec<SegmentId> {
        std::mem::take(&mut lock(&self.waiting).gone)
    }

    /// Refuses what waits, and all that is still to come.
    pub(crate) fn close(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.closed = true;
        let reads = std::mem::take(&mut waiting.reads);
        drop(waiting);
        for read in reads {
            read.answer.complete(Err(Error::Closed));
        }
    }
}

/// A segment's file, whatever its length.
pub(crate) type SegmentId = (PartitionId, SegmentName);

/// The I/O work that reads.
pub(crate) struct Reader {
    life: Life,
    /// Open segments, the one used last at the back.
    files: VecDeque<(SegmentId, Box<dyn VfsFile>)>,
    indexes: HashMap<SegmentId, Index>,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            life: Life(shared),
            files: VecDeque::new(),
            indexes: HashMap::new(),
        }
    }

    /// Serves one fetch. Ready when the log has ended.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let shared = Arc::clone(&self.life.0);
        shared.reads.filled.register(context.waker());
        if shared.is_stopping() {
            return Poll::Ready(());
        }
        for file in shared.reads.take_gone() {
            self.files.retain(|(open, _)| *open != file);
            self.indexes.remove(&file);
        }
        if let Some(read) = shared.reads.take() {
            let fetched = self.fetch(&read);
            read.answer.complete(fetched);
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn fetch(&mut self, read: &Read) -> Result<Fetched> {
        let Read {
            partition,
            from,
            max_bytes,
            ..
        } = read;
        loop {
            if let Some(known) = partition.fetch_from_memory(*from, *max_bytes) {
                return known;
            }
            // The keeper may have dropped it in between: then it is out of range.
            let Some(segment) = partition.segment_at(*from) else {
                continue;
            };
            let batches = match self.read(partition.id, segment, *from, *max_bytes) {
                Ok(batches) => batches,
                Err(Unread::Io(error)) => return Err(error),
                Err(Unread::Damaged(reason)) => {
                    let now = partition.segment_at(*from).map(|now| now.name());
                    if now == Some(segment.name()) {
                        return Err(partition.fail(&reason));
                    }
                    // It was removed while it was read: another has taken its place, or none.
                    continue;
                }
            };
            let next = batches.last().map_or(*from, FetchedBatch::end_offset);
            return Ok(Fetched { batches, next });
        }
    }

    fn read(
        &mut self,
        id: PartitionId,
        segment: Segment,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<FetchedBatch>, Unread> {
        let path = self.life.0.paths.segment(id, segment.name());
        let key = (id, segment.name());
        let file = match self.files.iter().position(|(open, _)| *open == key) {
            Some(at) => self.files.remove(at).expect("it was found there").1,
            None => match self.life.0.vfs.open(&path, Open::Read) {
                Ok(file) => file,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    return Err(Unread::Damaged(format!(
                        "segment {} is missing",
                        path.display()
                    )));
                }
                Err(e) => return Err(Unread::Io(Error::io("cannot open", path, e))),
            },
        };
        if self.indexes.len() >= MAX_INDEXES && !self.indexes.contains_key(&key) {
            self.indexes.clear();
        }
        let index = self.indexes.entry(key).or_default();
        let read = Want {
            id,
            segment,
            path: &path,
            from,
            max_bytes,
        }
        .read(&*file, index);
        if self.files.len() >= MAX_FILES {
            self.files.pop_front();
        }
        self.files.push_back((key, file));
        read
    }
}
