//! An image: all that is known at one moment.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use super::{PartitionImage, ProducerImage, SegmentName, counts::are_possible, decode};
use crate::{Acks, Compression, Error, Result, Retention, partition::PartitionId};

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

impl Image {
    pub(crate) fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec_named(self).expect("an image has only types that MessagePack has")
    }

    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Required {
            requires: Vec<String>,
        }

        let unusable = |reason: String| Error::Unusable {
            path: path.to_path_buf(),
            reason: format!("its checksum is right but it {reason}"),
            remedy: "restore the data folder from a copy",
        };
        let unreadable =
            |error: rmp_serde::decode::Error| unusable(format!("cannot be read ({error})"));
        let required: Required = decode(bytes).map_err(unreadable)?;
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
        let image: Self = decode(bytes).map_err(unreadable)?;
        // Commits are counted from 1.
        if image.commit == 0 || !are_possible(image.counts()) {
            return Err(unusable("names a number that no log comes to".to_owned()));
        }
        Ok(image)
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
}
