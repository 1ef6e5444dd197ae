//! The program that is killed: it appends as fast as it can, and says what was acknowledged.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::{self, Write as _},
    path::Path,
};

use levada::BoxError;
use levada_log::{Batch, Error, Log, Partition, Record, Topic, TopicOptions};
use serde::{Deserialize, Serialize};

/// The topic that all is appended to.
pub(super) const TOPIC: &str = "events";
/// Its partitions.
pub(super) const PARTITIONS: u32 = 100;
/// Records of a batch.
pub(super) const RECORDS: u64 = 64;
/// Batches that wait for their acknowledgement.
const IN_FLIGHT: usize = 64;

/// What it says, a line each.
#[derive(Serialize, Deserialize)]
pub(super) enum Said {
    /// The topic has as many bytes as it was asked for; now it is appended to until the kill.
    Full,
    /// A batch was acknowledged.
    Acknowledged(Acknowledged),
}

/// A batch that was acknowledged, and how to make it again.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Acknowledged {
    pub(super) partition: u32,
    /// Its first offset.
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) name: Name,
}

/// Names a batch: the life of the log that it was appended in, and a number.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Name {
    pub(super) life: u64,
    pub(super) number: u64,
}

/// Opens the log in a folder, fills its topic up to so many bytes and goes on for ever.
pub(super) fn run(folder: &Path, full: u64) -> Result<Infallible, BoxError> {
    let log = Log::open(folder)?;
    let topic = topic(&log)?;
    let all = partitions(&topic)?;
    let described = topic.describe();
    let mut bytes = described.segment_bytes() + described.memory_bytes();
    let mut full = Some(full);
    let mut waiting = VecDeque::new();
    let mut numbers = 0..;
    loop {
        if full.is_some_and(|full| bytes >= full) {
            full = None;
            say(&Said::Full)?;
        }
        let number = numbers.next().expect("it has no end");
        let life = log.instance();
        let name = Name { life, number };
        let batch = batch(name)?;
        let size = batch.size() as u64;
        let partition = &all[usize::try_from(number % u64::from(PARTITIONS))?];
        waiting.push_back((name, size, partition, partition.append(batch)));
        bytes += size;
        if waiting.len() == IN_FLIGHT {
            let (name, bytes, partition, ticket) = waiting.pop_front().expect("it is that long");
            say(&Said::Acknowledged(Acknowledged {
                partition: partition.number(),
                offset: ticket.wait()?.offsets.start,
                bytes,
                name,
            }))?;
        }
    }
}

fn topic(log: &Log) -> Result<Topic, BoxError> {
    Ok(match log.topic(TOPIC) {
        Err(Error::UnknownTopic { .. }) => {
            let options = TopicOptions::new().partitions(PARTITIONS);
            log.create_topic(TOPIC, options).wait()?
        }
        topic => topic?,
    })
}

pub(super) fn partitions(topic: &Topic) -> levada_log::Result<Vec<Partition>> {
    let all = 0..topic.partitions();
    all.map(|number| topic.partition(number)).collect()
}

/// The batch of this name: records of 100 to 1,024 bytes.
pub(super) fn batch(name: Name) -> levada_log::Result<Batch> {
    let mut batch = Batch::new();
    let mut value = Vec::new();
    for index in 0..RECORDS {
        fill(&mut value, name, index);
        batch.push(&Record::of(&value))?;
    }
    Ok(batch)
}

/// Makes the value of one record, which no other record has.
pub(super) fn fill(value: &mut Vec<u8>, name: Name, index: u64) {
    value.clear();
    for part in [name.life, name.number, index] {
        value.extend(part.to_le_bytes());
    }
    // Multiplied by 2⁶⁴ over the golden ratio, numbers in turn are spread evenly.
    let spread = (name.number * RECORDS + index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let len = 100 + (spread >> 32) % 925;
    value.resize(usize::try_from(len).unwrap_or(100), b'x');
}

fn say(said: &Said) -> Result<(), BoxError> {
    // A line is written whole, unless the kill comes first: then it has no end.
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    Ok(io::stdout().write_all(&line)?)
}
