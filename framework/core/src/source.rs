//! The contract of a source: where records enter a pipeline.

use std::{fmt, sync::Arc, task};

use crate::{BoxError, Clock, Data, Spawner, Timestamp};

/// What a source is given to open its splits with.
///
/// See [`Subscription`].
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
/// use levada_core::{BoxError, Incoming, Source, SourceContext, SplitReader};
/// use std::task::{Context, Poll};
///
/// struct Countdown(u64);
///
/// impl Source for Countdown {
///     type Item = u64;
///     type Reader = Counting;
///
///     fn splits(&self) -> Result<Vec<String>, BoxError> {
///         Ok(vec!["countdown".to_owned()])
///     }
///
///     fn open(&self, _: u32, _: &SourceContext) -> Result<Counting, BoxError> {
///         Ok(Counting { left: self.0, offset: 0 })
///     }
/// }
///
/// struct Counting {
///     left: u64,
///     offset: u64,
/// }
///
/// impl SplitReader<u64> for Counting {
///     fn poll_next(
///         &mut self,
///         _: &mut Context<'_>,
///     ) -> Poll<Result<Option<Incoming<u64>>, BoxError>> {
///         if self.left == 0 {
///             return Poll::Ready(Ok(None));
///         }
///         self.left -= 1;
///         self.offset += 1;
///         Poll::Ready(Ok(Some(Incoming::new(self.offset - 1, self.left))))
///     }
/// }
///
/// let mut reader = Counting { left: 1, offset: 0 };
/// let cx = &mut Context::from_waker(std::task::Waker::noop());
/// assert!(matches!(reader.poll_next(cx), Poll::Ready(Ok(Some(read))) if read.value == 0));
/// assert!(matches!(reader.poll_next(cx), Poll::Ready(Ok(None))));
/// ```
pub trait Source: Send + 'static {
    /// What it reads.
    type Item: Data;
    /// What reads a split. The line of operators behind it is compiled together with it.
    type Reader: SplitReader<Self::Item>;

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
    fn open(&self, split: u32, cx: &SourceContext) -> Result<Self::Reader, BoxError>;

    /// The topic that it reads, and the group under which; `None` for what is no topic.
    fn subscription(&self, cx: &SourceContext) -> Option<Subscription> {
        let _ = cx;
        None
    }
}

/// A group's reading of a topic.
///
/// # Examples
///
/// What the source of a topic says of itself:
///
/// ```
/// use std::sync::Arc;
///
/// use levada::{
///     Source, SourceContext, SystemClock, Threads, core::Begin, prelude::*, source::topic,
/// };
///
/// let levada = Levada::in_memory();
/// let orders = levada.topic::<String>("orders").create()?;
/// let cx = SourceContext {
///     pipeline: "shipping".into(),
///     clock: Arc::new(SystemClock::new()),
///     spawner: Arc::new(Threads),
///     resume: true,
/// };
/// let reading = topic(&orders).subscription(&cx).expect("it reads a topic");
/// assert_eq!((reading.group.as_str(), reading.begin), ("shipping", Begin::Committed));
/// let again = topic(&orders).from_start().subscription(&cx).expect("it reads a topic");
/// assert_eq!(again.begin, Begin::Start);
/// assert!(iter([1]).subscription(&cx).is_none());
/// # Ok::<(), Error>(())
/// ```
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
    /// Where reading begins.
    pub begin: Begin,
}

/// Where a group's reading of a topic begins.
///
/// See [`Subscription`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Where the group has committed that it stands.
    Committed,
    /// At the first record that is kept.
    Start,
}

/// Reads one split. Polled on an arbiter's thread: it never blocks.
///
/// It is asked for a record only when there is room for what comes of it, and what it gives is
/// handled before it is asked again. So what was given is all that was read.
///
/// See [`Source`].
pub trait SplitReader<T>: 'static {
    /// The next record, or none when the split has ended for good.
    ///
    /// `Pending` when there is none now; then it has arranged for a wake.
    ///
    /// # Errors
    ///
    /// When it cannot go on; the pipeline stops with this error.
    fn poll_next(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> task::Poll<Result<Option<Incoming<T>>, BoxError>>;

    /// Where reading goes on, where that is not behind the last record that it gave: everything
    /// below was given or holds no record. Default: there are no gaps to tell of.
    fn next_offset(&self) -> Option<u64> {
        None
    }
}

impl<T: 'static, R: SplitReader<T> + ?Sized> SplitReader<T> for Box<R> {
    fn poll_next(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> task::Poll<Result<Option<Incoming<T>>, BoxError>> {
        (**self).poll_next(cx)
    }

    fn next_offset(&self) -> Option<u64> {
        (**self).next_offset()
    }
}

/// A record on its way into a pipeline.
///
/// # Examples
///
/// ```
/// use levada_core::{Incoming, Timestamp};
///
/// let read = Incoming::new(17, "tea");
/// assert_eq!((read.at, read.routed), (Timestamp::MIN, None));
/// let stamped = Incoming { at: Timestamp::from_millis(1_000), ..read };
/// assert_eq!((stamped.offset, stamped.value), (17, "tea"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming<T> {
    /// Its place in its split: offsets rise from record to record.
    pub offset: u64,
    /// When it happened; [`Timestamp::MIN`] where nobody said.
    pub at: Timestamp,
    /// The hash of the key that it was routed by, where it was.
    pub routed: Option<u32>,
    /// What it is.
    pub value: T,
}

impl<T> Incoming<T> {
    /// A record that has no event time, and was routed by no key.
    pub fn new(offset: u64, value: T) -> Self {
        Self {
            offset,
            at: Timestamp::MIN,
            routed: None,
            value,
        }
    }
}
