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
//!
//! [`recorder`] writes and reads the file, [`checker`] judges it, [`anomaly`] says what can be
//! wrong with one.

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

/// A line of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
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
    /// The transaction is committed or aborted, as was asked.
    Done,
    /// It was not done and never will be.
    Failed,
    /// Nobody can tell.
    Unknown,
}
