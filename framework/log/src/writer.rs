//! The writer: one group commit per turn.
//!
//! A group commit takes what waits, writes it as one frame of the journal, syncs once, sees that
//! the folder is still ours, and only then lets readers see it and answers the tickets.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    Error,
    commit::{Commit, refuse},
    error::Failure,
    journal::{
        Journal,
        frame::{Entry, JournalId},
    },
    keeper::{FullJournal, Room},
    meta::Change,
    partition::{Appended, PartitionId, state::PartitionState},
    shared::{Item, Life, Shared, lock},
    ticket::Completion,
};

/// The I/O work that makes things durable.
pub(crate) struct Writer {
    life: Life,
    journal: Journal,
    id: JournalId,
    /// The number of the next group commit.
    commit: u64,
    /// What this journal holds, for when it is full.
    changes: Vec<Change>,
    dirty: BTreeMap<PartitionId, Arc<PartitionState>>,
}

/// What a turn came to.
enum Turn {
    /// There is more to do.
    Again,
    /// Somebody will wake us.
    Idle,
    /// The log has ended.
    Ended,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, journal: Journal, id: JournalId, commit: u64) -> Self {
        let (changes, dirty) = (Vec::new(), BTreeMap::new());
        Self {
            life: Life(shared),
            journal,
            id,
            commit,
            changes,
            dirty,
        }
    }

    /// Does one group commit. Ready when the log has ended.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let shared = Arc::clone(&self.life.0);
        shared.queue.filled.register(context.waker());
        if shared.is_stopping() {
            return Poll::Ready(());
        }
        match self.turn(&shared) {
            Turn::Again => context.waker().wake_by_ref(),
            Turn::Idle => {}
            Turn::Ended => return Poll::Ready(()),
        }
        Poll::Pending
    }

    fn turn(&mut self, shared: &Shared) -> Turn {
        if shared.queue.is_closed() {
            return Turn::Idle;
        }
        let is_wanted = self.journal.len() > 0 && shared.flush.take_wish();
        if !is_wanted && shared.queue.is_empty() {
            return Turn::Idle;
        }
        if shared.cleaning.room.is_spent() {
            let path = self.journal.path().clone();
            let full = Failure::NoSpace(Error::NoSpace { path });
            return self.fail(shared, full, Vec::new());
        }
        if is_wanted || self.journal.len() >= shared.limits.journal_bytes {
            match self.roll(shared) {
                Ok(true) => {}
                Ok(false) => return Turn::Idle,
                Err(failure) => return self.fail(shared, failure, Vec::new()),
            }
        }
        self.commit(shared, shared.queue.take_commit())
    }

    /// Starts the next journal and leaves the full one to the keeper; `false` if that must wait.
    fn roll(&mut self, shared: &Shared) -> Result<bool, Failure> {
        let spare = match shared.flush.room() {
            Room::Free { spare } => spare,
            Room::Wait => return Ok(false),
            Room::NoSpace(error) => {
                shared.keeper.wake();
                return Err(Failure::NoSpace(error));
            }
        };
        shared.check_fence()?;
        let number = self.journal.number();
        let next = JournalId {
            number: number + 1,
            ..self.id
        };
        self.journal = Journal::create(&*shared.vfs, &shared.paths, next, spare)?;
        self.id = next;
        let dirty = std::mem::take(&mut self.dirty);
        let partitions = dirty.into_values().map(|partition| {
            let end = partition.reading().end;
            (partition, end)
        });
        shared.flush.give(FullJournal {
            number,
            next: next.number,
            commit: self.commit,
            changes: std::mem::take(&mut self.changes),
            partitions: partitions.collect(),
        });
        shared.keeper.wake();
        tracing::debug!(journal = next.number, "journal started");
        Ok(true)
    }

    fn commit(&mut self, shared: &Shared, items: Vec<Item>) -> Turn {
        let mut commit = Commit::default();
        for item in items {
            commit.stage(shared, self.journal.path(), item);
        }
        if commit.entries.is_empty() {
            return Turn::Again;
        }
        if cfg!(planted = "ack_early") {
            let entries = std::mem::take(&mut commit.entries);
            let turn = self.finish(shared, commit);
            return self.write(shared, &entries).map_or(Turn::Idle, |()| turn);
        }
        match self.write(shared, &commit.entries) {
            Ok(()) => {
                shared.cleaning.room.wrote();
                self.finish(shared, commit)
            }
            Err(failure) => self.fail(shared, failure, commit.items),
        }
    }

    /// Makes a frame of the entries durable, in a folder that is still ours.
    ///
    /// The fence is looked at after the sync: whoever takes the folder before that look is seen,
    /// and then nothing is acknowledged.
    fn write(&mut self, shared: &Shared, entries: &[Entry]) -> Result<(), Failure> {
        self.journal.write(self.commit, entries)?;
        self.journal.sync()?;
        shared.check_fence()?;
        self.commit += 1;
        Ok(())
    }

    /// Lets what is durable take effect and answers.
    fn finish(&mut self, shared: &Shared, commit: Commit) -> Turn {
        self.changes.extend(commit.changes);
        let mut turn = Turn::Again;
        let mut appended: Vec<(Completion<Appended>, Appended)> = Vec::new();
        for item in commit.items {
            match item {
                Item::Batch {
                    partition,
                    header,
                    bytes,
                    completion,
                } => {
                    let offsets = header.base_offset..header.end();
                    let append_time = header.append_time;
                    partition.publish([(header, bytes)]);
                    appended.push((
                        completion,
                        Appended {
                            offsets,
                            append_time,
                        },
                    ));
                    self.dirty.insert(partition.id, partition);
                }
                Item::CreateTopic { topic, completion } => {
                    lock(&shared.catalog).insert(Arc::clone(topic.state()));
                    completion.complete(Ok(topic));
                }
                Item::MovePositions {
                    group,
                    positions,
                    completion,
                } => {
                    lock(&group.positions).extend(positions);
                    completion.complete(Ok(()));
                }
                Item::SetRetention {
                    topic,
                    retention,
                    completion,
                } => {
                    let partitions = topic.partitions.iter();
                    partitions.for_each(|partition| partition.set_retention(retention));
                    completion.complete(Ok(()));
                    shared.clean_soon();
                }
                Item::Seal { topic, completion } => {
                    topic
                        .partitions
                        .iter()
                        .for_each(|partition| partition.seal());
                    completion.complete(Ok(()));
                }
                Item::Close { completion } => {
                    shared.when_ended(completion);
                    turn = Turn::Ended;
                }
            }
        }
        for (completion, appended) in appended {
            completion.complete(Ok(appended));
        }
        if matches!(turn, Turn::Ended) {
            shared.refuse_all(&Error::Closed);
            shared.stop();
        }
        turn
    }

    /// Answers a group commit that failed.
    fn fail(&mut self, shared: &Shared, failure: Failure, mut items: Vec<Item>) -> Turn {
        let error = match failure {
            // What waits goes with it: a seal must not overtake the batches that were before it.
            Failure::NoSpace(error) => {
                // Whoever asked is told; that is where it is heard of.
                tracing::debug!(%error, "appends are refused");
                shared.cleaning.room.ran_out(shared.paths.folder());
                items.extend(shared.queue.take_all());
                items = self.make_room(shared, items);
                shared.clean_soon();
                error
            }
            Failure::Fatal(cause) => shared.die(&cause),
            Failure::Damaged(_) => unreachable!("the journal belongs to no partition"),
        };
        for item in items {
            refuse(item, error.clone());
        }
        Turn::Again
    }

    /// Writes what makes room, with the reserve if need be; what is left of the items.
    ///
    /// Nothing else is, so a changed retention overtakes what was before it. It may: it touches
    /// nothing that has not been acknowledged.
    fn make_room(&mut self, shared: &Shared, items: Vec<Item>) -> Vec<Item> {
        let makes_room = |item: &Item| matches!(item, Item::SetRetention { .. });
        let (urgent, mut rest): (Vec<_>, Vec<_>) = items.into_iter().partition(makes_room);
        if urgent.is_empty() {
            return rest;
        }
        shared.cleaning.room.release(shared);
        let mut commit = Commit::default();
        for item in urgent {
            commit.stage(shared, self.journal.path(), item);
        }
        match self.write(shared, &commit.entries) {
            Ok(()) => {
                self.finish(shared, commit);
            }
            Err(failure) => {
                if let Failure::Fatal(cause) = failure {
                    shared.die(&cause);
                }
                rest.extend(commit.items);
            }
        }
        rest
    }
}
