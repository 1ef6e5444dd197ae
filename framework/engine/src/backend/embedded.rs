//! Topics in one folder: the embedded log behind the seam.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{FutureExt as _, TryFutureExt as _, future};
use levada_core::{
    Clock, Spawner,
    backend::{
        self, Backend, BackendError, Batch, Durability, Ends, Fetched, Position, Ticket, TopicSpec,
        Traits,
    },
    key::Slots,
};
use levada_log::{Error as LogError, Log, Partition, Status, Topic};

use super::{PARTITIONER, differs, encode, options, refused, show, stopped};

/// Topics in one folder, on the embedded log.
///
/// What differs from [`MemoryBackend`](super::MemoryBackend):
///
/// 1. What is acknowledged survives the process and the machine's power; an append takes a sync.
/// 2. Memory is bounded. While too much waits to be written,
///    [`poll_room`](backend::Partition::poll_room) waits, and an append that does not is refused.
/// 3. Offsets have gaps after an unclean stop.
/// 4. After a failed write or sync nothing is taken any more, and readers get
///    [`BackendError::Stopped`] at the visible end, until the folder is opened again. A partition
///    whose bytes are damaged stops alone.
/// 5. One process at a time has the folder.
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
            Err(LogError::UnknownTopic { .. }) => self
                .log
                .create_topic(name, options(spec))
                .wait()
                .map_err(refused)?,
            Err(error) => return Err(refused(error)),
        };
        known_partitioner(&topic)?;
        let topic = EmbeddedTopic { topic };
        differs(name, &backend::Topic::spec(&topic), spec)?;
        Ok(Arc::new(topic))
    }

    fn topic(&self, name: &str) -> Result<Arc<dyn backend::Topic>, BackendError> {
        let topic = self.log.topic(name).map_err(refused)?;
        known_partitioner(&topic)?;
        Ok(Arc::new(EmbeddedTopic { topic }))
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

    fn all_positions(&self) -> Vec<Position> {
        let topics = self.log.topics();
        let partitions = topics.iter().flat_map(|topic| {
            let numbers = 0..topic.partitions();
            numbers.filter_map(|number| topic.partition(number).ok())
        });
        let partitions: Vec<Partition> = partitions.collect();
        let mut all = Vec::new();
        for group in self.log.groups() {
            let own = partitions.iter().filter_map(|partition| {
                Some(Position {
                    group: group.name().to_owned(),
                    topic: partition.topic().to_owned(),
                    partition: partition.number(),
                    offset: group.position(partition)?,
                })
            });
            all.extend(own);
        }
        all
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
        let records = match encode(&batch) {
            Ok(records) => records,
            Err(error) => return future::ready(Err(error)).boxed(),
        };
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
        // Looked at before the visible end, which may grow until it is the end for good.
        let sealed_at = self.partition.sealed_at();
        // Of a damaged partition not even all that was acknowledged is visible.
        let sealed_at = sealed_at.filter(|_| self.partition.status() == Status::Healthy);
        Ends {
            start: self.partition.start(),
            visible: sealed_at.unwrap_or_else(|| self.partition.visible_end()),
            sealed: sealed_at.is_some(),
        }
    }

    fn poll_visible(&self, past: u64, cx: &mut Context<'_>) -> Poll<Result<Ends, BackendError>> {
        loop {
            ready!(self.partition.poll_visible(cx, past));
            let ends = self.ends();
            if ends.visible > past || ends.sealed {
                return Poll::Ready(Ok(ends));
            }
            if let Some(error) = self.partition.stopped() {
                let (topic, number) = (self.partition.topic(), self.partition.number());
                return Poll::Ready(Err(stopped(topic, number, error)));
            }
            // It was sealed between these looks.
        }
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.partition.poll_room(cx)
    }

    fn retained_for(&self, offset: u64) -> Option<Duration> {
        self.partition.retained_for(offset)
    }
}
