//! The writer: one group commit per turn.
//!
//! A group commit takes what waits, writes it as one frame of the journal, syncs once, sees that
//! the folder is still ours, and only then lets readers see it and answers the tickets. Where
//! nothing in it promises to be durable there is no sync: the next one covers it.

mod commit;
mod open;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use commit::{Commit, Taken};
use futures::future::BoxFuture;
use open::OpenTransactions;

use crate::{
    Acks, Error,
    error::Failure,
    journal::{
        Journal,
        frame::{Entry, JournalId},
    },
    keeper::{FullJournal, Pace, Room},
    limits::MAX_OFFSETS_PER_COMMIT,
    mark::Mark,
    member::Mover,
    meta::Change,
    partition::{Appended, PartitionId, state::PartitionState},
    planted::planted,
    shared::{Item, Life, Shared, lock},
    ticket::Completion,
};

/// How much larger than it should be a journal gets while the one before it is still being flushed,
/// if it has so many partitions that each would get little: what a flush takes are syncs then, and
/// there are fewer of them if more goes to each segment at once.
const GROWTH: u64 = 4;
/// The part of a journal that is much for one partition: by default 128 KiB.
const PART: u64 = 256;
/// How long to wait where only time can help.
const PAUSE: Duration = Duration::from_millis(100);

/// The I/O work that makes things durable.
pub(crate) struct Writer {
    life: Life,
    journal: Journal,
    mark: Mark,
    id: JournalId,
    /// It was full while the one before was being flushed.
    has_waited: bool,
    /// The number of the next group commit.
    commit: u64,
    /// A group commit that is written, while no file can be opened to look at the fence.
    written: Option<Commit>,
    /// Until when to wait for one.
    pause: Option<BoxFuture<'static, ()>>,
    /// What this journal holds, for when it is full.
    changes: Vec<Change>,
    dirty: BTreeMap<PartitionId, Arc<PartitionState>>,
    /// The journal before it, unless all of it is known to be durable: what was only written need
    /// not be synced before it is flushed, but it is synced before anything behind it.
    previous: Option<Journal>,
    /// Records in this journal and in the one before that were not synced.
    unsynced: u64,
    unsynced_before: u64,
    open: OpenTransactions,
    /// Wakes at this time, when a transaction is to be aborted.
    alarm: Option<(Duration, BoxFuture<'static, ()>)>,
}

/// What a turn came to.
enum Turn {
    /// There is more to do.
    Again,
    /// Somebody will wake us.
    Idle,
    /// The same may succeed in a moment.
    Later,
    /// The log has ended.
    Ended,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, journal: Journal, id: JournalId, commit: u64) -> Self {
        let mark = Mark::open(&*shared.vfs, &shared.paths, shared.instance);
        Self {
            life: Life(shared),
            journal,
            mark,
            id,
            has_waited: false,
            commit,
            written: None,
            pause: None,
            changes: Vec::new(),
            dirty: BTreeMap::new(),
            previous: None,
            unsynced: 0,
            unsynced_before: 0,
            open: OpenTransactions::default(),
            alarm: None,
        }
    }

    /// Does one group commit. Ready when the log has ended.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let shared = Arc::clone(&self.life.0);
        shared.queue.filled.register(context.waker());
        if shared.is_stopping() {
            return Poll::Ready(());
        }
        self.abort_due(&shared, context);
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        match self.turn(&shared) {
            Turn::Again => context.waker().wake_by_ref(),
            Turn::Idle => {}
            Turn::Later => {
                let until = shared.clock.elapsed() + PAUSE;
                self.pause = Some(shared.clock.sleep_until(until));
                context.waker().wake_by_ref();
            }
            Turn::Ended => return Poll::Ready(()),
        }
        Poll::Pending
    }

    /// Queues the abort of transactions whose time has come, and sees to it that it is done again
    /// when the next one's has.
    fn abort_due(&mut self, shared: &Shared, context: &mut Context<'_>) {
        while let Some(due) = self.open.due() {
            if self.alarm.as_ref().is_none_or(|(at, _)| *at != due) {
                self.alarm = Some((due, shared.clock.sleep_until(due)));
            }
            let (_, sleep) = self.alarm.as_mut().expect("it was set just now");
            if sleep.as_mut().poll(context).is_pending() {
                return;
            }
            self.alarm = None;
            let timeout = shared.limits.transaction_timeout;
            for (producer, epoch, orphaned) in self.open.take_due(shared.clock.elapsed()) {
                producer.expire(&shared.queue, epoch, (!orphaned).then_some(timeout));
            }
        }
        self.alarm = None;
    }

    fn turn(&mut self, shared: &Shared) -> Turn {
        if let Some(commit) = self.written.take() {
            return self.acknowledge(shared, commit);
        }
        if shared.queue.is_closed() {
            return Turn::Idle;
        }
        let (len, full) = (self.journal.len(), shared.limits.journal_bytes);
        let is_due =
            len > 0 && shared.flush.is_free() && (shared.flush.take_wish() || self.has_waited);
        if !is_due && shared.queue.is_empty() {
            return Turn::Idle;
        }
        if shared.cleaning.room.is_spent() {
            let path = self.journal.path().clone();
            let full = Failure::NoSpace(Error::NoSpace { path });
            return self.fail(shared, full, Vec::new());
        }
        if is_due || len >= full {
            match self.roll(shared) {
                Ok(true) => {}
                Ok(false) => {
                    self.has_waited = true;
                    if len >= self.most_bytes(shared) {
                        return Turn::Idle;
                    }
                }
                Err(failure) => return self.fail(shared, failure, Vec::new()),
            }
        }
        self.commit(shared, shared.queue.take_commit())
    }

    /// How long the journal gets if it has to wait.
    fn most_bytes(&self, shared: &Shared) -> u64 {
        let full = shared.limits.journal_bytes;
        // What little room there is is better taken by segments: they can be removed.
        if !shared.cleaning.room.is_enough() {
            return full;
        }
        let parts = self.dirty.len() as u64;
        (full / PART * parts).clamp(full, full * GROWTH)
    }

    /// Starts the next journal and leaves the full one to the keeper; `false` if that must wait.
    fn roll(&mut self, shared: &Shared) -> Result<bool, Failure> {
        match shared.flush.room() {
            Room::Free => {}
            Room::Wait => return Ok(false),
            Room::NoSpace(error) => {
                shared.keeper.wake();
                return Err(Failure::NoSpace(error));
            }
        }
        shared.check_fence()?;
        let number = self.journal.number();
        let next = JournalId {
            number: number + 1,
            ..self.id
        };
        let synced = self.journal.synced();
        let spare = shared.flush.take_spare();
        let next_journal = Journal::create(&*shared.vfs, &shared.paths, next, synced, spare)?;
        let full = std::mem::replace(&mut self.journal, next_journal);
        // Of the one before, all is in segments by now.
        self.previous = Some(full);
        (self.unsynced_before, self.unsynced) = (self.unsynced, 0);
        self.id = next;
        let pace = if std::mem::take(&mut self.has_waited) {
            Pace::Hurried
        } else {
            Pace::Gentle
        };
        let dirty = std::mem::take(&mut self.dirty);
        let partitions = dirty.into_values().map(|partition| {
            let end = partition.reading().end;
            (partition, end)
        });
        let full = FullJournal {
            number,
            next: next.number,
            commit: self.commit,
            changes: std::mem::take(&mut self.changes),
            partitions: partitions.collect(),
        };
        shared.flush.give(full, pace);
        shared.keeper.wake();
        tracing::debug!(journal = next.number, "journal started");
        Ok(true)
    }

    fn commit(&mut self, shared: &Shared, items: Vec<Item>) -> Turn {
        let mut commit = Commit::new();
        for item in items {
            commit.stage(shared, &mut self.open, self.journal.path(), item);
        }
        if commit.entries.is_empty() {
            return self.finish(shared, commit);
        }
        self.unsynced += commit.records;
        let entries = std::mem::take(&mut commit.entries);
        if self.unsynced_before + self.unsynced > MAX_OFFSETS_PER_COMMIT {
            commit.acks = Acks::Durable;
        }
        if planted("ack_early") {
            let acks = commit.acks;
            let turn = self.finish(shared, commit);
            let written = self.write(&entries, acks);
            let ours = written.and_then(|()| shared.check_fence());
            return ours.map_or(Turn::Idle, |()| turn);
        }
        match self.write(&entries, commit.acks) {
            Ok(()) => {
                shared.cleaning.room.wrote();
                if self.journal.len() >= shared.limits.journal_bytes / 2 && shared.flush.hurry() {
                    shared.keeper.wake();
                }
                self.acknowledge(shared, commit)
            }
            Err(failure) => self.fail(shared, failure, commit.items),
        }
    }

    /// Writes a frame of the entries, and makes it durable if it must be.
    fn write(&mut self, entries: &[Entry], acks: Acks) -> Result<(), Failure> {
        self.journal.write(self.commit, entries)?;
        if acks == Acks::Durable {
            let previous = self.previous.take();
            if let Some(mut previous) = previous.filter(|_| !planted("previous_unsynced")) {
                previous.sync()?;
            }
            self.journal.sync()?;
            (self.unsynced_before, self.unsynced) = (0, 0);
        }
        self.commit += 1;
        Ok(())
    }

    /// Lets a group commit that is written take effect, in a folder that is still ours.
    ///
    /// The fence is looked at after the sync: whoever takes the folder before that look is seen,
    /// and then nothing is acknowledged. What is written can no longer be refused either; so while
    /// no file can be opened to look, it waits.
    fn acknowledge(&mut self, shared: &Shared, commit: Commit) -> Turn {
        match shared.check_fence() {
            Ok(()) => {
                let last = self.commit - 1;
                self.mark.set(last, self.journal.synced());
                shared.acknowledged.store(last, Ordering::Release);
                self.finish(shared, commit)
            }
            Err(Failure::NoSpace(error)) => {
                tracing::warn!(%error, "a group commit waits to be acknowledged");
                self.written = Some(commit);
                Turn::Later
            }
            Err(failure) => self.fail(shared, failure, commit.items),
        }
    }

    /// Lets what is acknowledged take effect and answers.
    fn finish(&mut self, shared: &Shared, commit: Commit) -> Turn {
        self.changes.extend(commit.changes);
        self.open.take_in(commit.transactions);
        let mut turn = Turn::Again;
        let mut appended: Vec<(Completion<Appended>, Appended)> = Vec::new();
        for taken in commit.items {
            let item = match taken {
                Taken::Item(item) => item,
                Taken::Ended(ended, moves, completion) => {
                    ended.show();
                    if let Some((group, positions)) = moves {
                        group.moved(positions, &Mover::Anyone);
                    }
                    if let Some(completion) = completion {
                        completion.complete(Ok(()));
                    }
                    continue;
                }
            };
            match item {
                Item::Batch {
                    partition,
                    header,
                    bytes,
                    completion,
                    ..
                } => {
                    let offsets = header.base_offset..header.end();
                    let append_time = header.append_time;
                    partition.reading().publish((header, bytes));
                    if let Some(completion) = completion {
                        let result = Appended {
                            offsets,
                            append_time,
                        };
                        appended.push((completion, result));
                    }
                    self.dirty.insert(partition.id, partition);
                }
                Item::Close { completion } => {
                    shared.when_ended(completion);
                    turn = Turn::Ended;
                }
                change => take_effect(shared, change),
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
    fn fail(&mut self, shared: &Shared, failure: Failure, taken: Vec<Taken>) -> Turn {
        let (error, mut waiting) = match failure {
            // What waits goes with it: a seal must not overtake the batches that were before it.
            Failure::NoSpace(error) => {
                // Whoever asked is told; that is where it is heard of.
                tracing::debug!(%error, "appends are refused");
                let waiting = shared.queue.take_all();
                if error.is_full_disk() {
                    shared.cleaning.room.ran_out(shared.paths.folder());
                    // Not if the keeper alone has asked for the journal: it would ask again.
                    if !(taken.is_empty() && waiting.is_empty()) {
                        shared.clean_soon();
                    }
                }
                (error, waiting)
            }
            Failure::Fatal(cause) => (shared.die(&cause), Vec::new()),
            Failure::Damaged(_) => unreachable!("the journal belongs to no partition"),
        };
        let now = shared.clock.elapsed();
        let mut items = Vec::new();
        for taken in taken {
            match taken {
                Taken::Item(item) => items.push(item),
                Taken::Ended(ended, _, completion) => {
                    self.open.orphan(ended.producer.id, ended.epoch, now);
                    if let Some(completion) = completion {
                        completion.complete(Err(error.clone()));
                    }
                }
            }
        }
        items.append(&mut waiting);
        let mut turn = Turn::Idle;
        if error.is_full_disk() {
            (items, turn) = self.make_room(shared, items);
        }
        for item in items {
            match &item {
                Item::End {
                    producer, epoch, ..
                } => self.open.orphan(producer.id, *epoch, now),
                Item::Batch { header, .. } => self.open.refused(header, &error),
                _ => {}
            }
            item.refuse(error.clone());
        }
        // Whoever asks next wakes us, unless what made room could not be acknowledged yet.
        turn
    }

    /// Writes what makes room, with the reserve if need be; what is left of the items.
    ///
    /// Nothing else is, so a changed retention overtakes what was before it. It may: it touches
    /// nothing that has not been acknowledged.
    fn make_room(&mut self, shared: &Shared, items: Vec<Item>) -> (Vec<Item>, Turn) {
        let makes_room = |item: &Item| matches!(item, Item::SetRetention { .. });
        let (urgent, mut rest): (Vec<_>, Vec<_>) = items.into_iter().partition(makes_room);
        if urgent.is_empty() {
            return (rest, Turn::Idle);
        }
        shared.cleaning.room.release(shared);
        let mut commit = Commit::new();
        for item in urgent {
            commit.stage(shared, &mut self.open, self.journal.path(), item);
        }
        let entries = std::mem::take(&mut commit.entries);
        match self.write(&entries, commit.acks) {
            Ok(()) => (rest, self.acknowledge(shared, commit)),
            Err(failure) => {
                if let Failure::Fatal(cause) = failure {
                    shared.die(&cause);
                }
                let left = commit.items.into_iter().filter_map(|taken| match taken {
                    Taken::Item(item) => Some(item),
                    Taken::Ended(..) => None,
                });
                rest.extend(left);
                (rest, Turn::Idle)
            }
        }
    }
}

/// Lets a durable change take effect, and answers.
fn take_effect(shared: &Shared, item: Item) {
    match item {
        Item::CreateTopic { topic, completion } => {
            lock(&shared.catalog).insert(Arc::clone(topic.state()));
            completion.complete(Ok(topic));
        }
        Item::MovePositions {
            group,
            positions,
            by,
            completion,
        } => {
            group.moved(positions, &by);
            completion.complete(Ok(()));
        }
        Item::SetRetention {
            topic,
            retention,
            completion,
        } => {
            for partition in &topic.partitions {
                partition.reading().retention = retention;
            }
            completion.complete(Ok(()));
            shared.clean_soon();
        }
        Item::Seal { topic, completion } => {
            let partitions = topic.partitions.iter();
            partitions.for_each(|partition| partition.reading().seal());
            completion.complete(Ok(()));
        }
        Item::Repeat {
            original,
            completion,
            ..
        } => completion.complete(Ok(original.appended())),
        Item::OpenProducer {
            producer,
            completion,
        } => completion.complete(Ok(producer)),
        Item::ForgetProducer {
            producer,
            completion,
        } => {
            let mut catalog = lock(&shared.catalog);
            catalog.forget(&producer);
            let partitions = catalog.partitions();
            drop(catalog);
            for partition in partitions {
                partition.forget(producer.id);
            }
            completion.complete(Ok(()));
        }
        Item::Begin { .. } => {}
        Item::Batch { .. } | Item::End { .. } | Item::Close { .. } => {
            unreachable!("these are no changes")
        }
    }
}
