//! The journal outside of the log: what was asked of it, and what it said.

use std::{collections::BTreeMap, ops::Range};

use levada_core::Timestamp;
use levada_log::{Acks, Retention};

use crate::{
    campaign::Fault,
    log::{accounts::Accounts, require},
};

/// What is known of something that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was acknowledged: it must be there.
    Acknowledged,
    /// It was refused, or found missing after a crash: it must never be there.
    Refused,
    /// Nobody has said: it may be there or not, until somebody looks.
    Unknown,
}

/// A batch that was to be appended.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) count: u32,
    pub(crate) fate: Fate,
    /// Once it is acknowledged.
    pub(crate) offsets: Range<u64>,
    /// Which life of the log was asked.
    pub(crate) life: u64,
    /// Who sent it under which sequence, if somebody did.
    pub(crate) sent: Option<Sent>,
    /// In which step of the scene it was acknowledged.
    pub(crate) step: u64,
    /// What it takes at most where it is stored.
    pub(crate) bytes: u64,
    /// When it was appended.
    pub(crate) time: Timestamp,
    /// Nobody answered, and it was not there when somebody looked; but it may have been, and have
    /// expired.
    pub(crate) may_have_expired: bool,
}

/// A batch that a producer numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) producer: usize,
    pub(crate) sequence: u64,
    /// It may have been sent before: then it is not there a second time.
    pub(crate) again: bool,
}

/// A partition, as it must be.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartitionLedger {
    pub(crate) attempts: Vec<Attempt>,
    /// All offsets below may have been seen by somebody, so none is given again.
    pub(crate) seen: u64,
    /// What lies before has expired.
    pub(crate) start: u64,
}

/// A topic, as it must be.
#[derive(Clone, Debug)]
pub(crate) struct TopicLedger {
    pub(crate) name: String,
    pub(crate) acks: Acks,
    pub(crate) retention: Retention,
    pub(crate) fate: Fate,
    /// `Refused` while nobody asked for it.
    pub(crate) sealed: Fate,
    pub(crate) partitions: Vec<PartitionLedger>,
}

/// A group's position in a partition, as it must be.
#[derive(Clone, Debug, Default)]
pub(crate) struct PositionLedger {
    /// The position acknowledged last; none at first.
    pub(crate) acknowledged: Option<u64>,
    /// Those asked for since.
    pub(crate) unknown: Vec<u64>,
}

/// A group, a topic and a partition, by their places.
pub(crate) type Seat = (usize, usize, usize);

/// All that was asked of a log and what it said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) topics: Vec<TopicLedger>,
    pub(crate) positions: BTreeMap<Seat, PositionLedger>,
    pub(crate) accounts: Accounts,
    /// The time by the log's clock.
    pub(crate) now: Timestamp,
    /// The step of the scene, counted over all lives.
    pub(crate) step: u64,
    /// The step in which something was called durable last: all that was acknowledged in an earlier
    /// one is durable as well.
    pub(crate) durable: u64,
}

impl Ledger {
    /// The folder was opened, which makes durable whatever is found.
    pub(crate) fn opened(&mut self) {
        self.durable = self.step + 1;
    }

    /// The log was stopped. Of what was acknowledged at this level, or a weaker one, nobody knows
    /// whether it is there.
    pub(crate) fn doubt(&mut self, level: Acks) {
        for topic in &mut self.topics {
            let lost = match topic.acks {
                Acks::Durable => false,
                Acks::Written => level == Acks::Written,
                Acks::None => true,
            };
            let attempts = topic.partitions.iter_mut();
            let attempts = attempts.flat_map(|partition| &mut partition.attempts);
            for attempt in attempts.filter(|_| lost) {
                if attempt.fate == Fate::Acknowledged && attempt.step >= self.durable {
                    attempt.fate = Fate::Unknown;
                }
            }
        }
    }
}

impl PartitionLedger {
    /// Takes in an append that is about to be made; returns its number.
    pub(crate) fn attempt(
        &mut self,
        count: u32,
        life: u64,
        sent: Option<Sent>,
        time: Timestamp,
    ) -> usize {
        self.attempts.push(Attempt {
            count,
            fate: Fate::Unknown,
            offsets: 0..0,
            life,
            sent,
            step: 0,
            bytes: 0,
            time,
            may_have_expired: false,
        });
        self.attempts.len() - 1
    }

    /// Takes in where the partition starts; how many batches have expired since it was asked last.
    pub(crate) fn starts_at(
        &mut self,
        start: u64,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<u64, Fault> {
        let before = std::mem::replace(&mut self.start, start);
        require!(start >= before, "it starts at {start}, after {before}");
        let there = self.attempts.iter_mut().enumerate();
        let there = there.filter(|(_, it)| it.fate != Fate::Refused);
        let (mut expired, mut left) = (0, 0);
        let mut too_young = None;
        for (number, attempt) in there {
            if attempt.offsets.is_empty() || attempt.offsets.start >= start {
                left += attempt.bytes;
                continue;
            }
            require!(
                attempt.offsets.end <= start,
                "append {number} is torn by the start {start}"
            );
            if attempt.offsets.start < before {
                continue;
            }
            // What has expired was there.
            attempt.fate = Fate::Acknowledged;
            expired += 1;
            let is_old = |age| now > attempt.time + age;
            if !retention.max_age().is_some_and(is_old) {
                too_young = Some(number);
            }
        }
        let by_size = retention.max_bytes().is_some_and(|kept| left >= kept);
        require!(
            too_young.is_none() || by_size,
            "append {too_young:?} has expired at {now:?} by {retention:?}, with {left} bytes left"
        );
        Ok(expired)
    }

    /// Takes in that an append was acknowledged.
    pub(crate) fn acknowledge(
        &mut self,
        number: usize,
        offsets: Range<u64>,
        step: u64,
    ) -> Result<(), Fault> {
        let attempt = &mut self.attempts[number];
        let given = offsets.end - offsets.start;
        require!(
            given == u64::from(attempt.count),
            "append {number} of {} records got offsets {offsets:?}",
            attempt.count
        );
        require!(
            offsets.start >= self.seen,
            "offset {} was given again: all below {} were seen before",
            offsets.start,
            self.seen
        );
        self.seen = offsets.end;
        attempt.fate = Fate::Acknowledged;
        attempt.offsets = offsets;
        attempt.step = step;
        Ok(())
    }

    /// What a producer sent last into this partition, leaving out repeats that were not appended.
    pub(crate) fn last_sent(&self, producer: usize) -> Option<(usize, Sent)> {
        let attempts = self.attempts.iter().enumerate().rev();
        let mut sent = attempts.filter_map(|(number, attempt)| {
            let sent = attempt.sent.filter(|sent| sent.producer == producer)?;
            (!sent.again || attempt.fate != Fate::Refused).then_some((number, sent))
        });
        sent.next()
    }

    /// The sequence that follows what a producer has in here.
    pub(crate) fn next_sequence(&self, producer: usize) -> u64 {
        let there = self.attempts.iter();
        let there = there.filter(|attempt| attempt.fate == Fate::Acknowledged);
        let of = |attempt: &Attempt| {
            let sent = attempt.sent.filter(|sent| sent.producer == producer)?;
            Some(sent.sequence + u64::from(attempt.count))
        };
        there.filter_map(of).max().unwrap_or(0)
    }

    /// Whether a producer may have come to this sequence by appends of which nobody knows whether
    /// they were there before they expired: that they were is remembered.
    pub(crate) fn may_have_come_to(&self, producer: usize, sequence: u64) -> bool {
        self.attempts.iter().any(|attempt| {
            let is_doubted = attempt.fate == Fate::Unknown && attempt.is_before(self.start);
            let sent = attempt.sent.filter(|sent| sent.producer == producer);
            let end = sent.map(|sent| sent.sequence + u64::from(attempt.count));
            (is_doubted || attempt.may_have_expired) && end == Some(sequence)
        })
    }
}

impl Attempt {
    /// Whether it lies before the start of its partition.
    pub(crate) fn is_before(&self, start: u64) -> bool {
        !self.offsets.is_empty() && self.offsets.end <= start
    }
}

impl TopicLedger {
    pub(crate) fn new(number: usize, partitions: usize, acks: Acks, retention: Retention) -> Self {
        Self {
            acks,
            retention,
            name: format!("topic-{number}"),
            fate: Fate::Unknown,
            sealed: Fate::Refused,
            partitions: vec![PartitionLedger::default(); partitions],
        }
    }
}

impl PositionLedger {
    /// Takes in the answer to a call that asked for `position`.
    pub(crate) fn answer(&mut self, position: u64, fate: Fate) {
        // Calls of one group are answered in their order.
        let place = self.unknown.iter().position(|unknown| *unknown == position);
        match (fate, place) {
            (Fate::Acknowledged, Some(at)) => {
                self.acknowledged = Some(position);
                self.unknown.drain(..=at);
            }
            (Fate::Refused, Some(at)) => drop(self.unknown.remove(at)),
            (Fate::Unknown, _) | (_, None) => {}
        }
    }

    /// Takes in where the group stands after a restart.
    pub(crate) fn settle(&mut self, found: Option<u64>) -> Result<(), Fault> {
        let allowed = found == self.acknowledged
            || found.is_some_and(|position| self.unknown.contains(&position));
        require!(
            allowed,
            "a group stands at {found:?}, after {:?} was acknowledged and {:?} asked for",
            self.acknowledged,
            self.unknown
        );
        self.acknowledged = found;
        self.unknown.clear();
        Ok(())
    }
}
