//! Calls that wait for an answer, transactions among them, and what the answers mean.

use levada_core::Clock as _;
use levada_log::{Appended, Error, Ticket, Transaction};

use super::stage::{PARTITIONS, PRODUCERS, Stage};
use crate::{
    campaign::Fault,
    log::{ledger::Fate, steps::answered},
};

/// A call that waits for an answer.
#[derive(Debug)]
pub(super) enum Asked {
    Append(usize, Ticket<Appended>),
    Commit(usize, Ticket<()>),
    Abort(Ticket<()>),
}

impl Stage {
    /// Appends some puts and tombstones, in a transaction if one is said: its number and producer.
    pub(super) fn append(
        &mut self,
        within: Option<(usize, &Transaction<'_>)>,
    ) -> Result<(), Fault> {
        let partition = self.rig.below(PARTITIONS);
        let (number, now) = (within.map(|(number, _)| number), self.rig.clock.now());
        let (append, batch) = self
            .model
            .append(&mut self.rig.rng, partition, number, now)?;
        let place = &self.partitions[partition];
        let ticket = match within {
            Some((_, transaction)) => transaction.append(place, batch),
            None => place.append(batch),
        };
        self.asked.push(Asked::Append(append, ticket));
        Ok(())
    }

    /// Lets a producer have a transaction, with other appends beside it.
    pub(super) fn transact(&mut self) -> Result<(), Fault> {
        let at = self.rig.below(PRODUCERS);
        let producer = if let Some(producer) = self.producers[at].take() {
            Ok(producer)
        } else {
            let log = self.log.as_ref().ok_or("no log is open")?;
            self.rig
                .steps
                .wait(log.producer(&format!("producer-{at}")))?
        };
        let Ok(mut producer) = producer else {
            return Ok(());
        };
        let Ok(transaction) = producer.begin() else {
            return Ok(());
        };
        let number = self.model.transactions.len();
        // Until somebody asks for its commit nobody can know of one.
        self.model.transactions.push(Fate::Refused);
        for _ in 0..=self.rig.below(6) {
            self.append(Some((number, &transaction)))?;
            if self.rig.rng.chance(1, 3) {
                self.append(None)?;
            }
            for _ in 0..self.rig.rng.below(6) {
                self.step()?;
            }
            if self.rig.fs.is_crashed() || self.is_dead {
                return Ok(());
            }
        }
        if self.rig.rng.chance(1, 3) {
            self.asked.push(Asked::Abort(transaction.abort()));
        } else {
            self.model.transactions[number] = Fate::Unknown;
            self.asked.push(Asked::Commit(number, transaction.commit()));
        }
        self.producers[at] = Some(producer);
        Ok(())
    }

    /// Takes in the answer to a call, or gives the call back if there is none yet.
    pub(super) fn answer(&mut self, mut asked: Asked) -> Result<Option<Asked>, Fault> {
        match &mut asked {
            Asked::Append(number, ticket) => match answered(ticket) {
                None => return Ok(Some(asked)),
                Some(Ok(appended)) => {
                    let append = &mut self.model.appends[*number];
                    append.fate = Fate::Acknowledged;
                    append.base = Some(appended.offsets.start);
                }
                Some(Err(error)) => self.model.appends[*number].fate = self.refused(&error)?,
            },
            Asked::Commit(number, ticket) => match answered(ticket) {
                None => return Ok(Some(asked)),
                Some(Ok(())) => self.model.transactions[*number] = Fate::Acknowledged,
                Some(Err(error)) => self.model.transactions[*number] = self.refused(&error)?,
            },
            Asked::Abort(ticket) => match answered(ticket) {
                None => return Ok(Some(asked)),
                Some(Ok(())) => {}
                Some(Err(error)) => drop(self.refused(&error)?),
            },
        }
        Ok(None)
    }

    fn refused(&mut self, error: &Error) -> Result<Fate, Fault> {
        match error {
            Error::Dead { .. } => {
                self.is_dead = true;
                Ok(Fate::Unknown)
            }
            Error::NoSpace { .. }
            | Error::TransactionFailed { .. }
            | Error::TransactionOver { .. } => Ok(Fate::Refused),
            error => Err(format!("a call was refused: {error}").into()),
        }
    }
}
