//! One partition: appending to it and reading from it.

mod appending;
pub(crate) mod reading;
mod sequences;
pub(crate) mod state;
pub(crate) mod view;

use std::{
    ops::Range,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use levada_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Batch, Error, Fetched, FetchedBatch, MAX_BATCH_BYTES, Result, Ticket,
    producer::By,
    reader::{Answer, Read, Wanted},
    shared::{Handle, Shared},
};
use reading::{Phase, Since};
use state::PartitionState;

/// Which partition, by numbers: what is written into batches and paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct PartitionId {
    pub(crate) topic: u32,
    pub(crate) partition: u32,
}

/// What became of an append.
///
/// See [`Partition`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offsets that the records got.
    pub offsets: Range<u64>,
    /// When it was appended, by the log's clock.
    pub append_time: Timestamp,
}

/// Which records a reader sees.
///
/// See [`Partition::isolation`] and [`Transaction`](crate::Transaction).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Those of transactions that were committed, and those outside any: up to the first record of
    /// the first transaction that is open, without those of aborted ones.
    #[default]
    Committed,
    /// All that are acknowledged, whatever becomes of their transaction.
    Uncommitted,
}

/// Whether a partition can be used.
///
/// # Examples
///
/// ```
/// use levada_log::{Log, Status, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let orders = log.create_topic("orders", TopicOptions::new().partitions(3)).wait()?;
/// for number in 0..orders.partitions() {
///     match orders.partition(number)?.status() {
///         Status::Healthy => {}
///         Status::Failed { reason } => eprintln!("orders/{number} has stopped: {reason}"),
///         _ => {}
///     }
/// }
/// assert_eq!(orders.partition(0)?.status(), Status::Healthy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It can.
    Healthy,
    /// It has stopped because acknowledged bytes are damaged. What lies before the damage can be
    /// read.
    Failed {
        /// What was found, and where.
        reason: Arc<str>,
    },
}

/// A partition of a topic. Cheap to clone; may be used from any thread.
///
/// # Examples
///
/// ```
/// use levada_log::{Batch, Log, Record, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
///
/// let mut batch = Batch::new();
/// batch.push(&Record::of(b"white lantern"))?;
/// let appended = orders.append(batch).wait()?;
/// assert_eq!(appended.offsets, 0..1);
/// assert_eq!(orders.visible_end(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Partition {
    handle: Arc<Handle>,
    state: Arc<PartitionState>,
    isolation: Isolation,
}

impl Partition {
    pub(crate) fn new(handle: Arc<Handle>, state: Arc<PartitionState>) -> Self {
        let isolation = Isolation::default();
        Self {
            handle,
            state,
            isolation,
        }
    }

    /// The same partition, as a reader with this isolation sees it: what it fetches and where it
    /// ends. Handles see committed records unless it is said.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Batch, Isolation, Log, Record, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
    /// let mut batch = Batch::new();
    /// batch.push(&Record::of(b"white lantern"))?;
    ///
    /// let mut billing = log.producer("billing").wait()?;
    /// let transaction = billing.begin()?;
    /// transaction.append(&orders, batch).wait()?;
    /// assert_eq!(orders.visible_end(), 0, "it is not committed");
    /// assert_eq!(orders.clone().isolation(Isolation::Uncommitted).visible_end(), 1);
    /// transaction.commit().wait()?;
    /// assert_eq!(orders.visible_end(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// The name of its topic.
    pub fn topic(&self) -> &str {
        &self.state.topic
    }

    /// Its number in the topic, from 0.
    pub fn number(&self) -> u32 {
        self.state.id.partition
    }

    /// Appends a batch. The ticket says `Ok` once the batch is acknowledged at the level of its
    /// topic ([`Acks`](crate::Acks)): by default, once it is durable and visible to readers.
    ///
    /// Batches of one partition keep the order of the calls. The call itself does no I/O. An empty
    /// batch is appended by doing nothing.
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::Busy`] when too much waits already (nothing was appended; see
    /// [`poll_room`](Self::poll_room)), [`Error::Throttled`] when a quota is used up (nothing was
    /// appended either), [`Error::Sealed`], [`Error::Damaged`], [`Error::NoSpace`] and
    /// [`Error::TooManyFiles`] (nothing was appended, also of batches queued behind this one),
    /// [`Error::Dead`] (whether it was appended shows when the log is opened again) and
    /// [`Error::Closed`].
    ///
    /// [`Error::Busy`]: crate::Error::Busy
    /// [`Error::Throttled`]: crate::Error::Throttled
    /// [`Error::Sealed`]: crate::Error::Sealed
    /// [`Error::Damaged`]: crate::Error::Damaged
    /// [`Error::NoSpace`]: crate::Error::NoSpace
    /// [`Error::TooManyFiles`]: crate::Error::TooManyFiles
    /// [`Error::Dead`]: crate::Error::Dead
    /// [`Error::Closed`]: crate::Error::Closed
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Batch, Log, Record, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
    /// let mut batch = Batch::new();
    /// batch.push(&Record::of(b"tea"))?;
    /// batch.push(&Record::of(b"jam"))?;
    /// assert_eq!(orders.append(batch).wait()?.offsets, 0..2);
    /// assert_eq!(orders.append(Batch::new()).wait()?.offsets, 2..2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append(&self, batch: Batch) -> Ticket<Appended> {
        self.append_by(None, batch).unwrap_or_else(Ticket::refused)
    }

    /// Appends on behalf of a producer.
    pub(crate) fn append_by(&self, by: Option<&By<'_>>, batch: Batch) -> Result<Ticket<Appended>> {
        if batch.is_empty() {
            let at = self.state.reading().end;
            let append_time = self.shared().clock.now();
            return Ok(Ticket::known(Ok(Appended {
                offsets: at..at,
                append_time,
            })));
        }
        let (completion, ticket) = Ticket::new();
        let appended = self.state.append(self.shared(), batch, by, completion);
        appended.map(|()| ticket).map_err(|(_, error)| error)
    }

    /// Says when the log takes appends again after [`Error::Busy`].
    ///
    /// [`Error::Busy`]: crate::Error::Busy
    pub fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        self.shared().queue.poll_room(context)
    }

    /// Fetches batches from the one that holds offset `from` on: up to `max_bytes` of them, counted
    /// as they are once decompressed, and never more than [`MAX_BATCH_BYTES`]; but at least one if
    /// there is one. Never beyond the visible end; there it finds nothing, at once.
    ///
    /// What was appended lately comes from memory, and the ticket is answered already.
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::OutOfRange`] before the first offset that is kept,
    /// [`Error::Damaged`], [`Error::Busy`] when too many reads wait, [`Error::TooManyFiles`],
    /// [`Error::Io`], [`Error::Closed`].
    ///
    /// [`Error::OutOfRange`]: crate::Error::OutOfRange
    /// [`Error::Damaged`]: crate::Error::Damaged
    /// [`Error::Busy`]: crate::Error::Busy
    /// [`Error::TooManyFiles`]: crate::Error::TooManyFiles
    /// [`Error::Io`]: crate::Error::Io
    /// [`Error::Closed`]: crate::Error::Closed
    ///
    /// # Examples
    ///
    /// From the first record to the end, batch by batch:
    ///
    /// ```
    /// use levada_log::{Batch, Log, Record, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
    /// for value in ["tea", "jam", "nut"] {
    ///     let mut batch = Batch::new();
    ///     batch.push(&Record::of(value.as_bytes()))?;
    ///     orders.append(batch).wait()?;
    /// }
    ///
    /// let (mut values, mut next) = (Vec::new(), orders.start());
    /// while next < orders.visible_end() {
    ///     // One byte is less than a batch has: then it is one batch at a time.
    ///     let fetched = orders.fetch(next, 1).wait()?;
    ///     values.extend(fetched.records().map(|record| record.value.to_vec()));
    ///     next = fetched.next;
    /// }
    /// assert_eq!(values, [b"tea", b"jam", b"nut"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fetch(&self, from: u64, max_bytes: usize) -> Ticket<Fetched> {
        let max_bytes = max_bytes.min(MAX_BATCH_BYTES);
        let known = self
            .state
            .fetch_from_memory(from, max_bytes, self.isolation);
        known.map_or_else(
            |_| {
                let (completion, ticket) = Ticket::new();
                self.read(from, max_bytes, Answer::Fetched(completion));
                ticket
            },
            Ticket::known,
        )
    }

    /// The append time of the first visible record at or after `offset`; `None` at the end.
    ///
    /// # Errors
    ///
    /// As for [`fetch`](Self::fetch).
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Batch, Log, Record, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
    /// let mut batch = Batch::new();
    /// batch.push(&Record::of(b"white lantern"))?;
    /// let appended = orders.append(batch).wait()?;
    /// assert_eq!(orders.append_time_at(0).wait()?, Some(appended.append_time));
    /// assert_eq!(orders.append_time_at(1).wait()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append_time_at(&self, offset: u64) -> Ticket<Option<Timestamp>> {
        let known = self.state.fetch_from_memory(offset, 0, self.isolation);
        known.map_or_else(
            |_| {
                let (completion, ticket) = Ticket::new();
                self.read(offset, 0, Answer::AppendTime(completion));
                ticket
            },
            |known| Ticket::known(known.map(|fetched| first_append_time(&fetched.batches))),
        )
    }

    /// The first offset that was appended at or after `time`; the visible end if there is none.
    ///
    /// The first seek in a part of a topic reads it; where it found what is remembered, in bounded
    /// memory, for the next. Nothing is kept in files for this, so nothing can be out of date.
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::Damaged`] when damage lies where it looks, else as for
    /// [`fetch`](Self::fetch).
    ///
    /// [`Error::Damaged`]: crate::Error::Damaged
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_core::Timestamp;
    /// use levada_log::{Batch, Log, Record, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
    /// let mut batch = Batch::new();
    /// batch.push(&Record::of(b"white lantern"))?;
    /// let appended = orders.append(batch).wait()?;
    ///
    /// assert_eq!(orders.offset_at(appended.append_time).wait()?, 0);
    /// let later = Timestamp::from_millis(appended.append_time.as_millis() + 1);
    /// assert_eq!(orders.offset_at(later).wait()?, 1, "the end: nothing came later");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn offset_at(&self, time: Timestamp) -> Ticket<u64> {
        if let Since::Offset(offset) = self.state.reading().since(time, self.isolation) {
            return Ticket::known(Ok(offset));
        }
        let (completion, ticket) = Ticket::new();
        self.push_read(Wanted::Since(time, self.isolation, completion));
        ticket
    }

    /// The first offset that is kept.
    pub fn start(&self) -> u64 {
        self.state.reading().start
    }

    /// How long the record at `offset` will be kept at least, as things are: by age from when it
    /// was appended, by size from how fast the partition grew. `None` if it is kept for good, or
    /// nobody can tell.
    ///
    /// For the position of a group it is the time until retention eats the backlog.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use levada_log::{Batch, Log, Record, Retention, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let day = Duration::from_secs(24 * 60 * 60);
    /// let options = TopicOptions::new().retention(Retention::forever().age(day));
    /// let orders = log.create_topic("orders", options).wait()?.partition(0)?;
    /// let mut batch = Batch::new();
    /// batch.push(&Record::of(b"white lantern"))?;
    /// orders.append(batch).wait()?;
    ///
    /// let left = orders.retained_for(0).expect("it is not kept for good");
    /// assert!(left <= day && left > day / 2, "{left:?}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retained_for(&self, offset: u64) -> Option<Duration> {
        let shared = self.shared();
        let now = shared.cleaning.now(&*shared.clock);
        self.state.reading().retained_for(offset, now)
    }

    /// The offset after the last record that a reader with this handle's
    /// [isolation](Self::isolation) sees: all before it is acknowledged.
    pub fn visible_end(&self) -> u64 {
        self.state.reading().visible_end(self.isolation)
    }

    /// Where the partition ends for good, once its topic is sealed and its last transaction has
    /// ended.
    pub fn sealed_at(&self) -> Option<u64> {
        self.state.reading().sealed_at()
    }

    /// Whether the partition can be used.
    pub fn status(&self) -> Status {
        self.state.reading().status()
    }

    /// Why nothing comes after the visible end although the topic is not sealed, if so: bytes are
    /// damaged, a write has failed, or the log was closed.
    pub fn stopped(&self) -> Option<Error> {
        let (failed, phase) = {
            let reading = self.state.reading();
            (reading.failed.clone(), reading.phase)
        };
        match failed {
            Some(reason) => Some(self.state.damaged(&reason)),
            None if phase == Phase::Stopped => {
                Some(self.shared().queue.refusal().unwrap_or(Error::Closed))
            }
            None => None,
        }
    }

    /// Waits until the visible end lies past `past`, and gives it. Also ready, with whatever the
    /// end is, once no record can come any more: the topic is sealed, or the partition has
    /// [stopped](Self::stopped).
    ///
    /// Where more than 1024 tasks wait for one partition, they are woken now and then for nothing.
    ///
    /// # Examples
    ///
    /// A reader that waits for what comes next:
    ///
    /// ```
    /// use std::future::poll_fn;
    ///
    /// use futures::{executor::block_on, future::join};
    /// use levada_log::{Batch, Log, Record, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
    /// let mut batch = Batch::new();
    /// batch.push(&Record::of(b"white lantern"))?;
    ///
    /// let reader = poll_fn(|context| orders.poll_visible(context, 0));
    /// let (end, appended) = block_on(join(reader, orders.append(batch)));
    /// assert_eq!((end, appended?.offsets), (1, 0..1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll_visible(&self, context: &Context<'_>, past: u64) -> Poll<u64> {
        let mut reading = self.state.reading();
        reading.poll_visible(context, past, self.isolation)
    }

    fn read(&self, from: u64, max_bytes: usize, answer: Answer) {
        self.push_read(Wanted::Batches {
            from,
            max_bytes,
            isolation: self.isolation,
            answer,
        });
    }

    fn push_read(&self, wanted: Wanted) {
        let partition = Arc::clone(&self.state);
        self.shared().reads.push(Read { partition, wanted });
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.handle.shared()
    }

    /// Fails if it is of another log than who is called so.
    pub(crate) fn check_log(&self, log: &Arc<Shared>, name: &Arc<str>) -> Result<()> {
        if Arc::ptr_eq(log, self.shared()) {
            return Ok(());
        }
        Err(Error::ForeignPartition {
            producer: Arc::clone(name),
            topic: self.topic().into(),
        })
    }

    pub(crate) fn state(&self) -> &Arc<PartitionState> {
        &self.state
    }

    /// The numbers that stand for this partition.
    pub(crate) fn id(&self) -> PartitionId {
        self.state.id
    }
}

/// The append time of the first batch, if there is one.
pub(crate) fn first_append_time(batches: &[FetchedBatch]) -> Option<Timestamp> {
    batches.first().map(FetchedBatch::append_time)
}
