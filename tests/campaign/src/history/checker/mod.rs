//! Judges a history while it is read: in one pass, and a look at the tables at the end.
//!
//! What is kept is some 24 bytes for each value, 48 for each send, and the offsets that readers
//! passed without a value. Ten million operations, three million of them in transactions, on twelve
//! million values took 19 seconds and 840 MB (2 cores, a file of 434 MB).
//!
//! The rules, and where they are looked at:
//!
//! 1. A value lies at one offset, an offset holds one value, and a reader gets only what was sent:
//!    with each answer (`values`).
//! 2. A reader goes forward, sees at least as far as was acknowledged or seen before it asked, and
//!    in a transaction nothing of that transaction (`polls`).
//! 3. What was acknowledged is read, what was refused or aborted is not, what belongs together is
//!    there together, in the order of the calls, and no reader has passed what others have
//!    (`verdict`). What a place need not keep may be gone, and nothing else (`kept`).
//! 4. Transactions can be put into an order (`verdict`, by [`cycle`](super::cycle)).

mod kept;
mod polls;
mod tables;
mod values;
mod verdict;

use std::{
    collections::HashMap,
    io::{self, Read},
};

use super::{
    Call, Event, Outcome,
    anomaly::{Anomaly, Findings},
    recorder::Events,
};
use polls::{Poll, Readers};
use tables::{Fate, State, Tables};

/// What a log promises of transactions, besides that each is seen whole and only once committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Nothing: they may write between each other's values, and others may commit while one reads.
    ReadCommitted,
    /// They could have been run one after the other.
    Serializable,
}

/// Why a history cannot be judged: it was not recorded as the module says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("call {0} was answered and not made")]
    NotInvoked(u64),
    #[error("call {0} has the number of one that is under way")]
    InvokedTwice(u64),
    #[error("call {0} was answered as another kind of call is")]
    OtherKind(u64),
    #[error("value {0} was sent twice, and not as a retry")]
    SentTwice(u64),
    #[error("a batch of {count} values from {first} on")]
    NoValues { first: u64, count: u32 },
    #[error("transaction {0} was ended and had not begun, or goes on after its end")]
    NotOpen(u64),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Takes in a history, event by event.
#[derive(Debug)]
pub(crate) struct Checker {
    promise: Promise,
    tables: Tables,
    readers: Readers,
    pending: HashMap<u64, Pending>,
    findings: Findings,
    is_rotten: bool,
}

/// A call without an answer.
#[derive(Debug)]
enum Pending {
    Send(u32),
    Poll(Poll),
    Commit(u32),
    Abort(u32),
    Open,
}

impl Checker {
    pub(crate) fn new(promise: Promise) -> Self {
        Self {
            promise,
            tables: Tables::default(),
            readers: Readers::default(),
            pending: HashMap::new(),
            findings: Findings::default(),
            is_rotten: false,
        }
    }

    /// Judges the history in a file.
    ///
    /// # Errors
    ///
    /// See [`Malformed`].
    pub(crate) fn judge(promise: Promise, file: impl Read) -> Result<Findings, Malformed> {
        let mut checker = Self::new(promise);
        for event in Events::new(file) {
            checker.take(event?)?;
        }
        Ok(checker.finish())
    }

    /// Takes in the next event.
    pub(crate) fn take(&mut self, event: Event) -> Result<(), Malformed> {
        match event {
            Event::Restarted => self.restarted(),
            Event::Rotted => self.is_rotten = true,
            Event::Clock { millis } => self.tables.now = millis,
            Event::Declared { place, keeps } => {
                let place = self.tables.place(place);
                self.tables.places[place as usize].keeps = keeps;
            }
            Event::Invoked {
                operation,
                client,
                call,
            } => {
                let pending = self.invoked(client, call)?;
                if self.pending.insert(operation, pending).is_some() {
                    return Err(Malformed::InvokedTwice(operation));
                }
            }
            Event::Completed { operation, outcome } => {
                let pending = self.pending.remove(&operation);
                let pending = pending.ok_or(Malformed::NotInvoked(operation))?;
                self.findings.unknown += u64::from(outcome == Outcome::Unknown);
                if outcome == Outcome::Damaged && !self.is_rotten {
                    self.findings.add(Anomaly::FalseAlarm { operation });
                }
                if !self.completed(pending, outcome) {
                    return Err(Malformed::OtherKind(operation));
                }
            }
        }
        Ok(())
    }

    /// What the whole history comes to.
    pub(crate) fn finish(mut self) -> Findings {
        for (_, pending) in std::mem::take(&mut self.pending) {
            self.findings.unknown += 1;
            self.completed(pending, Outcome::Unknown);
        }
        verdict::judge(
            self.promise,
            &self.tables,
            &self.readers,
            &mut self.findings,
        );
        self.findings
    }

    fn restarted(&mut self) {
        self.findings.restarts += 1;
        for (_, pending) in std::mem::take(&mut self.pending) {
            self.findings.unknown += 1;
            self.completed(pending, Outcome::Unknown);
        }
        self.tables.restarted();
    }

    fn invoked(&mut self, client: u32, call: Call) -> Result<Pending, Malformed> {
        self.findings.operations += 1;
        let in_transaction = match &call {
            Call::Send { transaction, .. } | Call::Poll { transaction, .. } => {
                transaction.is_some()
            }
            Call::Commit { .. } | Call::Abort { .. } => true,
            Call::Open => false,
        };
        self.findings.transactional += u64::from(in_transaction);
        Ok(match call {
            Call::Send {
                place,
                transaction,
                first,
                count,
            } => {
                let place = self.tables.place(place);
                let transaction = transaction.map(|id| self.tables.open(id, place));
                let transaction = transaction.transpose()?;
                let send = self.tables.send(client, place, transaction, first, count)?;
                Pending::Send(send)
            }
            Call::Poll {
                place,
                transaction,
                from,
                sought,
                isolation,
            } => {
                let place = self.tables.place(place);
                let transaction = transaction.map(|id| self.tables.begin(id));
                let known = &self.tables.places[place as usize];
                let poll = Poll {
                    client,
                    place,
                    transaction,
                    from,
                    sought,
                    isolation,
                    acknowledged: known.visible,
                    seen: known.seen_end,
                };
                self.readers.asks(&self.tables, &poll, &mut self.findings);
                Pending::Poll(poll)
            }
            Call::Commit { transaction } => {
                let at = self.tables.ending(transaction)?;
                let it = &mut self.tables.transactions[at as usize];
                it.state = State::Committing;
                if let Some(value) = it.seen {
                    self.findings
                        .add(Anomaly::PrecommittedRead { transaction, value });
                }
                Pending::Commit(at)
            }
            Call::Abort { transaction } => {
                let at = self.tables.ending(transaction)?;
                self.tables.transactions[at as usize].state = State::Aborted;
                Pending::Abort(at)
            }
            Call::Open => Pending::Open,
        })
    }

    /// Takes in an answer; `false` if it is not one to such a call.
    fn completed(&mut self, pending: Pending, outcome: Outcome) -> bool {
        match (pending, outcome) {
            (Pending::Send(send), Outcome::Sent { base }) => {
                self.tables.acknowledge(send, base, &mut self.findings);
            }
            (Pending::Send(send), Outcome::Failed) => self.tables.unsent(send, Fate::Failed),
            (Pending::Send(send), Outcome::Unknown) => self.tables.unsent(send, Fate::Unknown),
            (Pending::Poll(poll), Outcome::Polled { next, end, records }) => {
                let findings = &mut self.findings;
                self.readers
                    .answered(&mut self.tables, &poll, (next, end), &records, findings);
            }
            (Pending::Poll(poll), Outcome::Expired { start }) => {
                self.readers.starts(&self.tables, &poll, start);
            }
            // What it has stopped at may have been done.
            (pending, Outcome::Damaged) => return self.completed(pending, Outcome::Unknown),
            (Pending::Commit(at), Outcome::Done) => self.tables.ended(at, State::Committed),
            // It may be open, for all that is known, until the log is opened again.
            (Pending::Commit(at), Outcome::Unknown) => {
                self.tables.transactions[at as usize].state = State::Unknown;
            }
            (Pending::Abort(at), Outcome::Done) => self.tables.ended(at, State::Aborted),
            // It will not be committed, but when it is aborted nobody says.
            (Pending::Commit(at) | Pending::Abort(at), Outcome::Failed) => {
                self.tables.transactions[at as usize].state = State::Aborted;
            }
            (Pending::Abort(_), Outcome::Unknown)
            | (Pending::Poll(_) | Pending::Open, Outcome::Failed | Outcome::Unknown)
            | (Pending::Open, Outcome::Done) => {}
            _ => return false,
        }
        true
    }
}
