//! What the other modules share: topics that a test feeds by hand.

use futures::executor::block_on;
use levada_core::{
    Data, Timestamp, Topic,
    backend::{BackendError, Batch, NewRecord},
};

/// A record as [`append`] writes it.
pub(crate) struct Row<'a, T> {
    pub key: Option<&'a [u8]>,
    pub value: T,
    pub at: Timestamp,
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// A record of this value, and nothing else.
pub(crate) fn row<T>(value: T) -> Row<'static, T> {
    let at = Timestamp::MIN;
    Row {
        key: None,
        value,
        at,
        headers: &[],
    }
}

/// Appends records to a partition, as one batch.
pub(crate) fn append<'a, T: Data>(
    topic: &Topic<T>,
    partition: u32,
    rows: impl IntoIterator<Item = Row<'a, T>>,
) {
    try_append(topic, partition, rows).unwrap();
}

/// The same where it may fail.
pub(crate) fn try_append<'a, T: Data>(
    topic: &Topic<T>,
    partition: u32,
    rows: impl IntoIterator<Item = Row<'a, T>>,
) -> Result<u64, BackendError> {
    let mut batch = Batch::default();
    for row in rows {
        let mut value = Vec::new();
        topic.codec().encode(&row.value, &mut value).unwrap();
        batch.push(NewRecord {
            key: row.key,
            value: &value,
            event_time: row.at,
            headers: row.headers,
        });
    }
    block_on(topic.raw().partition(partition).append(batch))
}

/// Seals a topic: who reads it ends there.
pub(crate) fn seal<T>(topic: &Topic<T>) {
    block_on(topic.raw().seal()).unwrap();
}
