//! What can go wrong, in sentences that name the thing and what to do about it.

mod failure;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use crate::vfs;

pub(crate) use failure::{Failure, unsynced, unwritten};

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
    /// Somebody else has opened the data folder meanwhile, past the lock, or it is not there any
    /// more.
    #[error(
        "data folder {} was {} while instance {ours} was running: this instance stops writing; \
         make sure that one program at a time uses the folder",
        .folder.display(), taken(*.found)
    )]
    Fenced {
        /// The data folder.
        folder: PathBuf,
        /// This instance.
        ours: u64,
        /// The instance that the folder names now; 0 if it was moved away, or another is in its
        /// place.
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
    /// There is no such producer.
    #[error("producer `{name}` does not exist in {}: open it first", .folder.display())]
    UnknownProducer {
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
    /// More was appended than a quota allows. Nothing of this batch was.
    #[error(
        "{} more than {limit} bytes a second: append again in {wait:?}",
        .producer.as_ref().map_or_else(
            || "all producers together append".to_owned(),
            |name| format!("producer `{name}` appends"),
        )
    )]
    Throttled {
        /// Whose quota it is; `None` for that of all.
        producer: Option<Arc<str>>,
        /// Bytes a second.
        limit: u64,
        /// How long to wait.
        wait: Duration,
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
    /// The name of the producer was opened again, or the producer was forgotten.
    #[error(
        "producer `{producer}` was opened again meanwhile, or forgotten: this one appends no more"
    )]
    ProducerFenced {
        /// The producer.
        producer: Arc<str>,
    },
    /// A sequence is neither the next one nor that of a batch that is remembered.
    #[error(
        "producer `{producer}` sent sequence {sequence} to topic `{topic}` partition {partition}, \
         where {expected} comes next: send what is missing first, or go on from there"
    )]
    OutOfSequence {
        /// The producer.
        producer: Arc<str>,
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: u32,
        /// The sequence that is expected.
        expected: u64,
        /// The first sequence of the batch.
        sequence: u64,
    },
    /// The transaction cannot be committed any more.
    #[error("the transaction of producer `{producer}` is aborted: {cause}; do it again")]
    TransactionFailed {
        /// The producer.
        producer: Arc<str>,
        /// The first failure in it.
        cause: Arc<str>,
    },
    /// The transaction has ended.
    #[error("the transaction of producer `{producer}` is over")]
    TransactionOver {
        /// The producer.
        producer: Arc<str>,
    },
    /// The partition was opened with another handle on another folder.
    #[error("`{producer}` and topic `{topic}` belong to different logs")]
    ForeignPartition {
        /// The producer, or the group.
        producer: Arc<str>,
        /// The topic.
        topic: Arc<str>,
    },
    /// The disk is full. Nothing of the refused batch will ever be visible.
    #[error("no space left for {}: free some, then append again", .path.display())]
    NoSpace {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The process, or the machine, has no room for another open file. Nothing of a refused batch
    /// will ever be visible.
    #[error(
        "no more files can be opened, {} needs one: close some, raise the limit of the process, or \
         lower `open_files`; then try again",
        .path.display()
    )]
    TooManyFiles {
        /// The file that could not be opened.
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
    /// A group has members, who would read on elsewhere than it was moved to.
    #[error("group `{group}` has {members} members: stop them, or fence them")]
    GroupActive {
        /// The group.
        group: Arc<str>,
        /// How many there are.
        members: usize,
    },
    /// A group does not stand any more where it stood when a plan was made.
    #[error("group `{group}` has moved since it was planned to move it: make another plan")]
    GroupMoved {
        /// The group.
        group: Arc<str>,
    },
    /// A group was moved elsewhere since this member joined it.
    #[error(
        "group `{group}` was moved since this member joined: join again, and go on from where it \
         stands"
    )]
    FencedMember {
        /// The group.
        group: Arc<str>,
    },
    /// A file of positions cannot be used.
    #[error("line {line} of the positions cannot be used: {reason}")]
    BadPositions {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
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
    /// The folder was opened to be read only.
    #[error(
        "data folder {} is open for reading only: whoever has it open for writing can change it",
        .folder.display()
    )]
    ReadOnly {
        /// The data folder.
        folder: PathBuf,
    },
    /// A folder that is read beside the log that writes it was another each time it was read.
    #[error("data folder {} changes faster than it can be read: try again", .0.display())]
    Changing(PathBuf),
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
    /// Whether room on the disk is what is missing.
    pub(crate) fn is_full_disk(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }

    /// An operating system's error, with what was tried on what; what passes by itself, by its own
    /// name.
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        if vfs::is_out_of_files(&source) {
            return Self::TooManyFiles { path };
        }
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

/// What has become of a folder that this instance of it names, or none.
fn taken(found: u64) -> String {
    match found {
        0 => "moved away or replaced".to_owned(),
        found => format!("opened by instance {found}"),
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
