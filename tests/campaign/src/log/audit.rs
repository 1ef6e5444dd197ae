//! Compares a log with the ledger, and writes down there what is known from then on.

use std::ops::Range;

use levada_core::Timestamp;
use levada_log::{Acks, Error, Log, Partition, Retention};

use super::{
    ledger::{Fate, Ledger, PartitionLedger, TopicLedger},
    payload::Tag,
    require,
    steps::Steps,
};
use crate::campaign::Fault;

/// A record as it was read: its offset and value.
pub(crate) type Found = (u64, Vec<u8>);

/// What may be missing in a log whose files have rotted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Excuse {
    /// The one append in the last group commit, if that was cut: topic, partition, number.
    pub(crate) last: Option<(usize, usize, usize)>,
}

/// Compares a healthy log with the ledger: the first promise that does not hold is the fault.
pub(crate) fn audit(ledger: &mut Ledger, log: &Log, steps: &Steps) -> Result<(), Fault> {
    glance(ledger, log, steps)?;
    compare(ledger, log, steps, None)
}

/// Reads at the start of what may expire, before it does.
fn glance(ledger: &Ledger, log: &Log, steps: &Steps) -> Result<(), Fault> {
    let expires = |topic: &&TopicLedger| topic.retention != Retention::forever();
    for expected in ledger.topics.iter().filter(expires) {
        let Ok(topic) = log.topic(&expected.name) else {
            continue;
        };
        for at in 0..topic.partitions() {
            let partition = topic.partition(at)?;
            match steps.wait(partition.fetch(partition.start(), 1))? {
                Ok(_) | Err(Error::OutOfRange { .. }) => {}
                Err(error) => return Err(format!("{}: {error}", expected.name).into()),
            }
        }
    }
    Ok(())
}

/// Compares a log whose files have rotted: what is damaged must say so.
pub(crate) fn audit_rotten(
    ledger: &mut Ledger,
    log: &Log,
    steps: &Steps,
    excuse: Excuse,
) -> Result<(), Fault> {
    compare(ledger, log, steps, Some(excuse))
}

fn compare(
    ledger: &mut Ledger,
    log: &Log,
    steps: &Steps,
    excuse: Option<Excuse>,
) -> Result<(), Fault> {
    // Let what has expired go first, so that nothing does while it is read.
    while steps.step() {}
    let (step, now) = (ledger.step, ledger.now);
    for (number, expected) in ledger.topics.iter_mut().enumerate() {
        topic((number, step, now), expected, log, steps, excuse)
            .map_err(|fault| format!("{}: {fault}", expected.name))?;
    }
    let accounts = &mut ledger.accounts;
    accounts
        .compare(log, steps, (now, excuse.is_some()))
        .map_err(|fault| format!("accounts: {fault}"))?;
    for (&(group, topic, partition), expected) in &mut ledger.positions {
        let Ok(found) = log.topic(&ledger.topics[topic].name) else {
            continue;
        };
        let partition = found.partition(u32::try_from(partition)?)?;
        expected.settle(log.group(&format!("group-{group}"))?.position(&partition))?;
    }
    Ok(())
}

fn topic(
    (number, step, now): (usize, u64, Timestamp),
    expected: &mut TopicLedger,
    log: &Log,
    steps: &Steps,
    excuse: Option<Excuse>,
) -> Result<(), Fault> {
    let Ok(topic) = log.topic(&expected.name) else {
        require!(expected.fate != Fate::Acknowledged, "it is gone");
        expected.fate = Fate::Refused;
        return Ok(());
    };
    require!(
        expected.fate != Fate::Refused,
        "it was refused, and is there"
    );
    expected.fate = Fate::Acknowledged;
    match (expected.sealed, topic.is_sealed()) {
        (Fate::Acknowledged, false) => return Err("it is not sealed any more".into()),
        (Fate::Refused, true) => return Err("it is sealed, and nobody asked".into()),
        (_, true) => expected.sealed = Fate::Acknowledged,
        (_, false) => expected.sealed = Fate::Refused,
    }
    require!(
        topic.partitions() as usize == expected.partitions.len(),
        "it has {} partitions",
        topic.partitions()
    );
    for (at, ledger) in (0..).zip(&mut expected.partitions) {
        let partition = topic.partition(at)?;
        ledger
            .starts_at(partition.start(), &expected.retention, now)
            .map_err(|fault| format!("partition {at}: {fault}"))?;
        let (found, damaged) = read(&partition, steps)?;
        if let (Some(reason), None) = (&damaged, excuse) {
            return Err(format!("partition {at} is damaged: {reason}").into());
        }
        let last = excuse.and_then(|excuse| excuse.last);
        let excused =
            last.filter(|(topic, partition, _)| (*topic, *partition) == (number, at as usize));
        let judged = Judged {
            acks: expected.acks,
            step,
            topic: u32::try_from(number)?,
            partition: at,
            is_whole: damaged.is_none(),
            excused: excused.map(|(_, _, number)| number),
        };
        judged
            .settle(ledger, &found)
            .map_err(|fault| format!("partition {at}: {fault}"))?;
        ledger.seen = ledger.seen.max(partition.visible_end());
        let sealed_at = partition.sealed_at();
        require!(
            sealed_at.is_none_or(|end| end == partition.visible_end()),
            "partition {at} is sealed at {sealed_at:?}"
        );
    }
    Ok(())
}

/// Reads a partition up to its end, or up to damage, and what that says.
fn read(partition: &Partition, steps: &Steps) -> Result<(Vec<Found>, Option<Error>), Fault> {
    let mut found = Vec::new();
    let mut from = partition.start();
    loop {
        let fetched = match steps.wait(partition.fetch(from, 10_000))? {
            Ok(fetched) => fetched,
            Err(damaged @ Error::Damaged { .. }) => return Ok((found, Some(damaged))),
            Err(error) => return Err(error.into()),
        };
        let records = fetched.records();
        found.extend(records.map(|record| (record.offset, record.value.to_vec())));
        if fetched.next == from {
            require!(
                from >= partition.visible_end(),
                "reading stops at {from}, before the visible end"
            );
            return Ok((found, None));
        }
        from = fetched.next;
    }
}

/// The partition that is compared with its ledger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) acks: Acks,
    /// The step of the scene in which it is looked at.
    pub(crate) step: u64,
    pub(crate) topic: u32,
    pub(crate) partition: u32,
    /// All that is there was read: there was no damage.
    pub(crate) is_whole: bool,
    /// The append that may be missing.
    pub(crate) excused: Option<usize>,
}

impl Judged {
    /// Compares records with the ledger; what nobody knew before is known from then on.
    pub(crate) fn settle(
        &self,
        ledger: &mut PartitionLedger,
        found: &[Found],
    ) -> Result<(), Fault> {
        let (mut next, mut end, mut left) = (0, 0, found);
        while let Some((offset, value)) = left.first() {
            let tag =
                Tag::of(value).ok_or_else(|| format!("offset {offset} has bytes of nobody"))?;
            let number = usize::try_from(tag.attempt)?;
            require!(
                (tag.topic, tag.partition) == (self.topic, self.partition),
                "offset {offset} has a record from elsewhere: {tag:?}"
            );
            require!(
                number >= next && *offset >= end,
                "offset {offset} has append {number}, after append {next} and offset {end}"
            );
            let batch = Self::batch(ledger, tag, left)?;
            self.missing(ledger, next..number)?;
            let Some(attempt) = ledger.attempts.get_mut(number) else {
                return Err(format!("append {number} was never made").into());
            };
            let offsets = *offset..*offset + batch as u64;
            match attempt.fate {
                Fate::Refused => {
                    return Err(format!("append {number} was refused, and is there").into());
                }
                Fate::Acknowledged => require!(
                    attempt.offsets == offsets,
                    "append {number} has moved from {:?} to {offsets:?}",
                    attempt.offsets
                ),
                Fate::Unknown => {
                    require!(
                        attempt.offsets.is_empty() || attempt.offsets == offsets,
                        "append {number} has moved from {:?} to {offsets:?}",
                        attempt.offsets
                    );
                    attempt.fate = Fate::Acknowledged;
                    attempt.step = self.step;
                    attempt.offsets = offsets.clone();
                }
            }
            (next, end, left) = (number + 1, offsets.end, &left[batch..]);
        }
        if self.is_whole {
            let all = ledger.attempts.len();
            self.missing(ledger, next..all)?;
        }
        Ok(())
    }

    /// How many records the batch at the front of `left` has, once it is found to be whole.
    fn batch(ledger: &PartitionLedger, tag: Tag, left: &[Found]) -> Result<usize, Fault> {
        let number = tag.attempt;
        let count = ledger
            .attempts
            .get(usize::try_from(number)?)
            .map(|it| it.count);
        require!(
            count == Some(tag.count),
            "append {number} was not made so: {tag:?}"
        );
        let first = left[0].0;
        for (offset, index) in (first..).zip(0..tag.count) {
            let expected = Tag { index, ..tag }.value();
            let there = left.get(index as usize).map(|(at, value)| (*at, &**value));
            require!(
                there == Some((offset, &*expected)),
                "append {number} is not whole: record {index} of {} is not at {offset}",
                tag.count
            );
        }
        Ok(tag.count as usize)
    }

    /// Takes in that appends are missing which have, or may have, later ones behind them.
    fn missing(&self, ledger: &mut PartitionLedger, range: Range<usize>) -> Result<(), Fault> {
        let (start, attempts) = (ledger.start, &mut ledger.attempts);
        let later = attempts
            .get(range.end)
            .map(|attempt| (attempt.life, attempt.fate));
        for number in range {
            let attempt = &mut attempts[number];
            match attempt.fate {
                _ if attempt.is_before(start) => {}
                Fate::Acknowledged if self.excused != Some(number) => {
                    return Err(format!(
                        "append {number} was acknowledged at {:?}, and is gone",
                        attempt.offsets
                    )
                    .into());
                }
                // Of those that nobody has spoken of, what was written first is kept first.
                Fate::Unknown => {
                    // One that was sent again is there once; a full disk refuses silently what was
                    // acknowledged before it was written.
                    let again = attempt.sent.is_some_and(|sent| sent.again);
                    // One that has expired before anybody saw where it was is not missed.
                    let loose = again || self.acks == Acks::None || start > 0;
                    require!(
                        loose || later != Some((attempt.life, Fate::Unknown)),
                        "append {number} is gone, and one after it is there"
                    );
                    attempt.fate = Fate::Refused;
                    attempt.may_have_expired = start > 0;
                }
                Fate::Acknowledged | Fate::Refused => {}
            }
        }
        Ok(())
    }
}
