//! A group's reading of one partition: how far it is, and what metrics are told of that.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use levada_core::{
    Begin, Subscription, Timestamp,
    backend::{Backend, BackendError, Partition, Position},
};
use metrics::gauge;

use crate::progress::Lag;

/// A group's reading of one partition.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) topic: String,
    pub(crate) group: String,
    pub(crate) number: u32,
    pub(crate) partition: Arc<dyn Partition>,
    /// Everything below is done.
    pub(crate) done: AtomicU64,
    /// What the group has committed, if it ever did.
    pub(crate) committed: Mutex<Option<u64>>,
    /// The append time of the record at this position, once it was looked up.
    oldest: Mutex<Option<(u64, Timestamp)>>,
    /// A recorder was told how long the record at the position is kept.
    was_limited: AtomicBool,
}

impl Reading {
    pub(crate) fn of(
        subscription: &Arc<Subscription>,
        number: u32,
        backend: &dyn Backend,
        begin: Begin,
    ) -> Result<Self, BackendError> {
        let Subscription { topic, group, .. } = &**subscription;
        let committed = backend.positions(group, topic)?.get(&number).copied();
        let done = committed.filter(|_| begin == Begin::Committed);
        let reading = Self {
            topic: topic.clone(),
            group: group.clone(),
            number,
            partition: backend.topic(topic)?.partition(number),
            done: AtomicU64::new(done.unwrap_or(0)),
            committed: Mutex::new(committed),
            oldest: Mutex::default(),
            was_limited: AtomicBool::new(false),
        };
        Ok(reading)
    }

    /// That of a group which no pipeline reads for.
    pub(crate) fn idle(position: Position, backend: &dyn Backend) -> Result<Self, BackendError> {
        let partition = backend
            .topic(&position.topic)?
            .partition(position.partition);
        let reading = Self {
            topic: position.topic,
            group: position.group,
            number: position.partition,
            partition,
            done: AtomicU64::default(),
            committed: Mutex::default(),
            oldest: Mutex::default(),
            was_limited: AtomicBool::new(false),
        };
        reading.stands_at(position.offset);
        Ok(reading)
    }

    /// The group has committed this position, and will read on from there.
    pub(crate) fn stands_at(&self, offset: u64) {
        self.done.store(offset, Ordering::Release);
        *lock(&self.committed) = Some(offset);
    }

    pub(crate) async fn lag(&self, now: Timestamp) -> Lag {
        let ends = self.partition.ends();
        let position = self.done.load(Ordering::Acquire).max(ends.start);
        let records = ends.visible.saturating_sub(position);
        let seconds = match records {
            0 => 0.0,
            _ => self.age(position, now).await,
        };
        Lag {
            topic: self.topic.clone(),
            partition: self.number,
            group: self.group.clone(),
            position,
            ends,
            records,
            seconds,
            retained_for: self.partition.retained_for(position),
        }
    }

    /// Tells the recorder.
    pub(crate) fn publish(&self, lag: Lag) {
        let partition = lag.partition.to_string();
        let topic = [
            ("topic", lag.topic.clone()),
            ("partition", partition.clone()),
        ];
        gauge!("levada_topic_partition_log_start_offset", &topic).set(float(lag.ends.start));
        gauge!("levada_topic_partition_log_end_offset", &topic).set(float(lag.ends.visible));
        let group = [
            ("group", lag.group),
            ("topic", lag.topic),
            ("partition", partition),
        ];
        if let Some(committed) = *lock(&self.committed) {
            gauge!("levada_group_committed_offset", &group).set(float(committed));
        }
        gauge!("levada_group_lag_records", &group).set(float(lag.records));
        gauge!("levada_group_lag_seconds", &group).set(lag.seconds);
        if let Some(seconds) = self.retention_seconds(lag.retained_for) {
            gauge!("levada_group_retention_seconds", &group).set(seconds);
        }
    }

    /// What a recorder is told of how long the record at the position is kept: nothing where that
    /// is for good, but infinity to one that was told of an end before, and would go on showing it.
    fn retention_seconds(&self, retained_for: Option<Duration>) -> Option<f64> {
        if let Some(left) = retained_for {
            self.was_limited.store(true, Ordering::Relaxed);
            return Some(left.as_secs_f64());
        }
        let was_limited = self.was_limited.load(Ordering::Relaxed);
        was_limited.then_some(f64::INFINITY)
    }

    async fn age(&self, at: u64, now: Timestamp) -> f64 {
        let known = lock(&self.oldest).filter(|(of, _)| *of == at);
        let append_time = if let Some((_, append_time)) = known {
            Some(append_time)
        } else {
            let fetched = self.partition.fetch(at, 1).await.unwrap_or_default();
            fetched.batches.first().map(|batch| batch.append_time())
        };
        let Some(append_time) = append_time else {
            return 0.0;
        };
        *lock(&self.oldest) = Some((at, append_time));
        now.since(append_time).as_secs_f64()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere cannot leave these half changed: each change is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; offsets stay below 2⁵³"
)]
fn float(offset: u64) -> f64 {
    offset as f64
}
