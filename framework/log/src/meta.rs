//! What the log knows besides records: topics, groups' positions, seals, and where segments lie.
//!
//! The *image* is all of it as of the start of a journal. A *change* is what happened since, an
//! entry of a journal frame. Recovery and the running log apply changes with the same function, so
//! there is one meaning of each.
//!
//! Both are `MessagePack` with named fields. A field that a later release adds and an older one may
//! ignore is just added. One that it must not ignore is named in `requires`; an unknown change is
//! always required.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    path::Path,
};

use levada_core::Timestamp;
use serde::{Deserialize, Serialize, de::IgnoredAny};

use crate::{
    Acks, Appended, Compression, Error, Result, Retention,
    batch::header::{Header, How},
    cleaner::Compacted,
    limits::{MAX_UNSYNCED_OFFSETS, SEQUENCE_WINDOW},
    partition::PartitionId,
    planted::planted,
};

/// Features that an image may require and this release has. None yet.
const FEATURES: &[&str] = &[];

/// All metadata as of the start of journal [`journal`](Self::journal).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Image {
    /// What a reader must know to use this image.
    pub(crate) requires: Vec<String>,
    /// Drawn when the folder was made, so that a producer cannot forge a frame inside a record.
    pub(crate) nonce: u64,
    /// One more at each opening of the folder.
    pub(crate) instance: u64,
    /// The first journal that is not contained in this image.
    pub(crate) journal: u64,
    /// The first group commit that is not contained in this image.
    pub(crate) commit: u64,
    /// Journals kept as evidence of damage; never read, never removed.
    pub(crate) kept_journals: Vec<u64>,
    /// Topics, by number.
    pub(crate) topics: BTreeMap<u32, TopicImage>,
    /// Positions of groups, by name.
    pub(crate) groups: BTreeMap<String, Positions>,
    /// Producers, by number.
    pub(crate) producers: BTreeMap<u64, ProducerImage>,
    /// The number of the next producer: none is given twice.
    pub(crate) next_producer: u64,
    /// Files that no partition names any more and that may still be there.
    pub(crate) dropped: Vec<(PartitionId, SegmentName)>,
}

/// The positions of a group.
pub(crate) type Positions = BTreeMap<PartitionId, u64>;

/// A topic in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TopicImage {
    pub(crate) name: String,
    pub(crate) settings: Settings,
    pub(crate) sealed: bool,
    pub(crate) partitions: Vec<PartitionImage>,
}

impl TopicImage {
    /// A topic without records.
    pub(crate) fn new(name: String, partitions: u32, settings: Settings) -> Self {
        let partitions = (0..partitions).map(|_| PartitionImage::default()).collect();
        Self {
            name,
            settings,
            sealed: false,
            partitions,
        }
    }
}

/// What is kept of a topic's options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) codec: String,
    pub(crate) partitioner: String,
    pub(crate) acks: Acks,
    pub(crate) compression: Compression,
    pub(crate) retention: Retention,
}

/// A producer in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProducerImage {
    pub(crate) name: String,
    /// The last epoch that was given out.
    pub(crate) epoch: u64,
    /// Its transaction that is open, if one is.
    pub(crate) open: Option<OpenTransaction>,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Committed,
    Aborted,
}

/// A transaction that has begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenTransaction {
    pub(crate) epoch: u64,
    /// What it has in the partitions: everything of its epoch lies in these offsets.
    pub(crate) ranges: BTreeMap<PartitionId, Range<u64>>,
}

impl OpenTransaction {
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            epoch,
            ranges: BTreeMap::new(),
        }
    }

    /// Takes in a batch of its own.
    pub(crate) fn note(&mut self, header: &Header) {
        let range = self.ranges.entry(header.id);
        let range = range.or_insert(header.base_offset..header.base_offset);
        range.start = range.start.min(header.base_offset);
        range.end = range.end.max(header.end());
    }
}

/// A partition in an image: what of it is in segments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionImage {
    /// The first offset that is kept.
    pub(crate) start: u64,
    /// The acknowledged end.
    pub(crate) end: u64,
    /// The next offset to be given: at or above the end.
    pub(crate) next: u64,
    /// The append time of the last batch.
    pub(crate) append_time: Timestamp,
    /// In order of their base offsets.
    pub(crate) segments: Vec<Segment>,
    /// Why the partition has stopped, if it has.
    pub(crate) failed: Option<String>,
    /// The transactions that readers of committed records pass over, as long as any of their
    /// records may be there.
    pub(crate) aborted: Vec<Aborted>,
    /// The last batches of each producer, so that a repeat is known.
    pub(crate) sequences: BTreeMap<u64, VecDeque<Sequenced>>,
    /// All before it holds one record of a key at most.
    pub(crate) compacted: u64,
    /// Where its tombstones stand.
    pub(crate) swept: Option<Swept>,
}

/// Tombstones whose keys have nothing before them any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Swept {
    /// Those before it are meant.
    pub(crate) upto: u64,
    /// When what was before them went.
    pub(crate) at: Timestamp,
    /// How many there are.
    pub(crate) tombstones: u64,
}

/// An aborted transaction, as far as it lies in one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Aborted {
    pub(crate) producer: u64,
    pub(crate) epoch: u64,
    /// Everything of it lies in here, and other batches as well.
    pub(crate) range: Range<u64>,
}

impl Aborted {
    /// Its producer and epoch.
    pub(crate) fn transaction(&self) -> (u64, u64) {
        (self.producer, self.epoch)
    }
}

/// A batch that a producer appended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sequenced {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) offsets: Range<u64>,
    pub(crate) append_time: Timestamp,
}

/// A segment file, as far as it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    /// The offset of its first batch, and its name.
    pub(crate) base: u64,
    /// The offset after its last batch.
    pub(crate) end: u64,
    /// The length that is part of the log; what the file has beyond is not.
    pub(crate) bytes: u64,
    /// How often what is in it was compacted: part of its name.
    pub(crate) generation: u32,
    /// The append times of its first and of its last batch.
    pub(crate) first_append: Timestamp,
    pub(crate) last_append: Timestamp,
}

/// What a segment's file is called by, within its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct SegmentName {
    pub(crate) base: u64,
    pub(crate) generation: u32,
}

impl Segment {
    pub(crate) fn name(&self) -> SegmentName {
        SegmentName {
            base: self.base,
            generation: self.generation,
        }
    }
}

/// What happened to the metadata, as an entry of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// A topic was created.
    TopicCreated {
        id: u32,
        name: String,
        partitions: u32,
        settings: Settings,
    },
    /// What a topic keeps has changed.
    RetentionChanged { id: u32, retention: Retention },
    /// A group moved its positions.
    PositionsMoved {
        group: String,
        positions: Vec<(PartitionId, u64)>,
    },
    /// A topic was sealed; partition by partition, where it ends.
    TopicSealed { id: u32, ends: Vec<u64> },
    /// A producer was opened by name, which ends whatever had the name before.
    ProducerOpened { id: u64, name: String, epoch: u64 },
    /// A producer was forgotten.
    ProducerForgotten { id: u64 },
    /// A transaction began: of this epoch of the producer.
    TransactionBegun { producer: u64, epoch: u64 },
    /// A transaction ended. What it had in each partition is named, so that this says all there is
    /// to know about it; and positions that move with it.
    TransactionEnded {
        producer: u64,
        epoch: u64,
        outcome: Outcome,
        ranges: Vec<(PartitionId, Range<u64>)>,
        positions: Vec<(String, Vec<(PartitionId, u64)>)>,
    },
    /// The log was closed in order: all before this is acknowledged.
    Stopped,
}

impl Change {
    pub(crate) fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec_named(self).expect("a change has only types that MessagePack has")
    }

    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        rmp_serde::from_slice(bytes).map_err(|error| match unknown_kind(bytes) {
            Some(feature) => Error::Newer {
                path: path.to_path_buf(),
                feature,
            },
            None => Error::Unusable {
                path: path.to_path_buf(),
                reason: format!("a metadata change in it cannot be read ({error})"),
                remedy: "restore the data folder from a copy",
            },
        })
    }
}

/// The name of the change that `bytes` hold, if they hold one at all.
#[expect(
    clippy::zero_sized_map_values,
    reason = "what the name stands for is skipped"
)]
fn unknown_kind(bytes: &[u8]) -> Option<String> {
    // A variant without fields is a word; any other is a map from one word.
    let word = rmp_serde::from_slice::<String>(bytes);
    let map = || rmp_serde::from_slice::<BTreeMap<String, IgnoredAny>>(bytes).ok();
    word.ok().or_else(|| map()?.into_keys().next())
}

impl Image {
    pub(crate) fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec_named(self).expect("an image has only types that MessagePack has")
    }

    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Required {
            requires: Vec<String>,
        }

        let unreadable = |error: rmp_serde::decode::Error| Error::Unusable {
            path: path.to_path_buf(),
            reason: format!("its checksum is right but it cannot be read ({error})"),
            remedy: "restore the data folder from a copy",
        };
        let required: Required = rmp_serde::from_slice(bytes).map_err(unreadable)?;
        let unknown = required
            .requires
            .into_iter()
            .find(|f| !FEATURES.contains(&f.as_str()));
        if let Some(feature) = unknown {
            return Err(Error::Newer {
                path: path.to_path_buf(),
                feature,
            });
        }
        rmp_serde::from_slice(bytes).map_err(unreadable)
    }

    /// Lets a change take effect.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::TopicCreated {
                id,
                name,
                partitions,
                settings,
            } => {
                let topic = TopicImage::new(name, partitions, settings);
                self.topics.insert(id, topic);
            }
            Change::RetentionChanged { id, retention } => {
                if let Some(topic) = self.topics.get_mut(&id) {
                    topic.settings.retention = retention;
                }
            }
            Change::PositionsMoved { group, positions } => {
                self.groups.entry(group).or_default().extend(positions);
            }
            Change::TopicSealed { id, ends: _ } => {
                // The ends are those of the batches before this change; they are written down so
                // that a damaged partition still knows where it ended.
                if let Some(topic) = self.topics.get_mut(&id) {
                    topic.sealed = true;
                }
            }
            Change::ProducerOpened { id, name, epoch } => {
                let open = None;
                self.next_producer = self.next_producer.max(id + 1);
                self.producers
                    .insert(id, ProducerImage { name, epoch, open });
            }
            Change::ProducerForgotten { id } => {
                self.producers.remove(&id);
                for (_, record) in self.partitions_mut() {
                    record.sequences.remove(&id);
                }
            }
            Change::TransactionBegun { producer, epoch } => {
                if let Some(producer) = self.producers.get_mut(&producer) {
                    producer.epoch = epoch;
                    producer.open = Some(OpenTransaction::new(epoch));
                }
            }
            Change::TransactionEnded {
                producer,
                epoch,
                outcome,
                ranges,
                positions,
            } => {
                if let Some(producer) = self.producers.get_mut(&producer) {
                    producer.open.take_if(|open| open.epoch == epoch);
                }
                let aborted = ranges.into_iter().filter(|_| outcome == Outcome::Aborted);
                for (id, range) in aborted.filter(|_| !planted("aborts_forgotten")) {
                    if let Some(record) = self.partition_mut(id) {
                        record.aborted.push(Aborted {
                            producer,
                            epoch,
                            range,
                        });
                    }
                }
                for (group, positions) in positions {
                    self.groups.entry(group).or_default().extend(positions);
                }
            }
            Change::Stopped => {}
        }
    }

    /// Takes in batches of a partition that are in `segments` now.
    pub(crate) fn flushed(
        &mut self,
        id: PartitionId,
        segments: Vec<Segment>,
        batches: impl IntoIterator<Item = Header>,
    ) {
        for header in batches {
            let record = self.partition_mut(id);
            let record = record.expect("a partition is in the image before its batches");
            record.end = header.end();
            record.next = record.next.max(record.end);
            record.append_time = header.append_time;
            record.note_sequences(&header);
            self.note_transaction(&header);
        }
        if let Some(record) = self.partition_mut(id) {
            record.segments = segments;
        }
    }

    /// Adds a batch to the transaction it belongs to, if that is still open. The changes of a
    /// journal are applied before its batches are, so one that is not open has ended, and its end
    /// named the batch.
    pub(crate) fn note_transaction(&mut self, header: &Header) {
        let by = header.produced.filter(|by| by.how == How::Transactional);
        let producer = by.and_then(|by| self.producers.get_mut(&by.producer));
        let open = producer.and_then(|producer| producer.open.as_mut());
        if let (Some(by), Some(open)) = (by, open)
            && open.epoch == by.epoch
        {
            open.note(header);
        }
    }

    /// Ends every open transaction as aborted: their incarnation is over.
    pub(crate) fn abort_transactions(&mut self) {
        let open = self.producers.iter_mut();
        let open = open.filter_map(|(&id, producer)| Some((id, producer.open.take()?)));
        for (producer, transaction) in open.collect::<Vec<_>>() {
            self.apply(Change::TransactionEnded {
                producer,
                epoch: transaction.epoch,
                outcome: Outcome::Aborted,
                ranges: transaction.ranges.into_iter().collect(),
                positions: Vec::new(),
            });
        }
    }

    /// Lets the oldest `count` segments of a partition go: their names are in `dropped` then.
    pub(crate) fn drop_oldest(&mut self, id: PartitionId, count: usize) {
        let Some(record) = self.partition_mut(id) else {
            return;
        };
        let gone: Vec<Segment> = record.segments.drain(..count).collect();
        if let Some(last) = gone.last() {
            record.start = last.end;
        }
        let start = record.start;
        record.aborted.retain(|aborted| aborted.range.end > start);
        let names = gone.iter().map(|segment| (id, segment.name()));
        self.dropped.extend(names);
    }

    /// Puts what a pass over a partition has written in the place of what it has read, which is in
    /// `dropped` then.
    pub(crate) fn compacted(&mut self, outcome: &Compacted) {
        let Some(record) = self.partition_mut(outcome.id) else {
            return;
        };
        let outputs = outcome.outputs.iter().copied();
        let gone: Vec<Segment> = record.segments.splice(..outcome.inputs, outputs).collect();
        let before = record.compacted;
        record.aborted.retain(|aborted| aborted.range.end > before);
        record.compacted = outcome.clean_to;
        record.swept = outcome.swept;
        let names = gone.iter().map(|segment| (outcome.id, segment.name()));
        self.dropped.extend(names);
    }

    /// Where the first open transaction of a partition starts: all before it is decided.
    pub(crate) fn stable_end(&self, id: PartitionId) -> u64 {
        let open = self.producers.values().filter_map(|it| it.open.as_ref());
        let starts = open.filter_map(|open| Some(open.ranges.get(&id)?.start));
        starts.min().unwrap_or(u64::MAX)
    }

    pub(crate) fn partition(&self, id: PartitionId) -> Option<&PartitionImage> {
        let topic = self.topics.get(&id.topic)?;
        topic.partitions.get(id.partition as usize)
    }

    pub(crate) fn partition_mut(&mut self, id: PartitionId) -> Option<&mut PartitionImage> {
        self.topics
            .get_mut(&id.topic)?
            .partitions
            .get_mut(id.partition as usize)
    }

    /// Every partition, with its numbers.
    pub(crate) fn partitions_mut(
        &mut self,
    ) -> impl Iterator<Item = (PartitionId, &mut PartitionImage)> {
        self.topics.iter_mut().flat_map(|(&topic, image)| {
            let numbered = image.partitions.iter_mut().zip(0..);
            numbered.map(move |(record, partition)| (PartitionId { topic, partition }, record))
        })
    }

    /// Lifts next offsets above every position that anything names: an offset is never reused.
    pub(crate) fn lift_next_offsets(&mut self) {
        for (_, partition) in self.partitions_mut() {
            partition.next = partition.next.max(partition.end);
        }
        let named: Vec<_> = self
            .groups
            .values()
            .flatten()
            .map(|(&id, &at)| (id, at))
            .collect();
        for (id, position) in named {
            self.lift_next_offset(id, position);
        }
    }

    /// Lifts next offsets above all that was acknowledged without being durable: a power cut may
    /// have taken it without a trace, after somebody read it.
    pub(crate) fn lift_unsynced(&mut self) {
        let weak = self.topics.values_mut();
        let weak = weak.filter(|topic| topic.settings.acks != Acks::Durable);
        let weak = weak.filter(|_| !planted("offsets_reused"));
        for record in weak.flat_map(|topic| &mut topic.partitions) {
            record.next += MAX_UNSYNCED_OFFSETS;
        }
    }

    /// Lifts the next offset of a partition, if there is one, to `offset`.
    pub(crate) fn lift_next_offset(&mut self, id: PartitionId, offset: u64) {
        if let Some(partition) = self.partition_mut(id) {
            partition.next = partition.next.max(offset);
        }
    }
}

impl Sequenced {
    /// What is remembered of a batch that has sequences, and whose they are.
    pub(crate) fn of(header: &Header) -> Option<(u64, Self)> {
        let by = header.produced?;
        let How::Sequenced(first, last) = by.how else {
            return None;
        };
        let batch = Self {
            first,
            last,
            offsets: header.base_offset..header.end(),
            append_time: header.append_time,
        };
        Some((by.producer, batch))
    }

    /// What its producer is told, each time.
    pub(crate) fn appended(&self) -> Appended {
        Appended {
            offsets: self.offsets.clone(),
            append_time: self.append_time,
        }
    }
}

impl PartitionImage {
    /// Remembers what a producer appended, and forgets the oldest.
    fn note_sequences(&mut self, header: &Header) {
        if let Some((producer, batch)) = Sequenced::of(header)
            && !planted("sequences_forgotten")
        {
            let window = self.sequences.entry(producer).or_default();
            window.push_back(batch);
            if window.len() > SEQUENCE_WINDOW {
                window.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created() -> Change {
        Change::TopicCreated {
            id: 1,
            name: "orders".to_owned(),
            partitions: 2,
            settings: Settings::default(),
        }
    }

    #[test]
    fn changes_and_images_come_back() {
        let path = Path::new("x");
        let mut image = Image {
            instance: 3,
            ..Image::default()
        };
        image.apply(created());
        let id = PartitionId {
            topic: 1,
            partition: 1,
        };
        let moved = Change::PositionsMoved {
            group: "g".to_owned(),
            positions: vec![(id, 9)],
        };
        assert_eq!(Change::decode(&moved.encode(), path).unwrap(), moved);
        image.apply(moved);
        assert_eq!(Image::decode(&image.encode(), path).unwrap(), image);
    }

    #[test]
    fn next_offset_lies_above_every_named_position() {
        let mut image = Image::default();
        image.apply(created());
        let id = PartitionId {
            topic: 1,
            partition: 1,
        };
        image.apply(Change::PositionsMoved {
            group: "g".to_owned(),
            positions: vec![(id, 9)],
        });
        image
            .partition_mut(PartitionId {
                topic: 1,
                partition: 0,
            })
            .unwrap()
            .end = 4;
        image.lift_next_offsets();
        let nexts: Vec<_> = image.topics[&1].partitions.iter().map(|p| p.next).collect();
        assert_eq!(nexts, [4, 9]);
    }

    #[test]
    fn what_a_newer_release_requires_is_refused_by_name() {
        let path = Path::new("x");
        let image = Image {
            requires: vec!["compaction".to_owned()],
            ..Image::default()
        };
        let error = Image::decode(&image.encode(), path).unwrap_err();
        assert!(matches!(error, Error::Newer { feature, .. } if feature == "compaction"));

        let later = rmp_serde::to_vec_named(&BTreeMap::from([("TopicGrown", 16)])).unwrap();
        let error = Change::decode(&later, path).unwrap_err();
        assert!(matches!(error, Error::Newer { feature, .. } if feature == "TopicGrown"));
    }
}
