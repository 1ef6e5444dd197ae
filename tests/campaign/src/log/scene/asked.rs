//! Calls that wait for an answer.

use levada_log::{Appended, Fetched, Producer, Ticket, Topic};

use super::Scene;
use crate::{
    campaign::Fault,
    log::{
        ledger::{Fate, Seat},
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
    /// A batch that was sent before, under the same sequence.
    Resend {
        topic: usize,
        partition: usize,
        original: usize,
        number: usize,
        ticket: Ticket<Appended>,
    },
    OpenProducer {
        producer: usize,
        ticket: Ticket<Producer>,
    },
    Create {
        topic: usize,
        ticket: Ticket<Topic>,
    },
    OpenAccounts {
        ticket: Ticket<Topic>,
    },
    KeepAccounts {
        append: usize,
        ticket: Ticket<Appended>,
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
    ///
    /// What a topic acknowledges at once proves nothing: `at_once` are those topics. Nor does a
    /// repeat: that its original is there was true before.
    pub(super) fn is_acknowledged(&mut self, at_once: &[usize]) -> bool {
        match self {
            Self::Append { topic, .. } if at_once.contains(topic) => false,
            Self::Append { ticket, .. } | Self::KeepAccounts { ticket, .. } => {
                matches!(answered(ticket), Some(Ok(_)))
            }
            Self::OpenProducer { ticket, .. } => matches!(answered(ticket), Some(Ok(_))),
            Self::Create { ticket, .. } | Self::OpenAccounts { ticket } => {
                matches!(answered(ticket), Some(Ok(_)))
            }
            Self::Seal { ticket, .. } | Self::Move { ticket, .. } => {
                matches!(answered(ticket), Some(Ok(())))
            }
            Self::Resend { .. } | Self::Fetch { .. } => false,
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
            Asked::Resend {
                topic,
                partition,
                original,
                number,
                ticket,
            } => {
                let Some(answer) = answered(ticket) else {
                    return Ok(Some(asked));
                };
                self.resent((*topic, *partition), *original, *number, answer)?;
            }
            Asked::OpenProducer { producer, ticket } => {
                let Some(answer) = answered(ticket) else {
                    return Ok(Some(asked));
                };
                self.opened(*producer, answer)?;
            }
            Asked::Create { topic, ticket } => {
                let Some(answer) = answered(ticket) else {
                    return Ok(Some(asked));
                };
                self.ledger.topics[*topic].fate = self.outcome(answer)?;
            }
            Asked::OpenAccounts { ticket } => {
                let Some(answer) = answered(ticket) else {
                    return Ok(Some(asked));
                };
                self.ledger.accounts.fate = self.outcome(answer)?;
            }
            Asked::KeepAccounts { append, ticket } => {
                let Some(answer) = answered(ticket) else {
                    return Ok(Some(asked));
                };
                self.accounts_kept(*append, answer)?;
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
}
