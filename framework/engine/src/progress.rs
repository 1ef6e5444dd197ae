//! How far groups have come, as metrics show it.
//!
//! Lag in records is what lies between a group's position and the visible end: exact where offsets
//! have no gaps. Lag in seconds is the age, by append time, of the oldest record that is not done;
//! 0 where there is none. Neither is ever negative: an end that was read before a position counts
//! as that position.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use levada_core::{
    Timestamp,
    assembly::SplitPlan,
    backend::{Backend, Ends, Partition},
    node::OperatorPlan,
};
use metrics::{counter, gauge};

/// How far the splits of one pipeline have come.
#[derive(Debug)]
pub struct Progress {
    pipeline: Arc<str>,
    splits: Arc<[SplitPlan]>,
    operators: Arc<[OperatorPlan]>,
    /// By split: everything below is done.
    done: Vec<AtomicU64>,
    /// By split: the append time of the record at this position, once it was looked up.
    oldest: Mutex<Vec<Option<(u64, Timestamp)>>>,
}

/// How far a group is behind in one partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Lag {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The group.
    pub group: String,
    /// Everything below this offset is done.
    pub position: u64,
    /// Where the partition begins and ends.
    pub ends: Ends,
    /// Records between the position and the visible end.
    pub records: u64,
    /// The age of the oldest record that is not done, in seconds.
    pub seconds: f64,
}

impl Progress {
    pub(crate) fn new(
        pipeline: Arc<str>,
        splits: Arc<[SplitPlan]>,
        operators: Arc<[OperatorPlan]>,
        start: Vec<u64>,
    ) -> Self {
        let done = start.into_iter().map(AtomicU64::new).collect();
        let oldest = Mutex::new(vec![None; splits.len()]);
        Self {
            pipeline,
            splits,
            operators,
            done,
            oldest,
        }
    }

    pub(crate) fn reached(&self, split: u32, offset: u64) {
        self.done[split as usize].fetch_max(offset, Ordering::AcqRel);
    }

    /// How far behind each subscribed split is.
    pub async fn lag(&self, backend: &Arc<dyn Backend>, now: Timestamp) -> Vec<Lag> {
        let mut lags = Vec::new();
        for (number, split) in self.splits.iter().enumerate() {
            let Some(subscription) = &split.subscription else {
                continue;
            };
            let Ok(topic) = backend.topic(&subscription.topic) else {
                continue;
            };
            let partition = topic.partition(split.number);
            let ends = partition.ends();
            let position = self.done[number].load(Ordering::Acquire).max(ends.start);
            let records = ends.visible.saturating_sub(position);
            let seconds = match records {
                0 => 0.0,
                _ => self.age(number, position, &*partition, now).await,
            };
            lags.push(Lag {
                topic: subscription.topic.clone(),
                partition: split.number,
                group: subscription.group.clone(),
                position,
                ends,
                records,
                seconds,
            });
        }
        lags
    }

    async fn age(&self, split: usize, at: u64, partition: &dyn Partition, now: Timestamp) -> f64 {
        let known = self.oldest()[split].filter(|(of, _)| *of == at);
        let append_time = if let Some((_, append_time)) = known {
            Some(append_time)
        } else {
            let fetched = partition.fetch(at, 1).await.unwrap_or_default();
            fetched.batches.first().map(|batch| batch.append_time())
        };
        let Some(append_time) = append_time else {
            return 0.0;
        };
        self.oldest()[split] = Some((at, append_time));
        now.since(append_time).as_secs_f64()
    }

    fn oldest(&self) -> std::sync::MutexGuard<'_, Vec<Option<(u64, Timestamp)>>> {
        self.oldest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the recorder that the host program installed, if it installed one.
    pub async fn publish(&self, backend: &Arc<dyn Backend>, now: Timestamp) {
        let mut topics = HashSet::new();
        for lag in self.lag(backend, now).await {
            let partition = lag.partition.to_string();
            let topic = [
                ("topic", lag.topic.clone()),
                ("partition", partition.clone()),
            ];
            gauge!("levada_topic_partition_log_start_offset", &topic).set(float(lag.ends.start));
            gauge!("levada_topic_partition_log_end_offset", &topic).set(float(lag.ends.visible));
            topics.insert(lag.topic.clone());
            let group = [
                ("group", lag.group),
                ("topic", lag.topic),
                ("partition", partition),
            ];
            gauge!("levada_group_committed_offset", &group).set(float(lag.position));
            gauge!("levada_group_lag_records", &group).set(float(lag.records));
            gauge!("levada_group_lag_seconds", &group).set(lag.seconds);
        }
        for operator in &*self.operators {
            let labels = [
                ("pipeline", self.pipeline.to_string()),
                ("operator", operator.name.clone()),
            ];
            let counts = &operator.counts;
            let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
            counter!("levada_operator_records_in_total", &labels)
                .absolute(count(&counts.records_in));
            counter!("levada_operator_records_out_total", &labels)
                .absolute(count(&counts.records_out));
            counter!("levada_operator_errors_total", &labels).absolute(count(&counts.errors));
        }
    }

    /// What the operators of the pipeline have counted.
    pub fn operators(&self) -> &[OperatorPlan] {
        &self.operators
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; offsets stay below 2⁵³"
)]
fn float(offset: u64) -> f64 {
    offset as f64
}
