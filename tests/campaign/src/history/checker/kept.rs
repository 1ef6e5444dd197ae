//! What may be gone from places that do not keep everything, and what must be there.

use std::{collections::HashMap, ops::Range};

use super::{
    super::{
        Keeps,
        anomaly::{Anomaly, Findings},
        is_tombstone, key,
    },
    polls::{Hole, Readers},
    tables::{Fate, NONE, Send, State, number},
    verdict::Verdict,
};

/// For each key of a place what may have taken the place of earlier values: where it lies, if
/// anybody knows, and the number of its send.
pub(super) struct Successors(HashMap<u8, Vec<(u64, u32)>>);

impl Successors {
    pub(super) fn new(verdict: &Verdict<'_>, place: u32) -> Self {
        let mut all: HashMap<u8, Vec<(u64, u32)>> = HashMap::new();
        for (at, send) in verdict.tables.sends.iter().enumerate() {
            if send.place != place || !verdict.may_be_committed(send) {
                continue;
            }
            for index in 0..u64::from(send.count) {
                // Nobody knows that it does not lie behind all others.
                let offset = match send.base {
                    NONE => u64::MAX,
                    base => base + index,
                };
                let of = all.entry(key(send.first + index)).or_default();
                of.push((offset, number(at)));
            }
        }
        for of in all.values_mut() {
            of.sort_unstable();
        }
        Self(all)
    }

    /// Whether something of this key lies behind an offset that was sent before send `before`.
    fn is_any(&self, key: u8, offset: u64, before: u32) -> bool {
        let of = self.0.get(&key).map_or(&[][..], Vec::as_slice);
        let behind = of.partition_point(|(at, _)| *at <= offset);
        of[behind..].iter().any(|(_, send)| *send < before)
    }
}

impl Verdict<'_> {
    /// Whether a send may have taken effect.
    fn may_be_committed(&self, send: &Send) -> bool {
        let transaction = send
            .transaction
            .map(|at| self.tables.transactions[at as usize]);
        let is_aborted = transaction.is_some_and(|it| {
            it.seen.is_none() && matches!(it.state, State::Aborted | State::Open)
        });
        send.fate != Fate::Failed && !is_aborted
    }

    /// Whether a value must be there, unless its place need not keep it; and its send.
    fn due(&self, value: u64) -> Option<Send> {
        let (at, known) = self.tables.sent(value)?;
        let send = self.tables.sends[at as usize];
        let is_acknowledged = send.fate == Fate::Acknowledged;
        let is_due = is_acknowledged && send.transaction.is_none_or(|at| self.is_committed(at));
        (is_due || known.is_committed()).then_some(send)
    }

    /// Looks whether a reader of a place that keeps the last of each key has passed such a last.
    pub(super) fn compacted(
        &self,
        successors: &Successors,
        (passed, hole, millis): (Range<u64>, &Hole, u64),
        place: u32,
        findings: &mut Findings,
    ) {
        let known = &self.tables.places[place as usize];
        for (offset, value) in known.values.range(passed) {
            let Some(value) = value.checked_sub(1) else {
                continue;
            };
            let Some(send) = self.due(value) else {
                continue;
            };
            let is_gone = is_tombstone(value) && hole.now > send.time + millis;
            if !is_gone && !successors.is_any(key(value), offset, hole.before) {
                findings.add(Anomaly::CompactedAway {
                    place: known.place,
                    offset,
                    value,
                });
            }
        }
    }

    /// Looks whether what lies before the starts that readers were told of was old enough to go.
    pub(super) fn starts(&self, readers: &Readers, findings: &mut Findings) {
        let mut before = (u32::MAX, 0);
        for (&(place, start), &now) in &readers.starts {
            let from = if before.0 == place { before.1 } else { 0 };
            before = (place, start);
            let known = &self.tables.places[place as usize];
            let is_old = |send: Send| match known.keeps {
                Keeps::Younger { millis } => now > send.time + millis,
                _ => false,
            };
            let values = known.values.range(from..start);
            let values = values.filter_map(|(at, value)| Some((at, value.checked_sub(1)?)));
            let young = values.filter(|(_, value)| self.due(*value).is_some_and(|it| !is_old(it)));
            for (offset, value) in young {
                findings.add(Anomaly::ExpiredEarly {
                    place: known.place,
                    offset,
                    value,
                    start,
                });
            }
        }
    }
}
