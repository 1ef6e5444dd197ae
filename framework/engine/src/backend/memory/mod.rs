//! Topics in memory: nothing survives the process, and nothing is installed or written.

mod partition;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt as _, future};
use levada_core::{
    Clock,
    backend::{
        Backend, BackendError, Durability, Partition, Position, Ticket, Topic, TopicSpec, Traits,
    },
    key::Slots,
};
use levada_log::{Error as LogError, MAX_PARTITIONS, check_name};

use self::partition::MemoryPartition;
use super::{differs, options, refused};

/// Topics in memory, for tests, for trying things out, and for input that fits in memory.
///
/// It takes and refuses what [`EmbeddedBackend`](super::EmbeddedBackend) does, in the same words.
/// What differs:
///
/// 1. Nothing survives the process, and an append is acknowledged at once.
/// 2. Every record is kept until the backend is dropped: memory has no bound, and
///    [`poll_room`](Partition::poll_room) never waits.
/// 3. Offsets have no gaps.
///
/// See [`Builder::on`](crate::Builder::on).
#[derive(Debug)]
pub struct MemoryBackend {
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    topics: HashMap<String, Arc<MemoryTopic>>,
    /// By group, topic and partition.
    positions: BTreeMap<(String, String, u32), u64>,
    closed: bool,
}

impl MemoryBackend {
    /// No topics yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            held: Mutex::default(),
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
        let mut held = lock(&self.held);
        if let Some(topic) = held.topics.get(name) {
            differs(name, &topic.spec, spec)?;
            return Ok(Arc::clone(topic) as Arc<dyn Topic>);
        }
        held.check_new(name, spec).map_err(refused)?;
        let topic = Arc::new(MemoryTopic::new(name, spec.clone(), &self.clock));
        held.topics.insert(name.to_owned(), Arc::clone(&topic));
        Ok(topic)
    }

    fn topic(&self, name: &str) -> Result<Arc<dyn Topic>, BackendError> {
        let topic = Arc::clone(lock(&self.held).topic(name)?);
        Ok(topic)
    }

    fn commit(&self, group: &str, positions: Vec<(String, u32, u64)>) -> Ticket<()> {
        future::ready(lock(&self.held).commit(group, positions)).boxed()
    }

    fn positions(&self, group: &str, topic: &str) -> Result<BTreeMap<u32, u64>, BackendError> {
        check_name("group", group).map_err(refused)?;
        let held = lock(&self.held);
        held.topic(topic)?;
        let own = held
            .positions
            .iter()
            .filter(|((of, on, _), _)| of == group && on == topic);
        Ok(own
            .map(|((.., partition), offset)| (*partition, *offset))
            .collect())
    }

    fn all_positions(&self) -> Vec<Position> {
        let held = lock(&self.held);
        let all = held.positions.iter();
        all.map(|((group, topic, partition), offset)| Position {
            group: group.clone(),
            topic: topic.clone(),
            partition: *partition,
            offset: *offset,
        })
        .collect()
    }

    fn close(&self) {
        let mut held = lock(&self.held);
        held.closed = true;
        for partition in held.topics.values().flat_map(|topic| &topic.partitions) {
            partition.close();
        }
    }
}

impl Held {
    fn topic(&self, name: &str) -> Result<&Arc<MemoryTopic>, BackendError> {
        let topic = name.to_owned();
        self.topics
            .get(name)
            .ok_or(BackendError::UnknownTopic { topic })
    }

    fn check_open(&self) -> Result<(), LogError> {
        if self.closed {
            return Err(LogError::Closed);
        }
        Ok(())
    }

    fn check_new(&self, name: &str, spec: &TopicSpec) -> Result<(), LogError> {
        check_name("topic", name)?;
        options(spec).check()?;
        let mut names = self.topics.keys();
        if let Some(existing) = names.find(|other| other.eq_ignore_ascii_case(name)) {
            let (name, existing) = (name.to_owned(), existing.clone());
            return Err(LogError::TopicExists { name, existing });
        }
        self.check_open()
    }

    fn commit(
        &mut self,
        group: &str,
        positions: Vec<(String, u32, u64)>,
    ) -> Result<(), BackendError> {
        check_name("group", group).map_err(refused)?;
        let (size, limit) = (positions.len() as u64, u64::from(MAX_PARTITIONS));
        if size > limit {
            let what = "number of positions";
            return Err(refused(LogError::TooLarge { what, size, limit }));
        }
        for (topic, number, offset) in &positions {
            self.topic(topic)?
                .check_position(group, *number, *offset)
                .map_err(refused)?;
        }
        self.check_open().map_err(refused)?;
        for (topic, partition, offset) in positions {
            let of = (group.to_owned(), topic, partition);
            self.positions.insert(of, offset);
        }
        Ok(())
    }
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
            let clock = Arc::clone(clock);
            Arc::new(MemoryPartition::new(name, number, clock))
        };
        Self {
            name: name.to_owned(),
            slots: Slots::for_partitions(spec.partitions),
            partitions: (0..spec.partitions).map(partition).collect(),
            spec,
        }
    }

    /// Refuses a position that nobody can have come to.
    fn check_position(&self, group: &str, number: u32, offset: u64) -> Result<(), LogError> {
        let topic: Arc<str> = self.name.as_str().into();
        let Some(partition) = self.partitions.get(number as usize) else {
            return Err(LogError::UnknownPartition {
                topic,
                partition: number,
                partitions: self.spec.partitions,
            });
        };
        let end = partition.ends().visible;
        if offset > end {
            return Err(LogError::BeyondEnd {
                group: group.into(),
                topic,
                partition: number,
                offset,
                end,
            });
        }
        Ok(())
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
            if let Err(error) = partition.seal() {
                return future::ready(Err(refused(error))).boxed();
            }
        }
        future::ready(Ok(())).boxed()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere cannot leave these half changed: each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
