//! Where values lie, as sends and readers say.

use super::{
    super::{
        Isolation,
        anomaly::{Anomaly, Findings},
    },
    Malformed,
    tables::{Fate, NONE, Send, Tables, Value, number},
};

impl Tables {
    /// Takes in that values are sent; the number of the send.
    pub(super) fn send(
        &mut self,
        client: u32,
        place: u32,
        transaction: Option<u32>,
        first: u64,
        count: u32,
    ) -> Result<u32, Malformed> {
        let end = first.checked_add(u64::from(count));
        let values = first
            ..end
                .filter(|_| count > 0)
                .ok_or(Malformed::NoValues { first, count })?;
        if let Some((at, _)) = self.sent(first) {
            let send = &mut self.sends[at as usize];
            let same = (
                send.first,
                send.count,
                send.client,
                send.place,
                send.transaction,
            );
            if same != (first, count, client, place, transaction) {
                return Err(Malformed::SentTwice(first));
            }
            send.pending += 1;
            send.is_retried = true;
            return Ok(at);
        }
        let at = number(self.sends.len());
        self.sends.push(Send {
            first,
            base: NONE,
            count,
            client,
            place,
            transaction,
            fate: Fate::Pending,
            pending: 1,
            is_retried: false,
            time: self.now,
        });
        for value in values {
            let entry = self.values.entry(value);
            if entry.send != 0 {
                return Err(Malformed::SentTwice(value));
            }
            entry.send = at + 1;
        }
        Ok(at)
    }

    /// The send of a value, and what is known of the value.
    pub(super) fn sent(&self, value: u64) -> Option<(u32, Value)> {
        let known = self.values.get(value);
        Some((known.send.checked_sub(1)?, known))
    }

    /// Takes in that a send was acknowledged.
    pub(super) fn acknowledge(&mut self, at: u32, base: u64, findings: &mut Findings) {
        let send = &mut self.sends[at as usize];
        send.pending -= 1;
        send.fate = Fate::Acknowledged;
        let Send {
            place,
            first,
            count,
            transaction,
            ..
        } = *send;
        if send.base == NONE {
            send.base = base;
        }
        for index in 0..u64::from(count) {
            self.lies(at, place, base + index, first + index, findings);
        }
        let end = base + u64::from(count);
        let known = &mut self.places[place as usize];
        match transaction.and_then(|at| self.open.get_mut(&at)) {
            Some(places) => {
                let of = places.iter_mut().find(|(other, _)| *other == place);
                if let Some((_, it)) = of {
                    *it = end.max(*it);
                }
            }
            None if transaction.is_none() => {
                known.acknowledged = known.acknowledged.max(end);
                known.settle();
            }
            None => {}
        }
    }

    /// Takes in that a send was not acknowledged.
    pub(super) fn unsent(&mut self, at: u32, fate: Fate) {
        let send = &mut self.sends[at as usize];
        send.pending -= 1;
        send.fate = match (send.fate, fate) {
            (Fate::Acknowledged, _) => Fate::Acknowledged,
            (Fate::Unknown, _) | (_, Fate::Unknown) => Fate::Unknown,
            _ => fate,
        };
    }

    /// Takes in that a reader has got a value.
    pub(super) fn read(
        &mut self,
        place: u32,
        offset: u64,
        value: u64,
        isolation: Isolation,
        findings: &mut Findings,
    ) {
        let sent = self
            .sent(value)
            .map(|(at, _)| (at, self.sends[at as usize]));
        let Some((at, send)) = sent.filter(|(_, send)| send.place == place) else {
            let place = self.places[place as usize].place;
            return findings.add(Anomaly::Invented {
                place,
                offset,
                value,
            });
        };
        match offset.checked_sub(value - send.first) {
            Some(base) if send.base == NONE => self.sends[at as usize].base = base,
            // There is no room for those before it.
            None if send.base == NONE => findings.add(self.out_of_order(&send, value)),
            _ => {}
        }
        self.lies(at, place, offset, value, findings);
        let entry = self.values.entry(value);
        entry.seen = entry.seen.max(Some(isolation));
        if let Some(transaction) = send
            .transaction
            .filter(|_| isolation == Isolation::Committed)
        {
            self.transactions[transaction as usize]
                .seen
                .get_or_insert(value);
        }
    }

    /// Takes in that a value lies at an offset, because it was acknowledged or read there.
    fn lies(&mut self, at: u32, place: u32, offset: u64, value: u64, findings: &mut Findings) {
        let send = self.sends[at as usize];
        let known = &mut self.places[place as usize];
        let entry = known.values.entry(offset);
        let place = known.place;
        if *entry != 0 && *entry != value + 1 {
            findings.add(Anomaly::InconsistentOffset {
                place,
                offset,
                first: *entry - 1,
                second: value,
            });
            return;
        }
        *entry = value + 1;
        let expected = send.base.wrapping_add(value - send.first);
        if expected == offset || send.base == NONE {
            return;
        }
        // It was somewhere else before, or only its neighbours say where it belongs.
        let is_known = self.values.get(value).seen.is_some() || send.fate == Fate::Acknowledged;
        findings.add(if is_known {
            Anomaly::Duplicate {
                place,
                value,
                first: expected,
                second: offset,
            }
        } else {
            self.out_of_order(&send, value)
        });
    }

    /// A value does not lie where the others of its batch say.
    fn out_of_order(&self, send: &Send, value: u64) -> Anomaly {
        Anomaly::WriteOrder {
            client: send.client,
            place: self.places[send.place as usize].place,
            first: send.first,
            second: value,
        }
    }
}
