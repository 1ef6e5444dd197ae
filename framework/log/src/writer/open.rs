//! The transactions that are open: what each has in which partitions, and when it is aborted.
//!
//! 1. What a group commit does to them is staged beside them, and takes effect once it is durable.
//! 2. One that has lost an append can only be aborted, whoever asks for what. That is so from the
//!    moment the append is refused, whatever becomes of the group commit it was refused from: the
//!    end may be queued already, and is answered here.
//! 3. Each has a time at which the log aborts it. An end that could not be written sets it to soon,
//!    and it is set again each time that it has passed, until an end is durable.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use crate::{
    Error,
    batch::header::{Header, How, Produced},
    meta::Outcome,
    partition::{PartitionId, state::PartitionState},
    producer::ProducerState,
};

/// When an abort is tried again that could not be written: the disk was full.
const RETRY: Duration = Duration::from_secs(1);

/// The open transactions, by producer.
#[derive(Default)]
pub(super) struct OpenTransactions(BTreeMap<u64, Open>);

/// What a group commit does to them: what is there instead, by producer.
#[derive(Default)]
pub(super) struct Staged(BTreeMap<u64, Option<Open>>);

/// An open transaction.
#[derive(Clone)]
struct Open {
    producer: Arc<ProducerState>,
    epoch: u64,
    /// When it is aborted.
    due: Duration,
    /// Whether its end was queued and could not be written.
    orphaned: bool,
    /// Why it can only be aborted, if so.
    failed: Option<Error>,
    parts: Parts,
}

/// Where a transaction has records: all of them lie in these offsets.
type Parts = BTreeMap<PartitionId, (Arc<PartitionState>, Range<u64>)>;

/// A transaction that ends.
pub(super) struct Ended {
    pub(super) producer: Arc<ProducerState>,
    pub(super) epoch: u64,
    pub(super) outcome: Outcome,
    /// Why it is not what was asked for, if so.
    pub(super) refused: Option<Error>,
    parts: Parts,
}

impl Ended {
    fn of(open: Open, asked: Outcome) -> Self {
        let refused = open.failed.filter(|_| asked == Outcome::Committed);
        Self {
            producer: open.producer,
            epoch: open.epoch,
            outcome: refused.as_ref().map_or(asked, |_| Outcome::Aborted),
            refused,
            parts: open.parts,
        }
    }

    /// The offsets in each partition.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (PartitionId, Range<u64>)> {
        self.parts
            .iter()
            .map(|(&id, (_, range))| (id, range.clone()))
    }

    /// Lets it take effect for readers.
    pub(super) fn show(&self) {
        let transaction = (self.producer.id, self.epoch);
        for (partition, range) in self.parts.values() {
            let mut reading = partition.reading();
            reading.end_transaction(transaction, range.end, self.outcome);
        }
    }
}

impl Staged {
    /// Begins a transaction, to be aborted at `due`.
    pub(super) fn begin(&mut self, producer: &Arc<ProducerState>, epoch: u64, due: Duration) {
        let open = Open {
            producer: Arc::clone(producer),
            epoch,
            due,
            orphaned: false,
            failed: None,
            parts: Parts::new(),
        };
        self.0.insert(producer.id, Some(open));
    }

    /// Takes in a batch; `false` if it belongs to a transaction that is not open.
    pub(super) fn takes(
        &mut self,
        open: &OpenTransactions,
        header: &Header,
        partition: &Arc<PartitionState>,
    ) -> bool {
        let Some(by) = transactional(header) else {
            return true;
        };
        let Some(transaction) = self.get(open, by.producer, by.epoch) else {
            return false;
        };
        let part = transaction.parts.entry(header.id);
        let (_, range) = part.or_insert_with(|| {
            let none = header.base_offset..header.base_offset;
            (Arc::clone(partition), none)
        });
        range.end = header.end();
        true
    }

    /// Says that a batch was refused: if it belongs to a transaction, that has lost it.
    pub(super) fn refused(&mut self, open: &mut OpenTransactions, header: &Header, cause: &Error) {
        open.refused(header, cause);
        if let Some(by) = transactional(header)
            && let Some(Some(staged)) = self.0.get_mut(&by.producer)
        {
            staged.lost(by.epoch, cause);
        }
    }

    /// Ends a transaction; `None` if it is not open.
    pub(super) fn end(
        &mut self,
        open: &OpenTransactions,
        producer: &Arc<ProducerState>,
        epoch: u64,
        outcome: Outcome,
    ) -> Option<Ended> {
        self.get(open, producer.id, epoch)?;
        let ended = self.0.insert(producer.id, None).flatten()?;
        Some(Ended::of(ended, outcome))
    }

    /// Aborts the transaction that a producer has open, whatever its epoch.
    pub(super) fn end_any(&mut self, open: &OpenTransactions, producer: u64) -> Option<Ended> {
        let staged = self.0.entry(producer);
        let staged = staged.or_insert_with(|| open.0.get(&producer).cloned());
        Some(Ended::of(staged.take()?, Outcome::Aborted))
    }

    fn get(&mut self, open: &OpenTransactions, producer: u64, epoch: u64) -> Option<&mut Open> {
        let staged = self.0.entry(producer);
        let staged = staged.or_insert_with(|| open.0.get(&producer).cloned());
        staged.as_mut().filter(|open| open.epoch == epoch)
    }
}

impl Open {
    /// Says that the transaction of this epoch has lost an append.
    fn lost(&mut self, epoch: u64, cause: &Error) {
        if self.epoch == epoch {
            let failed = || self.producer.failed(&cause.to_string());
            self.failed.get_or_insert_with(failed);
        }
    }
}

/// Whose a batch is, if it belongs to a transaction.
fn transactional(header: &Header) -> Option<Produced> {
    let by = header.produced;
    by.filter(|by| by.how == How::Transactional)
}

impl OpenTransactions {
    /// Says that a batch was refused: if it belongs to a transaction, that has lost it.
    pub(super) fn refused(&mut self, header: &Header, cause: &Error) {
        if let Some(by) = transactional(header)
            && let Some(open) = self.0.get_mut(&by.producer)
        {
            open.lost(by.epoch, cause);
        }
    }

    /// Lets what was staged take effect.
    pub(super) fn take_in(&mut self, staged: Staged) {
        for (producer, open) in staged.0 {
            match open {
                Some(open) => self.0.insert(producer, open),
                None => self.0.remove(&producer),
            };
        }
    }

    /// Says that the end of a transaction was not written.
    pub(super) fn orphan(&mut self, producer: u64, epoch: u64, now: Duration) {
        let open = self.0.get_mut(&producer);
        if let Some(open) = open.filter(|open| open.epoch == epoch) {
            (open.orphaned, open.due) = (true, now + RETRY);
        }
    }

    /// When the next one is to be aborted.
    pub(super) fn due(&self) -> Option<Duration> {
        self.0.values().map(|open| open.due).min()
    }

    /// The transactions that are to be aborted now: their producers and epochs, and whether the
    /// producer has let go already.
    pub(super) fn take_due(&mut self, now: Duration) -> Vec<(Arc<ProducerState>, u64, bool)> {
        let due = self.0.values_mut().filter(|open| open.due <= now);
        let due = due.map(|open| {
            open.due = now + RETRY;
            (Arc::clone(&open.producer), open.epoch, open.orphaned)
        });
        due.collect()
    }
}
