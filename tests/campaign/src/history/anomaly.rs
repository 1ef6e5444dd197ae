//! What can be wrong with a history.

use std::fmt;

use super::Place;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "topic {} partition {}", self.topic, self.partition)
    }
}

/// How one transaction depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dependency {
    /// Its values lie behind those of the other.
    WriteWrite,
    /// It has read a value of the other.
    WriteRead,
    /// It has written what the other did not see when it read up to the end.
    ReadWrite,
}

/// Answers that cannot all be true.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Anomaly {
    #[error("lost write: {place} has acknowledged {value} at {offset}, and readers find nothing")]
    LostWrite {
        place: Place,
        offset: u64,
        value: u64,
    },
    #[error("lost end: {place} has acknowledged all below {acknowledged}, and ends at {end}")]
    LostEnd {
        place: Place,
        acknowledged: u64,
        end: u64,
    },
    #[error("duplicate: {value} lies in {place} at {first} and at {second}")]
    Duplicate {
        place: Place,
        value: u64,
        first: u64,
        second: u64,
    },
    #[error("invented: {place} has {value} at {offset}, which nobody has sent there")]
    Invented {
        place: Place,
        offset: u64,
        value: u64,
    },
    #[error("aborted read: {place} gave {value}, whose send was refused or aborted")]
    AbortedRead { place: Place, value: u64 },
    #[error("inconsistent offset: {place} has {first} and {second} at {offset}")]
    InconsistentOffset {
        place: Place,
        offset: u64,
        first: u64,
        second: u64,
    },
    #[error("skip: reader {client} has passed {value} at {offset} of {place}, which others have")]
    Skip {
        client: u32,
        place: Place,
        offset: u64,
        value: u64,
    },
    #[error("non-monotone read: reader {client} of {place} was at {at}, and then at {then}")]
    NonMonotone {
        client: u32,
        place: Place,
        at: u64,
        then: u64,
    },
    #[error("precommitted read: {value} of transaction {transaction} was read before its commit")]
    PrecommittedRead { transaction: u64, value: u64 },
    #[error("torn: {value} is missing at {offset} of {place}, and what belongs to it is there")]
    Torn {
        place: Place,
        offset: u64,
        value: u64,
    },
    #[error("write order: client {client} has sent {first} before {second} to {place}")]
    WriteOrder {
        client: u32,
        place: Place,
        first: u64,
        second: u64,
    },
    #[error("expired too early: {place} keeps {value} at {offset}, and starts at {start}")]
    ExpiredEarly {
        place: Place,
        offset: u64,
        value: u64,
        start: u64,
    },
    #[error("compacted away: {value} at {offset} of {place} is the last of its key, and is gone")]
    CompactedAway {
        place: Place,
        offset: u64,
        value: u64,
    },
    #[error("false alarm: call {operation} was told of damage, and nothing is damaged")]
    FalseAlarm { operation: u64 },
    #[error("cycle: each of these transactions comes after the one before it: {transactions:?}")]
    Cycle {
        transactions: Vec<(u64, Dependency)>,
    },
}

/// How many anomalies are kept in words; of a broken log there are thousands.
const MOST_KEPT: usize = 20;

/// What a history comes to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// Calls that were made.
    pub(crate) operations: u64,
    /// Those that are part of a transaction.
    pub(crate) transactional: u64,
    /// Calls whose result is unknown.
    pub(crate) unknown: u64,
    /// Values that were read, each time.
    pub(crate) read: u64,
    pub(crate) restarts: u64,
    /// All anomalies.
    pub(crate) found: u64,
    /// The first of them.
    pub(crate) anomalies: Vec<Anomaly>,
}

impl Findings {
    /// Takes in an anomaly, unless it is one of those that are kept: many answers can show it.
    pub(super) fn add(&mut self, anomaly: Anomaly) {
        if self.anomalies.contains(&anomaly) {
            return;
        }
        self.found += 1;
        if self.anomalies.len() < MOST_KEPT {
            self.anomalies.push(anomaly);
        }
    }

    /// Adds what another history comes to, but for its anomalies in words.
    pub(crate) fn add_counts(&mut self, other: &Self) {
        self.operations += other.operations;
        self.transactional += other.transactional;
        self.unknown += other.unknown;
        self.read += other.read;
        self.restarts += other.restarts;
        self.found += other.found;
    }
}
