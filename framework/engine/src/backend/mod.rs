//! The backends that come with the engine: the embedded log, and one in memory.
//!
//! Both write and read batches with `levada-log`, so that they have its limits and its words.

mod embedded;
mod memory;

use std::ops::ControlFlow;

use levada_core::{
    Timestamp,
    backend::{BackendError, Batch, FetchedBatch, Headers, RecordView, TopicSpec},
};
use levada_log::{Error as LogError, Record, TopicOptions};

pub use self::{embedded::EmbeddedBackend, memory::MemoryBackend};

/// What the log's metadata calls the way keys are dealt to partitions.
const PARTITIONER: &str = "murmur2/1";

/// How the log makes such a topic.
fn options(spec: &TopicSpec) -> TopicOptions {
    TopicOptions::new()
        .partitions(spec.partitions)
        .codec(&*spec.codec)
        .partitioner(PARTITIONER)
}

/// Refuses a topic that is not as it was asked for.
fn differs(name: &str, is: &TopicSpec, asked: &TopicSpec) -> Result<(), BackendError> {
    let differs = |is: String, asked: String| {
        Err(BackendError::TopicDiffers {
            topic: name.to_owned(),
            is,
            asked,
        })
    };
    if is.partitions != asked.partitions {
        let say = |n: u32| format!("{n} partitions");
        return differs(say(is.partitions), say(asked.partitions));
    }
    if is.codec != asked.codec {
        return differs(
            format!("codec {}", is.codec),
            format!("codec {}", asked.codec),
        );
    }
    Ok(())
}

/// The same records as the log writes them, or why it does not.
fn encode(batch: &Batch) -> Result<levada_log::Batch, BackendError> {
    let mut records = levada_log::Batch::new();
    let pushed = batch.try_each(|record| {
        records.push(&Record {
            key: record.key,
            value: record.value,
            headers: record.headers,
            event_time: record.event_time,
            ..Record::default()
        })
    });
    pushed.map_err(refused)?;
    Ok(records)
}

/// What the log says, in its own words where the seam has none.
fn refused(error: LogError) -> BackendError {
    match error {
        LogError::UnknownTopic { name, .. } => BackendError::UnknownTopic { topic: name },
        error => BackendError::Failed(error.to_string().into()),
    }
}

/// Why a partition gives no more, in words that name it.
fn stopped(topic: &str, partition: u32, error: LogError) -> BackendError {
    let reason = match error {
        // Names the partition itself, and what to do.
        damaged @ LogError::Damaged { .. } => return refused(damaged),
        LogError::Dead { cause } => cause,
        error => error.to_string().into(),
    };
    BackendError::Stopped {
        topic: topic.to_owned(),
        partition,
        reason,
    }
}

/// A batch of the log behind the seam.
#[derive(Debug)]
struct Shown(levada_log::FetchedBatch);

fn show(batch: levada_log::FetchedBatch) -> Box<dyn FetchedBatch> {
    Box::new(Shown(batch))
}

impl FetchedBatch for Shown {
    fn append_time(&self) -> Timestamp {
        self.0.append_time()
    }

    fn next_offset(&self) -> u64 {
        self.0.end_offset()
    }

    fn each_from(&self, offset: u64, each: &mut dyn FnMut(RecordView<'_>) -> ControlFlow<()>) {
        for record in self.0.records().filter(|record| record.offset >= offset) {
            let flow = each(RecordView {
                offset: record.offset,
                append_time: record.append_time,
                event_time: record.event_time,
                key: record.key,
                value: record.value,
                headers: &HeaderView(record.headers),
            });
            if flow.is_break() {
                return;
            }
        }
    }
}

struct HeaderView<'a>(levada_log::Headers<'a>);

impl Headers for HeaderView<'_> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name)
    }
}
