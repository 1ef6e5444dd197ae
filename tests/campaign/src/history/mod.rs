//! Histories: what was asked of a log and what it answered, recorded while it runs and judged
//! afterwards, from a file alone.
//!
//! The idea is that of Jepsen's workload for Kafka: nobody compares the log with a model. Every
//! call is recorded before it is made and every answer when it has come, and the checker looks for
//! answers that cannot all be true. So it judges runs of many clients, in which no single place
//! knows what the log must hold, and runs whose process was killed while it recorded.
//!
//! 1. Values are numbers that are sent once, over all lives of the log; a repeated send of the same
//!    values is a retry.
//! 2. A call without an answer has an unknown result: it may have been done, now or never later
//!    than the next [`Event::Restarted`].
//! 3. A poll says of each offset from where it began to where it says to go on that it holds this
//!    value, or none. Aborted transactions and refused sends leave offsets without a value.
//! 4. A place keeps everything for good, unless [`Event::Declared`] says what it [`Keeps`]. What it
//!    keeps for a time only needs to know the time: [`Event::Clock`].
//! 5. What a log says of damage is true only after [`Event::Rotted`].
//!
//! [`recorder`] writes and reads the file, [`checker`] judges it, [`anomaly`] says what can be
//! wrong with one.

#[cfg(test)]
mod anomalies;
pub(crate) mod anomaly;
#[cfg(test)]
mod bad;
pub(crate) mod checker;
mod codec;
mod cycle;
#[cfg(test)]
mod good;
mod paged;
pub(crate) mod recorder;
#[cfg(test)]
mod written;

/// A partition of a topic, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) topic: u32,
    pub(crate) partition: u32,
}

/// What a place keeps of what it has acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// Everything, for good.
    #[default]
    Everything,
    /// Everything, until the log is opened again: then it may have lost its end, but it gives no
    /// offset twice.
    UntilRestarted,
    /// What was sent within so many milliseconds.
    Younger { millis: u64 },
    /// Of each [key] the last value, and that for so many milliseconds if it is a
    /// [tombstone](is_tombstone).
    LastOfKey { millis: u64 },
}

/// The key of a value, in a place that keeps the last of each key: of these some are named often,
/// and some seldom.
pub(crate) fn key(value: u64) -> u8 {
    let keys = if scattered(value).is_multiple_of(8) {
        40
    } else {
        8
    };
    u8::try_from((scattered(value) >> 8) % keys).expect("there are few keys")
}

/// Whether a value says that its key is gone, in a place that keeps the last of each key.
pub(crate) fn is_tombstone(value: u64) -> bool {
    (scattered(value) >> 16).is_multiple_of(3)
}

fn scattered(value: u64) -> u64 {
    value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24
}

/// A line of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// What a place keeps. It is said once, before anything else is said of the place.
    Declared { place: Place, keeps: Keeps },
    /// The log's clock shows so many milliseconds.
    Clock { millis: u64 },
    /// Bytes of the log were damaged: whatever it says of damage from here on may be true.
    Rotted,
    /// The log has ended, in whatever way, and a new life begins: open transactions are aborted,
    /// and what has no answer will get none.
    Restarted,
    /// A client is about to make a call.
    Invoked {
        operation: u64,
        client: u32,
        call: Call,
    },
    /// The call of that number was answered.
    Completed { operation: u64, outcome: Outcome },
}

/// What a reader wants to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Isolation {
    /// What is there, be it committed or not.
    Uncommitted,
    /// Only what is committed.
    Committed,
}

/// What is asked of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// To append the values `first..first + count` as one batch.
    Send {
        place: Place,
        transaction: Option<u64>,
        first: u64,
        count: u32,
    },
    /// To read from an offset on.
    Poll {
        place: Place,
        /// The transaction that this read is part of.
        transaction: Option<u64>,
        from: u64,
        /// The reader has chosen the offset, instead of going on where its last poll has ended.
        sought: bool,
        isolation: Isolation,
    },
    Commit {
        transaction: u64,
    },
    Abort {
        transaction: u64,
    },
    /// To open the folder of the log, on a machine that works.
    Open,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The values lie at the offsets from here on.
    Sent { base: u64 },
    /// These are the offsets and values up to `next`.
    Polled {
        next: u64,
        /// Where the partition ended for this reader, once it had its answer.
        end: u64,
        records: Vec<(u64, u64)>,
    },
    /// The place starts at `start` only: the reader goes on from there.
    Expired { start: u64 },
    /// The transaction is committed or aborted, or the log is open, as was asked.
    Done,
    /// It was not done, because something that the log needs is damaged or gone.
    Damaged,
    /// It was not done and never will be.
    Failed,
    /// Nobody can tell.
    Unknown,
}
