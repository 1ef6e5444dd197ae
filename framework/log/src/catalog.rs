//! Topics and groups by name, in memory: what the handles look up.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex},
};

use crate::{
    Error, Result,
    limits::MAX_PRODUCERS,
    member::Members,
    meta::{Change, Image, Positions, Settings, TopicImage},
    name::folded,
    partition::{PartitionId, state::PartitionState},
    producer::ProducerState,
    shared::lock,
    topic::TopicOptions,
};

/// Topics and groups by name.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// By name, folded: no two names differ in case only.
    topics: BTreeMap<String, Arc<TopicState>>,
    groups: BTreeMap<String, Arc<GroupState>>,
    producers: BTreeMap<String, Arc<ProducerState>>,
    /// Who has a name next: its producer is being forgotten, which may still be refused.
    successors: BTreeMap<String, Arc<ProducerState>>,
    next_topic: u32,
    next_producer: u64,
}

/// A topic.
#[derive(Debug)]
pub(crate) struct TopicState {
    pub(crate) id: u32,
    pub(crate) name: Arc<str>,
    pub(crate) settings: Settings,
    pub(crate) partitions: Vec<Arc<PartitionState>>,
}

/// A group.
#[derive(Debug)]
pub(crate) struct GroupState {
    pub(crate) name: Arc<str>,
    pub(crate) positions: Mutex<Positions>,
    /// Locked before the positions, where both are.
    pub(crate) members: Mutex<Members>,
    /// Offsets by partition that retention removed before the group had done them.
    pub(crate) missed: Mutex<Positions>,
}

impl GroupState {
    /// Says loudly that retention has removed these offsets, if the group had not done them.
    pub(crate) fn passed(&self, partition: &PartitionState, removed: Range<u64>) {
        let position = lock(&self.positions).get(&partition.id).copied();
        let first = position.map_or(removed.end, |at| at.max(removed.start));
        let offsets = removed.end.saturating_sub(first);
        if offsets == 0 {
            return;
        }
        *lock(&self.missed).entry(partition.id).or_default() += offsets;
        tracing::warn!(
            group = %self.name, topic = %partition.topic, partition = partition.id.partition,
            offsets, "retention has removed what the group had not done"
        );
    }
}

impl Catalog {
    pub(crate) fn new(image: &Image) -> Self {
        let mut catalog = Self {
            next_topic: 1,
            next_producer: image.next_producer.max(1),
            ..Self::default()
        };
        for (&id, topic) in &image.topics {
            catalog.insert(TopicState::new(id, topic));
        }
        for (name, positions) in &image.groups {
            *lock(&catalog.group(name).positions) = positions.clone();
        }
        for (&id, producer) in &image.producers {
            let state = ProducerState::new(id, &producer.name, producer.epoch);
            catalog
                .producers
                .insert(producer.name.clone(), state.into());
            // None after a recovery, which aborts them; but beside a log that goes on.
            for (partition, range) in producer.open.iter().flat_map(|open| &open.ranges) {
                if let Some(partition) = catalog.partition(*partition) {
                    partition.reading().hold_back(id, range.start);
                }
            }
        }
        catalog
    }

    pub(crate) fn topic(&self, name: &str) -> Option<Arc<TopicState>> {
        self.topics
            .get(&folded(name))
            .filter(|topic| &*topic.name == name)
            .cloned()
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = &Arc<TopicState>> {
        self.topics.values()
    }

    /// The group called `name`, made without positions if it is new.
    pub(crate) fn group(&mut self, name: &str) -> Arc<GroupState> {
        let group = self.groups.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(GroupState {
                name: name.into(),
                positions: Mutex::default(),
                members: Mutex::default(),
                missed: Mutex::default(),
            })
        });
        Arc::clone(group)
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = &Arc<GroupState>> {
        self.groups.values()
    }

    /// The producer called `name`, made if it is new.
    pub(crate) fn producer(&mut self, name: &str) -> Result<Arc<ProducerState>> {
        if let Some(known) = self.known_producer(name) {
            return Ok(known);
        }
        if self.producers.len() >= MAX_PRODUCERS {
            return Err(Error::TooLarge {
                what: "number of producers",
                size: self.producers.len() as u64 + 1,
                limit: MAX_PRODUCERS as u64,
            });
        }
        let made = Arc::new(ProducerState::new(self.next_producer, name, 0));
        self.next_producer += 1;
        let named = if self.producers.contains_key(name) {
            &mut self.successors
        } else {
            &mut self.producers
        };
        named.insert(name.to_owned(), Arc::clone(&made));
        Ok(made)
    }

    /// The producer called `name`, if there is one, or who has the name next.
    pub(crate) fn known_producer(&mut self, name: &str) -> Option<Arc<ProducerState>> {
        let known = self.producers.get(name)?;
        if known.is_forgotten() {
            let next = self.successors.get(name);
            return next.filter(|next| !next.is_forgotten()).cloned();
        }
        // It may be one that could not be forgotten.
        self.successors.remove(name);
        Some(Arc::clone(known))
    }

    /// Whether a producer may be opened: not if the one before it could not be forgotten.
    pub(crate) fn takes(&self, producer: &ProducerState) -> bool {
        let known = self.producers.get(&*producer.name);
        let has_name = |known: &Arc<ProducerState>| known.id == producer.id;
        producer.is_forgotten() || known.is_none_or(|it| has_name(it) || it.is_forgotten())
    }

    pub(crate) fn producers(&self) -> impl Iterator<Item = &Arc<ProducerState>> {
        self.producers.values()
    }

    /// Forgets a producer.
    pub(crate) fn forget(&mut self, producer: &Arc<ProducerState>) {
        let name = &*producer.name;
        let known = self.producers.get(name);
        if known.is_some_and(|known| Arc::ptr_eq(known, producer)) {
            self.producers.remove(name);
            let next = self.successors.remove_entry(name);
            self.producers.extend(next);
        }
    }

    fn partition(&self, id: PartitionId) -> Option<&Arc<PartitionState>> {
        let topic = self.topics.values().find(|topic| topic.id == id.topic)?;
        topic.partitions.get(id.partition as usize)
    }

    pub(crate) fn partitions(&self) -> Vec<Arc<PartitionState>> {
        self.topics
            .values()
            .flat_map(|topic| topic.partitions.iter().cloned())
            .collect()
    }

    /// Refuses a name that a topic has, or that differs from a topic's in case only.
    pub(crate) fn check_new(&self, name: &str) -> Result<()> {
        match self.topics.get(&folded(name)) {
            None => Ok(()),
            Some(existing) => {
                let (name, existing) = (name.to_owned(), existing.name.to_string());
                Err(Error::TopicExists { name, existing })
            }
        }
    }

    /// Makes a topic, outside the catalog. Its number is never given again, even if the topic does
    /// not come to be.
    pub(crate) fn make(&mut self, name: &str, options: TopicOptions) -> Arc<TopicState> {
        let image = TopicImage::new(name.to_owned(), options.partitions, options.settings);
        let topic = TopicState::new(self.next_topic, &image);
        self.next_topic += 1;
        Arc::new(topic)
    }

    /// Becomes as `newer` is, so that handles to what is in here see it. No topic and no group goes
    /// away.
    pub(crate) fn become_as(&mut self, newer: Self) {
        for (name, topic) in newer.topics {
            match self.topics.get(&name).filter(|old| old.id == topic.id) {
                Some(old) => {
                    for (old, new) in old.partitions.iter().zip(&topic.partitions) {
                        old.become_as(new);
                    }
                }
                None => {
                    self.topics.insert(name, topic);
                }
            }
        }
        for (name, group) in newer.groups {
            let positions = std::mem::take(&mut *lock(&group.positions));
            *lock(&self.group(&name).positions) = positions;
        }
        // Nobody has a handle to one: none can be opened here.
        self.producers = newer.producers;
    }

    /// Takes in a topic.
    pub(crate) fn insert(&mut self, topic: impl Into<Arc<TopicState>>) {
        let topic = topic.into();
        self.next_topic = self.next_topic.max(topic.id + 1);
        self.topics.insert(folded(&topic.name), topic);
    }
}

impl TopicState {
    fn new(id: u32, image: &TopicImage) -> Self {
        let name: Arc<str> = image.name.as_str().into();
        let numbers = (0..).take(image.partitions.len());
        let partitions = numbers.map(|partition| {
            let id = PartitionId {
                topic: id,
                partition,
            };
            Arc::new(PartitionState::new(id, &name, image))
        });
        let partitions = partitions.collect();
        Self {
            id,
            name,
            settings: image.settings.clone(),
            partitions,
        }
    }

    /// The change that brings this topic to be.
    pub(crate) fn created(&self) -> Change {
        let partitions = self.partitions.len();
        Change::TopicCreated {
            id: self.id,
            name: self.name.to_string(),
            partitions: u32::try_from(partitions).expect("partitions are below their limit"),
            settings: self.settings.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Queue;

    #[test]
    fn producer_that_could_not_be_forgotten_keeps_its_name() {
        let (mut catalog, queue) = (Catalog::default(), Queue::new(1 << 20));
        let old = catalog.producer("import").unwrap();
        let _forgotten = old.forget(&queue);
        let next = catalog.producer("import").unwrap();
        assert!(old.id != next.id && catalog.takes(&next));
        old.remember();
        assert!(!catalog.takes(&next) && catalog.takes(&old));
        assert_eq!(catalog.producer("import").unwrap().id, old.id);

        let _forgotten = old.forget(&queue);
        catalog.forget(&old);
        assert!(catalog.known_producer("import").is_none());
    }
}
