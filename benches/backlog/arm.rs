//! One arm: a process of its own, in which groups read a topic while producers append to it at a
//! steady rate, and one of the groups stops, or none does.

use std::{
    collections::VecDeque,
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, ScopedJoinHandle},
    time::Duration,
};

use futures::executor::block_on;
use levada::{BoxError, Clock, SystemClock};
use levada_benches::paired::process;
use levada_log::{Appended, Batch, Log, Partition, Record, Retention, Ticket, TopicOptions};
use serde::{Deserialize, Serialize};

use crate::reader::Reader;

pub(super) const PARTITIONS: u32 = 4;
/// Threads that append, each to its share of the partitions in turn.
const PRODUCERS: u32 = 2;
/// Each producer appends a batch so often: together 1.25 million records a second.
const TICK: Duration = Duration::from_millis(2);
/// Records of a batch, of 100 bytes each.
pub(super) const BATCH: u64 = 1250;
/// Batches of a producer that wait for their acknowledgement.
const IN_FLIGHT: usize = 16;
/// Records before the stop: what five seconds bring, dozens of journals, so that all memory that
/// comes and goes has been there once.
const BEFORE: u64 = 6_250_000;
/// What all that appends and reads at once has to be a multiple of.
pub(super) const ROUND: u64 = BATCH * PARTITIONS as u64;
/// How long the topic keeps records.
const KEPT: Duration = Duration::from_hours(1);

/// The group that may stop.
const LAST: &str = "billing";
/// Bytes at the front of a value that say when its append began.
pub(super) const STAMP: usize = 8;

const _: () = assert!(BEFORE.is_multiple_of(ROUND));

/// Which arm it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// No group stops.
    A,
    /// The last group does.
    B,
}

/// What an arm has shown.
#[derive(Serialize, Deserialize)]
pub(super) struct Shown {
    /// From an append to the poll that returned its batch, in the groups that never stop.
    pub(super) p99_ms: f64,
    /// Memory before the stop, and how much more there was at most since then, in MiB.
    pub(super) before_mb: f64,
    pub(super) growth_mb: f64,
    /// Records that the last group had not done in the end.
    pub(super) backlog: u64,
    /// How long retention leaves the first of them, in seconds.
    pub(super) retained_s: f64,
    /// Millions of records a second at which it then caught up.
    pub(super) caught_up: f64,
}

pub(super) struct Arm {
    pub(super) clock: SystemClock,
    pub(super) log: Log,
    pub(super) partitions: Vec<Partition>,
}

/// Runs an arm over so many records after the stop.
pub(super) fn run(folder: &Path, records: u64, kind: Kind) -> Result<Shown, BoxError> {
    let log = Log::open(folder)?;
    let options = TopicOptions::new()
        .partitions(PARTITIONS)
        .retention(Retention::forever().age(KEPT));
    let topic = log.create_topic("events", options).wait()?;
    let partitions = (0..PARTITIONS).map(|number| topic.partition(number));
    let arm = Arm {
        clock: SystemClock::new(),
        partitions: partitions.collect::<Result<_, _>>()?,
        log,
    };
    let shown = arm.run(records, kind)?;
    arm.log.close().wait()?;
    Ok(shown)
}

impl Arm {
    fn run(&self, records: u64, kind: Kind) -> Result<Shown, BoxError> {
        let end = BEFORE + records;
        thread::scope(|scope| {
            let others = ["inventory", "shipping"].map(|name| {
                scope.spawn(move || {
                    let mut group = Reader::new(self, name)?;
                    group.read_to(end)?;
                    Ok::<_, BoxError>(group.latencies)
                })
            });
            let (go_on, stop) = sync_channel(0);
            let stop = (kind == Kind::B).then_some(stop);
            let last = scope.spawn(move || self.last_group(end, stop.as_ref()));
            let produced = self.produce(records);
            if produced.is_err() {
                // So that no group waits for what does not come.
                drop(self.log.close());
            }
            let Produced { begun, before_mb } = produced?;
            let mut latencies = Vec::new();
            for other in others {
                latencies.extend(other.join().expect("a group does not panic")?);
            }
            let growth_mb = (process::peak_mb() - before_mb).max(0.0);
            let (backlog, retained) = match kind {
                Kind::A => (0, KEPT),
                Kind::B => self.backlog()?,
            };
            let resumed = self.clock.elapsed();
            drop::<SyncSender<()>>(go_on);
            last.join().expect("a group does not panic")?;
            let time = self.clock.elapsed().saturating_sub(resumed);
            latencies.retain(|latency| latency.begun >= begun);
            let mut times: Vec<_> = latencies.iter().map(|latency| latency.time).collect();
            times.sort_unstable();
            Ok(Shown {
                p99_ms: percentile(&times, 99),
                before_mb,
                growth_mb,
                backlog,
                retained_s: retained.as_secs_f64(),
                caught_up: millions(backlog) / time.as_secs_f64(),
            })
        })
    }

    /// Reads all there is; after what comes before the stop, waits until the sender is gone.
    fn last_group(&self, end: u64, stop: Option<&Receiver<()>>) -> Result<(), BoxError> {
        let mut group = Reader::new(self, LAST)?;
        if let Some(stop) = stop {
            group.read_to(BEFORE)?;
            group.commit().wait()?;
            // Nothing is ever sent.
            stop.recv().unwrap_or(());
        }
        group.read_to(end)?;
        Ok(group.commit().wait()?)
    }

    /// How many records the last group has not done, and how long retention leaves the first.
    fn backlog(&self) -> Result<(u64, Duration), BoxError> {
        let group = self.log.group(LAST)?;
        let (mut records, mut retained) = (0, KEPT);
        for partition in &self.partitions {
            let at = group.position(partition).unwrap_or(0);
            records += partition.visible_end() - at;
            retained = retained.min(partition.retained_for(at).unwrap_or(KEPT));
        }
        Ok((records, retained))
    }

    /// Appends what comes before the stop, and then so many records.
    fn produce(&self, records: u64) -> Result<Produced, BoxError> {
        self.append_all(BEFORE)?;
        let before_mb = process::rss_mb();
        process::forget_peak();
        let begun = self.clock.elapsed();
        self.append_all(records)?;
        Ok(Produced { begun, before_mb })
    }

    fn append_all(&self, records: u64) -> Result<(), BoxError> {
        let ticks = u32::try_from(records / BATCH)? / PRODUCERS;
        thread::scope(|scope| {
            let producers = (0..PRODUCERS).map(|number| {
                let share = self.partitions.iter().skip(number as usize);
                let share = share.step_by(PRODUCERS as usize);
                scope.spawn(move || self.append(ticks, share.cycle()))
            });
            let producers: Vec<_> = producers.collect();
            let mut ended = producers.into_iter().map(ScopedJoinHandle::join);
            ended.try_for_each(|ended| ended.expect("a producer does not panic"))
        })
    }

    /// Appends a batch to the next partition at each tick, or at once while it is late.
    fn append<'a>(
        &self,
        ticks: u32,
        partitions: impl Iterator<Item = &'a Partition>,
    ) -> Result<(), BoxError> {
        let begun = self.clock.elapsed();
        let mut waiting: VecDeque<Ticket<Appended>> = VecDeque::new();
        for (tick, partition) in (0..ticks).zip(partitions) {
            let due = begun + TICK * tick;
            if self.clock.elapsed() < due {
                block_on(self.clock.sleep_until(due));
            }
            waiting.push_back(partition.append(batch(self.clock.elapsed())?));
            if waiting.len() == IN_FLIGHT {
                waiting.pop_front().expect("it is that long").wait()?;
            }
        }
        for ticket in waiting {
            ticket.wait()?;
        }
        Ok(())
    }
}

/// What the producers say in the end.
struct Produced {
    /// When the group stopped, and the memory in use then.
    begun: Duration,
    before_mb: f64,
}

/// Records that say when their append began.
fn batch(now: Duration) -> Result<Batch, BoxError> {
    let mut value = [b'x'; 100];
    value[..STAMP].copy_from_slice(&u64::try_from(now.as_nanos())?.to_le_bytes());
    let mut batch = Batch::new();
    for _ in 0..BATCH {
        batch.push(&Record::of(&value))?;
    }
    Ok(batch)
}

/// Of times that are sorted.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let at = times.len() * percent / 100;
    times
        .get(at)
        .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "it is printed with one decimal")]
fn millions(records: u64) -> f64 {
    records as f64 / 1e6
}
