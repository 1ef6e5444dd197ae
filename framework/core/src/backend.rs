//! Where topics and positions live: the seam between the engine and what stores.
//!
//! Two backends are held to one conformance suite: the embedded log, and one in memory. Calls that
//! may take time return a [`Ticket`], which completes by a wake; nothing here blocks. Rules for
//! every backend:
//!
//! 1. An appended batch becomes visible as a whole, at consecutive offsets, and only after its
//!    ticket could complete.
//! 2. What a reader has seen stays as it was: the visible end never goes back, an offset never
//!    changes its record. Offsets may have gaps.
//! 3. A sealed partition takes no more, and its end is final. Nothing else is an end: a partition
//!    that gives no more because it failed, or because its backend was closed, gives an error to
//!    who waits for more. A result of what was read until then would be a false one.
//! 4. A group's position is what it last committed, and nothing else moves it. It names records
//!    that are visible; a commit that names others is refused whole.
//! 5. What one backend refuses every other refuses: names, sizes, numbers of partitions.
//!
//! # Examples
//!
//! By hand, as a source and a sink of topics use it:
//!
//! ```
//! use std::{ops::ControlFlow, sync::Arc};
//!
//! use futures::executor::block_on;
//! use levada_core::{
//!     SystemClock, Timestamp,
//!     backend::{Backend, BackendError, Batch, NewRecord, TopicSpec},
//! };
//! use levada::engine::backend::MemoryBackend;
//!
//! let backend = MemoryBackend::new(Arc::new(SystemClock::new()));
//! let spec = TopicSpec { partitions: 1, codec: "raw/1".to_owned() };
//! let orders = backend.create_topic("orders", &spec)?;
//! let partition = orders.partition(0);
//!
//! let mut batch = Batch::default();
//! let header: (&str, &[u8]) = ("row", b"17");
//! let (key, event_time) = (Some(&b"536365"[..]), Timestamp::MIN);
//! batch.push(NewRecord { key, value: b"lantern", event_time, headers: &[header] });
//! let first = block_on(partition.append(batch))?;
//!
//! let fetched = block_on(partition.fetch(first, 1 << 20))?;
//! let mut seen = Vec::new();
//! fetched.batches[0].each_from(first, &mut |record| {
//!     seen.push((record.value.to_vec(), record.headers.get("row").map(<[u8]>::to_vec)));
//!     ControlFlow::Continue(())
//! });
//! assert_eq!(seen, [(b"lantern".to_vec(), Some(b"17".to_vec()))]);
//!
//! block_on(backend.commit("shipping", vec![("orders".to_owned(), 0, fetched.next)]))?;
//! assert_eq!(backend.positions("shipping", "orders")?.get(&0), Some(&fetched.next));
//!
//! block_on(orders.seal())?;
//! assert!(partition.ends().sealed);
//! let refused = block_on(partition.append(Batch::default()));
//! assert!(matches!(refused, Err(BackendError::Sealed { .. })));
//! # Ok::<(), BackendError>(())
//! ```

use std::{
    collections::BTreeMap,
    fmt,
    ops::ControlFlow,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;

use crate::{Timestamp, key::Slots};

/// The answer to a call that may take time.
pub type Ticket<T> = BoxFuture<'static, Result<T, BackendError>>;

/// Why a backend refused or failed. Each sentence names the thing and, where there is one, the fix.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// There is no such topic.
    #[error("there is no topic `{topic}`: create it first, or check the name")]
    UnknownTopic {
        /// The name that was asked for.
        topic: String,
    },
    /// The topic is there, and differs from what was asked for.
    #[error("topic `{topic}` has {is}, not {asked}: open it as it is, or use another name")]
    TopicDiffers {
        /// The topic.
        topic: String,
        /// What it has.
        is: String,
        /// What was asked for.
        asked: String,
    },
    /// The partition takes no more.
    #[error("partition {partition} of topic `{topic}` is sealed: nothing can be appended to it")]
    Sealed {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// The partition gives no more than what is visible, although it was not sealed.
    #[error(
        "partition {partition} of topic `{topic}` has stopped before its end ({reason}): open it \
         again and read on"
    )]
    Stopped {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// What stopped it.
        reason: Arc<str>,
    },
    /// Anything else, in the backend's own words.
    #[error("{0}")]
    Failed(Arc<str>),
}

/// What acknowledged records survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: they go with the process.
    None,
    /// The process, and the machine's power.
    Power,
}

/// What a backend promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// What the acknowledged survives.
    pub durability: Durability,
    /// Offsets have no gaps.
    pub contiguous_offsets: bool,
}

/// How a topic is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// How many partitions it has.
    pub partitions: u32,
    /// What its codec is called.
    pub codec: String,
}

/// Topics, and the positions of the groups that read them.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// What this backend promises.
    fn traits(&self) -> Traits;

    /// Opens a topic, creating it durably if it is not there. This may block for a moment: it is
    /// called while a pipeline is set up, never while it runs.
    ///
    /// # Errors
    ///
    /// When the topic is there and differs, or the name is not allowed.
    fn create_topic(&self, name: &str, spec: &TopicSpec) -> Result<Arc<dyn Topic>, BackendError>;

    /// Opens a topic that is there.
    ///
    /// # Errors
    ///
    /// [`BackendError::UnknownTopic`] where it is not.
    fn topic(&self, name: &str) -> Result<Arc<dyn Topic>, BackendError>;

    /// Commits the positions of a group, by topic and partition: all of them, or none where one
    /// names no partition, or lies behind what is visible there.
    fn commit(&self, group: &str, positions: Vec<(String, u32, u64)>) -> Ticket<()>;

    /// The positions that a group has committed, by partition of this topic.
    ///
    /// # Errors
    ///
    /// [`BackendError::UnknownTopic`], or when they cannot be told.
    fn positions(&self, group: &str, topic: &str) -> Result<BTreeMap<u32, u64>, BackendError>;

    /// Every position that any group has committed, in no order.
    fn all_positions(&self) -> Vec<Position>;

    /// Lets go of everything, after what was appended is acknowledged. May block. Later appends
    /// are refused, and who waits for more of a partition that is not sealed gets
    /// [`BackendError::Stopped`].
    fn close(&self);
}

/// Where a group stands in a partition.
///
/// See [`Backend::all_positions`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// All before this offset is done.
    pub offset: u64,
}

/// One topic.
pub trait Topic: fmt::Debug + Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> &str;

    /// How it was made.
    fn spec(&self) -> TopicSpec;

    /// Where its keys lie.
    fn slots(&self) -> Slots;

    /// One of its partitions.
    ///
    /// # Panics
    ///
    /// If there is no such partition.
    fn partition(&self, partition: u32) -> Arc<dyn Partition>;

    /// Seals every partition where it ends now, after what was appended before.
    fn seal(&self) -> Ticket<()>;
}

/// Where a partition begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The first offset that is kept.
    pub start: u64,
    /// Readers see what lies below.
    pub visible: u64,
    /// It was sealed: `visible` is its end for good.
    pub sealed: bool,
}

/// One partition of a topic.
pub trait Partition: fmt::Debug + Send + Sync + 'static {
    /// Appends records as one batch; completes with the offset of the first when they are
    /// acknowledged.
    fn append(&self, batch: Batch) -> Ticket<u64>;

    /// Reads visible batches from the one that holds `from`, at least one if there is any, about
    /// `max_bytes` of them. Completes at once, with no batch, where nothing is visible.
    fn fetch(&self, from: u64, max_bytes: usize) -> Ticket<Fetched>;

    /// Where it begins and ends now.
    fn ends(&self) -> Ends;

    /// `Ready` when something beyond `past` is visible, or the partition is sealed: it has ended
    /// where `visible` is not beyond `past` then, and only there.
    ///
    /// # Errors
    ///
    /// By the result, when nothing beyond `past` will be visible and the partition is not sealed:
    /// [`BackendError::Stopped`], or what has damaged it.
    fn poll_visible(&self, past: u64, cx: &mut Context<'_>) -> Poll<Result<Ends, BackendError>>;

    /// `Ready` when an append would be taken, or is refused for another reason; one without room
    /// is refused.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Ready(())
    }

    /// How long the record at `offset` will be kept at least, as things are. `None` where it is
    /// kept for good, or nobody can tell.
    fn retained_for(&self, offset: u64) -> Option<Duration> {
        let _ = offset;
        None
    }
}

/// A record to be appended.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// The canonical bytes of its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value, as the topic's codec writes it.
    pub value: &'a [u8],
    /// When it happened; [`Timestamp::MIN`] where nobody said.
    pub event_time: Timestamp,
    /// Names and values.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// Records to be appended together: all bytes in one buffer.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    records: Vec<Span>,
    headers: Vec<HeaderSpan>,
}

/// Where a record's parts end in the buffer.
#[derive(Clone, Copy, Debug)]
struct Span {
    key: Option<usize>,
    value: usize,
    event_time: Timestamp,
    /// Its headers end here, in the list of all.
    headers: usize,
}

/// Where a header's name and value end in the buffer.
#[derive(Clone, Copy, Debug)]
struct HeaderSpan {
    name: usize,
    value: usize,
}

impl Batch {
    /// Adds a record.
    pub fn push(&mut self, record: NewRecord<'_>) {
        let key = record.key.map(|key| {
            self.bytes.extend_from_slice(key);
            self.bytes.len()
        });
        self.bytes.extend_from_slice(record.value);
        let value = self.bytes.len();
        for (name, content) in record.headers {
            self.bytes.extend_from_slice(name.as_bytes());
            let name = self.bytes.len();
            self.bytes.extend_from_slice(content);
            self.headers.push(HeaderSpan {
                name,
                value: self.bytes.len(),
            });
        }
        let (event_time, headers) = (record.event_time, self.headers.len());
        self.records.push(Span {
            key,
            value,
            event_time,
            headers,
        });
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True if it holds none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The bytes of all its records.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Hands each record on, in order.
    ///
    /// # Errors
    ///
    /// The first error that `each` gives.
    ///
    /// # Panics
    ///
    /// Not by what a caller does: what was pushed as text is text.
    pub fn try_each<E>(
        &self,
        mut each: impl FnMut(NewRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut at, mut header) = (0, 0);
        let mut headers: Vec<(&str, &[u8])> = Vec::new();
        for span in &self.records {
            let key = span.key.map(|end| &self.bytes[at..end]);
            let value = &self.bytes[span.key.unwrap_or(at)..span.value];
            at = span.value;
            headers.clear();
            for HeaderSpan { name, value } in &self.headers[header..span.headers] {
                let text = std::str::from_utf8(&self.bytes[at..*name]).expect("it was text");
                headers.push((text, &self.bytes[*name..*value]));
                at = *value;
            }
            header = span.headers;
            each(NewRecord {
                key,
                value,
                event_time: span.event_time,
                headers: &headers,
            })?;
        }
        Ok(())
    }
}

/// A record that was fetched, borrowed from the batch that it lies in.
#[derive(Clone, Copy)]
pub struct RecordView<'a> {
    /// Its offset.
    pub offset: u64,
    /// When it was appended.
    pub append_time: Timestamp,
    /// When it happened; [`Timestamp::MIN`] where nobody said.
    pub event_time: Timestamp,
    /// Its key's canonical bytes.
    pub key: Option<&'a [u8]>,
    /// Its value, as the topic's codec wrote it.
    pub value: &'a [u8],
    /// Its headers.
    pub headers: &'a dyn Headers,
}

impl fmt::Debug for RecordView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordView")
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// The headers of a record.
pub trait Headers {
    /// The value of the first header of this name.
    fn get(&self, name: &str) -> Option<&[u8]>;
}

/// A batch that was fetched.
pub trait FetchedBatch: fmt::Debug + Send + 'static {
    /// When it was appended.
    fn append_time(&self) -> Timestamp;

    /// The offset behind its last record.
    fn next_offset(&self) -> u64;

    /// Shows its records from this offset on, until told to stop.
    fn each_from(&self, offset: u64, each: &mut dyn FnMut(RecordView<'_>) -> ControlFlow<()>);
}

/// What a fetch found.
#[derive(Debug, Default)]
pub struct Fetched {
    /// In the order of their offsets.
    pub batches: Vec<Box<dyn FetchedBatch>>,
    /// Where to fetch on: everything below was seen.
    pub next: u64,
}
