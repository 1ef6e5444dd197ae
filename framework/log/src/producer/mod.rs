//! Producers: who appends, so that repeats are known and zombies are refused.
//!
//! A producer has a name and, each time it is opened and each time it begins a transaction, the
//! next *epoch*. An epoch is durable before anything carries it, and names one life or one
//! transaction.
//!
//! 1. Only the last epoch that was given out may append. That is decided under the producer's lock,
//!    which is held until the batch is queued; what ends an epoch takes the same lock and is queued
//!    itself. So nothing of an epoch lies behind its end, wherever a late caller was held up.
//! 2. A transaction of which any append was refused cannot be committed: it would be torn.
//! 3. A transaction whose end could not be written is aborted by the log as soon as it can be, and
//!    one that is open for too long as well: it holds back all readers of committed records.

mod admission;
mod state;

use std::sync::Arc;

use crate::{
    Appended, Batch, Partition, Result, Ticket, Transaction,
    catalog::GroupState,
    meta::{Change, Outcome},
    partition::PartitionId,
    shared::Handle,
};

pub(crate) use admission::By;
use admission::Numbers;
pub(crate) use state::ProducerState;

/// Who appends under one name: its records are numbered, and it may append to many partitions at
/// once by a [`Transaction`].
///
/// Opening a name again fences whoever had it before, in this process or before a crash: its
/// appends are refused from then on, and its open transaction is aborted.
///
/// # Examples
///
/// An import that may be broken off anywhere and begins again. The number of a record is where it
/// comes from, so whatever is sent twice is there once:
///
/// ```
/// use levada_log::{Batch, Log, Record, TopicOptions};
///
/// let lines = ["tea", "jam", "nut", "oil"];
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let goods = log.create_topic("goods", TopicOptions::new()).wait()?.partition(0)?;
/// for _attempt in 0..2 {
///     let import = log.producer("goods.csv").wait()?;
///     let done = import.next_sequence(&goods).saturating_sub(1);
///     for (number, line) in (0..).zip(lines).skip_while(|(number, _)| *number < done) {
///         let mut batch = Batch::new();
///         batch.push(&Record::of(line.as_bytes()))?;
///         let appended = import.append(&goods, number, batch).wait()?;
///         assert_eq!(appended.offsets, number..number + 1, "the last one is repeated");
///     }
/// }
/// assert_eq!(goods.visible_end(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Producer {
    handle: Arc<Handle>,
    state: Arc<ProducerState>,
    epoch: u64,
}

impl Producer {
    pub(crate) fn new(handle: Arc<Handle>, state: Arc<ProducerState>, epoch: u64) -> Self {
        Self {
            handle,
            state,
            epoch,
        }
    }

    pub(crate) fn state(&self) -> &ProducerState {
        &self.state
    }

    /// The change that gives it its epoch.
    pub(crate) fn opened(&self) -> Change {
        Change::ProducerOpened {
            id: self.state.id,
            name: self.state.name.to_string(),
            epoch: self.epoch,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Appends a batch whose first record has this sequence. Sequences count the records of this
    /// producer in this partition, from 0, over all its lives.
    ///
    /// A repeat of one of the last five batches is not appended again: it gets the offsets of the
    /// original.
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::OutOfSequence`] for a sequence that is neither the
    /// [next](Self::next_sequence) nor a repeat, [`Error::ProducerFenced`], else as for
    /// [`Partition::append`].
    ///
    /// [`Error::OutOfSequence`]: crate::Error::OutOfSequence
    /// [`Error::ProducerFenced`]: crate::Error::ProducerFenced
    pub fn append(&self, partition: &Partition, sequence: u64, batch: Batch) -> Ticket<Appended> {
        let numbers = Numbers::Sequenced(sequence);
        let appended = self.append_how(partition, numbers, batch);
        appended.unwrap_or_else(Ticket::refused)
    }

    /// The sequence that follows the last record of this producer in a partition.
    ///
    /// It counts what was queued: before it is relied upon after an error, each ticket must have
    /// been answered.
    pub fn next_sequence(&self, partition: &Partition) -> u64 {
        partition.state().next_sequence(self.state.id)
    }

    /// Begins a transaction: what is appended by it becomes visible to readers of committed records
    /// when it is committed, all at once, or never.
    ///
    /// See [`Transaction`].
    ///
    /// # Errors
    ///
    /// [`Error::ProducerFenced`], [`Error::Busy`], [`Error::Dead`], [`Error::Closed`].
    ///
    /// [`Error::ProducerFenced`]: crate::Error::ProducerFenced
    /// [`Error::Busy`]: crate::Error::Busy
    /// [`Error::Dead`]: crate::Error::Dead
    /// [`Error::Closed`]: crate::Error::Closed
    pub fn begin(&mut self) -> Result<Transaction<'_>> {
        self.epoch = self.state.begin(self.handle.shared(), self.epoch)?;
        Ok(Transaction::new(self))
    }

    /// Appends to its open transaction.
    pub(crate) fn append_in_transaction(
        &self,
        partition: &Partition,
        batch: Batch,
    ) -> Ticket<Appended> {
        let appended = self.append_how(partition, Numbers::Transactional, batch);
        appended.unwrap_or_else(|error| {
            self.state.fail(self.epoch, &error);
            Ticket::refused(error)
        })
    }

    /// Ends its open transaction; `positions` move with it if it is committed.
    pub(crate) fn end(&self, outcome: Outcome, positions: Option<Moves>) -> Ticket<()> {
        let queue = &self.handle.shared().queue;
        let ended = self.state.end(queue, self.epoch, outcome, positions);
        ended.unwrap_or_else(Ticket::refused)
    }

    /// Fails if a partition is of another log.
    pub(crate) fn check_log(&self, partition: &Partition) -> Result<()> {
        partition.check_log(self.handle.shared(), &self.state.name)
    }

    fn append_how(
        &self,
        partition: &Partition,
        numbers: Numbers,
        batch: Batch,
    ) -> Result<Ticket<Appended>> {
        self.check_log(partition)?;
        let by = By {
            producer: &self.state,
            epoch: self.epoch,
            partition: partition.id(),
            numbers,
        };
        partition.append_by(Some(&by), batch)
    }
}

/// Positions of a group that are to move.
pub(crate) type Moves = (Arc<GroupState>, Vec<(PartitionId, u64)>);
