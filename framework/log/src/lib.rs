//! An embedded, partitioned, durable log: topics, segments and consumer groups in one folder.
//!
//! # Examples
//!
//! ```
//! use levada_log::{Batch, Log, Record, TopicOptions};
//!
//! let folder = tempfile::tempdir()?;
//! let log = Log::open(folder.path())?;
//! let orders = log.create_topic("orders", TopicOptions::new().partitions(8)).wait()?;
//!
//! let mut batch = Batch::new();
//! batch.push(&Record { key: Some(b"536365"), ..Record::of(b"white lantern") })?;
//! orders.partition(3)?.append(batch).wait()?; // Durable: a power cut does not take it back.
//!
//! let fetched = orders.partition(3)?.fetch(0, 1 << 20).wait()?;
//! let record = fetched.records().next().expect("it is visible once it is durable");
//! assert_eq!((record.offset, record.value), (0, &b"white lantern"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//!
//! 1. What a ticket called appended is on disk, and comes back at the same offset with the same
//!    bytes. Readers see nothing before that. A topic may acknowledge earlier ([`Acks`]).
//! 2. A batch is there whole, or not at all. Offsets of a partition only grow, may have gaps, and
//!    are never given twice.
//! 3. One process, and one [`Log`] in it, has a data folder. Where the lock of the operating system
//!    does not hold, a log whose folder was opened by another acknowledges nothing any more.
//! 4. Bytes that were acknowledged are never cut, skipped or overwritten. If they are damaged their
//!    partition stops and says so; the others go on.
//! 5. Only what was written since the last sync before a crash can be torn: one group commit, and
//!    those before it that held only batches of topics that acknowledge earlier. It is cut, and the
//!    cut is reported in [`Log::recovery`] as possibly acknowledged, since one checksum cannot tell
//!    torn from rotted.
//! 6. After a failed sync nothing is written any more: every call gets [`Error::Dead`], and opening
//!    the folder again reads what the disk holds.
//! 7. Every size has a limit, checked before memory is taken. Memory is bounded by
//!    [`Options::queue_bytes`] plus two times [`Options::journal_bytes`] (up to eight times with
//!    a thousand partitions), plus 24 MiB of places in segments, 12 MiB of what was read ahead,
//!    and what fetches hold; open files by [`Options::open_files`].
//!
//! # How
//!
//! Calls return [`Ticket`]s and do no I/O; I/O works do, which a
//! [`Spawner`](levada_core::Spawner) runs: a *writer*, a *keeper* with its *flushers*, and a
//! *reader*. A group commit is one frame in the *journal* and one sync, however many partitions it
//! touches. Its batches stay in memory, where readers that keep up find them, until the journal is
//! full; then they are flushed to their *segments*, a new *image* of the metadata says so, and the
//! journal's file is used again. The book has every byte (*Internals: log format*).
//!
//! Beside a log, and without one: [`Options::open_read_only`] reads its folder while it runs,
//! [`Log::backup`] copies it, [`restore`] makes a folder of the copy; [`check`] says what is
//! damaged in a folder, and [`repair`] makes a healthy one of what is sound in it.

mod batch;
mod catalog;
mod cleaner;
mod describe;
mod envelope;
mod error;
mod fence;
mod fetched;
mod flusher;
#[cfg(test)]
mod frozen;
mod group;
mod image;
mod journal;
mod keeper;
mod le;
mod limits;
mod log;
mod mark;
mod member;
mod meta;
mod name;
mod offline;
mod options;
mod partition;
mod paths;
mod pins;
mod planted;
mod producer;
mod queue;
mod quota;
mod reader;
mod recovery;
mod retention;
mod seek;
mod segment;
mod shared;
mod ticket;
mod topic;
mod transaction;
pub mod vfs;
mod writer;

pub use batch::{
    Batch, Record,
    records::{Headers, RecordView, Records},
};
pub use cleaner::Space;
pub use describe::{Description, PartitionDescription};
pub use error::{Error, Result};
pub use fetched::{Fetched, FetchedBatch};
pub use group::Group;
pub use limits::{
    MAX_BATCH_BYTES, MAX_HEADERS, MAX_KEY_BYTES, MAX_NAME_LEN, MAX_PARTITIONS, MAX_PRODUCERS,
    MAX_RECORD_BYTES,
};
pub use log::Log;
pub use member::Member;
pub use name::check as check_name;
pub use offline::{
    backup::Backup,
    check::check,
    read_only::ReadOnly,
    repair::{Repaired, RepairedPartition, repair},
    report::{Checked, Finding, Report},
    restore::{Restored, restore},
};
pub use options::Options;
pub use partition::{Appended, Isolation, Partition, Status};
pub use producer::Producer;
pub use recovery::{CutCommit, Recovery};
pub use retention::Retention;
pub use seek::{Move, Seek, SeekPlan};
pub use ticket::Ticket;
pub use topic::{Acks, Compression, Topic, TopicOptions};
pub use transaction::Transaction;
