//! The reader: fetches that need a file, one per turn; and, when none waits, one ahead.

mod ahead;

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::Path,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use ahead::{Ahead, Known, Place};
use futures::task::AtomicWaker;
use levada_core::Timestamp;

use crate::{
    Error, Fetched, Isolation, Result,
    meta::{Segment, SegmentName},
    partition::{PartitionId, first_append_time, reading::Since, state::PartitionState},
    segment::{
        blocks::Blocks,
        read::{Index, Source, Unread},
    },
    shared::{Life, Shared, lock},
    ticket::Completion,
    vfs::{self, Open, VfsFile},
};

/// Fetches that may wait: one for each reader, and no machine has more of them.
const MAX_READS: usize = 64 << 10;
/// Places in segments that are remembered, in 24 MiB: enough for 64 GiB of batches. When there are
/// more, all are forgotten, and found again by reading.
const MAX_PLACES: usize = 1 << 20;

/// A fetch that waits for the reader.
pub(crate) struct Read {
    pub(crate) partition: Arc<PartitionState>,
    pub(crate) wanted: Wanted,
}

/// What is wanted from the partition.
pub(crate) enum Wanted {
    Batches {
        from: u64,
        max_bytes: usize,
        isolation: Isolation,
        answer: Answer,
    },
    /// The first offset that was appended at or after this time.
    Since(Timestamp, Isolation, Completion<u64>),
}

impl Wanted {
    fn refuse(self, error: Error) {
        match self {
            Self::Batches { answer, .. } => answer.complete(Err(error)),
            Self::Since(_, _, completion) => completion.complete(Err(error)),
        }
    }
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
        read.wanted.refuse(refusal);
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
            read.wanted.refuse(Error::Closed);
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
    /// How many places all indexes hold, and how many there are.
    places: usize,
    blocks: Blocks,
    ahead: Ahead,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            life: Life(shared),
            files: VecDeque::new(),
            indexes: HashMap::new(),
            places: 0,
            blocks: Blocks::default(),
            ahead: Ahead::default(),
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
            self.forget(&file);
        }
        if let Some(read) = shared.reads.take() {
            self.serve(read);
            context.waker().wake_by_ref();
        } else if let Some(place) = self.ahead.wanted() {
            if let Ok((fetched, Some(segment))) = self.fetch_from_files(&place) {
                self.ahead.keep(&place, segment, fetched);
            }
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn serve(&mut self, Read { partition, wanted }: Read) {
        let (from, max_bytes, isolation, answer) = match wanted {
            Wanted::Batches {
                from,
                max_bytes,
                isolation,
                answer,
            } => (from, max_bytes, isolation, answer),
            Wanted::Since(time, isolation, completion) => {
                let since = |reader: &mut Self| reader.since(&partition, time, isolation);
                return completion.complete(self.find(&partition, since));
            }
        };
        let place = Place {
            partition,
            isolation,
            from,
            max_bytes,
        };
        match answer {
            Answer::Fetched(completion) => {
                let fetch = |reader: &mut Self| reader.fetch(&place);
                completion.complete(self.find(&place.partition, fetch));
            }
            // Whoever only looks goes nowhere.
            Answer::AppendTime(completion) => {
                let look = |reader: &mut Self| reader.fetch_from_files(&place);
                let found = self.find(&place.partition, look);
                completion.complete(found.map(|(found, _)| first_append_time(&found.batches)));
            }
        }
    }

    /// Finds something in a partition, which damage stops.
    fn find<T>(
        &mut self,
        partition: &PartitionState,
        find: impl Fn(&mut Self) -> Result<T, Unread>,
    ) -> Result<T> {
        let mut found = find(self);
        if self.life.0.read_only && matches!(found, Err(Unread::Damaged(_))) {
            // Whoever writes the folder may have removed or compacted the segment meanwhile.
            self.life.0.look_again()?;
            found = find(self);
        }
        found.map_err(|unread| match unread {
            Unread::Io(error) => error,
            Unread::Damaged(reason) => partition.fail(&reason),
        })
    }

    /// Fetches, and follows whoever does.
    fn fetch(&mut self, place: &Place) -> Result<Fetched, Unread> {
        if let Ok(known) = place.in_memory() {
            return known.map_err(Unread::Io);
        }
        let next = |fetched: &Fetched| Place {
            from: fetched.next,
            ..place.clone()
        };
        let fetched = match self.ahead.take(place) {
            Known::Nothing => {
                let (fetched, _) = self.fetch_from_files(place)?;
                self.ahead.expect(next(&fetched));
                return Ok(fetched);
            }
            Known::Expected => self.fetch_from_files(place)?.0,
            Known::Read(fetched) => fetched,
        };
        self.ahead.want(next(&fetched), fetched.size());
        Ok(fetched)
    }

    /// Fetches; and says which segment it is from, unless it was in memory by now.
    fn fetch_from_files(
        &mut self,
        place: &Place,
    ) -> Result<(Fetched, Option<SegmentName>), Unread> {
        let mut place = place.clone();
        let partition = Arc::clone(&place.partition);
        // A segment may have nothing that the reader sees.
        loop {
            let view = match place.in_memory() {
                Ok(known) => return Ok((known.map_err(Unread::Io)?, None)),
                Err(view) => view,
            };
            // The keeper may have dropped it in between: then it is out of range.
            let segment = partition.reading().segment_at(place.from);
            let Some(segment) = segment else { continue };
            // Offsets have gaps, and what lies behind this one may all be of open transactions.
            place.from = place.from.max(segment.base.min(view.end));
            if place.from == view.end {
                continue;
            }
            let fetch = |source: Source<'_>| source.fetch(&view, place.from, place.max_bytes);
            let fetched = match self.read_segment(partition.id, segment, fetch) {
                Err(Unread::Damaged(_)) if has_gone(&partition, &segment) => continue,
                read => read?,
            };
            if !fetched.batches.is_empty() {
                return Ok((fetched, Some(segment.name())));
            }
            place.from = fetched.next;
        }
    }

    fn since(
        &mut self,
        partition: &PartitionState,
        time: Timestamp,
        isolation: Isolation,
    ) -> Result<u64, Unread> {
        loop {
            let since = partition.reading().since(time, isolation);
            let segment = match since {
                Since::Offset(offset) => return Ok(offset),
                Since::In(segment) => segment,
            };
            let find = |source: Source<'_>| source.offset_at(time);
            let offset = match self.read_segment(partition.id, segment, find) {
                Err(Unread::Damaged(_)) if has_gone(partition, &segment) => continue,
                read => read?,
            };
            return Ok(partition.reading().within(offset, isolation));
        }
    }

    /// Forgets where batches lie in a file.
    fn forget(&mut self, file: &SegmentId) {
        if let Some(index) = self.indexes.remove(file) {
            self.places -= 1 + index.len();
        }
    }

    fn read_segment<T>(
        &mut self,
        id: PartitionId,
        segment: Segment,
        read: impl FnOnce(Source<'_>) -> Result<T, Unread>,
    ) -> Result<T, Unread> {
        let path = self.life.0.paths.segment(id, segment.name());
        let key = (id, segment.name());
        let file = match self.files.iter().position(|(open, _)| *open == key) {
            Some(at) => self.files.remove(at).expect("it was found there").1,
            None => self.open(&path)?,
        };
        if self.places >= MAX_PLACES {
            self.indexes.clear();
            self.places = 0;
        }
        let index = self.indexes.entry(key).or_insert_with(|| {
            self.places += 1;
            Index::default()
        });
        let before = index.len();
        let read = read(Source {
            id,
            segment,
            path: &path,
            file: &*file,
            index: &mut *index,
            blocks: &mut self.blocks,
        });
        self.places += index.len() - before;
        self.files.push_back((key, file));
        read
    }

    /// Opens a segment, and closes the one that was used longest ago if there are too many.
    fn open(&mut self, path: &Path) -> Result<Box<dyn VfsFile>, Unread> {
        let shared = &self.life.0;
        if self.files.len() >= shared.limits.open_files {
            self.files.pop_front();
        }
        let mut opened = shared.vfs.open(path, Open::Read);
        if opened.as_ref().is_err_and(vfs::is_out_of_files) {
            // Others of the process took what was ours to use.
            self.files.clear();
            opened = shared.vfs.open(path, Open::Read);
        }
        opened.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                Unread::Damaged(format!("segment {} is missing", path.display()))
            }
            _ => Unread::Io(Error::io("cannot open", path, e)),
        })
    }
}

/// Whether the partition has no such segment any more: it was removed while it was read, and
/// another has taken its place, or none.
fn has_gone(partition: &PartitionState, segment: &Segment) -> bool {
    let now = partition.reading().segment_at(segment.base);
    now.map(|now| now.name()) != Some(segment.name())
}
