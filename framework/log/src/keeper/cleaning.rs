//! What the keeper does between flushes: a pass now and then, and the removal of files.

use std::{io, sync::Arc, task::Context, time::Duration};

use futures::future::BoxFuture;
use levada_core::Timestamp;

use super::{Keeper, notices::Notices, write};
use crate::{
    Space,
    cleaner::{Compaction, Reserving, expired},
    error::{Failure, unsynced},
    meta::{Image, SegmentName},
    partition::{PartitionId, state::PartitionState},
    planted::planted,
    reader::SegmentId,
    shared::{Shared, lock},
};

/// Files that are removed in one turn.
const REMOVED_AT_ONCE: usize = 64;

/// When the next pass is due, and what is left of the last.
pub(super) struct Turns {
    /// By the monotonic clock.
    due: Duration,
    timer: Option<BoxFuture<'static, ()>>,
    /// Files in the image's `dropped` that are still to be removed.
    removing: Vec<SegmentId>,
    pub(super) compaction: Option<Compaction>,
    reserving: Reserving,
    notices: Notices,
}

impl Turns {
    pub(super) fn new(shared: &Shared) -> Self {
        Self {
            due: shared.clock.elapsed(),
            timer: None,
            removing: Vec::new(),
            compaction: None,
            reserving: Reserving::default(),
            notices: Notices::default(),
        }
    }

    /// Whether a pass is due. If not, the waker is woken when it is.
    fn is_due(&mut self, shared: &Shared, context: &Context<'_>) -> bool {
        if shared.cleaning.take_asked() || shared.clock.elapsed() >= self.due {
            self.due = shared.clock.elapsed() + shared.limits.cleaning_interval;
            self.timer = None;
            return true;
        }
        let timer = self
            .timer
            .get_or_insert_with(|| shared.clock.sleep_until(self.due));
        let mut context = Context::from_waker(context.waker());
        if timer.as_mut().poll(&mut context).is_ready() {
            self.timer = None;
            context.waker().wake_by_ref();
        }
        false
    }
}

impl Keeper {
    /// Does one step of cleaning; `false` if none is due.
    pub(super) fn clean(
        &mut self,
        shared: &Shared,
        context: &Context<'_>,
    ) -> Result<bool, Failure> {
        // Asked after the image that has dropped them: a backup that begins later reads that. One
        // that has begun may need the files, and the next pass looks again.
        if !self.turns.removing.is_empty() && !shared.pins.are_there() {
            self.remove(shared)?;
            return Ok(true);
        }
        if !self.turns.is_due(shared, context) {
            return Ok(self.turns.reserving.step(shared)? || self.compact(shared)?);
        }
        let room = &shared.cleaning.room;
        room.look(shared);
        if room.space() == Space::Full || self.flush.is_some() {
            // What is being written by a pass is room.
            if !room.is_spent() {
                self.turns.reserving.give_up(shared);
            }
            self.abandon(shared);
        }
        match self.retain(shared) {
            Err(Failure::NoSpace(error)) => {
                tracing::warn!(%error, "what has expired cannot be removed: it is tried again");
            }
            done => done?,
        }
        self.turns.reserving.begin(shared);
        self.turns.reserving.step(shared)?;
        if room.space() != Space::Full {
            self.begin_compaction(shared);
        }
        Ok(true)
    }

    /// Lets go of all segments that have expired: one image for all of them.
    fn retain(&mut self, shared: &Shared) -> Result<(), Failure> {
        let now = shared.cleaning.now(&*shared.clock);
        let partitions = lock(&shared.catalog).partitions();
        // Before anything goes.
        self.turns.notices.look(shared, &partitions, now);
        let mut drops = Vec::new();
        for partition in partitions {
            let count = self.expired(&partition, now);
            if count > 0 {
                drops.push((Arc::clone(&partition), count));
            }
            if partition.reading().has_expired_in_memory(now) {
                shared.flush.want();
                shared.queue.filled.wake();
            }
        }
        if drops.is_empty() {
            return Ok(());
        }
        let mut next = self.image.clone();
        for (partition, count) in &drops {
            next.drop_oldest(partition.id, *count);
        }
        if planted("expired_removed_first") {
            remove_now(shared, &next);
        }
        write(shared, &next)?;
        self.image = next;
        for (partition, count) in drops {
            if let Some(flush) = &mut self.flush {
                flush.image.drop_oldest(partition.id, count);
            }
            let record = self.image.partition(partition.id);
            let start = record.expect("its segments were dropped").start;
            let before = partition.reading().start_at(start);
            let groups = lock(&shared.catalog);
            groups
                .groups()
                .for_each(|group| group.passed(&partition, before..start));
            tracing::info!(
                topic = %partition.topic, partition = partition.id.partition,
                segments = count, start, "expired segments were dropped"
            );
        }
        self.remove_dropped();
        Ok(())
    }

    /// Lets the files that the image has dropped be removed next.
    pub(super) fn remove_dropped(&mut self) {
        self.turns.removing.clone_from(&self.image.dropped);
    }

    /// How many segments of a partition have expired and can go now.
    fn expired(&self, partition: &Arc<PartitionState>, now: Timestamp) -> usize {
        let retention = partition.reading().retention;
        let compaction = self.turns.compaction.as_ref();
        let is_read = compaction.is_some_and(|it| it.partition.id == partition.id);
        if !retention.has_limits() || partition.reading().failed.is_some() || is_read {
            return 0;
        }
        let segments = |image: &Image| {
            let record = image.partition(partition.id);
            record.map_or(Vec::new(), |record| record.segments.clone())
        };
        let there = segments(&self.image);
        let count = expired(&there, &retention, now);
        match &self.flush {
            None => count,
            Some(flush) => {
                let untouched = there[..count].iter().zip(segments(&flush.image));
                untouched.take_while(|(a, b)| *a == b).count()
            }
        }
    }

    /// Removes some files of one partition, then forgets that they were there.
    fn remove(&mut self, shared: &Shared) -> Result<(), Failure> {
        shared.check_fence()?;
        let Some(&(id, _)) = self.turns.removing.first() else {
            return Ok(());
        };
        let is_next = |(other, _): &mut SegmentId| *other == id;
        let files = self.turns.removing.extract_if(.., is_next);
        let files: Vec<SegmentId> = files.take(REMOVED_AT_ONCE).collect();
        // Whoever has one open keeps its room from being free.
        shared.reads.forget(&files);
        let is_gone = |(id, name): &SegmentId| remove(shared, *id, *name);
        let gone: Vec<SegmentId> = files.into_iter().filter(is_gone).collect();
        let folder = shared.paths.partition(id);
        match shared.vfs.sync_dir(&folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            synced => synced.map_err(|e| unsynced(&folder, e))?,
        }
        let images = [
            Some(&mut self.image),
            self.flush.as_mut().map(|it| &mut it.image),
        ];
        for image in images.into_iter().flatten() {
            image.dropped.retain(|file| !gone.contains(file));
        }
        shared.flush.retry();
        Ok(())
    }
}

/// Removes a file; `false` if it is still there.
pub(super) fn remove(shared: &Shared, id: PartitionId, name: SegmentName) -> bool {
    let path = shared.paths.segment(id, name);
    match shared.vfs.remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            // It stays in `dropped`, and costs room until it can be removed.
            tracing::warn!(path = %path.display(), %error, "a segment cannot be removed");
            false
        }
        Ok(()) | Err(_) => true,
    }
}

/// A bug to plant: files go before the image that says so is there.
pub(super) fn remove_now(shared: &Shared, next: &Image) {
    for &(id, name) in &next.dropped {
        remove(shared, id, name);
    }
}
