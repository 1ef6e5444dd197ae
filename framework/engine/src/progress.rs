//! How far groups have come, as metrics show it.
//!
//! Lag in records is what lies between a group's position and the visible end: exact where offsets
//! have no gaps. Lag in seconds is the age, by append time, of the oldest record that is not done;
//! 0 where there is none. Neither is ever negative: an end that was read before a position counts
//! as that position.
//!
//! A group that falls behind loses records once retention reaches its position. How long that takes
//! at least is shown beside the lag, where anything would be removed at all.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use levada_core::{
    Begin, Clock, Subscription,
    assembly::SplitPlan,
    backend::{Backend, BackendError, Ends},
    node::OperatorPlan,
};
use metrics::counter;

use crate::reading::{Reading, lock};

/// How far one pipeline has come: to look at while it runs, and after its end.
///
/// See [`Running::progress`](crate::Running::progress) for what operators have counted, and
/// [`Lag`] for how far behind groups are.
#[derive(Debug)]
pub struct Progress {
    pipeline: Arc<str>,
    /// By split; none where it is no partition of a topic.
    splits: Vec<Option<Arc<Reading>>>,
    operators: Arc<[OperatorPlan]>,
    clock: Arc<dyn Clock>,
    /// How often it was asked to publish.
    asked: AtomicU64,
    /// Which of these was published last.
    published: Mutex<u64>,
}

/// How far a group is behind in one partition.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use futures::executor::block_on;
/// use levada::prelude::*;
///
/// let levada = Levada::in_memory();
/// let orders = levada.topic::<String>("orders").partitions(1).create()?;
/// let filling = levada.pipeline("filling");
/// filling.source(iter(["tea", "jam"].map(str::to_owned))).sink(to_topic(&orders).sealing());
/// filling.run()?;
///
/// let shipping = levada.pipeline("shipping");
/// shipping.source(topic(&orders)).sink(discard());
/// let running = shipping.start()?;
/// let progress = Arc::clone(running.progress());
/// running.wait()?;
/// let lag = &block_on(progress.lag())[0];
/// assert_eq!((lag.group.as_str(), lag.partition), ("shipping", 0));
/// assert_eq!((lag.position, lag.records, lag.seconds), (2, 0, 0.0));
///
/// let late = levada.pipeline("late");
/// late.source(topic(&orders)).sink(discard());
/// let prepared = late.prepare()?; // Nothing moves yet.
/// let lag = &block_on(prepared.running.lag())[0];
/// assert_eq!((lag.position, lag.ends.visible, lag.records), (0, 2, 2));
/// # Ok::<(), Error>(())
/// ```
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
    /// How long the topic keeps the record at the position at least; `None` where it does so for
    /// good, or nobody can tell.
    pub retained_for: Option<Duration>,
}

impl Progress {
    pub(crate) fn new(
        pipeline: Arc<str>,
        splits: &[SplitPlan],
        operators: Arc<[OperatorPlan]>,
        (backend, clock): (&dyn Backend, Arc<dyn Clock>),
        begin: Begin,
    ) -> Result<Self, BackendError> {
        let reading = |split: &SplitPlan| {
            let subscription = split.subscription.as_ref();
            // A pipeline that starts over does so whatever its sources ask for.
            let begin_of = |of: &Subscription| match begin {
                Begin::Committed => of.begin,
                Begin::Start => Begin::Start,
            };
            subscription
                .map(|of| Reading::of(of, split.number, backend, begin_of(of)).map(Arc::new))
                .transpose()
        };
        let splits = splits.iter().map(reading).collect::<Result<_, _>>()?;
        Ok(Self {
            pipeline,
            splits,
            operators,
            clock,
            asked: AtomicU64::new(0),
            published: Mutex::default(),
        })
    }

    /// A split has come to this offset: of what was read, everything below is done.
    pub(crate) fn reached(&self, split: u32, offset: u64) {
        if let Some(reading) = &self.splits[split as usize] {
            // Also where that is below what the group has committed: reading began there.
            reading.done.store(offset, Ordering::Release);
        }
    }

    /// The group has committed that it stands here, in these splits.
    pub(crate) fn committed(&self, positions: &[(u32, u64)]) {
        for (split, offset) in positions {
            if let Some(reading) = &self.splits[*split as usize] {
                *lock(&reading.committed) = Some(*offset);
            }
        }
    }

    /// The topics that hold records already, each once.
    pub(crate) fn filled_topics(&self) -> BTreeSet<&str> {
        let readings = self.splits.iter().flatten();
        let filled = readings.filter(|reading| {
            let ends = reading.partition.ends();
            ends.visible > ends.start
        });
        filled.map(|of| of.topic.as_str()).collect()
    }

    /// How far behind its groups are, by partition. Empty where it reads no topic.
    pub async fn lag(&self) -> Vec<Lag> {
        let now = self.clock.now();
        let mut lags = Vec::new();
        for reading in self.splits.iter().flatten() {
            lags.push(reading.lag(now).await);
        }
        lags
    }

    /// Tells the recorder that the host program installed, if it installed one.
    ///
    /// `levada_group_committed_offset` is told only of groups that have committed a position: one
    /// whose pipeline keeps state commits none. `levada_group_retention_seconds` says how long the
    /// record at the group's position is kept at least. It is told only where something would
    /// remove that record; where nothing does any longer, it is infinite.
    pub async fn publish(&self) {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let lags = self.lag().await;
        let mut published = lock(&self.published);
        if turn < *published {
            // It took long to look, and a later look was faster: what it saw is what holds.
            return;
        }
        *published = turn;
        for (reading, lag) in self.splits.iter().flatten().zip(lags) {
            reading.publish(lag);
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
            let [pipeline, operator] = labels;
            for (reason, errors) in counts.errors_by_reason() {
                let labels = [
                    pipeline.clone(),
                    operator.clone(),
                    ("reason", reason.to_owned()),
                ];
                counter!("levada_operator_errors_total", &labels).absolute(errors);
            }
        }
    }

    /// What it reads of topics, by split.
    pub(crate) fn readings(&self) -> impl Iterator<Item = &Arc<Reading>> {
        self.splits.iter().flatten()
    }

    /// What the operators of the pipeline have counted.
    pub fn operators(&self) -> &[OperatorPlan] {
        &self.operators
    }
}
