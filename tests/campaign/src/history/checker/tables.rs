//! What is known of places, values, sends and transactions.

use std::collections::HashMap;

use super::{
    super::{Isolation, Keeps, Place, paged::Paged},
    Malformed,
};

/// No offset is known, or no transaction.
pub(super) const NONE: u64 = u64::MAX;

/// What is known of a send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fate {
    #[default]
    Pending,
    Acknowledged,
    Unknown,
    Failed,
}

/// A batch that was sent, once or more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Send {
    pub(super) first: u64,
    /// The offset of the first value: as acknowledged, or as the first of them was read.
    pub(super) base: u64,
    pub(super) count: u32,
    pub(super) client: u32,
    pub(super) place: u32,
    pub(super) transaction: Option<u32>,
    pub(super) fate: Fate,
    /// Tries without an answer.
    pub(super) pending: u32,
    /// It was sent more than once, so that later sends may have overtaken it.
    pub(super) is_retried: bool,
    /// What the clock showed when it was sent first.
    pub(super) time: u64,
}

/// A value that was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Value {
    /// The number of its send, from 1; 0 if nobody has sent it.
    pub(super) send: u32,
    /// The strictest reader that has got it.
    pub(super) seen: Option<Isolation>,
}

impl Value {
    pub(super) fn is_committed(self) -> bool {
        self.seen == Some(Isolation::Committed)
    }
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Committing,
    Committed,
    Aborted,
    /// It was to be committed, and nobody can tell whether it is.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Transaction {
    pub(super) id: u64,
    pub(super) state: State,
    /// The first of its values that a reader of committed values got.
    pub(super) seen: Option<u64>,
}

/// A partition.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) place: Place,
    pub(super) keeps: Keeps,
    /// The value at each offset, plus one; 0 if none is known.
    pub(super) values: Paged<u64>,
    /// Transactions that have sent something here and are not known to have ended.
    open: u32,
    /// All below is acknowledged.
    pub(super) acknowledged: u64,
    /// All below was acknowledged when no transaction was open here: readers must see it.
    pub(super) visible: u64,
    /// The end that any reader of committed values has seen.
    pub(super) seen_end: u64,
    /// The lost end that was reported.
    pub(super) reported: u64,
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Tables {
    numbers: HashMap<Place, u32>,
    pub(super) places: Vec<Known>,
    pub(super) sends: Vec<Send>,
    pub(super) values: Paged<Value>,
    ids: HashMap<u64, u32>,
    pub(super) transactions: Vec<Transaction>,
    /// What the clock shows.
    pub(super) now: u64,
    /// Those that are not known to have ended, with where their values would end.
    pub(super) open: HashMap<u32, Vec<(u32, u64)>>,
}

impl Tables {
    /// The number of a place.
    pub(super) fn place(&mut self, place: Place) -> u32 {
        *self.numbers.entry(place).or_insert_with(|| {
            self.places.push(Known {
                place,
                keeps: Keeps::default(),
                values: Paged::default(),
                open: 0,
                acknowledged: 0,
                visible: 0,
                seen_end: 0,
                reported: 0,
            });
            number(self.places.len() - 1)
        })
    }

    /// The number of a transaction, which begins if it has not.
    pub(super) fn begin(&mut self, id: u64) -> u32 {
        *self.ids.entry(id).or_insert_with(|| {
            self.transactions.push(Transaction {
                id,
                state: State::Open,
                seen: None,
            });
            number(self.transactions.len() - 1)
        })
    }

    /// The number of a transaction that sends something.
    pub(super) fn open(&mut self, id: u64, place: u32) -> Result<u32, Malformed> {
        let at = self.begin(id);
        if self.transactions[at as usize].state != State::Open {
            return Err(Malformed::NotOpen(id));
        }
        let places = self.open.entry(at).or_default();
        if places.iter().all(|(other, _)| *other != place) {
            places.push((place, 0));
            self.places[place as usize].open += 1;
        }
        Ok(at)
    }

    /// The number of a transaction that is to end.
    pub(super) fn ending(&mut self, id: u64) -> Result<u32, Malformed> {
        let at = self.begin(id);
        match self.transactions[at as usize].state {
            State::Open | State::Unknown => Ok(at),
            _ => Err(Malformed::NotOpen(id)),
        }
    }

    /// A transaction has ended so, as far as anybody knows.
    pub(super) fn ended(&mut self, at: u32, state: State) {
        self.transactions[at as usize].state = state;
        for (place, end) in self.open.remove(&at).unwrap_or_default() {
            let known = &mut self.places[place as usize];
            known.open -= 1;
            if state == State::Committed {
                known.acknowledged = known.acknowledged.max(end);
            }
            known.settle();
        }
    }

    /// The log was opened again: whoever had opened transactions is gone, and so may be what a
    /// place keeps only until then.
    pub(super) fn restarted(&mut self) {
        let lost = |known: &&mut Known| known.keeps == Keeps::UntilRestarted;
        for known in self.places.iter_mut().filter(lost) {
            (known.acknowledged, known.visible, known.seen_end) = (0, 0, 0);
        }
        for at in self.open.keys().copied().collect::<Vec<_>>() {
            let state = match self.transactions[at as usize].state {
                State::Committing | State::Unknown => State::Unknown,
                _ => State::Aborted,
            };
            self.ended(at, state);
        }
    }
}

impl Known {
    /// Readers must see what is acknowledged, unless an open transaction keeps it back.
    pub(super) fn settle(&mut self) {
        if self.open == 0 {
            self.visible = self.acknowledged;
        }
    }
}

pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index).expect("a history has fewer than four thousand million of anything")
}
