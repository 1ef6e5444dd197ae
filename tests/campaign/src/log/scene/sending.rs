//! Producers that number what they send: they repeat themselves, and are fenced.

use levada_log::Producer;

use super::{Asked, PRODUCERS, Scene, below};
use crate::{
    campaign::Fault,
    log::{
        ledger::{Fate, Sent},
        require,
        steps::answered,
    },
};

impl Scene {
    /// Sends something by a producer, which may have to be opened first; or what it sent last, once
    /// more.
    pub(super) fn send(&mut self) -> Result<(), Fault> {
        let producer = below(&mut self.rng, PRODUCERS);
        let again = self.rng.chance(1, 3);
        if self.life.producers[producer].is_none() || self.rng.chance(1, 16) {
            let name = format!("producer-{producer}");
            let mut ticket = self.life.log().producer(&name);
            // Whoever had the name before is fenced.
            let zombie = self.life.producers[producer].take();
            if let Some(refused) = answered(&mut ticket) {
                return self.opened(producer, refused);
            }
            if let Some(zombie) = zombie {
                self.send_as_zombie(&zombie)?;
            }
            return self.ask(Asked::OpenProducer { producer, ticket });
        }
        let Some((topic, partition)) = self.pick() else {
            return Ok(());
        };
        let ledger = &self.ledger.topics[topic].partitions[partition];
        if let Some((original, sent)) = ledger.last_sent(producer).filter(|_| again) {
            let attempt = &ledger.attempts[original];
            // One that was sent again is waited for: only its answer tells which of both it is.
            if sent.again && attempt.fate == Fate::Unknown {
                return Ok(());
            }
            let sent = Sent {
                again: true,
                ..sent
            };
            return self.send_as((topic, partition), attempt.count, sent, Some(original));
        }
        let place = self.partition(topic, partition)?;
        let handle = self.life.producers[producer].as_ref();
        let sent = Sent {
            producer,
            sequence: handle.map_or(0, |handle| handle.next_sequence(&place)),
            again: false,
        };
        let count = u32::try_from(1 + self.rng.below(6))?;
        self.send_as((topic, partition), count, sent, None)?;
        if self.rng.chance(1, 4) {
            // As a client that has lost patience, while the first is on its way.
            let ledger = &self.ledger.topics[topic].partitions[partition];
            let original = ledger.attempts.len() - 1;
            let sent = Sent {
                again: true,
                ..sent
            };
            self.send_as((topic, partition), count, sent, Some(original))?;
        }
        Ok(())
    }

    /// Lets a producer that is fenced send something: it is refused at once.
    fn send_as_zombie(&mut self, zombie: &Producer) -> Result<(), Fault> {
        let Some((topic, partition)) = self.pick() else {
            return Ok(());
        };
        let place = self.partition(topic, partition)?;
        let (number, batch) = self.batch((topic, partition), 1, None)?;
        self.ledger.topics[topic].partitions[partition].attempts[number].fate = Fate::Refused;
        let mut ticket = zombie.append(&place, zombie.next_sequence(&place), batch);
        let answer = answered(&mut ticket);
        require!(
            matches!(answer, Some(Err(_))),
            "a fenced producer sent something: {answer:?}"
        );
        self.shown.zombies += 1;
        Ok(())
    }

    /// Sends a batch under a sequence, which the `original` may have had before.
    fn send_as(
        &mut self,
        (topic, partition): (usize, usize),
        count: u32,
        sent: Sent,
        original: Option<usize>,
    ) -> Result<(), Fault> {
        let place = self.partition(topic, partition)?;
        let expected = self.life.producers[sent.producer].as_ref();
        let expected = expected.map_or(0, |handle| handle.next_sequence(&place));
        // Refused meanwhile, with what was before it: then that comes first.
        if original.is_some() && expected < sent.sequence {
            return Ok(());
        }
        let (number, batch) = self.batch((topic, partition), count, Some(sent))?;
        self.life.sent[sent.producer] = true;
        let handle = self.life.producers[sent.producer].as_ref();
        let handle = handle.ok_or("a producer is open before it sends")?;
        let ticket = handle.append(&place, sent.sequence, batch);
        self.ask(match original {
            None => Asked::Append {
                topic,
                partition,
                number,
                ticket,
            },
            Some(original) => Asked::Resend {
                topic,
                partition,
                original,
                number,
                ticket,
            },
        })
    }
}
