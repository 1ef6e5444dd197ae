//! Topics: named, partitioned, kept.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Description, Error, Partition, Result, Retention, Ticket,
    catalog::TopicState,
    limits::{MAX_NAME_LEN, MAX_PARTITIONS},
    meta::Settings,
    partition::reading::Phase,
    shared::{Handle, Item},
};

/// The least number of slots of a topic: enough that keyed state can later be spread finer than the
/// partitions are.
const MIN_SLOTS: u32 = 256;

/// When an append is answered: a property of the topic, since its readers see what was
/// acknowledged.
///
/// # Examples
///
/// ```
/// use levada_log::{Acks, Batch, Log, Record, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let options = TopicOptions::new().acks(Acks::Written);
/// let clicks = log.create_topic("clicks", options).wait()?.partition(0)?;
/// let mut batch = Batch::new();
/// batch.push(&Record::of(b"a click"))?;
/// clicks.append(batch).wait()?; // Survives the process, but not the power.
/// assert_eq!(clicks.visible_end(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Acks {
    /// Once it is durable: a power cut does not take it back. Appends that wait share a sync.
    #[default]
    Durable,
    /// Once it is written to the operating system: the end of the process does not take it back,
    /// but a power cut or a crash of the machine may take all since the last sync.
    Written,
    /// At once, before it is written: whatever stops the process may take it back, and nobody is
    /// told of an append that fails later.
    None,
}

/// How the batches of a topic are compressed.
///
/// # Examples
///
/// ```
/// use levada_log::{Batch, Compression, Log, Record, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let options = TopicOptions::new().compression(Compression::Lz4);
/// let texts = log.create_topic("texts", options).wait()?.partition(0)?;
/// let mut batch = Batch::new();
/// batch.push(&Record::of(&[b'a'; 1000]))?;
/// texts.append(batch).wait()?;
///
/// let fetched = texts.fetch(0, 1 << 20).wait()?;
/// assert!(fetched.batches[0].bytes().len() < 300, "header and all");
/// assert_eq!(fetched.records().next().map(|record| record.value.len()), Some(1000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all: readers get slices of what is stored.
    #[default]
    None,
    /// LZ4, by whoever appends. A batch that it does not make smaller stays as it is.
    Lz4,
}

/// How a topic is made. Only its retention can be changed later.
///
/// # Examples
///
/// ```
/// use levada_log::{Log, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let options = TopicOptions::new().partitions(8).codec("msgpack").partitioner("murmur2");
/// let orders = log.create_topic("orders", options).wait()?;
/// assert_eq!(orders.partitions(), 8);
/// assert_eq!(orders.codec(), "msgpack");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct TopicOptions {
    pub(crate) partitions: u32,
    pub(crate) settings: Settings,
}

impl TopicOptions {
    /// A topic of one partition.
    pub fn new() -> Self {
        Self {
            partitions: 1,
            settings: Settings::default(),
        }
    }

    /// How many partitions it has, at most [`MAX_PARTITIONS`]. Default: 1.
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = partitions;
        self
    }

    /// The name of what turns values into bytes, kept with the topic so that a reader can refuse
    /// what it would misread. Default: empty, nobody checks.
    pub fn codec(mut self, codec: impl Into<String>) -> Self {
        self.settings.codec = codec.into();
        self
    }

    /// The name of what turns keys into slots, kept with the topic. Default: empty, nobody checks.
    pub fn partitioner(mut self, partitioner: impl Into<String>) -> Self {
        self.settings.partitioner = partitioner.into();
        self
    }

    /// When an append is answered, and what may be lost with the power. Default:
    /// [`Acks::Durable`].
    pub fn acks(mut self, acks: Acks) -> Self {
        self.settings.acks = acks;
        self
    }

    /// How batches are compressed. Default: not at all.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.settings.compression = compression;
        self
    }

    /// What is kept, and for how long. Default: everything, for good.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.settings.retention = retention;
        self
    }

    /// Checks them, as creating a topic does.
    ///
    /// # Errors
    ///
    /// [`Error::BadOption`], [`Error::TooLarge`].
    pub fn check(&self) -> Result<()> {
        if self.partitions == 0 {
            let reason = "a topic has at least one partition";
            return Err(Error::BadOption {
                option: "partitions",
                value: 0,
                reason,
            });
        }
        for (what, size, limit) in [
            (
                "number of partitions",
                self.partitions as usize,
                MAX_PARTITIONS as usize,
            ),
            (
                "length of a codec's name",
                self.settings.codec.len(),
                MAX_NAME_LEN,
            ),
            (
                "length of a partitioner's name",
                self.settings.partitioner.len(),
                MAX_NAME_LEN,
            ),
        ] {
            if size > limit {
                let (size, limit) = (size as u64, limit as u64);
                return Err(Error::TooLarge { what, size, limit });
            }
        }
        Ok(())
    }
}

impl Default for TopicOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A topic of the log. Cheap to clone.
///
/// # Examples
///
/// ```
/// use levada_log::{Error, Log, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let orders = log.create_topic("orders", TopicOptions::new().partitions(12)).wait()?;
/// assert_eq!((orders.name(), orders.partitions(), orders.slots()), ("orders", 12, 264));
/// assert!(!orders.is_sealed());
/// assert_eq!(orders.partition(11)?.number(), 11);
/// assert!(matches!(orders.partition(12), Err(Error::UnknownPartition { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Topic {
    handle: Arc<Handle>,
    state: Arc<TopicState>,
}

impl Topic {
    pub(crate) fn new(handle: Arc<Handle>, state: Arc<TopicState>) -> Self {
        Self { handle, state }
    }

    pub(crate) fn state(&self) -> &Arc<TopicState> {
        &self.state
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// How many partitions it has.
    #[expect(
        clippy::missing_panics_doc,
        reason = "the number was checked when it was made"
    )]
    pub fn partitions(&self) -> u32 {
        u32::try_from(self.state.partitions.len()).expect("partitions are below their limit")
    }

    /// How many slots its keys fall into: the smallest multiple of the partitions that is at least
    /// 256. Slot *s* lies in partition *s* mod partitions.
    pub fn slots(&self) -> u32 {
        MIN_SLOTS.next_multiple_of(self.partitions())
    }

    /// The name of what turns values into bytes; empty if none was given.
    pub fn codec(&self) -> &str {
        &self.state.settings.codec
    }

    /// The name of what turns keys into slots; empty if none was given.
    pub fn partitioner(&self) -> &str {
        &self.state.settings.partitioner
    }

    /// The partition with this number.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPartition`] when it has fewer.
    pub fn partition(&self, number: u32) -> Result<Partition> {
        match self.state.partitions.get(number as usize) {
            Some(partition) => Ok(Partition::new(
                Arc::clone(&self.handle),
                Arc::clone(partition),
            )),
            None => Err(Error::UnknownPartition {
                topic: Arc::clone(&self.state.name),
                partition: number,
                partitions: self.partitions(),
            }),
        }
    }

    /// What there is to say about it now: ends, sizes, times, and how it was made.
    pub fn describe(&self) -> Description {
        Description::of(&self.state)
    }

    /// What it keeps.
    ///
    /// See [`set_retention`](Self::set_retention).
    #[expect(
        clippy::missing_panics_doc,
        reason = "the number was checked when it was made"
    )]
    pub fn retention(&self) -> Retention {
        let first = self.state.partitions.first();
        first.expect("a topic has a partition").reading().retention
    }

    /// Changes what it keeps, durably once the ticket says so. What has expired by the new rule
    /// goes soon after; what is gone does not come back.
    ///
    /// # Errors
    ///
    /// By the ticket, as for [`Partition::append`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use levada_log::{Log, Retention, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let orders = log.create_topic("orders", TopicOptions::new()).wait()?;
    /// assert_eq!(orders.retention(), Retention::forever());
    ///
    /// let week = Retention::forever().age(Duration::from_secs(7 * 24 * 60 * 60));
    /// orders.set_retention(week).wait()?;
    /// assert_eq!(orders.retention(), week);
    /// assert_eq!(log.group("shipping")?.missed(&orders.partition(0)?), 0, "nothing has gone yet");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_retention(&self, retention: Retention) -> Ticket<()> {
        let (completion, ticket) = Ticket::new();
        let item = Item::SetRetention {
            topic: Arc::clone(&self.state),
            retention,
            completion,
        };
        self.handle.shared().queue.push_change(item);
        ticket
    }

    /// Whether it is sealed, durably.
    pub fn is_sealed(&self) -> bool {
        self.state
            .partitions
            .iter()
            .all(|partition| partition.reading().phase == Phase::Sealed)
    }

    /// Ends the topic for good: what was appended so far is all there will ever be. Appends are
    /// refused from this call on; the end is durable when the ticket says so. Sealing again is no
    /// error.
    ///
    /// # Errors
    ///
    /// By the ticket, as for [`Partition::append`]; the call may then be repeated.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Batch, Error, Log, Record, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let orders = log.create_topic("orders", TopicOptions::new()).wait()?;
    /// orders.seal().wait()?;
    ///
    /// let mut batch = Batch::new();
    /// batch.push(&Record::of(b"too late"))?;
    /// let refused = orders.partition(0)?.append(batch).wait();
    /// assert!(matches!(refused, Err(Error::Sealed { .. })));
    /// assert_eq!(orders.partition(0)?.sealed_at(), Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn seal(&self) -> Ticket<()> {
        for partition in &self.state.partitions {
            partition.refuse_sealed();
        }
        let (completion, ticket) = Ticket::new();
        let topic = Arc::clone(&self.state);
        self.handle
            .shared()
            .queue
            .push_change(Item::Seal { topic, completion });
        ticket
    }
}
