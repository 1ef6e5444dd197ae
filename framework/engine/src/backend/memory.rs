//! Topics in memory: nothing survives the process, and nothing is installed or written.
//!
//! It keeps every record until it is dropped, so it is for tests, for trying things out, and for
//! input that fits in memory. What the log refuses it refuses too, in the same words.

use std::{
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures::{FutureExt as _, future};
use levada_core::{
    Clock, Timestamp,
    backend::{
        Backend, BackendError, Batch, Durability, Ends, Fetched, FetchedBatch, Headers, NewRecord,
        Partition, RecordView, Ticket, Topic, TopicSpec, Traits,
    },
    key::Slots,
};
use levada_log::{Error as LogError, check_name};

use super::{differs, refused};

/// Topics in memory.
///
/// See [`Builder::on`](crate::Builder::on).
#[derive(Debug)]
pub struct MemoryBackend {
    clock: Arc<dyn Clock>,
    topics: Mutex<HashMap<String, Arc<MemoryTopic>>>,
    /// By group, topic and partition.
    positions: Mutex<BTreeMap<(String, String, u32), u64>>,
}

impl MemoryBackend {
    /// No topics yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            topics: Mutex::default(),
            positions: Mutex::default(),
        }
    }
}

impl Backend for MemoryBackend {
    fn traits(&self) -> Traits {
        Traits {
            durability: Durability::None,
            contiguous_offsets: true,
        }
    }

    fn create_topic(&self, name: &str, spec: &TopicSpec) -> Result<Arc<dyn Topic>, BackendError> {
        check_name("topic", name).map_err(refused)?;
        let limit = levada_log::MAX_PARTITIONS;
        if spec.partitions == 0 || spec.partitions > limit {
            let asked = spec.partitions;
            let said = format!("topic `{name}` cannot have {asked} partitions: take 1 to {limit}");
            return Err(BackendError::Failed(said.into()));
        }
        let mut topics = lock(&self.topics);
        let mut names = topics.keys();
        let is_twin = |other: &&String| *other != name && other.eq_ignore_ascii_case(name);
        if let Some(existing) = names.find(is_twin) {
            let (name, existing) = (name.to_owned(), existing.clone());
            return Err(refused(LogError::TopicExists { name, existing }));
        }
        let topic = topics
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(MemoryTopic::new(name, spec.clone(), &self.clock)));
        differs(name, &topic.spec, spec)?;
        Ok(Arc::clone(topic) as Arc<dyn Topic>)
    }

    fn topic(&self, name: &str) -> Result<Arc<dyn Topic>, BackendError> {
        let topics = lock(&self.topics);
        let unknown = || BackendError::UnknownTopic {
            topic: name.to_owned(),
        };
        topics
            .get(name)
            .map(|topic| Arc::clone(topic) as Arc<dyn Topic>)
            .ok_or_else(unknown)
    }

    fn commit(&self, group: &str, positions: Vec<(String, u32, u64)>) -> Ticket<()> {
        if let Err(error) = check_name("group", group) {
            return future::ready(Err(refused(error))).boxed();
        }
        let mut held = lock(&self.positions);
        for (topic, partition, offset) in positions {
            held.insert((group.to_owned(), topic, partition), offset);
        }
        future::ready(Ok(())).boxed()
    }

    fn positions(&self, group: &str, topic: &str) -> Result<BTreeMap<u32, u64>, BackendError> {
        check_name("group", group).map_err(refused)?;
        let held = lock(&self.positions);
        let own = held
            .iter()
            .filter(|((of, on, _), _)| of == group && on == topic);
        Ok(own
            .map(|((.., partition), offset)| (*partition, *offset))
            .collect())
    }

    fn close(&self) {}
}

#[derive(Debug)]
struct MemoryTopic {
    name: String,
    spec: TopicSpec,
    slots: Slots,
    partitions: Vec<Arc<MemoryPartition>>,
}

impl MemoryTopic {
    fn new(name: &str, spec: TopicSpec, clock: &Arc<dyn Clock>) -> Self {
        let partition = |number| {
            Arc::new(MemoryPartition {
                topic: name.to_owned(),
                number,
                clock: Arc::clone(clock),
                log: Mutex::default(),
            })
        };
        Self {
            name: name.to_owned(),
            slots: Slots::for_partitions(spec.partitions),
            partitions: (0..spec.partitions).map(partition).collect(),
            spec,
        }
    }
}

impl Topic for MemoryTopic {
    fn name(&self) -> &str {
        &self.name
    }

    fn spec(&self) -> TopicSpec {
        self.spec.clone()
    }

    fn slots(&self) -> Slots {
        self.slots.clone()
    }

    fn partition(&self, partition: u32) -> Arc<dyn Partition> {
        Arc::clone(&self.partitions[partition as usize]) as Arc<dyn Partition>
    }

    fn seal(&self) -> Ticket<()> {
        for partition in &self.partitions {
            let mut log = lock(&partition.log);
            log.sealed = true;
            log.wake();
        }
        future::ready(Ok(())).boxed()
    }
}

#[derive(Debug)]
struct MemoryPartition {
    topic: String,
    number: u32,
    clock: Arc<dyn Clock>,
    log: Mutex<Records>,
}

#[derive(Debug, Default)]
struct Records {
    batches: Vec<Arc<Stored>>,
    end: u64,
    sealed: bool,
    waiting: Vec<Waker>,
}

impl Records {
    fn wake(&mut self) {
        for waker in self.waiting.drain(..) {
            waker.wake();
        }
    }

    fn ends(&self) -> Ends {
        Ends {
            start: 0,
            visible: self.end,
            sealed: self.sealed,
        }
    }
}

#[derive(Debug)]
struct Stored {
    first: u64,
    append_time: Timestamp,
    batch: Batch,
}

impl Partition for MemoryPartition {
    fn append(&self, batch: Batch) -> Ticket<u64> {
        let mut log = lock(&self.log);
        if log.sealed {
            let (topic, partition) = (self.topic.clone(), self.number);
            return future::ready(Err(BackendError::Sealed { topic, partition })).boxed();
        }
        let first = log.end;
        let before = log
            .batches
            .last()
            .map_or(Timestamp::MIN, |last| last.append_time);
        let append_time = self.clock.now().max(before);
        log.end += batch.len() as u64;
        log.batches.push(Arc::new(Stored {
            first,
            append_time,
            batch,
        }));
        log.wake();
        future::ready(Ok(first)).boxed()
    }

    fn fetch(&self, from: u64, max_bytes: usize) -> Ticket<Fetched> {
        let log = lock(&self.log);
        let mut fetched = Fetched {
            batches: Vec::new(),
            next: from,
        };
        let behind = |stored: &Arc<Stored>| stored.first + stored.batch.len() as u64;
        let first = log.batches.partition_point(|stored| behind(stored) <= from);
        let mut bytes = 0;
        for stored in &log.batches[first..] {
            bytes += stored.batch.bytes();
            fetched.next = behind(stored);
            fetched.batches.push(Box::new(Shown(Arc::clone(stored))));
            if bytes >= max_bytes {
                break;
            }
        }
        future::ready(Ok(fetched)).boxed()
    }

    fn ends(&self) -> Ends {
        lock(&self.log).ends()
    }

    fn poll_visible(&self, past: u64, cx: &mut Context<'_>) -> Poll<Result<Ends, BackendError>> {
        let mut log = lock(&self.log);
        if log.end > past || log.sealed {
            return Poll::Ready(Ok(log.ends()));
        }
        if !log.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            log.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// A batch as its readers see it.
#[derive(Debug)]
struct Shown(Arc<Stored>);

impl FetchedBatch for Shown {
    fn append_time(&self) -> Timestamp {
        self.0.append_time
    }

    fn next_offset(&self) -> u64 {
        self.0.first + self.0.batch.len() as u64
    }

    fn each_from(&self, from: u64, each: &mut dyn FnMut(RecordView<'_>) -> ControlFlow<()>) {
        let mut offset = self.0.first;
        let _stopped = self.0.batch.try_each(|record: NewRecord<'_>| {
            let this = offset;
            offset += 1;
            if this < from {
                return Ok(());
            }
            let headers = HeaderList(record.headers);
            let flow = each(RecordView {
                offset: this,
                append_time: self.0.append_time,
                event_time: record.event_time,
                key: record.key,
                value: record.value,
                headers: &headers,
            });
            if flow.is_break() { Err(()) } else { Ok(()) }
        });
    }
}

struct HeaderList<'a>(&'a [(&'a str, &'a [u8])]);

impl Headers for HeaderList<'_> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0
            .iter()
            .find(|(of, _)| *of == name)
            .map(|(_, value)| *value)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere cannot leave these half changed: each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
