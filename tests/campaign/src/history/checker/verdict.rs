//! What a whole history comes to, once every answer that will ever come is there.

use std::{collections::HashMap, ops::Range};

use super::{
    super::{
        Keeps,
        anomaly::{Anomaly, Dependency, Findings},
        cycle,
    },
    Promise,
    kept::Successors,
    polls::Readers,
    tables::{Fate, NONE, Send, State, Tables, Value},
};

/// Looks at all that is known.
pub(super) fn judge(promise: Promise, tables: &Tables, readers: &Readers, findings: &mut Findings) {
    let verdict = Verdict::new(tables, readers);
    for transaction in &tables.transactions {
        if let (State::Open, Some(value)) = (transaction.state, transaction.seen) {
            findings.add(Anomaly::PrecommittedRead {
                transaction: transaction.id,
                value,
            });
        }
    }
    let mut last = HashMap::new();
    for send in &tables.sends {
        verdict.values(send, findings);
        verdict.order(send, &mut last, findings);
    }
    verdict.holes(readers, findings);
    verdict.starts(readers, findings);
    verdict.cycle(promise, readers, findings);
}

pub(super) struct Verdict<'a> {
    pub(super) tables: &'a Tables,
    /// What readers have passed without a value, by place: apart from each other, and in order.
    passed: Vec<Vec<Range<u64>>>,
}

impl<'a> Verdict<'a> {
    fn new(tables: &'a Tables, readers: &Readers) -> Self {
        let mut passed: Vec<Vec<Range<u64>>> = vec![Vec::new(); tables.places.len()];
        for &(place, from, to) in readers.holes.keys() {
            let place = &mut passed[place as usize];
            match place.last_mut().filter(|last| from <= last.end) {
                Some(last) => last.end = last.end.max(to),
                None => place.push(from..to),
            }
        }
        Self { tables, passed }
    }

    /// Whether a reader has passed an offset and found nothing there.
    fn is_passed(&self, place: u32, offset: u64) -> bool {
        let place = &self.passed[place as usize];
        let at = place.partition_point(|range| range.end <= offset);
        place.get(at).is_some_and(|range| range.contains(&offset))
    }

    /// Whether what was acknowledged in a transaction must be there.
    pub(super) fn is_committed(&self, transaction: u32) -> bool {
        let it = self.tables.transactions[transaction as usize];
        match it.state {
            State::Committed => true,
            // Whoever has read any of it has settled what nobody knew.
            State::Unknown | State::Committing => it.seen.is_some(),
            State::Open | State::Aborted => false,
        }
    }

    pub(super) fn value(&self, value: u64) -> Value {
        self.tables
            .sent(value)
            .map(|(_, known)| known)
            .unwrap_or_default()
    }

    /// Looks at the values of a send: that they are there, or that they are not.
    fn values(&self, send: &Send, findings: &mut Findings) {
        let known = &self.tables.places[send.place as usize];
        let transaction = send
            .transaction
            .map(|at| self.tables.transactions[at as usize]);
        let is_aborted = transaction.is_some_and(|it| it.state == State::Aborted);
        let values = (send.first..).take(send.count as usize);
        let values = values.map(|value| (value, self.value(value)));
        for (value, _) in values.clone().filter(|(_, it)| {
            (send.fate == Fate::Failed && it.seen.is_some()) || (is_aborted && it.is_committed())
        }) {
            let place = known.place;
            findings.add(Anomaly::AbortedRead { place, value });
        }

        if matches!(known.keeps, Keeps::LastOfKey { .. }) {
            return;
        }
        let is_read = values.clone().any(|(_, it)| it.is_committed());
        let is_due = send.transaction.is_none_or(|at| self.is_committed(at));
        let expected = match send.fate {
            Fate::Acknowledged => is_due,
            // Of a batch of which something is there, all is there.
            Fate::Unknown | Fate::Pending => is_read && is_due,
            Fate::Failed => false,
        };
        if !expected || send.base == NONE {
            return;
        }
        let is_torn = transaction.is_some_and(|it| it.seen.is_some())
            || (is_read && send.fate != Fate::Acknowledged);
        let place = known.place;
        for (value, _) in values.filter(|(_, it)| it.seen.is_none()) {
            let offset = send.base + (value - send.first);
            if !self.is_passed(send.place, offset) {
                continue;
            }
            findings.add(if is_torn {
                Anomaly::Torn {
                    place,
                    offset,
                    value,
                }
            } else {
                Anomaly::LostWrite {
                    place,
                    offset,
                    value,
                }
            });
        }
    }

    /// Looks whether a client's sends to a place lie there in the order of the calls.
    fn order(
        &self,
        send: &Send,
        last: &mut HashMap<(u32, u32), (u64, u64)>,
        findings: &mut Findings,
    ) {
        if send.base == NONE || send.is_retried {
            return;
        }
        let before = last.insert((send.client, send.place), (send.base, send.first));
        if let Some((base, first)) = before.filter(|(base, _)| *base > send.base) {
            // The others are compared with the one that lies last.
            last.insert((send.client, send.place), (base, first));
            findings.add(Anomaly::WriteOrder {
                client: send.client,
                place: self.tables.places[send.place as usize].place,
                first,
                second: send.first,
            });
        }
    }

    /// Looks whether readers have passed what others have read.
    fn holes(&self, readers: &Readers, findings: &mut Findings) {
        let mut successors = HashMap::new();
        for (&(place, from, to), hole) in &readers.holes {
            let known = &self.tables.places[place as usize];
            if let Keeps::LastOfKey { millis } = known.keeps {
                let of = successors.entry(place);
                let of = of.or_insert_with(|| Successors::new(self, place));
                self.compacted(of, (from..to, hole, millis), place, findings);
                continue;
            }
            let values = known.values.range(from..to);
            let mut values = values.filter_map(|(at, value)| Some((at, value.checked_sub(1)?)));
            let passed = values.find(|(_, value)| self.value(*value).is_committed());
            if let Some((offset, value)) = passed {
                findings.add(Anomaly::Skip {
                    client: hole.client,
                    place: known.place,
                    offset,
                    value,
                });
            }
        }
    }

    /// Looks whether transactions can be put into an order.
    fn cycle(&self, promise: Promise, readers: &Readers, findings: &mut Findings) {
        let mut edges = readers.reads.clone();
        if promise == Promise::Serializable {
            for place in 0..self.tables.places.len() {
                self.writes(place, &mut edges);
            }
            let unseen = readers.ends.iter().filter_map(|&(place, end, reader)| {
                let mut after = self.written(place as usize, end);
                let writer = after.find(|writer| *writer != reader)?;
                Some((reader, writer, Dependency::ReadWrite))
            });
            edges.extend(unseen);
        }
        edges.retain(|(from, to, _)| self.is_committed(*from) && self.is_committed(*to));
        if let Some(cycle) = cycle::find(edges, self.tables.transactions.len()) {
            let named = cycle.into_iter();
            let named = named.map(|(at, it)| (self.tables.transactions[at as usize].id, it));
            findings.add(Anomaly::Cycle {
                transactions: named.collect(),
            });
        }
    }

    /// Committed transactions in the order of their values in a place, from an offset on.
    fn written(&self, place: usize, from: u64) -> impl Iterator<Item = u32> {
        let values = self.tables.places[place].values.range(from..u64::MAX);
        values.filter_map(|(_, value)| {
            let (send, _) = self.tables.sent(value.checked_sub(1)?)?;
            let transaction = self.tables.sends[send as usize].transaction;
            transaction.filter(|at| self.is_committed(*at))
        })
    }

    fn writes(&self, place: usize, edges: &mut Vec<(u32, u32, Dependency)>) {
        let mut before = None;
        for writer in self.written(place, 0) {
            if let Some(before) = before.filter(|before| *before != writer) {
                edges.push((before, writer, Dependency::WriteWrite));
            }
            before = Some(writer);
        }
    }
}
