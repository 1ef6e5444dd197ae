//! One type of record per topic within a program, whatever the backend.
//!
//! A codec's name does not tell apart what it can write: `msgpack/1` reads numbers and text alike.
//! Names of Rust types are not kept with a topic, since a program may rename its types. So this
//! compares the handles that live now; what another program wrote is found out by decoding.

use std::{
    any::{TypeId, type_name},
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use levada_core::{
    backend::{Backend, BackendError, Partition, Position, Ticket, Topic, TopicSpec, Traits},
    key::Slots,
};

/// The topics that are open, by name. Bounded by the topics that there are.
#[derive(Debug, Default)]
pub(crate) struct OpenTopics {
    topics: Mutex<HashMap<String, Weak<TypedTopic>>>,
}

/// What a topic's records are.
#[derive(Clone, Copy, Debug)]
struct RecordType {
    id: TypeId,
    name: &'static str,
}

/// A backend as it is asked for topics of one type.
#[derive(Debug)]
pub(crate) struct TypedBackend {
    backend: Arc<dyn Backend>,
    open: Arc<OpenTopics>,
    record: RecordType,
}

impl TypedBackend {
    pub(crate) fn of<T: 'static>(backend: Arc<dyn Backend>, open: Arc<OpenTopics>) -> Self {
        let record = RecordType {
            id: TypeId::of::<T>(),
            name: type_name::<T>(),
        };
        Self {
            backend,
            open,
            record,
        }
    }

    /// Refuses a topic that is open with another type.
    fn typed(&self, topic: Arc<dyn Topic>) -> Result<Arc<dyn Topic>, BackendError> {
        let topics = &self.open.topics;
        let mut topics = topics.lock().unwrap_or_else(PoisonError::into_inner);
        let name = topic.name().to_owned();
        match topics.get(&name).and_then(Weak::upgrade) {
            Some(open) if open.record.id == self.record.id => Ok(open),
            Some(open) => Err(BackendError::TopicDiffers {
                topic: name,
                is: format!("records of type `{}`", open.record.name),
                asked: format!("`{}`", self.record.name),
            }),
            None => {
                let record = self.record;
                let topic = Arc::new(TypedTopic { topic, record });
                topics.insert(name, Arc::downgrade(&topic));
                Ok(topic)
            }
        }
    }
}

impl Backend for TypedBackend {
    fn traits(&self) -> Traits {
        self.backend.traits()
    }

    fn create_topic(&self, name: &str, spec: &TopicSpec) -> Result<Arc<dyn Topic>, BackendError> {
        self.typed(self.backend.create_topic(name, spec)?)
    }

    fn topic(&self, name: &str) -> Result<Arc<dyn Topic>, BackendError> {
        self.typed(self.backend.topic(name)?)
    }

    fn commit(&self, group: &str, positions: Vec<(String, u32, u64)>) -> Ticket<()> {
        self.backend.commit(group, positions)
    }

    fn positions(&self, group: &str, topic: &str) -> Result<BTreeMap<u32, u64>, BackendError> {
        self.backend.positions(group, topic)
    }

    fn all_positions(&self) -> Vec<Position> {
        self.backend.all_positions()
    }

    fn close(&self) {
        self.backend.close();
    }
}

#[derive(Debug)]
struct TypedTopic {
    topic: Arc<dyn Topic>,
    record: RecordType,
}

impl Topic for TypedTopic {
    fn name(&self) -> &str {
        self.topic.name()
    }

    fn spec(&self) -> TopicSpec {
        self.topic.spec()
    }

    fn slots(&self) -> Slots {
        self.topic.slots()
    }

    fn partition(&self, partition: u32) -> Arc<dyn Partition> {
        self.topic.partition(partition)
    }

    fn seal(&self) -> Ticket<()> {
        self.topic.seal()
    }
}
