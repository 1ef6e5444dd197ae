//! The log of one data folder: topics and groups by name.

use std::{fmt, path::Path, sync::Arc};

use levada_core::Spawner;

use crate::{
    Error, Group, Options, Producer, Recovery, Result, Space, Ticket, Topic, TopicOptions, name,
    quota,
    shared::{Handle, Item, Shared, lock},
};

/// The log of one data folder. Cheap to clone; its I/O ends when the last handle to it, its topics,
/// partitions and groups is gone.
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
/// orders.append(batch).wait()?;
/// log.close().wait()?;
///
/// let log = Log::open(folder.path())?;
/// assert!(log.recovery().clean);
/// let orders = log.topic("orders")?.partition(0)?;
/// let fetched = orders.fetch(0, 1 << 20).wait()?;
/// assert_eq!(fetched.records().next().map(|record| record.value), Some(&b"white lantern"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Log {
    handle: Arc<Handle>,
    /// Not shared with the works, which it may hold.
    spawner: Arc<dyn Spawner>,
    recovery: Arc<Recovery>,
}

impl Log {
    /// Opens the log in a folder, with everything at its default; see [`Options::open`].
    ///
    /// # Errors
    ///
    /// As for [`Options::open`].
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Error, Log};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// assert_eq!(log.instance(), 1);
    /// assert!(matches!(Log::open(folder.path()), Err(Error::InUse(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(folder)
    }

    /// The options, all at their defaults.
    pub fn options() -> Options {
        Options::default()
    }

    pub(crate) fn new(handle: Arc<Handle>, spawner: Arc<dyn Spawner>, recovery: Recovery) -> Self {
        Self {
            handle,
            spawner,
            recovery: Arc::new(recovery),
        }
    }

    /// Makes a topic. It exists, durably, when the ticket says so.
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::BadName`], [`Error::TopicExists`], [`Error::TooLarge`],
    /// [`Error::BadOption`], else as for [`Partition::append`](crate::Partition::append).
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Error, Log, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// log.create_topic("orders", TopicOptions::new().partitions(8)).wait()?;
    ///
    /// let again = log.create_topic("Orders", TopicOptions::new()).wait();
    /// assert!(matches!(again, Err(Error::TopicExists { .. })), "it differs only in case");
    /// let refused = log.create_topic("../orders", TopicOptions::new()).wait();
    /// assert!(matches!(refused, Err(Error::BadName { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_topic(&self, name: &str, options: TopicOptions) -> Ticket<Topic> {
        match self.make_topic(name, options) {
            Err(error) => Ticket::known(Err(error)),
            Ok(topic) => {
                let (completion, ticket) = Ticket::new();
                self.shared()
                    .queue
                    .push_change(Item::CreateTopic { topic, completion });
                ticket
            }
        }
    }

    /// The topic called `name`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTopic`].
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::Log;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let said = log.topic("orders").map(drop).expect_err("nobody made it").to_string();
    /// assert!(said.starts_with("topic `orders` does not exist in"), "{said}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn topic(&self, name: &str) -> Result<Topic> {
        let found = lock(&self.shared().catalog).topic(name);
        let found = found.map(|state| Topic::new(Arc::clone(&self.handle), state));
        found.ok_or_else(|| Error::UnknownTopic {
            name: name.to_owned(),
            folder: self.shared().paths.folder().to_path_buf(),
        })
    }

    /// All topics, in the order of their names without regard to case.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Log, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// for name in ["returns", "Orders"] {
    ///     log.create_topic(name, TopicOptions::new()).wait()?;
    /// }
    /// let topics = log.topics();
    /// let names: Vec<_> = topics.iter().map(|topic| topic.name()).collect();
    /// assert_eq!(names, ["Orders", "returns"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn topics(&self) -> Vec<Topic> {
        let catalog = lock(&self.shared().catalog);
        let topics = catalog.topics();
        topics
            .map(|state| Topic::new(Arc::clone(&self.handle), Arc::clone(state)))
            .collect()
    }

    /// The group called `name`. It exists durably from its first commit on.
    ///
    /// See [`Group`].
    ///
    /// # Errors
    ///
    /// [`Error::BadName`].
    pub fn group(&self, name: &str) -> Result<Group> {
        name::check("group", name)?;
        let state = lock(&self.shared().catalog).group(name);
        Ok(Group::new(Arc::clone(&self.handle), state))
    }

    /// All groups that have a position, in the order of their names.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Log, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
    /// let shipping = log.group("shipping")?;
    /// assert!(log.groups().is_empty(), "it has committed nothing");
    /// shipping.commit(&[(&orders, 0)]).wait()?;
    /// assert_eq!(log.groups()[0].name(), "shipping");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn groups(&self) -> Vec<Group> {
        let catalog = lock(&self.shared().catalog);
        let groups = catalog
            .groups()
            .filter(|group| !lock(&group.positions).is_empty());
        groups
            .map(|state| Group::new(Arc::clone(&self.handle), Arc::clone(state)))
            .collect()
    }

    /// Opens the producer called `name`, making it if it is new. Whoever had the name before is
    /// fenced: their appends are refused from this call on, and their transaction is aborted.
    ///
    /// See [`Producer`].
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::BadName`], [`Error::TooLarge`] (see
    /// [`MAX_PRODUCERS`](crate::MAX_PRODUCERS)), else as for
    /// [`Partition::append`](crate::Partition::append).
    pub fn producer(&self, name: &str) -> Ticket<Producer> {
        if let Some(refusal) = self.shared().queue.refusal() {
            return Ticket::refused(refusal);
        }
        let known = name::check("producer", name);
        let producer = known.and_then(|()| lock(&self.shared().catalog).producer(name));
        producer.map_or_else(Ticket::refused, |producer| producer.open(&self.handle))
    }

    /// Forgets the producer called `name`: what it appended stays, but its handle is fenced, and
    /// repeats of it are not known any more. Whoever opens the name again begins at sequence 0.
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::UnknownProducer`], else as for
    /// [`Partition::append`](crate::Partition::append).
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Error, Log};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let mut import = log.producer("import-of-2009").wait()?;
    /// log.forget_producer("import-of-2009").wait()?;
    /// assert!(matches!(import.begin(), Err(Error::ProducerFenced { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forget_producer(&self, name: &str) -> Ticket<()> {
        let known = lock(&self.shared().catalog).known_producer(name);
        match known {
            Some(producer) => producer.forget(&self.shared().queue),
            None => Ticket::refused(Error::UnknownProducer {
                name: name.to_owned(),
                folder: self.shared().paths.folder().to_path_buf(),
            }),
        }
    }

    /// The names of all producers that are known, in order.
    pub fn producers(&self) -> Vec<Arc<str>> {
        let catalog = lock(&self.shared().catalog);
        let producers = catalog.producers();
        producers
            .map(|producer| Arc::clone(&producer.name))
            .collect()
    }

    /// Gives a producer a quota of its own, in bytes a second; `None` gives it what all others have
    /// ([`Options::producer_bytes_per_second`]). It holds until the log is closed.
    ///
    /// # Errors
    ///
    /// [`Error::BadName`]; [`Error::BadOption`] for a quota of nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Error, Log};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::options().producer_bytes_per_second(1 << 20).open(folder.path())?;
    /// log.set_quota("importer", Some(16 << 20))?;
    /// log.set_quota("importer", None)?;
    /// assert!(matches!(log.set_quota("importer", Some(0)), Err(Error::BadOption { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_quota(&self, producer: &str, bytes_per_second: Option<u64>) -> Result<()> {
        name::check("producer", producer)?;
        if let Some(rate) = bytes_per_second {
            quota::check("bytes_per_second", rate)?;
        }
        self.shared().quotas.set(producer, bytes_per_second);
        Ok(())
    }

    /// How often the folder has been opened: the number of this life.
    ///
    /// See [`close`](Self::close).
    pub fn instance(&self) -> u64 {
        self.shared().instance
    }

    /// How much room the disk has for the log.
    ///
    /// See [`Space`].
    pub fn space(&self) -> Space {
        self.shared().cleaning.room.space()
    }

    /// What opening the folder found.
    ///
    /// See [`Recovery`].
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Closes the log: what was appended before is acknowledged, later appends get
    /// [`Error::Closed`]. When the ticket says so the folder is free to be opened again.
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::Dead`], [`Error::NoSpace`] (the log is then still open),
    /// [`Error::Closed`] if it was before.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Batch, Error, Log, Record, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
    /// log.close().wait()?;
    ///
    /// let mut batch = Batch::new();
    /// batch.push(&Record::of(b"too late"))?;
    /// assert!(matches!(orders.append(batch).wait(), Err(Error::Closed)));
    /// assert_eq!(Log::open(folder.path())?.instance(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) -> Ticket<()> {
        let (completion, ticket) = Ticket::new();
        self.shared().queue.push_always(Item::Close { completion });
        ticket
    }

    fn make_topic(&self, name: &str, options: TopicOptions) -> Result<Topic> {
        name::check("topic", name)?;
        options.check()?;
        let mut catalog = lock(&self.shared().catalog);
        catalog.check_new(name)?;
        Ok(Topic::new(
            Arc::clone(&self.handle),
            catalog.make(name, options),
        ))
    }

    pub(crate) fn spawner(&self) -> &dyn Spawner {
        &*self.spawner
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.handle.shared()
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared().fmt(f)
    }
}
