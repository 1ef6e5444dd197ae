//! The contract of a source: where records enter a pipeline.

use std::{fmt, sync::Arc, task};

use crate::{
    BoxError, Clock, Data, Spawner, Timestamp,
    chunk::Chunk,
    record::{Head, Origin},
};

/// What a source is given to open its splits with.
#[derive(Clone)]
pub struct SourceContext {
    /// The pipeline's name: the group that a topic is read under, unless another is named.
    pub pipeline: Arc<str>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where reading that blocks goes.
    pub spawner: Arc<dyn Spawner>,
    /// True if the pipeline keeps no state, so that it can go on where it stopped.
    pub resume: bool,
}

impl fmt::Debug for SourceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceContext")
            .field("pipeline", &self.pipeline)
            .finish_non_exhaustive()
    }
}

/// Where records enter: a factory of readers, one for each split.
///
/// # Examples
///
/// A source of its own needs a factory and a reader; `levada::source` has those most wanted.
///
/// ```
/// use levada_core::{BoxError, Intake, Read, Source, SourceContext, SplitReader};
/// use std::task::{Context, Poll};
///
/// struct Countdown(u64);
///
/// impl Source for Countdown {
///     type Item = u64;
///
///     fn splits(&self) -> Result<Vec<String>, BoxError> {
///         Ok(vec!["countdown".to_owned()])
///     }
///
///     fn open(&self, _: u32, _: &SourceContext) -> Result<Box<dyn SplitReader<u64>>, BoxError> {
///         Ok(Box::new(Counting { left: self.0, offset: 0 }))
///     }
/// }
///
/// struct Counting {
///     left: u64,
///     offset: u64,
/// }
///
/// impl SplitReader<u64> for Counting {
///     fn poll_read(
///         &mut self,
///         _: &mut Context<'_>,
///         limit: usize,
///         intake: &mut Intake<u64>,
///     ) -> Poll<Result<Read, BoxError>> {
///         for _ in 0..limit {
///             if self.left == 0 {
///                 return Poll::Ready(Ok(Read::End));
///             }
///             self.left -= 1;
///             intake.push(self.offset, self.left);
///             self.offset += 1;
///         }
///         Poll::Ready(Ok(Read::More))
///     }
/// }
/// ```
pub trait Source: Send + 'static {
    /// What it reads.
    type Item: Data;

    /// The names of its splits, which can be read independently of each other. As many copies
    /// read as there are splits, up to the parallelism of the pipeline.
    ///
    /// # Errors
    ///
    /// When what it reads from is not there; the pipeline then does not start.
    fn splits(&self) -> Result<Vec<String>, BoxError>;

    /// Opens one split, on the thread that will read it.
    ///
    /// # Errors
    ///
    /// As for [`splits`](Self::splits).
    fn open(
        &self,
        split: u32,
        cx: &SourceContext,
    ) -> Result<Box<dyn SplitReader<Self::Item>>, BoxError>;

    /// The topic that it reads, and the group under which; `None` for what is no topic.
    fn subscription(&self, cx: &SourceContext) -> Option<Subscription> {
        let _ = cx;
        None
    }
}

/// A group's reading of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topic.
    pub topic: String,
    /// The group.
    pub group: String,
    /// How many slots the topic's keys have.
    pub slots: u32,
    /// True if records were routed by their key, so that a key is in one partition.
    pub keyed: bool,
}

/// Reads one split. Polled on an arbiter's thread: it never blocks.
pub trait SplitReader<T> {
    /// Puts up to `limit` records into `intake`.
    ///
    /// `Pending` with an empty intake when there is none now; then it has arranged for a wake.
    ///
    /// # Errors
    ///
    /// When it cannot go on; the pipeline stops with this error.
    fn poll_read(
        &mut self,
        cx: &mut task::Context<'_>,
        limit: usize,
        intake: &mut Intake<T>,
    ) -> task::Poll<Result<Read, BoxError>>;
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// There may be more.
    More,
    /// The split has ended for good.
    End,
}

/// What a reader has read, on its way into the pipeline.
#[derive(Debug)]
pub struct Intake<T> {
    pub(crate) chunk: Chunk<T, ()>,
    /// The key hashes that records were routed by, where they have one each.
    pub(crate) hashes: Vec<u32>,
    split: u32,
    pub(crate) next: u64,
}

impl<T> Intake<T> {
    pub(crate) fn new(split: u32, next: u64) -> Self {
        Self {
            chunk: Chunk::with_capacity(0),
            hashes: Vec::new(),
            split,
            next,
        }
    }

    /// Makes room for so many records at once.
    pub fn reserve(&mut self, records: usize) {
        if self.chunk.has_no_records() {
            self.chunk = Chunk::with_capacity(records);
        }
    }

    /// Adds a record that has no event time.
    #[inline]
    pub fn push(&mut self, offset: u64, value: T) {
        self.push_at(offset, Timestamp::MIN, value);
    }

    /// Adds a record with its event time.
    #[inline]
    pub fn push_at(&mut self, offset: u64, at: Timestamp, value: T) {
        let origin = Origin {
            split: self.split,
            offset,
        };
        self.chunk.push(
            value,
            (),
            &Head {
                at,
                hash: 0,
                origin,
            },
        );
        self.next = offset + 1;
    }

    /// Adds a record that was routed by a key with this hash.
    pub fn push_keyed(&mut self, offset: u64, at: Timestamp, hash: u32, value: T) {
        self.push_at(offset, at, value);
        self.hashes.push(hash);
    }

    /// Says that reading goes on at this offset: nothing is below it that was not pushed.
    pub fn go_on_at(&mut self, offset: u64) {
        self.next = self.next.max(offset);
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.chunk.len()
    }

    /// True if it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
