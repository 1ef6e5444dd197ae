//! What goes into one group commit, and what is refused at its door.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    Error,
    journal::frame::Entry,
    meta::Change,
    name::folded,
    partition::{PartitionId, state::PartitionState},
    shared::{Item, Shared, lock},
};

/// The items of a group commit, and the frame's entries for them.
#[derive(Default)]
pub(crate) struct Commit {
    pub(crate) entries: Vec<Entry>,
    pub(crate) changes: Vec<Change>,
    pub(crate) items: Vec<Item>,
    /// Names of new topics, folded.
    names: BTreeSet<String>,
    /// Where partitions end with what is in here.
    ends: BTreeMap<PartitionId, u64>,
    /// Nothing more is taken in: the last item closes the log.
    closes: bool,
}

impl Commit {
    /// Takes an item in, or answers it at once. `journal` is what it would be written to.
    pub(crate) fn stage(&mut self, shared: &Shared, journal: &Path, item: Item) {
        if self.closes {
            return item.refuse(Error::Closed);
        }
        match &item {
            Item::Batch {
                partition,
                header,
                bytes,
                ..
            } => {
                if header.previous_end != self.end(partition) {
                    // A batch before this one was refused, and this one must not overtake it.
                    let path = journal.to_path_buf();
                    return refuse(item, Error::NoSpace { path });
                }
                let (id, end) = (partition.id, header.end());
                self.ends.insert(id, end);
                let body = bytes.clone();
                self.entries.push(Entry::Batch { id, end, body });
            }
            Item::MovePositions {
                group, positions, ..
            } => {
                let (group, positions) = (group.name.to_string(), positions.clone());
                self.add_change(Change::PositionsMoved { group, positions });
            }
            Item::Seal { topic, .. } => {
                let partitions = topic.partitions.iter();
                let ends = partitions.map(|partition| self.end(partition)).collect();
                self.add_change(Change::TopicSealed { id: topic.id, ends });
            }
            Item::SetRetention {
                topic, retention, ..
            } => {
                let (id, retention) = (topic.id, *retention);
                self.add_change(Change::RetentionChanged { id, retention });
            }
            Item::CreateTopic { topic, .. } => {
                let mut new = lock(&shared.catalog).check_new(topic.name());
                if !self.names.insert(folded(topic.name())) {
                    let name = topic.name().to_owned();
                    new = Err(Error::TopicExists {
                        existing: name.clone(),
                        name,
                    });
                }
                if let Err(error) = new {
                    return item.refuse(error);
                }
                self.add_change(topic.state().created());
            }
            Item::Close { .. } => {
                self.add_change(Change::Stopped);
                self.closes = true;
            }
        }
        self.items.push(item);
    }

    fn add_change(&mut self, change: Change) {
        self.entries.push(Entry::Change(change.encode().into()));
        self.changes.push(change);
    }

    fn end(&self, partition: &PartitionState) -> u64 {
        let end = self.ends.get(&partition.id).copied();
        end.unwrap_or_else(|| partition.reading().end)
    }
}

/// Refuses an item that was queued.
pub(crate) fn refuse(item: Item, error: Error) {
    match item {
        Item::Batch {
            partition,
            header,
            completion,
            ..
        } => partition.refuse(header.end(), completion, error),
        item => item.refuse(error),
    }
}
