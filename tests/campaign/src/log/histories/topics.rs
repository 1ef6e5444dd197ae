//! The topics that clients use: one of each kind of promise.

use std::time::Duration;

use levada_log::{Acks, Batch, Compression, RecordView, Retention, TopicOptions};

use crate::{
    campaign::Fault,
    history::{Keeps, Place, is_tombstone, key},
    log::{keyed::Keyed, payload::Tag, require},
};

/// How long what expires is kept, and how long tombstones stay, in milliseconds.
const AGE_MILLIS: u64 = 6_000;
const TOMBSTONE_MILLIS: u64 = 6_000;
/// How long what expires is kept. A segment spans an eighth of it at least.
pub(super) const AGE: Duration = Duration::from_millis(AGE_MILLIS);

/// A topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) partitions: u32,
    pub(super) keeps: Keeps,
    compression: Compression,
}

/// All of them.
pub(super) const TOPICS: [About; 5] = [
    About {
        partitions: 2,
        keeps: Keeps::Everything,
        compression: Compression::None,
    },
    About {
        partitions: 1,
        keeps: Keeps::Everything,
        compression: Compression::Lz4,
    },
    About {
        partitions: 1,
        keeps: Keeps::Younger { millis: AGE_MILLIS },
        compression: Compression::None,
    },
    About {
        partitions: 1,
        keeps: Keeps::LastOfKey {
            millis: TOMBSTONE_MILLIS,
        },
        compression: Compression::Lz4,
    },
    About {
        partitions: 1,
        keeps: Keeps::UntilRestarted,
        compression: Compression::None,
    },
];

/// Partitions of all topics.
pub(super) const PARTITIONS: usize = 6;

impl About {
    /// How the topic is created.
    pub(super) fn options(&self) -> TopicOptions {
        let forever = Retention::forever();
        let (acks, retention) = match self.keeps {
            Keeps::Everything => (Acks::Durable, forever),
            Keeps::UntilRestarted => (Acks::Written, forever),
            Keeps::Younger { millis } => {
                (Acks::Durable, forever.age(Duration::from_millis(millis)))
            }
            Keeps::LastOfKey { millis } => {
                let time = Duration::from_millis(millis);
                (Acks::Durable, forever.tombstones(time))
            }
        };
        let options = TopicOptions::new().partitions(self.partitions).acks(acks);
        options.retention(retention).compression(self.compression)
    }
}

/// The name of a topic.
pub(super) fn name(topic: u32) -> String {
    format!("topic-{topic}")
}

/// What a place keeps.
pub(super) fn keeps(place: Place) -> Keeps {
    TOPICS[place.topic as usize].keeps
}

/// The batch of these values.
pub(super) fn batch(place: Place, first: u64, count: u32) -> Result<Batch, Fault> {
    if !matches!(keeps(place), Keeps::LastOfKey { .. }) {
        let tag = Tag {
            topic: place.topic,
            partition: place.partition,
            attempt: first,
            index: 0,
            count,
        };
        return tag.batch();
    }
    let mut batch = Batch::new();
    for value in (first..).take(count as usize) {
        keyed(value).push(&mut batch)?;
    }
    Ok(batch)
}

/// The value that a record of a place holds, if its bytes are right.
pub(super) fn value(place: Place, record: &RecordView<'_>) -> Result<u64, Fault> {
    if !matches!(keeps(place), Keeps::LastOfKey { .. }) {
        let tag = Tag::of(record.value).ok_or("bytes of nobody were fetched")?;
        return Ok(tag.attempt + u64::from(tag.index));
    }
    let found = Keyed::of(record)?;
    let expected = keyed(found.number);
    require!(found == expected, "{found:?} was sent as {expected:?}");
    Ok(found.number)
}

fn keyed(value: u64) -> Keyed {
    Keyed {
        number: value,
        key: key(value),
        is_tombstone: is_tombstone(value),
    }
}
