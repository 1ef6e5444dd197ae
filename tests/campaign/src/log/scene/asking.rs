//! What is asked of the log, but by producers that number what they send.

use std::time::Duration;

use levada_log::{Acks, Batch, Compression, Retention, TopicOptions};

use super::{Asked, Scene, below};
use crate::{
    campaign::Fault,
    log::{
        ledger::{Fate, Sent, TopicLedger},
        payload::Tag,
    },
};

/// Topics are created until there are so many.
const MOST_TOPICS: usize = 5;
/// What a topic keeps that does not keep everything. A segment spans a second at least, and 4 KiB.
const AGE: Duration = Duration::from_secs(20);
const BYTES: u64 = 8 << 10;

impl Scene {
    pub(in crate::log) fn append(&mut self) -> Result<(), Fault> {
        for _ in 0..=self.rng.below(3) {
            let Some((topic, partition)) = self.pick() else {
                return Ok(());
            };
            let most = if self.rng.chance(1, 16) { 60 } else { 6 };
            let count = u32::try_from(1 + self.rng.below(most))?;
            self.append_to(topic, partition, count)?;
        }
        Ok(())
    }

    /// Appends a batch of `count` records; the number of the append.
    pub(super) fn append_to(
        &mut self,
        topic: usize,
        partition: usize,
        count: u32,
    ) -> Result<usize, Fault> {
        let (number, batch) = self.batch((topic, partition), count, None)?;
        let ticket = self.partition(topic, partition)?.append(batch);
        self.ask(Asked::Append {
            topic,
            partition,
            number,
            ticket,
        })?;
        Ok(number)
    }

    /// Appends puts and tombstones to the compacted topic, which may have to be made first.
    pub(super) fn keep_accounts(&mut self) -> Result<(), Fault> {
        let accounts = &mut self.ledger.accounts;
        if accounts.fate == Fate::Refused {
            let ticket = accounts.create(self.life.log());
            return self.ask(Asked::OpenAccounts { ticket });
        }
        for _ in 0..=self.rng.below(6) {
            let accounts = &mut self.ledger.accounts;
            if accounts.fate != Fate::Acknowledged {
                break;
            }
            let (log, now) = (self.life.log(), self.ledger.now);
            let (place, append, batch) = accounts.append(&mut self.rng, log, now)?;
            let ticket = place.append(batch);
            self.ask(Asked::KeepAccounts { append, ticket })?;
        }
        Ok(())
    }

    /// The next batch for a partition, and its number.
    pub(super) fn batch(
        &mut self,
        (topic, partition): (usize, usize),
        count: u32,
        sent: Option<Sent>,
    ) -> Result<(usize, Batch), Fault> {
        let (now, life) = (self.ledger.now, self.life.number);
        let ledger = &mut self.ledger.topics[topic].partitions[partition];
        let number = ledger.attempt(count, life, sent, now);
        let tag = Tag {
            topic: u32::try_from(topic)?,
            partition: u32::try_from(partition)?,
            attempt: number as u64,
            index: 0,
            count,
        };
        let batch = tag.batch()?;
        ledger.attempts[number].bytes = batch.size() as u64;
        Ok((number, batch))
    }

    pub(in crate::log) fn create_topic(&mut self) {
        if self.ledger.topics.len() >= MOST_TOPICS {
            return;
        }
        let topic = self.ledger.topics.len();
        let partitions = 1 + below(&mut self.rng, 3);
        // The first topic is durable, so that there is one.
        let weak = [Acks::Durable, Acks::Durable, Acks::Written, Acks::None];
        let acks = if topic == 0 {
            Acks::Durable
        } else {
            weak[below(&mut self.rng, weak.len())]
        };
        let retention = match self.rng.below(3) {
            0 if topic > 0 && acks != Acks::None => Retention::forever().age(AGE),
            1 if topic > 0 && acks != Acks::None => Retention::forever().bytes(BYTES),
            _ => Retention::forever(),
        };
        let compression = [Compression::None, Compression::Lz4][below(&mut self.rng, 2)];
        let ledger = TopicLedger::new(topic, partitions, acks, retention);
        self.ledger.topics.push(ledger);
        let partitions = u32::try_from(partitions).unwrap_or(1);
        let options = TopicOptions::new().partitions(partitions).acks(acks);
        let options = options.retention(retention).compression(compression);
        let name = &self.ledger.topics[topic].name;
        let ticket = self.life.log().create_topic(name, options);
        self.life.asked.push(Asked::Create { topic, ticket });
    }

    pub(in crate::log) fn seal(&mut self) -> Result<(), Fault> {
        let Some((topic, _)) = self.pick() else {
            return Ok(());
        };
        let ledger = &mut self.ledger.topics[topic];
        if ledger.sealed == Fate::Refused {
            ledger.sealed = Fate::Unknown;
        }
        let ticket = self.life.log().topic(&ledger.name)?.seal();
        self.ask(Asked::Seal { topic, ticket })
    }

    pub(in crate::log) fn move_group(&mut self) -> Result<(), Fault> {
        let Some((topic, partition)) = self.pick() else {
            return Ok(());
        };
        let group = below(&mut self.rng, 2);
        let (place, seat) = (self.partition(topic, partition)?, (group, topic, partition));
        let position = self.rng.below(place.visible_end() + 1);
        self.ledger
            .positions
            .entry(seat)
            .or_default()
            .unknown
            .push(position);
        let group = self.life.log().group(&format!("group-{group}"))?;
        let ticket = group.commit(&[(&place, position)]);
        self.ask(Asked::Move {
            seat,
            position,
            ticket,
        })
    }

    pub(super) fn fetch(&mut self) -> Result<(), Fault> {
        let Some((topic, partition)) = self.pick() else {
            return Ok(());
        };
        let place = self.partition(topic, partition)?;
        let from = self.rng.below(place.visible_end() + 1);
        let ticket = place.fetch(from, below(&mut self.rng, 20_000));
        self.ask(Asked::Fetch {
            topic,
            partition,
            from,
            ticket,
        })
    }
}
