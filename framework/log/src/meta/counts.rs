//! The numbers in metadata that go up: each must be one that a log can come to.

use std::iter;

use super::{Change, Image, OpenTransaction, PartitionImage, TopicImage};
use crate::limits::MAX_COUNT;

/// Whether a log can come to all of these.
pub(super) fn are_possible(mut counts: impl Iterator<Item = u64>) -> bool {
    counts.all(|count| count <= MAX_COUNT)
}

/// A number of 32 bits, as large among those as among numbers of 64.
fn wide(number: u32) -> u64 {
    u64::from(number) << 32
}

impl Change {
    pub(super) fn counts(&self) -> Vec<u64> {
        match self {
            Self::TopicCreated { id, .. } | Self::RetentionChanged { id, .. } => vec![wide(*id)],
            Self::PositionsMoved { positions, .. } => positions.iter().map(|(_, at)| *at).collect(),
            Self::TopicSealed { id, ends } => [&[wide(*id)], &ends[..]].concat(),
            Self::ProducerOpened { id, epoch, .. } => vec![*id, *epoch],
            Self::ProducerForgotten { id } => vec![*id],
            Self::TransactionBegun { producer, epoch } => vec![*producer, *epoch],
            Self::TransactionEnded {
                producer,
                epoch,
                outcome: _,
                ranges,
                positions,
            } => {
                let moved = positions.iter().flat_map(|(_, positions)| positions);
                let ranges = ranges
                    .iter()
                    .flat_map(|(_, range)| [range.start, range.end]);
                let own = [*producer, *epoch].into_iter();
                own.chain(ranges).chain(moved.map(|(_, at)| *at)).collect()
            }
            Self::Stopped => Vec::new(),
        }
    }
}

impl Image {
    pub(super) fn counts(&self) -> impl Iterator<Item = u64> {
        let own = [self.instance, self.journal, self.commit, self.next_producer];
        let kept = self.kept_journals.iter().copied();
        let topics = self.topics.iter();
        let topics = topics.flat_map(|(&id, topic)| iter::once(wide(id)).chain(topic.counts()));
        let positions = self
            .groups
            .values()
            .flat_map(|group| group.values().copied());
        let producers = self.producers.iter().flat_map(|(&id, producer)| {
            let open = producer.open.iter().flat_map(OpenTransaction::counts);
            [id, producer.epoch].into_iter().chain(open)
        });
        let dropped = self.dropped.iter();
        let dropped = dropped.flat_map(|(_, name)| [name.base, wide(name.generation)]);
        let own = own.into_iter().chain(kept).chain(topics);
        own.chain(positions).chain(producers).chain(dropped)
    }
}

impl OpenTransaction {
    fn counts(&self) -> impl Iterator<Item = u64> {
        let ranges = self.ranges.values();
        let ranges = ranges.flat_map(|range| [range.start, range.end]);
        iter::once(self.epoch).chain(ranges)
    }
}

impl TopicImage {
    fn counts(&self) -> impl Iterator<Item = u64> {
        self.partitions.iter().flat_map(PartitionImage::counts)
    }
}

impl PartitionImage {
    fn counts(&self) -> impl Iterator<Item = u64> {
        let own = [self.start, self.end, self.next, self.compacted];
        let segments = self.segments.iter();
        let segments = segments.flat_map(|it| [it.base, it.end, it.bytes, wide(it.generation)]);
        let aborted = self.aborted.iter();
        let aborted = aborted.flat_map(|it| [it.producer, it.epoch, it.range.start, it.range.end]);
        let sequences = self.sequences.iter().flat_map(|(&producer, batches)| {
            let batches = batches.iter();
            let batches =
                batches.flat_map(|it| [it.first, it.last, it.offsets.start, it.offsets.end]);
            iter::once(producer).chain(batches)
        });
        let swept = self.swept.iter().flat_map(|it| [it.upto, it.tombstones]);
        let own = own.into_iter().chain(segments);
        own.chain(aborted).chain(sequences).chain(swept)
    }
}
