//! What is shared about a producer: its last epoch, and what that is about.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use super::{Moves, Producer};
use crate::{
    Error, Result, Ticket,
    limits::MAX_PARTITIONS,
    meta::Outcome,
    partition::PartitionId,
    planted::planted,
    queue::Queue,
    shared::{Handle, Item, Shared, lock},
};

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
    pub(super) phase: Phase,
}

#[derive(Debug)]
pub(super) enum Phase {
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

    /// Undoes that it was forgotten: its handle is valid again. What it had open is aborted.
    pub(crate) fn remember(&self) {
        lock(&self.life).phase = Phase::Idle;
    }

    pub(crate) fn is_forgotten(&self) -> bool {
        matches!(lock(&self.life).phase, Phase::Forgotten)
    }

    /// Begins the transaction of the epoch after `epoch`, and returns that.
    pub(super) fn begin(self: &Arc<Self>, shared: &Shared, epoch: u64) -> Result<u64> {
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
    pub(super) fn end(
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

    /// The error that says that its transaction can only be aborted.
    pub(crate) fn failed(&self, cause: &str) -> Error {
        Error::TransactionFailed {
            producer: Arc::clone(&self.name),
            cause: cause.into(),
        }
    }

    /// Its life, if `epoch` is still the last that was given out.
    pub(super) fn life(&self, epoch: u64) -> Result<MutexGuard<'_, Life>> {
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
