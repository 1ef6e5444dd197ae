//! One partition in memory: its batches as the log writes them.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use futures::{FutureExt as _, future};
use levada_core::{
    Clock, Timestamp,
    backend::{BackendError, Batch, Ends, Fetched, Partition, Ticket},
};
use levada_log::{Error as LogError, FetchedBatch};

use super::{
    super::{encode, refused, show, stopped},
    lock,
};

/// One partition of a topic in memory.
#[derive(Debug)]
pub(super) struct MemoryPartition {
    topic: String,
    number: u32,
    clock: Arc<dyn Clock>,
    log: Mutex<Records>,
}

#[derive(Debug, Default)]
struct Records {
    batches: Vec<FetchedBatch>,
    end: u64,
    phase: Phase,
    waiting: Vec<Waker>,
}

/// Whether records can still come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Growing,
    Sealed,
    /// The backend was closed before it was sealed.
    Closed,
}

impl Records {
    /// Takes no more from now on; what has ended before stays as it is.
    fn end_as(&mut self, phase: Phase) {
        if self.phase == Phase::Growing {
            self.phase = phase;
            self.wake();
        }
    }

    fn wake(&mut self) {
        for waker in self.waiting.drain(..) {
            waker.wake();
        }
    }

    fn ends(&self) -> Ends {
        Ends {
            start: 0,
            visible: self.end,
            sealed: self.phase == Phase::Sealed,
        }
    }
}

impl MemoryPartition {
    pub(super) fn new(topic: &str, number: u32, clock: Arc<dyn Clock>) -> Self {
        Self {
            topic: topic.to_owned(),
            number,
            clock,
            log: Mutex::default(),
        }
    }

    /// Ends it for good.
    pub(super) fn seal(&self) -> Result<(), LogError> {
        let mut log = lock(&self.log);
        if log.phase == Phase::Closed {
            return Err(LogError::Closed);
        }
        log.end_as(Phase::Sealed);
        Ok(())
    }

    /// Stops it where it is.
    pub(super) fn close(&self) {
        lock(&self.log).end_as(Phase::Closed);
    }

    fn take(&self, batch: &Batch) -> Result<u64, BackendError> {
        let records = encode(batch)?;
        let mut log = lock(&self.log);
        match log.phase {
            Phase::Growing => {}
            Phase::Sealed => {
                let (topic, partition) = (self.topic.clone(), self.number);
                return Err(BackendError::Sealed { topic, partition });
            }
            Phase::Closed => return Err(refused(LogError::Closed)),
        }
        let first = log.end;
        if records.is_empty() {
            return Ok(first);
        }
        let before = log.batches.last().map(FetchedBatch::append_time);
        let append_time = self.clock.now().max(before.unwrap_or(Timestamp::MIN));
        let stored = FetchedBatch::of(records, first, append_time);
        log.end = stored.end_offset();
        log.batches.push(stored);
        log.wake();
        Ok(first)
    }
}

impl Partition for MemoryPartition {
    fn append(&self, batch: Batch) -> Ticket<u64> {
        future::ready(self.take(&batch)).boxed()
    }

    fn fetch(&self, from: u64, max_bytes: usize) -> Ticket<Fetched> {
        let log = lock(&self.log);
        let mut fetched = Fetched {
            batches: Vec::new(),
            next: from,
        };
        let first = log.batches.partition_point(|of| of.end_offset() <= from);
        let mut bytes = 0;
        for stored in &log.batches[first..] {
            bytes += stored.bytes().len();
            fetched.next = stored.end_offset();
            fetched.batches.push(show(stored.clone()));
            if bytes >= max_bytes {
                break;
            }
        }
        future::ready(Ok(fetched)).boxed()
    }

    fn ends(&self) -> Ends {
        lock(&self.log).ends()
    }

    fn poll_visible(&self, past: u64, cx: &mut Context<'_>) -> Poll<Result<Ends, BackendError>> {
        let mut log = lock(&self.log);
        if log.end > past || log.phase == Phase::Sealed {
            return Poll::Ready(Ok(log.ends()));
        }
        if log.phase == Phase::Closed {
            return Poll::Ready(Err(stopped(&self.topic, self.number, LogError::Closed)));
        }
        if !log.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            log.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}
