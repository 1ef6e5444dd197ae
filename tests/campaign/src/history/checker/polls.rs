//! What readers ask for and get.

use std::collections::{BTreeMap, HashMap};

use super::{
    super::{
        Isolation, Keeps,
        anomaly::{Anomaly, Dependency, Findings},
    },
    tables::{Tables, number},
};

/// A poll that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poll {
    pub(super) client: u32,
    pub(super) place: u32,
    pub(super) transaction: Option<u32>,
    pub(super) from: u64,
    pub(super) sought: bool,
    pub(super) isolation: Isolation,
    /// How far it must see: what was acknowledged, and what was seen, before it was made.
    pub(super) acknowledged: u64,
    pub(super) seen: u64,
}

/// Where readers are, and what they have passed.
#[derive(Debug, Default)]
pub(super) struct Readers {
    /// By client and place.
    positions: HashMap<(u32, u32), u64>,
    /// Offsets of a place that a reader has passed without a value, and when the first did.
    pub(super) holes: BTreeMap<(u32, u64, u64), Hole>,
    /// Starts of a place that readers were told of, and when they were told first.
    pub(super) starts: BTreeMap<(u32, u64), u64>,
    /// A transaction that has read a value of another: the other, then this.
    pub(super) reads: Vec<(u32, u32, Dependency)>,
    /// A transaction that has read a place up to its end: the place, the end, the transaction.
    pub(super) ends: Vec<(u32, u64, u32)>,
}

/// When a reader has found nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hole {
    pub(super) client: u32,
    /// What the clock showed.
    pub(super) now: u64,
    /// The number of the next send.
    pub(super) before: u32,
}

impl Poll {
    fn went_back(&self, tables: &Tables, at: u64, then: u64, findings: &mut Findings) {
        findings.add(Anomaly::NonMonotone {
            client: self.client,
            place: tables.places[self.place as usize].place,
            at,
            then,
        });
    }
}

impl Readers {
    /// Takes in where a reader asks, which is where it was, unless it has chosen another place.
    pub(super) fn asks(&mut self, tables: &Tables, poll: &Poll, findings: &mut Findings) {
        let at = *self
            .positions
            .get(&(poll.client, poll.place))
            .unwrap_or(&poll.from);
        if poll.sought || at == poll.from {
            return;
        }
        if poll.from < at {
            poll.went_back(tables, at, poll.from, findings);
        } else {
            self.pass(tables, poll, at, poll.from);
        }
    }

    /// Takes in what a reader got: these values, up to `next`, in a place that ended at `end`.
    pub(super) fn answered(
        &mut self,
        tables: &mut Tables,
        poll: &Poll,
        (next, end): (u64, u64),
        records: &[(u64, u64)],
        findings: &mut Findings,
    ) {
        findings.read += records.len() as u64;
        let mut at = poll.from;
        for &(offset, value) in records {
            if offset < at {
                poll.went_back(tables, at, offset, findings);
            } else {
                self.pass(tables, poll, at, offset);
                at = offset + 1;
            }
            tables.read(poll.place, offset, value, poll.isolation, findings);
            self.depends(tables, poll, value, findings);
        }
        if next < at {
            poll.went_back(tables, at, next, findings);
        } else {
            self.pass(tables, poll, at, next);
        }
        self.positions.insert((poll.client, poll.place), next);
        if poll.isolation == Isolation::Committed {
            Self::ends(tables, poll, end, findings);
            if let Some(transaction) = poll.transaction.filter(|_| next >= end) {
                self.ends.push((poll.place, end, transaction));
            }
        }
    }

    /// Takes in where a place ended for a reader of committed values.
    fn ends(tables: &mut Tables, poll: &Poll, end: u64, findings: &mut Findings) {
        let known = &mut tables.places[poll.place as usize];
        known.seen_end = known.seen_end.max(end);
        if end < poll.acknowledged && known.reported < poll.acknowledged {
            known.reported = poll.acknowledged;
            findings.add(Anomaly::LostEnd {
                place: known.place,
                acknowledged: poll.acknowledged,
                end,
            });
        } else if end >= poll.acknowledged && end < poll.seen {
            poll.went_back(tables, poll.seen, end, findings);
        }
    }

    /// Takes in what a transaction has read.
    fn depends(&mut self, tables: &Tables, poll: &Poll, value: u64, findings: &mut Findings) {
        let Some(reader) = poll.transaction else {
            return;
        };
        let writer = tables
            .sent(value)
            .map(|(send, _)| tables.sends[send as usize].transaction);
        let Some(writer) = writer.flatten() else {
            return;
        };
        let edge = (writer, reader, Dependency::WriteRead);
        if writer == reader {
            findings.add(Anomaly::PrecommittedRead {
                transaction: tables.transactions[reader as usize].id,
                value,
            });
        } else if poll.isolation == Isolation::Committed && self.reads.last() != Some(&edge) {
            self.reads.push(edge);
        }
    }

    /// Takes in that a reader was told where a place starts, and goes on there.
    pub(super) fn starts(&mut self, tables: &Tables, poll: &Poll, start: u64) {
        self.starts.entry((poll.place, start)).or_insert(tables.now);
        self.positions.insert((poll.client, poll.place), start);
    }

    /// Takes in that a reader has found nothing from one offset to another.
    fn pass(&mut self, tables: &Tables, poll: &Poll, from: u64, to: u64) {
        let keeps = tables.places[poll.place as usize].keeps;
        // What another reader has got before may be gone.
        if from >= to || keeps == Keeps::UntilRestarted {
            return;
        }
        let hole = Hole {
            client: poll.client,
            now: tables.now,
            before: number(tables.sends.len()),
        };
        self.holes.entry((poll.place, from, to)).or_insert(hole);
    }
}
