//! The log of one data folder: topics and groups by name.

use std::{fmt, path::Path, sync::Arc};

use crate::{
    Error, Group, Options, Recovery, Result, Space, Ticket, Topic, TopicOptions, name,
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

    pub(crate) fn new(handle: Arc<Handle>, recovery: Recovery) -> Self {
        Self {
            handle,
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
        self.shared().queue.push_last(Item::Close { completion });
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

    fn shared(&self) -> &Arc<Shared> {
        self.handle.shared()
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared().fmt(f)
    }
}
