//! What can go wrong, in sentences that name the thing and what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Why the log refused or failed.
///
/// One failure can concern many callers (a failed sync fails every waiting append), so an error is
/// cheap to clone.
///
/// # Examples
///
/// Its sentence names the thing and the fix:
///
/// ```
/// use levada_log::{Batch, Error, Log, Record};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let said = Log::open(folder.path()).map(drop).expect_err("it is open").to_string();
/// assert!(said.ends_with("stop it or choose another folder"), "{said}");
///
/// let refused = Batch::new().push(&Record { key: Some(&[0; 1 << 20]), ..Record::of(b"") });
/// match refused.expect_err("no key is so long") {
///     Error::TooLarge { what, size, limit } => {
///         assert_eq!((what, size, limit), ("key size", 1 << 20, 64 << 10));
///     }
///     other => panic!("{other}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data folder is open elsewhere, in this process or another.
    #[error(
        "data folder {} is in use by another process or another handle of this one: stop it or \
         choose another folder",
        .0.display()
    )]
    InUse(PathBuf),
    /// Somebody else has opened the data folder meanwhile, past the lock.
    #[error(
        "data folder {} was opened by instance {found} while instance {ours} was running: this \
         instance stops writing; make sure that one program at a time uses the folder",
        .folder.display()
    )]
    Fenced {
        /// The data folder.
        folder: PathBuf,
        /// This instance.
        ours: u64,
        /// The instance that the folder names now.
        found: u64,
    },
    /// A name is not allowed.
    #[error(
        "{what} name {name:?} is not allowed: {reason}; use 1 to 128 of the letters A-Z a-z, \
         digits and . _ -, starting with a letter or digit"
    )]
    BadName {
        /// What was to be named.
        what: &'static str,
        /// The name, cut after 128 characters.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no such topic.
    #[error("topic `{name}` does not exist in {}: create it first", .folder.display())]
    UnknownTopic {
        /// The name asked for.
        name: String,
        /// The data folder.
        folder: PathBuf,
    },
    /// A topic of that name exists already, or one whose name differs only in case.
    #[error("topic `{name}` cannot be created: topic `{existing}` exists already")]
    TopicExists {
        /// The name asked for.
        name: String,
        /// The name of the topic that is there.
        existing: String,
    },
    /// The topic has fewer partitions.
    #[error("topic `{topic}` has no partition {partition}: it has {partitions}, counted from 0")]
    UnknownPartition {
        /// The topic.
        topic: Arc<str>,
        /// The partition asked for.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
    /// A size or count is above its limit.
    #[error("{what} of {size} is above the limit of {limit}")]
    TooLarge {
        /// What was measured, with its unit.
        what: &'static str,
        /// How much was asked for.
        size: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// A tombstone is not one.
    #[error("a tombstone says that what its key stood for is gone, but {reason}")]
    BadTombstone {
        /// What it has, or has not.
        reason: &'static str,
    },
    /// An option has a value that cannot work.
    #[error("option `{option}` cannot be {value}: {reason}")]
    BadOption {
        /// The option.
        option: &'static str,
        /// Its value.
        value: u64,
        /// What it must be.
        reason: &'static str,
    },
    /// More is waiting than is allowed.
    #[error("{waiting} {what} wait already and the limit is {limit}: try again later")]
    Busy {
        /// What waits: bytes to be written (see
        /// [`Options::queue_bytes`](crate::Options::queue_bytes)), or reads.
        what: &'static str,
        /// How much waits.
        waiting: usize,
        /// The limit.
        limit: usize,
    },
    /// The topic is sealed.
    #[error("topic `{topic}` is sealed: nothing more can be appended to it")]
    Sealed {
        /// The topic.
        topic: Arc<str>,
    },
    /// A record without a key was to be appended to a topic that is compacted by key.
    #[error("topic `{topic}` is compacted by key: a record without a key cannot be appended to it")]
    NoKey {
        /// The topic.
        topic: Arc<str>,
    },
    /// The disk is full. Nothing of the refused batch will ever be visible.
    #[error("no space left for {}: free some, then append again", .path.display())]
    NoSpace {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The offset lies before the first one that is kept.
    #[error(
        "offset {offset} of topic `{topic}` partition {partition} is gone: it starts at {start}"
    )]
    OutOfRange {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: u32,
        /// The offset asked for.
        offset: u64,
        /// The first offset that is kept.
        start: u64,
    },
    /// A group's position would lie beyond what anybody can have read.
    #[error(
        "group `{group}` cannot stand at {offset} in topic `{topic}` partition {partition}: \
         it ends at {end}"
    )]
    BeyondEnd {
        /// The group.
        group: Arc<str>,
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: u32,
        /// The position asked for.
        offset: u64,
        /// The visible end.
        end: u64,
    },
    /// The partition has stopped because bytes that were acknowledged are damaged.
    #[error(
        "topic `{topic}` partition {partition} has stopped: {reason}; nothing was changed, other \
         partitions go on; restore the file from a copy"
    )]
    Damaged {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: u32,
        /// What was found, and where.
        reason: Arc<str>,
    },
    /// A file that the whole log rests on is damaged, missing or foreign.
    #[error("{} cannot be used: {reason}; nothing was changed; {remedy}", .path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What was found.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The data was written by a release that knows more than this one.
    #[error(
        "{} needs `{feature}`, which this release does not know: use a newer one",
        .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// What it needs.
        feature: String,
    },
    /// A write or sync has failed before; the log takes no more, because what the disk holds is
    /// unknown until it is read again.
    #[error("the log has stopped after {cause}: open it again to read what the disk holds")]
    Dead {
        /// The failure that stopped it.
        cause: Arc<str>,
    },
    /// The log has been closed.
    #[error("the log is closed")]
    Closed,
    /// The operating system said no.
    #[error("{operation} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
}

impl Error {
    /// An operating system's error, with what was tried on what; a full disk by its own name.
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::NoSpace { path },
            _ => Self::Io {
                operation,
                path,
                source: Arc::new(source),
            },
        }
    }
}

/// What the log's calls return.
///
/// # Examples
///
/// ```
/// use levada_log::{Batch, Record, Result};
///
/// fn batch_of(values: &[&str]) -> Result<Batch> {
///     let mut batch = Batch::new();
///     for value in values {
///         batch.push(&Record::of(value.as_bytes()))?;
///     }
///     Ok(batch)
/// }
/// assert_eq!(batch_of(&["tea", "jam"])?.len(), 2);
/// # Ok::<(), levada_log::Error>(())
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be written, by what follows from it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The disk is full: the same may succeed later.
    NoSpace(Error),
    /// A write or sync failed: nothing is known about the file any more.
    Fatal(Error),
    /// Of one partition, what is on disk is not what was acknowledged.
    Damaged(String),
}

impl Failure {
    /// The error of a file operation that was no sync.
    pub(crate) fn of(error: Error) -> Self {
        match error {
            full @ Error::NoSpace { .. } => Self::NoSpace(full),
            error => Self::Fatal(error),
        }
    }
}

/// A failed write: a full disk leaves everything known.
pub(crate) fn unwritten(operation: &'static str, path: &Path, error: io::Error) -> Failure {
    Failure::of(Error::io(operation, path, error))
}

/// A failed sync: fatal whatever its reason, also when the disk was full.
pub(crate) fn unsynced(path: &Path, error: io::Error) -> Failure {
    Failure::Fatal(Error::io("cannot sync", path, error))
}
