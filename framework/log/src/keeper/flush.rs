//! A flush: a full journal's batches on their way to their segments.
//!
//! What the flushers come to is put together in a second image, which replaces the first when all
//! is done; until then the one on disk stands, and recovery does the whole flush again, to the same
//! places. So retention can write an image while a full disk holds a flush up: it takes from both,
//! and only while no flusher is at work.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt as _, channel::oneshot};

use super::slot::{FullJournal, Pace};
use crate::{
    Error,
    batch::header::Header,
    error::Failure,
    flusher::{Done, FLUSHERS, Job},
    meta::Image,
    partition::state::PartitionState,
    segment::Roll,
    shared::Shared,
};

/// A full journal on its way to the segments.
pub(super) struct Flush {
    pub(super) full: FullJournal,
    /// The image that will say so.
    pub(super) image: Image,
    running: Vec<Running>,
    /// Why no more jobs are given out, until those that run are done.
    failed: Option<Failure>,
}

/// A job that a flusher has.
struct Running {
    partition: Arc<PartitionState>,
    upto: u64,
    headers: Vec<Header>,
    done: oneshot::Receiver<Done>,
}

impl Flush {
    pub(super) fn new(full: FullJournal, image: &Image) -> Self {
        let mut image = image.clone();
        let changes = full.changes.iter().cloned();
        changes.for_each(|change| image.apply(change));
        image.journal = full.next;
        image.commit = full.commit;
        Self {
            full,
            image,
            running: Vec::new(),
            failed: None,
        }
    }

    /// Whether a flusher is at work.
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Takes in what flushers are done with, and gives out what they are to do next, unless the
    /// room that is left is for images. Ready when all is done; fails when no flusher is at work
    /// any more and it cannot go on.
    pub(super) fn poll(
        &mut self,
        shared: &Shared,
        context: &mut Context<'_>,
    ) -> Result<Poll<()>, Failure> {
        self.take_in(context)?;
        let room = &shared.cleaning.room;
        let most = match shared.flush.pace() {
            Pace::Gentle => 1,
            Pace::Hurried => FLUSHERS,
        };
        while self.failed.is_none() && self.running.len() < most && !room.is_spent() {
            let Some((partition, upto)) = self.full.partitions.pop() else {
                break;
            };
            self.start(shared, partition, upto);
            // Registers the waker; one that is done already is taken in as well.
            self.take_in(context)?;
        }
        if self.is_running() {
            return Ok(Poll::Pending);
        }
        match self.failed.take() {
            Some(failure) => Err(failure),
            None if self.full.partitions.is_empty() => Ok(Poll::Ready(())),
            None => Ok(Poll::Pending),
        }
    }

    fn start(&mut self, shared: &Shared, partition: Arc<PartitionState>, upto: u64) {
        let record = self.image.partition(partition.id);
        let record = record.expect("a partition is in the image before its batches");
        let (batches, retention) = {
            let reading = partition.reading();
            (reading.tail_upto(upto), reading.retention)
        };
        let headers = batches.iter().map(|(header, _)| *header).collect();
        let done = shared.jobs.push(Job {
            id: partition.id,
            segments: record.segments.clone(),
            batches,
            roll: Roll::of(shared.limits.segment_bytes, &retention),
        });
        self.running.push(Running {
            partition,
            upto,
            headers,
            done,
        });
    }

    fn take_in(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        let mut at = 0;
        while let Some(running) = self.running.get_mut(at) {
            let Poll::Ready(done) = running.done.poll_unpin(context) else {
                at += 1;
                continue;
            };
            let running = self.running.swap_remove(at);
            let lost = || Error::Dead {
                cause: "a flusher that has gone".into(),
            };
            self.done(
                running,
                done.unwrap_or_else(|_| Err(Failure::Fatal(lost()))),
            )?;
        }
        Ok(())
    }

    fn done(&mut self, running: Running, done: Done) -> Result<(), Failure> {
        let (partition, upto) = (running.partition, running.upto);
        match done {
            Ok(segments) => {
                partition.reading().flushed(&segments);
                self.image.flushed(partition.id, segments, running.headers);
            }
            Err(Failure::Damaged(reason)) => {
                partition.fail(&reason);
                if let Some(record) = self.image.partition_mut(partition.id) {
                    record.failed = Some(reason);
                    record.next = record.next.max(upto);
                }
                let kept = &mut self.image.kept_journals;
                if !kept.contains(&self.full.number) {
                    kept.push(self.full.number);
                }
            }
            Err(full @ Failure::NoSpace(_)) => {
                self.full.partitions.push((partition, upto));
                self.failed.get_or_insert(full);
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }
}
