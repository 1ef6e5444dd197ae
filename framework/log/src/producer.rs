//! Producers: who appends, so that repeats are known and zombies are refused.
//!
//! A producer has a name and, each time it is opened and each time it begins a transaction, the
//! next
//! *epoch*. An epoch is durable before anything carries it, and names one life or one transaction.
//!
//! 1. Only the last epoch that was given out may append. That is decided under the producer's lock,
//!    which is held until the batch is queued; what ends an epoch takes the same lock and is queued
//!    itself. So nothing of an epoch lies behind its end, wherever a late caller was held up.
//! 2. A transaction of which any append was refused cannot be committed: it would be torn.
//! 3. A transaction whose end could not be written is aborted by the log as soon as it can be, and
//!    one that is open for too long as well: it holds back all readers of committed records.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use crate::{
    Appended, Batch, Error, Partition, Result, Ticket, Transaction,
    batch::header::{How, Produced},
    catalog::GroupState,
    limits::MAX_PARTITIONS,
    meta::{Change, Outcome},
    partition::PartitionId,
    planted::planted,
    queue::Queue,
    shared::{Handle, Item, Shared, lock},
};

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

    fn append_how(
        &self,
        partition: &Partition,
        numbers: Numbers,
        batch: Batch,
    ) -> Result<Ticket<Appended>> {
        if !Arc::ptr_eq(self.handle.shared(), partition.shared()) {
            return Err(Error::ForeignPartition {
                producer: Arc::clone(&self.state.name),
                topic: partition.topic().into(),
            });
        }
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

/// What is shared about one producer.
#[derive(Debug)]
pub(crate) struct ProducerState {
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    life: Mutex<Life>,
}

/// The last epoch that was given out, and what it is about.
#[derive(Debug)]
pub(crate) struct Life {
    epoch: u64,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// No transaction is open.
    Idle,
    /// The transaction of this epoch is open.
    Open {
        partitions: BTreeSet<PartitionId>,
        /// Why it can only be aborted, if so.
        failed: Option<Error>,
    },
    /// The end of the transaction of this epoch is queued.
    Ending,
    /// The producer is no more.
    Forgotten,
}

impl ProducerState {
    pub(crate) fn new(id: u64, name: &str, epoch: u64) -> Self {
        Self {
            id,
            name: name.into(),
            life: Mutex::new(Life {
                epoch,
                phase: Phase::Idle,
            }),
        }
    }

    /// Gives out the next epoch for a new handle; whatever the last one had open is aborted.
    pub(crate) fn open(self: &Arc<Self>, handle: &Arc<Handle>) -> Ticket<Producer> {
        let queue = &handle.shared().queue;
        let mut life = lock(&self.life);
        if let Err(error) = queue.reserve_change() {
            return Ticket::refused(error);
        }
        let (epoch, (completion, ticket)) = (life.epoch + 1, Ticket::new());
        if let Phase::Open { partitions, .. } = &life.phase {
            queue.push_always(self.aborted(life.epoch, partitions.len()));
        }
        (life.epoch, life.phase) = (epoch, Phase::Idle);
        queue.push(Item::OpenProducer {
            producer: Producer::new(Arc::clone(handle), Arc::clone(self), epoch),
            completion,
        });
        ticket
    }

    /// Takes back its name and all that is known of it.
    pub(crate) fn forget(self: &Arc<Self>, queue: &Queue) -> Ticket<()> {
        let mut life = lock(&self.life);
        if let Err(error) = queue.reserve_change() {
            return Ticket::refused(error);
        }
        let (completion, ticket) = Ticket::new();
        if let Phase::Open { partitions, .. } = &life.phase {
            queue.push_always(self.aborted(life.epoch, partitions.len()));
        }
        life.phase = Phase::Forgotten;
        queue.push(Item::ForgetProducer {
            producer: Arc::clone(self),
            completion,
        });
        ticket
    }

    pub(crate) fn is_forgotten(&self) -> bool {
        matches!(lock(&self.life).phase, Phase::Forgotten)
    }

    /// Begins the transaction of the epoch after `epoch`, and returns that.
    fn begin(self: &Arc<Self>, shared: &Shared, epoch: u64) -> Result<u64> {
        let mut life = self.life(epoch)?;
        shared.queue.reserve_change()?;
        life.epoch += 1;
        life.phase = Phase::Open {
            partitions: BTreeSet::new(),
            failed: None,
        };
        shared.queue.push(Item::Begin {
            producer: Arc::clone(self),
            epoch: life.epoch,
            began: shared.clock.elapsed(),
        });
        Ok(life.epoch)
    }

    /// Queues the end of a transaction. One that has failed is aborted.
    fn end(
        self: &Arc<Self>,
        queue: &Queue,
        epoch: u64,
        outcome: Outcome,
        positions: Option<Moves>,
    ) -> Result<Ticket<()>> {
        let mut life = self.life(epoch)?;
        let Phase::Open { partitions, failed } = &life.phase else {
            return Err(self.over());
        };
        let (partitions, failed) = (partitions.len(), failed.clone());
        life.phase = Phase::Ending;
        if let Some(error) = failed.filter(|_| outcome == Outcome::Committed) {
            queue.push_always(self.aborted(epoch, partitions));
            return Err(error);
        }
        let (completion, ticket) = Ticket::new();
        queue.push_always(Item::End {
            producer: Arc::clone(self),
            epoch,
            outcome,
            partitions,
            positions,
            completion: Some(completion),
        });
        Ok(ticket)
    }

    /// Says that an append of the transaction of this epoch was refused.
    pub(crate) fn fail(&self, epoch: u64, cause: &Error) {
        let mut life = lock(&self.life);
        let ours = life.epoch == epoch;
        let Phase::Open { failed, .. } = &mut life.phase else {
            return;
        };
        if ours {
            failed.get_or_insert_with(|| self.failed(&cause.to_string()));
        }
    }

    /// Queues the abort of a transaction that is open: for longer than `timeout`, or after its end
    /// could not be written.
    pub(crate) fn expire(self: &Arc<Self>, queue: &Queue, epoch: u64, timeout: Option<Duration>) {
        let mut life = lock(&self.life);
        if let Some(timeout) = timeout {
            let ours = life.epoch == epoch;
            let Phase::Open { failed, .. } = &mut life.phase else {
                return;
            };
            if !ours {
                return;
            }
            tracing::warn!(producer = %self.name, epoch, ?timeout, "a transaction is aborted");
            failed.get_or_insert_with(|| self.failed(&format!("it was open for {timeout:?}")));
        }
        let partitions = match &life.phase {
            Phase::Open { partitions, .. } => partitions.len(),
            _ => MAX_PARTITIONS as usize,
        };
        queue.push_always(self.aborted(epoch, partitions));
    }

    fn failed(&self, cause: &str) -> Error {
        Error::TransactionFailed {
            producer: Arc::clone(&self.name),
            cause: cause.into(),
        }
    }

    /// Its life, if `epoch` is still the last that was given out.
    fn life(&self, epoch: u64) -> Result<MutexGuard<'_, Life>> {
        let life = lock(&self.life);
        let is_fenced = life.epoch != epoch && !planted("zombie_admitted");
        if is_fenced || matches!(life.phase, Phase::Forgotten) {
            return Err(Error::ProducerFenced {
                producer: Arc::clone(&self.name),
            });
        }
        Ok(life)
    }

    fn aborted(self: &Arc<Self>, epoch: u64, partitions: usize) -> Item {
        Item::End {
            producer: Arc::clone(self),
            epoch,
            outcome: Outcome::Aborted,
            partitions,
            positions: None,
            completion: None,
        }
    }

    /// The error that says that it has no transaction.
    pub(crate) fn over(&self) -> Error {
        Error::TransactionOver {
            producer: Arc::clone(&self.name),
        }
    }
}

/// On whose behalf a batch is appended, and how.
pub(crate) struct By<'a> {
    pub(crate) producer: &'a Arc<ProducerState>,
    epoch: u64,
    partition: PartitionId,
    numbers: Numbers,
}

/// Whether the records of a batch are numbered.
#[derive(Clone, Copy)]
enum Numbers {
    /// From this sequence on.
    Sequenced(u64),
    /// They are not: the batch belongs to the open transaction.
    Transactional,
}

impl By<'_> {
    /// Whether its epoch may append. What is returned is held until the batch is queued.
    pub(crate) fn admit(&self) -> Result<MutexGuard<'_, Life>> {
        let mut life = self.producer.life(self.epoch)?;
        if let Numbers::Transactional = self.numbers {
            match &mut life.phase {
                Phase::Open {
                    failed: Some(error),
                    ..
                } => return Err(error.clone()),
                Phase::Open { partitions, .. } => partitions.insert(self.partition),
                _ => return Err(self.producer.over()),
            };
        }
        Ok(life)
    }

    /// What a batch of `count` records says about it.
    pub(crate) fn produced(&self, count: u64) -> Produced {
        Produced {
            producer: self.producer.id,
            epoch: self.epoch,
            how: match self.sequences(count) {
                Some((first, last)) => How::Sequenced(first, last),
                None => How::Transactional,
            },
        }
    }

    /// The first and last sequence of a batch of `count` records, if it has them.
    pub(crate) fn sequences(&self, count: u64) -> Option<(u64, u64)> {
        match self.numbers {
            Numbers::Sequenced(first) => Some((first, first.saturating_add(count - 1))),
            Numbers::Transactional => None,
        }
    }
}
