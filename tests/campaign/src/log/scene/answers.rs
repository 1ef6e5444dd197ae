//! What answers mean: they are compared with what is known, and taken in.

use levada_log::{Acks, Appended, Error, Fetched, Producer};
use levada_testkit::vfs::Fault as Faulty;

use super::Scene;
use crate::{
    campaign::Fault,
    log::{ledger::Fate, payload::Tag, require},
};

impl Scene {
    /// What an answer says of the thing that was asked for.
    pub(super) fn outcome<T>(&mut self, answer: levada_log::Result<T>) -> Result<Fate, Fault> {
        match answer {
            Ok(_) => {
                require!(!self.life.is_doomed, "acknowledged after a failed sync");
                self.ledger.durable = self.ledger.step;
                Ok(Fate::Acknowledged)
            }
            Err(error) => self.fate(&error),
        }
    }

    /// What the answer to an append to this topic says.
    pub(super) fn append_outcome<T>(
        &mut self,
        topic: usize,
        answer: levada_log::Result<T>,
    ) -> Result<Fate, Fault> {
        match (self.ledger.topics[topic].acks, answer) {
            // It was said before anything was done.
            (Acks::None, Ok(_)) => Ok(Fate::Unknown),
            (Acks::Written, Ok(_)) => {
                require!(!self.life.is_doomed, "acknowledged after a failed sync");
                Ok(Fate::Acknowledged)
            }
            (_, answer) => self.outcome(answer),
        }
    }

    pub(super) fn appended(
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
        let fate = self.append_outcome(topic, answer)?;
        let step = self.ledger.step;
        let ledger = &mut self.ledger.topics[topic].partitions[partition];
        match (offsets, fate) {
            (Some(offsets), Fate::Acknowledged) => {
                ledger.acknowledge(number, offsets, step)?;
                self.shown.acknowledged += u64::from(ledger.attempts[number].count);
            }
            (Some(offsets), _) => ledger.attempts[number].offsets = offsets,
            (None, _) => ledger.attempts[number].fate = fate,
        }
        Ok(())
    }

    pub(super) fn accounts_kept(
        &mut self,
        append: usize,
        answer: levada_log::Result<Appended>,
    ) -> Result<(), Fault> {
        let base = answer.as_ref().ok().map(|appended| appended.offsets.start);
        let fate = self.outcome(answer)?;
        let append = &mut self.ledger.accounts.model.appends[append];
        (append.fate, append.base) = (fate, base);
        Ok(())
    }

    /// Takes in what became of a batch that was sent again.
    pub(super) fn resent(
        &mut self,
        (topic, partition): (usize, usize),
        original: usize,
        number: usize,
        answer: levada_log::Result<Appended>,
    ) -> Result<(), Fault> {
        let acks = self.ledger.topics[topic].acks;
        let attempts = &mut self.ledger.topics[topic].partitions[partition].attempts;
        let first = attempts[original].clone();
        match &answer {
            // A full disk refused what was acknowledged at once, and nobody was told.
            Ok(appended) if acks == Acks::None && appended.offsets != first.offsets => {
                attempts[original].fate = Fate::Refused;
                self.appended((topic, partition), number, answer)
            }
            Ok(appended) if first.fate != Fate::Refused && !first.offsets.is_empty() => {
                require!(
                    appended.offsets == first.offsets,
                    "append {original} at {:?} was sent again, and is at {:?}",
                    first.offsets,
                    appended.offsets
                );
                attempts[number].fate = Fate::Refused;
                self.shown.repeats += 1;
                Ok(())
            }
            _ => self.appended((topic, partition), number, answer),
        }
    }

    /// Takes in a producer, which must know where it stands.
    pub(super) fn opened(
        &mut self,
        number: usize,
        answer: levada_log::Result<Producer>,
    ) -> Result<(), Fault> {
        let producer = match answer {
            Ok(producer) => producer,
            Err(error) => return self.fate(&error).map(drop),
        };
        self.outcome(Ok(()))?;
        if !self.life.sent[number] {
            for (at, topic) in self.ledger.topics.iter().enumerate() {
                let there = topic.fate == Fate::Acknowledged;
                for partition in (0..topic.partitions.len()).filter(|_| there) {
                    let ledger = &topic.partitions[partition];
                    let expected = ledger.next_sequence(number);
                    let found = producer.next_sequence(&self.partition(at, partition)?);
                    let went_on = found > expected && ledger.may_have_come_to(number, found);
                    require!(
                        found == expected || went_on,
                        "{} partition {partition} expects sequence {found} of producer {number}, \
                         which has sent up to {expected}",
                        topic.name
                    );
                }
            }
        }
        self.life.producers[number] = Some(producer);
        Ok(())
    }

    pub(super) fn fetched(
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
            Err(Error::OutOfRange { start, .. }) => {
                let kept = self.ledger.topics[topic].retention;
                require!(
                    from < start && kept != levada_log::Retention::forever(),
                    "offset {from} is said to lie before {start}"
                );
                return Ok(());
            }
            Err(error) => return Err(format!("a fetch was refused: {error}").into()),
        };
        let ledger = &self.ledger.topics[topic].partitions[partition];
        let mut next = from;
        for record in fetched.records() {
            let tag = Tag::of(record.value).ok_or("bytes of nobody were fetched")?;
            let attempt = ledger.attempts.get(usize::try_from(tag.attempt)?);
            let is_right = attempt.is_some_and(|attempt| {
                attempt.fate != Fate::Refused
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
