//! Transactions of one or two producers at a time, and what goes on beside them.

use levada_log::{Error, Producer, Transaction};

use super::{asked::Asked, stage::Stage};
use crate::{
    campaign::Fault,
    history::{Call, Outcome},
};

/// Producers that have transactions.
pub(super) const PRODUCERS: usize = 3;
/// The number of the first of them, as a client.
const FIRST: u32 = 100;

impl Stage {
    /// Lets one producer have a transaction, or two at once.
    pub(super) fn transact(&mut self) -> Result<(), Fault> {
        let (one, other) = (self.rig.below(PRODUCERS), self.rig.below(PRODUCERS));
        let mut first = self.producer(one)?;
        let mut second = if one == other {
            None
        } else {
            self.producer(other)?
        };
        let mut open = Vec::new();
        for (at, producer) in [(one, &mut first), (other, &mut second)] {
            let transaction = producer.as_mut().and_then(|producer| producer.begin().ok());
            if let Some(transaction) = transaction {
                self.next_transaction += 1;
                open.push((
                    FIRST + u32::try_from(at)?,
                    self.next_transaction,
                    transaction,
                ));
            }
        }
        for _ in 0..self.rig.rng.below(10) {
            for (client, id, transaction) in &open {
                self.send_in(*client, *id, transaction)?;
            }
            self.beside()?;
            if self.rig.fs.is_crashed() || self.is_dead {
                // The next life finds them open.
                return Ok(());
            }
        }
        for (client, id, transaction) in open {
            self.end(client, id, transaction)?;
            self.beside()?;
        }
        self.producers[one] = first;
        if one != other {
            self.producers[other] = second;
        }
        Ok(())
    }

    /// What others do meanwhile.
    fn beside(&mut self) -> Result<(), Fault> {
        match self.rig.rng.below(4) {
            0 => self.send_some()?,
            1 => self.poll_some()?,
            _ => {}
        }
        for _ in 0..self.rig.rng.below(6) {
            self.step()?;
        }
        Ok(())
    }

    /// Takes a producer, which is opened if it is not; none if the log cannot.
    fn producer(&mut self, at: usize) -> Result<Option<Producer>, Fault> {
        if let Some(producer) = self.producers[at].take() {
            return Ok(Some(producer));
        }
        let log = self.log.as_ref().ok_or("no log is open")?;
        let ticket = log.producer(&format!("producer-{at}"));
        Ok(self.rig.steps.wait(ticket)?.ok())
    }

    fn send_in(
        &mut self,
        client: u32,
        id: u64,
        transaction: &Transaction<'_>,
    ) -> Result<(), Fault> {
        let at = self.rig.below(self.partitions.len());
        let count = u32::try_from(1 + self.rig.rng.below(4))?;
        let (call, batch) = self.batch(Some(id), at, count)?;
        let operation = self.recorder.invoked(client, call)?;
        let ticket = transaction.append(&self.partitions[at].1, batch);
        self.asked.push(Asked::Send { operation, ticket });
        Ok(())
    }

    fn end(&mut self, client: u32, id: u64, open: Transaction<'_>) -> Result<(), Fault> {
        let (operation, ticket) = if self.rig.rng.chance(1, 4) {
            let abort = Call::Abort { transaction: id };
            (self.recorder.invoked(client, abort)?, open.abort())
        } else {
            let commit = Call::Commit { transaction: id };
            (self.recorder.invoked(client, commit)?, open.commit())
        };
        self.asked.push(Asked::End { operation, ticket });
        Ok(())
    }

    /// What is recorded of the end of a transaction.
    pub(super) fn ended(&mut self, answer: levada_log::Result<()>) -> Result<Outcome, Fault> {
        match answer {
            Ok(()) => Ok(Outcome::Done),
            Err(Error::Dead { .. } | Error::Fenced { .. }) => {
                self.is_dead = true;
                Ok(Outcome::Unknown)
            }
            Err(
                Error::NoSpace { .. }
                | Error::TransactionFailed { .. }
                | Error::Busy { .. }
                | Error::Closed,
            ) => Ok(Outcome::Failed),
            Err(Error::Damaged { .. }) => Ok(Outcome::Damaged),
            Err(error) => Err(format!("a transaction could not end: {error}").into()),
        }
    }
}
