//! What a topic keeps, and for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long tombstones stay in a compacted topic unless it is said: long enough for a reader that
/// was down for a night.
const TOMBSTONES_FOR: Duration = Duration::from_hours(24);

/// What a topic keeps: everything, unless it is said otherwise.
///
/// Reading never removes anything. What is to go goes a whole segment at a time, so a record may
/// stay longer than it must, never shorter.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use levada_log::Retention;
///
/// let week = Duration::from_secs(7 * 24 * 60 * 60);
/// let clicks = Retention::forever().age(week).bytes(10 << 30);
/// assert_eq!((clicks.max_age(), clicks.max_bytes()), (Some(week), Some(10 << 30)));
///
/// let customers = Retention::forever().compacted();
/// assert!(customers.is_compacted() && customers.max_age().is_none());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Retention {
    age_ms: Option<u64>,
    bytes: Option<u64>,
    /// Compacted by key, tombstones kept for so long.
    tombstones_ms: Option<u64>,
}

impl Retention {
    /// Everything, for good.
    pub fn forever() -> Self {
        Self::default()
    }

    /// Only what was appended within this time, by the log's clock. It goes at most an eighth of
    /// the time later.
    ///
    /// A clock that leaps ahead is not believed before it has gone on steadily for a day: until
    /// then nothing goes because of the leap.
    pub fn age(mut self, age: Duration) -> Self {
        self.age_ms = Some(millis(age));
        self
    }

    /// Only the latest so many bytes of each partition. Up to an eighth more is kept, and what the
    /// journal holds.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// Of each key only the latest record, some time after a later one was appended.
    pub fn compacted(mut self) -> Self {
        self.tombstones_ms.get_or_insert(millis(TOMBSTONES_FOR));
        self
    }

    /// As [`compacted`](Self::compacted); and how long the latest record of a key stays if it is a
    /// tombstone, for readers to learn that the key is gone. Default: 24 hours.
    pub fn tombstones(mut self, time: Duration) -> Self {
        self.tombstones_ms = Some(millis(time));
        self
    }

    /// The age from which on records go, if any.
    pub fn max_age(&self) -> Option<Duration> {
        self.age_ms.map(Duration::from_millis)
    }

    /// The latest bytes that each partition keeps, if there is a limit.
    pub fn max_bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Whether age or size end anything.
    pub(crate) fn has_limits(&self) -> bool {
        self.age_ms.is_some() || self.bytes.is_some()
    }

    /// Whether only the latest record of each key is kept.
    pub fn is_compacted(&self) -> bool {
        self.tombstones_ms.is_some()
    }

    /// How long tombstones stay, in a topic that is compacted.
    pub fn tombstone_time(&self) -> Option<Duration> {
        self.tombstones_ms.map(Duration::from_millis)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
