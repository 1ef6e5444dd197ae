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
};

use levada_core::Timestamp;

use super::{Appended, PartitionId, appending::Appending};
use crate::{
    Batch, Compression, Error, Fetched, FetchedBatch, PartitionDescription, Result, Status,
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
    compression: Compression,
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

/// Where the records begin that were appended at some time or later.
pub(crate) enum Since {
    Offset(u64),
    /// Somewhere in this segment.
    In(Segment),
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
            compression: of.settings.compression,
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
        // Whoever appends compresses, before the lock: others append meanwhile.
        let batch = batch.packed(self.compression);
        let mut appending = lock(&self.appending);
        if let Some(refusal) = &appending.refusal {
            return Err((completion, refusal.clone()));
        }
        let bytes = batch.size();
        let taken = shared.quotas.take(None, bytes, shared.clock.elapsed());
        if let Err(error) = taken {
            return Err((completion, error));
        }
        if let Err(error) = shared.queue.reserve(bytes) {
            shared.quotas.put_back(None, bytes);
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
        let mut taken = Vec::new();
        let mut bytes_taken = 0;
        for (header, bytes) in reading.tail.range(first..) {
            if !taken.is_empty() && bytes_taken + header.unpacked_len() > max_bytes {
                break;
            }
            bytes_taken += header.unpacked_len();
            taken.push((*header, bytes.clone()));
        }
        // Decompressed by whoever fetches, after the lock: others read meanwhile.
        drop(reading);
        let batches = taken.into_iter();
        let batches = batches.map(|(header, bytes)| FetchedBatch::new(header, bytes, from));
        let batches: Vec<_> = batches.collect();
        let next = batches.last().map_or(from, FetchedBatch::end_offset);
        Some(Ok(Fetched { batches, next }))
    }

    /// The first offset that was appended at or after `time`, as far as memory tells.
    pub(crate) fn since(&self, time: Timestamp) -> Since {
        let reading = self.reading();
        let segments = &reading.segments;
        let passed = segments.partition_point(|segment| segment.last_append < time);
        let offset = match segments.get(passed) {
            Some(segment) if segment.first_append < time => return Since::In(*segment),
            Some(segment) => segment.base,
            None => {
                let tail = &reading.tail;
                let passed = tail.partition_point(|(header, _)| header.append_time < time);
                let first = tail.get(passed);
                first.map_or(reading.end, |(header, _)| header.base_offset)
            }
        };
        Since::Offset(offset.clamp(reading.start, reading.end))
    }

    /// The segment that holds the first batch at or after `from`.
    pub(crate) fn segment_at(&self, from: u64) -> Option<Segment> {
        let reading = self.reading();
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

    /// What there is to say about it.
    pub(crate) fn describe(&self) -> PartitionDescription {
        let reading = self.reading();
        let (segments, tail) = (&reading.segments, &reading.tail);
        let first = segments.first().map(|first| first.first_append);
        let last = segments.last().map(|last| last.last_append);
        let time = |stored: Option<&Stored>| stored.map(|(header, _)| header.append_time);
        PartitionDescription {
            number: self.id.partition,
            start: reading.start,
            visible_end: reading.end,
            end: reading.end,
            segment_bytes: segments.iter().map(|segment| segment.bytes).sum(),
            memory_bytes: tail.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
            segments: segments.len(),
            first_append: first.or_else(|| time(tail.front())),
            last_append: time(tail.back()).or(last),
            status: reading.status(),
            sealed: reading.phase == Phase::Sealed,
        }
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
    pub(crate) fn status(&self) -> Status {
        match &self.failed {
            Some(reason) => Status::Failed {
                reason: Arc::clone(reason),
            },
            None => Status::Healthy,
        }
    }

    fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}
