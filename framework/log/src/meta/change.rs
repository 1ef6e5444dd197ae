//! What can happen to the metadata, and what that does to an image.

use std::{collections::BTreeMap, ops::Range, path::Path};

use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{
    Aborted, Image, OpenTransaction, Outcome, ProducerImage, Settings, TopicImage,
    counts::are_possible, decode,
};
use crate::{
    Error, Result, Retention, limits::MAX_PARTITIONS, partition::PartitionId, planted::planted,
};

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
        let unusable = |reason: String| Error::Unusable {
            path: path.to_path_buf(),
            reason: format!("a metadata change in it {reason}"),
            remedy: "restore the data folder from a copy",
        };
        let change = decode(bytes).map_err(|error| match unknown_kind(bytes) {
            Some(feature) => Error::Newer {
                path: path.to_path_buf(),
                feature,
            },
            None => unusable(format!("cannot be read ({error})")),
        })?;
        match change {
            Self::TopicCreated { partitions, .. } if partitions > MAX_PARTITIONS => {
                Err(unusable(format!("creates {partitions} partitions")))
            }
            change if are_possible(change.counts().into_iter()) => Ok(change),
            _ => Err(unusable("names a number that no log comes to".to_owned())),
        }
    }
}

/// The name of the change that `bytes` hold, if they hold one at all.
#[expect(
    clippy::zero_sized_map_values,
    reason = "what the name stands for is skipped"
)]
fn unknown_kind(bytes: &[u8]) -> Option<String> {
    // A variant without fields is a word; any other is a map from one word.
    let word = decode::<String>(bytes);
    let map = || decode::<BTreeMap<String, IgnoredAny>>(bytes).ok();
    word.ok().or_else(|| map()?.into_keys().next())
}

impl Image {
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
}
