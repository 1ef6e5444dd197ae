//! A group that reads a topic, by one thread: it polls, looks at each record, and commits.

use std::{future::poll_fn, hint::black_box, task::Poll, time::Duration};

use futures::executor::block_on;
use levada::{BoxError, Clock};
use levada_log::{FetchedBatch, Group, Ticket};

use crate::arm::{Arm, PARTITIONS, STAMP};

/// How often a group commits where it stands.
const COMMIT: Duration = Duration::from_millis(100);
/// Bytes of a fetch.
const FETCH: usize = 1 << 20;

/// A group, and where it stands in each partition.
pub(super) struct Reader<'a> {
    arm: &'a Arm,
    group: Group,
    next: [u64; PARTITIONS as usize],
    committed: Duration,
    committing: Option<Ticket<()>>,
    pub(super) latencies: Vec<Latency>,
}

/// When the append of a batch began, and how long after that a group had it.
pub(super) struct Latency {
    pub(super) begun: Duration,
    pub(super) time: Duration,
}

impl<'a> Reader<'a> {
    pub(super) fn new(arm: &'a Arm, name: &str) -> Result<Self, BoxError> {
        Ok(Self {
            arm,
            group: arm.log.group(name)?,
            next: [0; PARTITIONS as usize],
            committed: arm.clock.elapsed(),
            committing: None,
            latencies: Vec::new(),
        })
    }

    /// Reads until it has so many records, an equal share of each partition.
    pub(super) fn read_to(&mut self, records: u64) -> Result<(), BoxError> {
        let share = records / u64::from(PARTITIONS);
        while self.next.iter().any(|next| *next < share) {
            for partition in self.wait(share) {
                self.fetch(partition, share)?;
            }
            let now = self.arm.clock.elapsed();
            if now >= self.committed + COMMIT {
                self.committed = now;
                if let Some(last) = self.committing.take() {
                    last.wait()?;
                }
                self.committing = Some(self.commit());
            }
        }
        Ok(())
    }

    /// Commits where it stands.
    pub(super) fn commit(&self) -> Ticket<()> {
        let positions: Vec<_> = self.arm.partitions.iter().zip(self.next).collect();
        self.group.commit(&positions)
    }

    /// Waits until some partitions have more, of those whose share it does not have yet.
    fn wait(&self, share: u64) -> Vec<usize> {
        let wanted = || (0..).zip(&self.arm.partitions).zip(self.next);
        block_on(poll_fn(|context| {
            let wanted = wanted().filter(|(_, next)| *next < share);
            let ready = wanted.filter(|((_, partition), next)| {
                let end = partition.poll_visible(context, *next);
                end.is_ready()
            });
            let ready: Vec<_> = ready.map(|((index, _), _)| index).collect();
            if ready.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(ready)
            }
        }))
    }

    /// Reads what a partition has, up to its share.
    fn fetch(&mut self, index: usize, share: u64) -> Result<(), BoxError> {
        let (partition, from) = (&self.arm.partitions[index], self.next[index]);
        let fetched = partition.fetch(from, FETCH).wait()?;
        let now = self.arm.clock.elapsed();
        let shared = |batch: &&FetchedBatch| batch.end_offset() <= share;
        for batch in fetched.batches.iter().take_while(shared) {
            if batch.base_offset() != self.next[index] {
                let (at, next) = (batch.base_offset(), self.next[index]);
                return Err(format!("offset {at} came where {next} is next").into());
            }
            let mut stamp = [0; STAMP];
            for record in batch.records() {
                stamp.copy_from_slice(&black_box(record.value)[..STAMP]);
            }
            let begun = Duration::from_nanos(u64::from_le_bytes(stamp));
            let time = now.saturating_sub(begun);
            self.latencies.push(Latency { begun, time });
            self.next[index] = batch.end_offset();
        }
        if self.next[index] == from {
            return Err("nothing more comes: the log has ended".into());
        }
        Ok(())
    }
}
