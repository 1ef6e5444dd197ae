//! What readers of a partition see.
//!
//! 1. Nothing is seen before it is acknowledged at the level of its topic, and the end of what is
//!    acknowledged only grows.
//! 2. A reader of committed records sees up to the first record of the first transaction that is
//!    open (the *last stable offset*), and passes over those of aborted ones.
//! 3. A reader of uncommitted records sees everything that is acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use levada_core::Timestamp;

use crate::{
    Isolation, PartitionDescription, Retention, Status,
    batch::header::{Header, How},
    cleaner::stays,
    meta::{Aborted, Outcome, PartitionImage, Segment, SegmentName},
    planted::planted,
    segment::Stored,
};

/// What readers see of a partition.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) start: u64,
    /// The acknowledged end.
    pub(crate) end: u64,
    pub(crate) phase: Phase,
    pub(crate) failed: Option<Arc<str>>,
    pub(crate) retention: Retention,
    /// Batches that are in the journal but in no segment yet; bounded by two journals, which
    /// grow while the disk is behind.
    tail: VecDeque<Stored>,
    segments: Vec<Segment>,
    /// Where the open transactions begin, by producer.
    open: BTreeMap<u64, u64>,
    aborted: Arc<AbortedSet>,
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

/// What one fetch may be given.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Nothing from here on.
    pub(crate) end: u64,
    /// Nothing of these; `None` if whatever is there is wanted.
    aborted: Option<Arc<AbortedSet>>,
}

/// Aborted transactions, by producer and epoch.
type AbortedSet = BTreeSet<(u64, u64)>;

impl View {
    /// Everything that is there.
    pub(crate) fn all() -> Self {
        Self {
            end: u64::MAX,
            aborted: None,
        }
    }

    /// Whether a batch before the end is to be given.
    pub(crate) fn shows(&self, header: &Header) -> bool {
        let (Some(aborted), Some(by)) = (&self.aborted, header.produced) else {
            return true;
        };
        by.how != How::Transactional || !aborted.contains(&(by.producer, by.epoch))
    }
}

impl Reading {
    pub(crate) fn new(image: &PartitionImage, phase: Phase, retention: Retention) -> Self {
        Self {
            start: image.start,
            end: image.end,
            phase,
            failed: image.failed.as_deref().map(Arc::from),
            retention,
            tail: VecDeque::new(),
            segments: image.segments.clone(),
            open: BTreeMap::new(),
            aborted: Arc::new(image.aborted.iter().map(Aborted::transaction).collect()),
            wakers: Vec::new(),
        }
    }

    /// The end of what a reader sees.
    pub(crate) fn visible_end(&self, isolation: Isolation) -> u64 {
        match isolation {
            Isolation::Uncommitted => self.end,
            Isolation::Committed => {
                let first = self.open.values().min();
                first.map_or(self.end, |first| self.end.min(*first))
            }
        }
    }

    pub(crate) fn view(&self, isolation: Isolation) -> View {
        View {
            end: match isolation {
                Isolation::Committed if planted("open_shown") => self.end,
                _ => self.visible_end(isolation),
            },
            aborted: match isolation {
                Isolation::Committed => Some(Arc::clone(&self.aborted)),
                Isolation::Uncommitted => None,
            },
        }
    }

    /// Where it ends for good, if it does.
    pub(crate) fn sealed_at(&self) -> Option<u64> {
        // An open transaction may still be aborted: then its records are not the last ones.
        (self.phase == Phase::Sealed && self.open.is_empty()).then_some(self.end)
    }

    /// Whether nothing more becomes visible.
    fn is_over(&self) -> bool {
        self.failed.is_some() || self.phase == Phase::Stopped || self.sealed_at().is_some()
    }

    /// The segment that holds the first batch at or after `from`, if it is in one; `None` also
    /// before the start, so that nobody reads on at a later place than was asked for.
    pub(crate) fn segment_at(&self, from: u64) -> Option<Segment> {
        if from < self.start {
            return None;
        }
        let index = self.segments.partition_point(|segment| segment.end <= from);
        self.segments.get(index).copied()
    }

    /// Whether this segment is still there.
    pub(crate) fn has_segment(&self, name: SegmentName) -> bool {
        let after = self.segments.partition_point(|it| it.name() <= name);
        after > 0 && self.segments[after - 1].name() == name
    }

    /// The batches in memory from `from` on that a reader is given, up to `max_bytes` of them once
    /// they are decompressed, but at least one if there is one; and where to go on.
    pub(crate) fn in_memory(&self, view: &View, from: u64, max_bytes: usize) -> (Vec<Stored>, u64) {
        let first = self
            .tail
            .partition_point(|(header, _)| header.end() <= from);
        let (mut batches, mut taken, mut next) = (Vec::new(), 0, from);
        for (header, bytes) in self.tail.range(first..) {
            if header.base_offset >= view.end {
                // What lies before it may be a gap.
                next = next.max(view.end);
                break;
            }
            if view.shows(header) {
                let unpacked = header.unpacked_len();
                if !batches.is_empty() && taken + unpacked > max_bytes {
                    break;
                }
                taken += unpacked;
                batches.push((*header, bytes.clone()));
            }
            next = header.end();
        }
        (batches, next)
    }

    /// The first offset that was appended at or after `time`, as far as memory tells.
    pub(crate) fn since(&self, time: Timestamp, isolation: Isolation) -> Since {
        let segments = &self.segments;
        let passed = segments.partition_point(|segment| segment.last_append < time);
        let offset = match segments.get(passed) {
            Some(segment) if segment.first_append < time => return Since::In(*segment),
            Some(segment) => segment.base,
            None => {
                let passed = self.tail.partition_point(|(it, _)| it.append_time < time);
                let first = self.tail.get(passed);
                first.map_or(self.end, |(header, _)| header.base_offset)
            }
        };
        Since::Offset(self.within(offset, isolation))
    }

    /// The offset, moved to where a reader can stand.
    pub(crate) fn within(&self, offset: u64, isolation: Isolation) -> u64 {
        offset.min(self.visible_end(isolation)).max(self.start)
    }

    /// What there is to say about the partition.
    pub(super) fn describe(&self, number: u32) -> PartitionDescription {
        let (segments, tail) = (&self.segments, &self.tail);
        let first = segments.first().map(|first| first.first_append);
        let last = segments.last().map(|last| last.last_append);
        let time = |stored: Option<&Stored>| stored.map(|(header, _)| header.append_time);
        PartitionDescription {
            number,
            start: self.start,
            visible_end: self.visible_end(Isolation::Committed),
            end: self.end,
            segment_bytes: segments.iter().map(|segment| segment.bytes).sum(),
            memory_bytes: tail.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
            segments: segments.len(),
            first_append: first.or_else(|| time(tail.front())),
            last_append: time(tail.back()).or(last),
            status: self.status(),
            sealed: self.phase == Phase::Sealed,
        }
    }

    /// Whether the partition can be used.
    pub(super) fn status(&self) -> Status {
        match &self.failed {
            Some(reason) => Status::Failed {
                reason: Arc::clone(reason),
            },
            None => Status::Healthy,
        }
    }

    /// Makes a batch visible that is acknowledged. Its transaction, if it has one, is open.
    pub(crate) fn publish(&mut self, batch: Stored) {
        let (header, _) = batch;
        if let Some(by) = header.produced
            && by.how == How::Transactional
        {
            self.hold_back(by.producer, header.base_offset);
        }
        self.take_in(batch);
        self.wake();
    }

    /// Takes in a batch of which it is known already whether its transaction is open.
    pub(crate) fn take_in(&mut self, batch: Stored) {
        self.end = batch.0.end();
        self.tail.push_back(batch);
    }

    /// Holds back readers of committed records: a producer has a transaction open from here on.
    pub(crate) fn hold_back(&mut self, producer: u64, first: u64) {
        self.open.entry(producer).or_insert(first);
    }

    /// Ends the transaction that a producer has open here.
    pub(crate) fn end_transaction(&mut self, producer: u64, epoch: u64, outcome: Outcome) {
        if outcome == Outcome::Aborted {
            Arc::make_mut(&mut self.aborted).insert((producer, epoch));
        }
        self.open.remove(&producer);
        self.wake();
    }

    /// The batches in memory that end at or before `upto`.
    pub(crate) fn tail_upto(&self, upto: u64) -> Vec<Stored> {
        let tail = self.tail.iter();
        tail.take_while(|(header, _)| header.end() <= upto)
            .cloned()
            .collect()
    }

    /// Takes over what is in segments now, and lets go of it in memory.
    pub(crate) fn flushed(&mut self, segments: &[Segment]) {
        self.segments = segments.to_vec();
        let end = segments.last().map_or(0, |last| last.end);
        while self
            .tail
            .front()
            .is_some_and(|(header, _)| header.end() <= end)
        {
            self.tail.pop_front();
        }
    }

    /// Takes the segments before `start` from the readers; where the partition started until now.
    pub(crate) fn start_at(&mut self, start: u64) -> u64 {
        self.segments.retain(|segment| segment.end > start);
        std::mem::replace(&mut self.start, start)
    }

    /// Gives readers these segments in place of those that were compacted.
    pub(crate) fn compacted(&mut self, segments: &[Segment]) {
        self.segments = segments.to_vec();
    }

    /// Whether the oldest batch that lies in no segment yet is older than the topic's age.
    pub(crate) fn has_expired_in_memory(&self, now: Timestamp) -> bool {
        let age = self.retention.max_age();
        let oldest = self.tail.front().zip(age);
        let expires = oldest.map(|((oldest, _), age)| oldest.append_time + age);
        self.failed.is_none() && expires.is_some_and(|expires| now > expires)
    }

    /// How long the record at `offset` will be kept at least, as things are.
    pub(crate) fn retained_for(&self, offset: u64, now: Timestamp) -> Option<Duration> {
        if offset < self.start {
            return Some(Duration::ZERO);
        }
        // Nothing was appended later than now, whatever the clock says.
        let newest = self.segments.last().map(|last| last.last_append);
        let newest = newest.max(self.tail.back().map(|(header, _)| header.append_time));
        let now = newest.map_or(now, |newest| now.max(newest));
        let mut segments = self.segments.clone();
        let index = segments.partition_point(|segment| segment.end <= offset);
        let is_in_memory = index == segments.len();
        // What is in memory will be a segment soon, and if the record is in there it goes as if it
        // were the last of that.
        let mut tail = self.tail.iter();
        let at = if is_in_memory {
            tail.find(|(header, _)| header.end() > offset)
        } else {
            tail.next_back()
        };
        if is_in_memory || at.is_some() {
            let last = segments.last().copied();
            segments.push(Segment {
                base: offset,
                end: offset + 1,
                bytes: self.tail.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
                generation: 0,
                first_append: last.map_or(now, |last| last.last_append),
                last_append: at.map_or(now, |(header, _)| header.append_time),
            });
        }
        stays(&segments, index, &self.retention, now)
    }

    /// Shows what `newer`, the same partition seen later, shows; that is left with what this
    /// showed.
    pub(crate) fn become_as(&mut self, newer: &mut Self) {
        std::mem::swap(self, newer);
        self.wakers = std::mem::take(&mut newer.wakers);
        self.wake();
    }

    /// Ends the partition for good.
    pub(crate) fn seal(&mut self) {
        self.phase = Phase::Sealed;
        self.wake();
    }

    /// Says to whoever waits that nothing more will come.
    pub(crate) fn stop(&mut self) {
        if self.phase == Phase::Growing {
            self.phase = Phase::Stopped;
        }
        self.wake();
    }

    /// Ready when the visible end lies past `past`, or nothing more comes.
    pub(crate) fn poll_visible(
        &mut self,
        context: &Context<'_>,
        past: u64,
        isolation: Isolation,
    ) -> Poll<u64> {
        let end = self.visible_end(isolation);
        if end > past || self.is_over() {
            return Poll::Ready(end);
        }
        let waker = context.waker();
        if !self.wakers.iter().any(|other| other.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
        Poll::Pending
    }

    pub(crate) fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}
