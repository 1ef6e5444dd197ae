//! Calls that wait for an answer, and what the answers mean.

use levada_log::{Appended, Error, Fetched, Ticket, Topic};
use levada_testkit::vfs::Fault as Faulty;

use super::Scene;
use crate::{
    campaign::Fault,
    log::{
        ledger::{Fate, Seat},
        payload::Tag,
        require,
        steps::answered,
    },
};

/// A call that waits for an answer.
#[derive(Debug)]
pub(crate) enum Asked {
    Append {
        topic: usize,
        partition: usize,
        number: usize,
        ticket: Ticket<Appended>,
    },
    Create {
        topic: usize,
        ticket: Ticket<Topic>,
    },
    Seal {
        topic: usize,
        ticket: Ticket<()>,
    },
    Move {
        seat: Seat,
        position: u64,
        ticket: Ticket<()>,
    },
    Fetch {
        topic: usize,
        partition: usize,
        from: u64,
        ticket: Ticket<Fetched>,
    },
}

impl Asked {
    /// Whether the answer is there and says that something was made durable.
    pub(super) fn is_acknowledged(&mut self) -> bool {
        match self {
            Self::Append { ticket, .. } => matches!(answered(ticket), Some(Ok(_))),
            Self::Create { ticket, .. } => matches!(answered(ticket), Some(Ok(_))),
            Self::Seal { ticket, .. } | Self::Move { ticket, .. } => {
                matches!(answered(ticket), Some(Ok(())))
            }
            Self::Fetch { .. } => false,
        }
    }
}

impl Scene {
    /// Takes in the answer to a call, or gives the call back if there is none yet.
    pub(super) fn answer(&mut self, mut asked: Asked) -> Result<Option<Asked>, Fault> {
        match &mut asked {
            Asked::Append {
                topic,
                partition,
                number,
                ticket,
            } => {
                let Some(answer) = answered(ticket) else {
                    return Ok(Some(asked));
                };
                self.appended((*topic, *partition), *number, answer)?;
            }
            Asked::Create { topic, ticket } => {
                let Some(answer) = answered(ticket) else {
                    return Ok(Some(asked));
                };
                self.ledger.topics[*topic].fate = self.outcome(answer)?;
            }
            Asked::Seal { topic, ticket } => {
                let Some(answer) = answered(ticket) else {
                    return Ok(Some(asked));
                };
                if self.outcome(answer)? == Fate::Acknowledged {
                    self.ledger.topics[*topic].sealed = Fate::Acknowledged;
                }
            }
            Asked::Move {
                seat,
                position,
                ticket,
            } => {
                let Some(answer) = answered(ticket) else {
                    return Ok(Some(asked));
                };
                let fate = self.outcome(answer)?;
                let group = self.ledger.positions.entry(*seat).or_default();
                group.answer(*position, fate);
            }
            Asked::Fetch {
                topic,
                partition,
                from,
                ticket,
            } => {
                let Some(answer) = answered(ticket) else {
                    return Ok(Some(asked));
                };
                self.fetched((*topic, *partition), *from, answer)?;
            }
        }
        Ok(None)
    }

    /// What an answer says of the thing that was asked for.
    fn outcome<T>(&mut self, answer: levada_log::Result<T>) -> Result<Fate, Fault> {
        match answer {
            Ok(_) => {
                require!(!self.life.is_doomed, "acknowledged after a failed sync");
                Ok(Fate::Acknowledged)
            }
            Err(error) => self.fate(&error),
        }
    }

    fn appended(
        &mut self,
        (topic, partition): (usize, usize),
        number: usize,
        answer: levada_log::Result<Appended>,
    ) -> Result<(), Fault> {
        let offsets = answer
            .as_ref()
            .ok()
            .map(|appended| appended.offsets.clone());
        if let Err(Error::Sealed { .. }) = &answer {
            let sealed = self.ledger.topics[topic].sealed;
            require!(sealed != Fate::Refused, "nobody has sealed the topic");
        }
        let fate = self.outcome(answer)?;
        let ledger = &mut self.ledger.topics[topic].partitions[partition];
        match offsets {
            Some(offsets) => {
                ledger.acknowledge(number, offsets)?;
                self.shown.acknowledged += u64::from(ledger.attempts[number].count);
            }
            None => ledger.attempts[number].fate = fate,
        }
        Ok(())
    }

    fn fetched(
        &self,
        (topic, partition): (usize, usize),
        from: u64,
        answer: levada_log::Result<Fetched>,
    ) -> Result<(), Fault> {
        let fetched = match answer {
            Ok(fetched) => fetched,
            Err(error @ Error::Io { .. }) => {
                let faults = [Faulty::ReadError, Faulty::Crash];
                let met = self.life.met(self.fs.fired(), &faults);
                require!(met, "nothing has happened: {error}");
                return Ok(());
            }
            Err(Error::Closed) if self.life.is_closing => return Ok(()),
            Err(error) => return Err(format!("a fetch was refused: {error}").into()),
        };
        let ledger = &self.ledger.topics[topic].partitions[partition];
        let mut next = from;
        for record in fetched.records() {
            let tag = Tag::of(record.value).ok_or("bytes of nobody were fetched")?;
            let attempt = ledger.attempts.get(usize::try_from(tag.attempt)?);
            let is_right = attempt.is_some_and(|attempt| {
                attempt.fate == Fate::Acknowledged
                    && attempt.offsets.start + u64::from(tag.index) == record.offset
            });
            let place = (tag.topic as usize, tag.partition as usize);
            require!(
                is_right && place == (topic, partition) && record.offset >= next,
                "offset {} has {tag:?}, which is {attempt:?}",
                record.offset
            );
            next = record.offset + 1;
        }
        Ok(())
    }
}
