//! What is shared about one partition, behind two locks.
//!
//! 1. `appending` is taken by whoever appends: offsets, times and the order in the queue are
//!    decided under it, and refusals of what was queued are answered under it. The queue's own lock
//!    is taken inside it, never the other way round.
//! 2. `reading` is taken by readers, and by the writer and the keeper when something becomes
//!    visible or moves from memory to a segment. No other lock is taken inside it.
//! 3. The visible end only grows, and only after a sync.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use levada_core::Timestamp;

use super::{Appended, PartitionId, appending::Appending};
use crate::{
    Batch, Error, Fetched, FetchedBatch, Result, Retention,
    cleaner::stays,
    meta::{Segment, TopicImage},
    segment::Stored,
    shared::{Item, Shared, lock},
    ticket::Completion,
};

/// What is shared about one partition.
#[derive(Debug)]
pub(crate) struct PartitionState {
    pub(crate) id: PartitionId,
    pub(crate) topic: Arc<str>,
    appending: Mutex<Appending>,
    reading: Mutex<Reading>,
}

/// What readers see.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) phase: Phase,
    pub(crate) failed: Option<Arc<str>>,
    retention: Retention,
    /// Batches that are in the journal but in no segment yet; bounded by two journals.
    tail: VecDeque<Stored>,
    segments: Vec<Segment>,
    wakers: Vec<Waker>,
}

/// Whether records can still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Growing,
    /// The topic is sealed.
    Sealed,
    /// The log has stopped.
    Stopped,
}

impl PartitionState {
    pub(crate) fn new(id: PartitionId, name: &Arc<str>, of: &TopicImage) -> Self {
        let image = &of.partitions[id.partition as usize];
        let topic = Arc::clone(name);
        let failed: Option<Arc<str>> = image.failed.as_deref().map(Arc::from);
        let refusal = match &failed {
            Some(reason) => Some(Error::Damaged {
                topic: Arc::clone(&topic),
                partition: id.partition,
                reason: Arc::clone(reason),
            }),
            None => of.sealed.then(|| Error::Sealed {
                topic: Arc::clone(&topic),
            }),
        };
        Self {
            id,
            topic,
            appending: Mutex::new(Appending::new(image, refusal)),
            reading: Mutex::new(Reading {
                start: image.start,
                end: image.end,
                phase: if of.sealed {
                    Phase::Sealed
                } else {
                    Phase::Growing
                },
                failed,
                retention: of.settings.retention,
                tail: VecDeque::new(),
                segments: image.segments.clone(),
                wakers: Vec::new(),
            }),
        }
    }

    /// Gives a batch its offsets and queues it.
    pub(crate) fn append(
        self: &Arc<Self>,
        shared: &Shared,
        batch: Batch,
        completion: Completion<Appended>,
    ) -> Result<(), (Completion<Appended>, Error)> {
        let mut appending = lock(&self.appending);
        if let Some(refusal) = &appending.refusal {
            return Err((completion, refusal.clone()));
        }
        if batch.lacks_key() && self.retention().is_compacted() {
            let topic = Arc::clone(&self.topic);
            return Err((completion, Error::NoKey { topic }));
        }
        if let Err(error) = shared.queue.reserve(batch.size()) {
            return Err((completion, error));
        }
        let place = appending.place(self.id, shared.instance, shared.clock.now(), None);
        let (header, bytes) = batch.seal(&place);
        appending.pushed(&header);
        let partition = Arc::clone(self);
        shared.queue.push(Item::Batch {
            partition,
            header,
            bytes,
            completion,
        });
        Ok(())
    }

    /// Refuses appends from now on, because the topic is being sealed.
    pub(crate) fn refuse_sealed(&self) {
        let mut appending = lock(&self.appending);
        if appending.refusal.is_none() {
            appending.refusal = Some(Error::Sealed {
                topic: Arc::clone(&self.topic),
            });
        }
    }

    /// Refuses a batch that was queued and would have ended at `end`. Its offsets are not given
    /// again.
    pub(crate) fn refuse(&self, end: u64, completion: Completion<Appended>, error: Error) {
        let mut appending = lock(&self.appending);
        appending.refused(end, self.reading().end);
        completion.complete(Err(error));
    }

    pub(crate) fn reading(&self) -> MutexGuard<'_, Reading> {
        lock(&self.reading)
    }

    /// Answers a fetch if no file is needed for it.
    pub(crate) fn fetch_from_memory(&self, from: u64, max_bytes: usize) -> Option<Result<Fetched>> {
        let reading = self.reading();
        if from < reading.start {
            return Some(Err(Error::OutOfRange {
                topic: Arc::clone(&self.topic),
                partition: self.id.partition,
                offset: from,
                start: reading.start,
            }));
        }
        if from >= reading.end {
            return match &reading.failed {
                Some(reason) => Some(Err(self.damaged(reason))),
                None => Some(Ok(Fetched {
                    batches: Vec::new(),
                    next: from,
                })),
            };
        }
        if reading.segments.last().is_some_and(|last| from < last.end) {
            return None;
        }
        let first = reading
            .tail
            .partition_point(|(header, _)| header.end() <= from);
        let mut batches: Vec<FetchedBatch> = Vec::new();
        let mut taken = 0;
        for (header, bytes) in reading.tail.range(first..) {
            if !batches.is_empty() && taken + bytes.len() > max_bytes {
                break;
            }
            taken += bytes.len();
            batches.push(FetchedBatch::new(*header, bytes.clone(), from));
        }
        let next = batches.last().map_or(from, FetchedBatch::end_offset);
        Some(Ok(Fetched { batches, next }))
    }

    /// The segment that holds the first batch at or after `from`; `None` also before the start, so
    /// that nobody reads on at a later place than was asked for.
    pub(crate) fn segment_at(&self, from: u64) -> Option<Segment> {
        let reading = self.reading();
        if from < reading.start {
            return None;
        }
        let index = reading
            .segments
            .partition_point(|segment| segment.end <= from);
        reading.segments.get(index).copied()
    }

    /// Makes batches visible that are durable in the journal.
    pub(crate) fn publish(&self, batches: impl IntoIterator<Item = Stored>) {
        let mut reading = self.reading();
        for (header, bytes) in batches {
            reading.end = header.end();
            reading.tail.push_back((header, bytes));
        }
        reading.wake();
    }

    /// The batches in memory that end at or before `upto`, to be flushed.
    pub(crate) fn tail_upto(&self, upto: u64) -> Vec<Stored> {
        let reading = self.reading();
        reading
            .tail
            .iter()
            .take_while(|(header, _)| header.end() <= upto)
            .cloned()
            .collect()
    }

    /// Lets go of batches that are in segments now.
    pub(crate) fn flushed(&self, segments: &[Segment]) {
        let mut reading = self.reading();
        reading.segments = segments.to_vec();
        let end = segments.last().map_or(0, |last| last.end);
        while reading
            .tail
            .front()
            .is_some_and(|(header, _)| header.end() <= end)
        {
            reading.tail.pop_front();
        }
    }

    /// Takes the segments before `start` from the readers; where the partition started until now.
    pub(crate) fn start_at(&self, start: u64) -> u64 {
        let mut reading = self.reading();
        reading.segments.retain(|segment| segment.end > start);
        std::mem::replace(&mut reading.start, start)
    }

    /// Gives readers these segments in place of those that were compacted.
    pub(crate) fn compacted(&self, segments: &[Segment]) {
        self.reading().segments = segments.to_vec();
    }

    pub(crate) fn retention(&self) -> Retention {
        self.reading().retention
    }

    pub(crate) fn set_retention(&self, retention: Retention) {
        self.reading().retention = retention;
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.reading().failed.is_some()
    }

    /// Whether the oldest batch that lies in no segment yet is older than the topic's age.
    pub(crate) fn has_expired_in_memory(&self, now: Timestamp) -> bool {
        let reading = self.reading();
        let oldest = reading.tail.front();
        let age = reading
            .retention
            .max_age()
            .filter(|_| reading.failed.is_none());
        let expires = oldest
            .zip(age)
            .map(|((oldest, _), age)| oldest.append_time + age);
        expires.is_some_and(|expires| now > expires)
    }

    /// How long the record at `offset` will be kept at least, as things are.
    pub(crate) fn retained_for(&self, offset: u64, now: Timestamp) -> Option<Duration> {
        let reading = self.reading();
        if offset < reading.start {
            return Some(Duration::ZERO);
        }
        let mut segments = reading.segments.clone();
        let index = segments.partition_point(|segment| segment.end <= offset);
        if index == segments.len() {
            // What is in memory will be a segment, and goes as if its last record were this one.
            let last = segments.last().copied();
            let at = reading
                .tail
                .iter()
                .find(|(header, _)| header.end() > offset);
            segments.push(Segment {
                base: offset,
                end: offset + 1,
                bytes: reading
                    .tail
                    .iter()
                    .map(|(_, bytes)| bytes.len() as u64)
                    .sum(),
                generation: 0,
                first_append: last.map_or(now, |last| last.last_append),
                last_append: at.map_or(now, |(header, _)| header.append_time),
            });
        }
        stays(&segments, index, &reading.retention, now)
    }

    /// Ends the partition for good.
    pub(crate) fn seal(&self) {
        let mut reading = self.reading();
        reading.phase = Phase::Sealed;
        reading.wake();
    }

    /// Stops the partition because acknowledged bytes are damaged.
    pub(crate) fn fail(&self, reason: &str) -> Error {
        tracing::error!(
            topic = %self.topic, partition = self.id.partition, reason, "partition stopped"
        );
        let error = self.damaged(&Arc::from(reason));
        lock(&self.appending).refusal = Some(error.clone());
        let mut reading = self.reading();
        reading.failed = Some(reason.into());
        reading.wake();
        error
    }

    /// Says to whoever waits that nothing more will come.
    pub(crate) fn stop(&self) {
        let mut reading = self.reading();
        if reading.phase == Phase::Growing {
            reading.phase = Phase::Stopped;
        }
        reading.wake();
    }

    pub(crate) fn poll_visible(&self, context: &Context<'_>, past: u64) -> Poll<u64> {
        let mut reading = self.reading();
        let over = reading.phase != Phase::Growing || reading.failed.is_some();
        if reading.end > past || over {
            return Poll::Ready(reading.end);
        }
        if !reading
            .wakers
            .iter()
            .any(|waker| waker.will_wake(context.waker()))
        {
            reading.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// The error that says so.
    pub(crate) fn damaged(&self, reason: &Arc<str>) -> Error {
        Error::Damaged {
            topic: Arc::clone(&self.topic),
            partition: self.id.partition,
            reason: Arc::clone(reason),
        }
    }
}

impl Reading {
    fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}
