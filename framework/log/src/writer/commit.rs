//! What goes into one group commit, and what is refused at its door.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use super::open::{Ended, OpenTransactions, Staged};
use crate::{
    Acks, Error, Result,
    catalog::GroupState,
    journal::frame::Entry,
    member::{self, Mover},
    meta::{Change, Outcome},
    name::folded,
    partition::{PartitionId, state::PartitionState},
    producer::{Moves, ProducerState},
    shared::{Item, Shared, lock},
    ticket::Completion,
};

/// The items of a group commit, and the frame's entries for them.
pub(super) struct Commit {
    pub(super) entries: Vec<Entry>,
    pub(super) changes: Vec<Change>,
    pub(super) items: Vec<Taken>,
    /// What it does to the open transactions.
    pub(super) transactions: Staged,
    /// The strongest acknowledgement in it.
    pub(super) acks: Acks,
    /// How many records its batches hold.
    pub(super) records: u64,
    /// How groups move, by name.
    moves: BTreeMap<Arc<str>, member::Staged>,
    /// Names of new topics, folded.
    names: BTreeSet<String>,
    /// Where partitions end with what is in here.
    ends: BTreeMap<PartitionId, u64>,
    /// Nothing more is taken in: the last item closes the log.
    closes: bool,
}

/// An item that was taken in.
pub(super) enum Taken {
    Item(Item),
    /// The end of a transaction; the positions that move with it, and who waits.
    Ended(Ended, Option<Moves>, Option<Completion<()>>),
}

impl Commit {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            changes: Vec::new(),
            items: Vec::new(),
            transactions: Staged::default(),
            acks: Acks::Written,
            records: 0,
            moves: BTreeMap::new(),
            names: BTreeSet::new(),
            ends: BTreeMap::new(),
            closes: false,
        }
    }

    /// Takes an item in, or answers it at once. `journal` is what it would be written to.
    pub(super) fn stage(
        &mut self,
        shared: &Shared,
        open: &mut OpenTransactions,
        journal: &Path,
        item: Item,
    ) {
        if self.closes {
            return item.refuse(Error::Closed);
        }
        match &item {
            Item::Batch {
                partition, header, ..
            } => {
                let follows = header.previous_end == self.end(partition);
                // A batch before this one was refused, and this one must not overtake it.
                if !follows || !self.transactions.takes(open, header, partition) {
                    let path = journal.to_path_buf();
                    let error = Error::NoSpace { path };
                    self.transactions.refused(open, header, &error);
                    return item.refuse(error);
                }
                self.add_batch(&item);
            }
            Item::Repeat {
                partition,
                original,
                ..
            } => {
                if self.end(partition) < original.offsets.end {
                    let path = journal.to_path_buf();
                    return item.refuse(Error::NoSpace { path });
                }
            }
            Item::MovePositions {
                group,
                positions,
                by,
                ..
            } => {
                if let Err(error) = self.stage_move(group, by) {
                    return item.refuse(error);
                }
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
            Item::OpenProducer { producer, .. } => {
                if !lock(&shared.catalog).takes(producer.state()) {
                    let path = journal.to_path_buf();
                    return item.refuse(Error::NoSpace { path });
                }
                self.abort_left_open(open, producer.state());
                self.add_change(producer.opened());
            }
            Item::ForgetProducer { producer, .. } => {
                self.abort_left_open(open, producer);
                self.add_change(Change::ProducerForgotten { id: producer.id });
            }
            Item::Begin {
                producer,
                epoch,
                began,
            } => {
                self.abort_left_open(open, producer);
                let due = began.saturating_add(shared.limits.transaction_timeout);
                self.transactions.begin(producer, *epoch, due);
                let (producer, epoch) = (producer.id, *epoch);
                self.add_change(Change::TransactionBegun { producer, epoch });
            }
            Item::End { .. } => return self.stage_end(open, item),
            Item::Close { .. } => {
                self.add_change(Change::Stopped);
                self.closes = true;
            }
        }
        self.items.push(Taken::Item(item));
    }

    /// Notes that a group is about to move, unless it must not.
    fn stage_move(&mut self, group: &GroupState, by: &Mover) -> Result<()> {
        let moved = self.moves.entry(Arc::clone(&group.name)).or_default();
        group.check(by, *moved)?;
        *moved = moved.then(by);
        Ok(())
    }

    /// Takes in the end of a transaction, unless there is nothing to end.
    fn stage_end(&mut self, open: &OpenTransactions, item: Item) {
        let Item::End {
            producer,
            epoch,
            outcome,
            positions,
            completion,
            ..
        } = item
        else {
            unreachable!("only ends are given here");
        };
        let ended = self.transactions.end(open, &producer, epoch, outcome);
        let Some(ended) = ended else {
            // It was aborted meanwhile, which is what was asked for; or its beginning was refused.
            if let Some(completion) = completion {
                completion.complete(match outcome {
                    Outcome::Committed => Err(producer.over()),
                    Outcome::Aborted => Ok(()),
                });
            }
            return;
        };
        let Some(error) = ended.refused.clone() else {
            return self.add_end(ended, positions, completion);
        };
        if let Some(completion) = completion {
            completion.complete(Err(error));
        }
        self.add_end(ended, None, None);
    }

    /// Aborts the transaction that a producer has open although its end was queued: a full disk
    /// refused the end, and nothing of the producer may overtake it.
    fn abort_left_open(&mut self, open: &OpenTransactions, producer: &ProducerState) {
        if let Some(ended) = self.transactions.end_any(open, producer.id) {
            self.add_end(ended, None, None);
        }
    }

    fn add_end(
        &mut self,
        ended: Ended,
        positions: Option<Moves>,
        completion: Option<Completion<()>>,
    ) {
        if let Some((group, _)) = &positions {
            let moved = self.moves.entry(Arc::clone(&group.name)).or_default();
            *moved = moved.then(&Mover::Anyone);
        }
        let moved = positions.iter();
        let moved = moved.map(|(group, moves)| (group.name.to_string(), moves.clone()));
        self.add_change(Change::TransactionEnded {
            producer: ended.producer.id,
            epoch: ended.epoch,
            outcome: ended.outcome,
            ranges: ended.ranges().collect(),
            positions: moved.collect(),
        });
        self.items.push(Taken::Ended(ended, positions, completion));
    }

    fn add_batch(&mut self, item: &Item) {
        let Item::Batch {
            partition,
            header,
            bytes,
            ..
        } = item
        else {
            unreachable!("only batches are given here");
        };
        let (id, end) = (partition.id, header.end());
        self.ends.insert(id, end);
        if partition.acks == Acks::Durable {
            self.acks = Acks::Durable;
        }
        self.records += u64::from(header.count);
        let body = bytes.clone();
        self.entries.push(Entry::Batch { id, end, body });
    }

    fn add_change(&mut self, change: Change) {
        self.entries.push(Entry::Change(change.encode().into()));
        self.changes.push(change);
        self.acks = Acks::Durable;
    }

    fn end(&self, partition: &PartitionState) -> u64 {
        let end = self.ends.get(&partition.id).copied();
        end.unwrap_or_else(|| partition.reading().end)
    }
}
