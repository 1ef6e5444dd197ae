//! Calls that wait for an answer, and what is recorded of the answers.

use levada_log::{Appended, Batch, Error, Fetched, Partition, Ticket};

use super::{stage::Stage, topics};
use crate::{
    campaign::Fault,
    history::{Call, Isolation, Outcome},
    log::{require, steps::answered},
};

/// A call that waits for an answer.
#[derive(Debug)]
pub(super) enum Asked {
    Send {
        operation: u64,
        ticket: Ticket<Appended>,
    },
    End {
        operation: u64,
        ticket: Ticket<()>,
    },
    Poll {
        operation: u64,
        /// The reader and the partition, by their places.
        seat: (usize, usize),
        ticket: Ticket<Fetched>,
    },
}

/// Clients that send; the numbers of readers follow theirs.
pub(super) const SENDERS: u32 = 4;

impl Stage {
    /// Sends the next values to a partition, as one batch.
    pub(super) fn send(&mut self, client: u32, at: usize, count: u32) -> Result<(), Fault> {
        let (call, batch) = self.batch(None, at, count)?;
        let operation = self.recorder.invoked(client, call)?;
        let ticket = self.partitions[at].1.append(batch);
        self.asked.push(Asked::Send { operation, ticket });
        Ok(())
    }

    /// The next values for a partition, and the call that sends them.
    pub(super) fn batch(
        &mut self,
        transaction: Option<u64>,
        at: usize,
        count: u32,
    ) -> Result<(Call, Batch), Fault> {
        let place = self.partitions[at].0;
        let first = self.next_value;
        self.next_value += u64::from(count);
        let call = Call::Send {
            place,
            transaction,
            first,
            count,
        };
        Ok((call, topics::batch(place, first, count)?))
    }

    /// Lets a reader go on in a partition, or read from `sought` on.
    pub(super) fn poll(
        &mut self,
        seat: (usize, usize),
        sought: Option<u64>,
        max_bytes: usize,
    ) -> Result<(), Fault> {
        let (reader, at) = seat;
        let waits = |asked: &Asked| matches!(asked, Asked::Poll { seat: it, .. } if *it == seat);
        if self.asked.iter().any(waits) {
            return Ok(());
        }
        let (place, partition) = self.partitions[at].clone();
        let isolation = isolation(reader);
        let from = sought.unwrap_or(self.positions[reader][at]);
        let call = Call::Poll {
            place,
            transaction: None,
            from,
            sought: sought.is_some(),
            isolation,
        };
        let client = SENDERS + u32::try_from(reader)?;
        let operation = self.recorder.invoked(client, call)?;
        let ticket = as_seen(&partition, isolation).fetch(from, max_bytes);
        self.asked.push(Asked::Poll {
            operation,
            seat,
            ticket,
        });
        Ok(())
    }

    /// Records the answer to a call, or gives the call back if there is none yet.
    pub(super) fn answer(&mut self, mut asked: Asked) -> Result<Option<Asked>, Fault> {
        let (operation, outcome) = match &mut asked {
            Asked::Send { operation, ticket } => match answered(ticket) {
                None => return Ok(Some(asked)),
                Some(Ok(appended)) => {
                    let base = appended.offsets.start;
                    (*operation, Outcome::Sent { base })
                }
                Some(Err(error)) => (*operation, self.unsent(&error)?),
            },
            Asked::End { operation, ticket } => match answered(ticket) {
                None => return Ok(Some(asked)),
                Some(answer) => (*operation, self.ended(answer)?),
            },
            Asked::Poll {
                operation,
                seat,
                ticket,
            } => match answered(ticket) {
                None => return Ok(Some(asked)),
                Some(Ok(fetched)) => (*operation, self.polled(*seat, &fetched)?),
                Some(Err(error)) => (*operation, self.unread(*seat, &error)?),
            },
        };
        self.recorder.completed(operation, outcome)?;
        Ok(None)
    }

    fn unsent(&mut self, error: &Error) -> Result<Outcome, Fault> {
        match error {
            Error::NoSpace { .. }
            | Error::Closed
            | Error::Busy { .. }
            | Error::ProducerFenced { .. }
            | Error::TransactionFailed { .. } => Ok(Outcome::Failed),
            Error::Dead { .. } | Error::Fenced { .. } => {
                self.is_dead = true;
                Ok(Outcome::Unknown)
            }
            Error::Damaged { .. } => Ok(Outcome::Damaged),
            error => Err(format!("an append was refused: {error}").into()),
        }
    }

    fn polled(&mut self, seat: (usize, usize), fetched: &Fetched) -> Result<Outcome, Fault> {
        let (reader, at) = seat;
        let Some((place, partition)) = self.partitions.get(at) else {
            // The log was dropped, and nobody is left who could say where the partition ends.
            return Ok(Outcome::Unknown);
        };
        let mut records = Vec::new();
        for record in fetched.records() {
            records.push((record.offset, topics::value(*place, &record)?));
        }
        let (next, end) = (
            fetched.next,
            as_seen(partition, isolation(reader)).visible_end(),
        );
        self.positions[reader][at] = next;
        Ok(Outcome::Polled { next, end, records })
    }

    fn unread(&mut self, seat: (usize, usize), error: &Error) -> Result<Outcome, Fault> {
        match error {
            Error::OutOfRange { start, .. } => {
                let (reader, at) = seat;
                self.positions[reader][at] = *start;
                self.struck.expired += 1;
                Ok(Outcome::Expired { start: *start })
            }
            Error::Damaged { .. } => Ok(Outcome::Damaged),
            Error::Io { .. } | Error::Closed | Error::Dead { .. } => Ok(Outcome::Failed),
            error => Err(format!("a fetch was refused: {error}").into()),
        }
    }

    /// Reads every partition from its start to its end, by a reader of its own.
    pub(super) fn read_all(&mut self) -> Result<(), Fault> {
        let reader = self.positions.len();
        self.positions.push(vec![0; self.partitions.len()]);
        for at in 0..self.partitions.len() {
            if self.partitions[at].1.stopped().is_some() {
                continue;
            }
            let mut sought = Some(0);
            loop {
                let before = self.positions[reader][at];
                self.poll((reader, at), sought.take(), 1 << 16)?;
                self.drain()?;
                let now = self.positions[reader][at];
                if now == before {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Lets the log work until it sleeps, and then nothing waits.
    pub(super) fn drain(&mut self) -> Result<(), Fault> {
        while self.step()? {}
        let waiting = self.asked.len();
        require!(waiting == 0, "the log sleeps while {waiting} calls wait");
        Ok(())
    }
}

/// What a reader wants to get: one of them is not patient.
fn isolation(reader: usize) -> Isolation {
    if reader == 0 {
        Isolation::Uncommitted
    } else {
        Isolation::Committed
    }
}

fn as_seen(partition: &Partition, isolation: Isolation) -> Partition {
    let isolation = match isolation {
        Isolation::Uncommitted => levada_log::Isolation::Uncommitted,
        Isolation::Committed => levada_log::Isolation::Committed,
    };
    partition.clone().isolation(isolation)
}
