//! Topics in one folder: the embedded log behind the seam.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::Path,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::{FutureExt as _, TryFutureExt as _, future};
use levada_core::{
    Clock, Spawner, Timestamp,
    backend::{
        self, Backend, BackendError, Batch, Durability, Ends, Fetched, FetchedBatch, Headers,
        RecordView, Ticket, TopicSpec, Traits,
    },
    key::Slots,
};
use levada_log::{Error as LogError, Log, Partition, Record, Status, Topic, TopicOptions};

use super::{differs, refused};

/// What the log's metadata calls the way keys are dealt to partitions.
const PARTITIONER: &str = "murmur2/1";

/// The embedded log.
///
/// # Examples
///
/// On a log with sizes of its own:
///
/// ```
/// use std::sync::Arc;
///
/// use levada_engine::{Levada, backend::EmbeddedBackend};
/// use levada_log::Log;
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::options().segment_bytes(1 << 20).open(folder.path())?;
/// let levada = Levada::builder().on(Arc::new(EmbeddedBackend::on(log)));
/// assert_eq!(levada.topic::<String>("orders").create()?.partitions(), 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EmbeddedBackend {
    log: Log,
}

impl EmbeddedBackend {
    /// Opens a folder, creating it if it is not there.
    ///
    /// # Errors
    ///
    /// As the log gives them: in use, damaged, or not readable.
    pub fn open(
        path: &Path,
        clock: Arc<dyn Clock>,
        spawner: Arc<dyn Spawner>,
    ) -> Result<Self, LogError> {
        let log = Log::options().clock(clock).spawner(spawner).open(path)?;
        Ok(Self { log })
    }

    /// A backend on a log that is open already, with seams of its own.
    pub fn on(log: Log) -> Self {
        Self { log }
    }

    /// The log itself.
    pub fn log(&self) -> &Log {
        &self.log
    }
}

impl Backend for EmbeddedBackend {
    fn traits(&self) -> Traits {
        Traits {
            durability: Durability::Power,
            contiguous_offsets: false,
        }
    }

    fn create_topic(
        &self,
        name: &str,
        spec: &TopicSpec,
    ) -> Result<Arc<dyn backend::Topic>, BackendError> {
        let topic = match self.log.topic(name) {
            Ok(topic) => topic,
            Err(LogError::UnknownTopic { .. }) => {
                let options = TopicOptions::new()
                    .partitions(spec.partitions)
                    .codec(&*spec.codec)
                    .partitioner(PARTITIONER);
                self.log
                    .create_topic(name, options)
                    .wait()
                    .map_err(refused)?
            }
            Err(error) => return Err(refused(error)),
        };
        known_partitioner(&topic)?;
        let topic = EmbeddedTopic { topic };
        differs(name, &backend::Topic::spec(&topic), spec)?;
        Ok(Arc::new(topic))
    }

    fn topic(&self, name: &str) -> Result<Arc<dyn backend::Topic>, BackendError> {
        match self.log.topic(name) {
            Ok(topic) => {
                known_partitioner(&topic)?;
                Ok(Arc::new(EmbeddedTopic { topic }))
            }
            Err(LogError::UnknownTopic { .. }) => Err(BackendError::UnknownTopic {
                topic: name.to_owned(),
            }),
            Err(error) => Err(refused(error)),
        }
    }

    fn commit(&self, group: &str, positions: Vec<(String, u32, u64)>) -> Ticket<()> {
        let commit = || {
            let mut held = Vec::new();
            for (topic, partition, offset) in positions {
                held.push((self.log.topic(&topic)?.partition(partition)?, offset));
            }
            let borrowed: Vec<_> = held
                .iter()
                .map(|(partition, at)| (partition, *at))
                .collect();
            Ok(self.log.group(group)?.commit(&borrowed))
        };
        match commit() {
            Ok(ticket) => ticket.map_err(refused).boxed(),
            Err(error) => future::ready(Err(refused(error))).boxed(),
        }
    }

    fn positions(&self, group: &str, topic: &str) -> Result<BTreeMap<u32, u64>, BackendError> {
        let (group, topic) = (
            self.log.group(group).map_err(refused)?,
            self.log.topic(topic).map_err(refused)?,
        );
        let mut positions = BTreeMap::new();
        for number in 0..topic.partitions() {
            let partition = topic.partition(number).map_err(refused)?;
            positions.extend(group.position(&partition).map(|offset| (number, offset)));
        }
        Ok(positions)
    }

    fn close(&self) {
        if let Err(error) = self.log.close().wait() {
            // Nothing is lost by it: what was acknowledged is durable, and opening recovers it.
            tracing::info!(%error, "the log was not closed in order");
        }
    }
}

/// Refuses a topic whose keys lie where this release would not look for them.
fn known_partitioner(topic: &Topic) -> Result<(), BackendError> {
    if topic.partitioner() == PARTITIONER {
        return Ok(());
    }
    Err(BackendError::TopicDiffers {
        topic: topic.name().to_owned(),
        is: format!("partitioner `{}`", topic.partitioner()),
        asked: format!("partitioner `{PARTITIONER}`"),
    })
}

#[derive(Debug)]
struct EmbeddedTopic {
    topic: Topic,
}

impl backend::Topic for EmbeddedTopic {
    fn name(&self) -> &str {
        self.topic.name()
    }

    fn spec(&self) -> TopicSpec {
        let codec = self.topic.codec().to_owned();
        TopicSpec {
            partitions: self.topic.partitions(),
            codec,
        }
    }

    fn slots(&self) -> Slots {
        Slots::for_partitions(self.topic.partitions())
    }

    fn partition(&self, partition: u32) -> Arc<dyn backend::Partition> {
        let partition = self.topic.partition(partition);
        Arc::new(EmbeddedPartition {
            partition: partition.expect("asked for one that is there"),
        })
    }

    fn seal(&self) -> Ticket<()> {
        self.topic.seal().map_err(refused).boxed()
    }
}

#[derive(Debug)]
struct EmbeddedPartition {
    partition: Partition,
}

impl backend::Partition for EmbeddedPartition {
    fn append(&self, batch: Batch) -> Ticket<u64> {
        let mut records = levada_log::Batch::new();
        let built = batch.try_each(|record| {
            records.push(&Record {
                key: record.key,
                value: record.value,
                headers: record.headers,
                event_time: record.event_time,
            })
        });
        if let Err(error) = built {
            return future::ready(Err(refused(error))).boxed();
        }
        let sealed = BackendError::Sealed {
            topic: self.partition.topic().to_owned(),
            partition: self.partition.number(),
        };
        let refused = |error| match error {
            LogError::Sealed { .. } => sealed,
            error => refused(error),
        };
        self.partition
            .append(records)
            .map_ok(|at| at.offsets.start)
            .map_err(refused)
            .boxed()
    }

    fn fetch(&self, from: u64, max_bytes: usize) -> Ticket<Fetched> {
        let show = |fetched: levada_log::Fetched| Fetched {
            next: fetched.next,
            batches: fetched.batches.into_iter().map(show).collect(),
        };
        self.partition
            .fetch(from, max_bytes)
            .map_ok(show)
            .map_err(refused)
            .boxed()
    }

    fn ends(&self) -> Ends {
        Ends {
            start: self.partition.start(),
            visible: self.partition.visible_end(),
            sealed: self.partition.sealed_at().is_some(),
        }
    }

    fn poll_visible(&self, past: u64, cx: &mut Context<'_>) -> Poll<Result<Ends, BackendError>> {
        ready!(self.partition.poll_visible(cx, past));
        match self.partition.status() {
            Status::Failed { reason } => Poll::Ready(Err(BackendError::Failed(reason))),
            _ => Poll::Ready(Ok(self.ends())),
        }
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.partition.poll_room(cx)
    }
}

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
