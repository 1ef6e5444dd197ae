//! What an opening does to an image: nobody goes on with what was open, and no offset is given
//! twice.

use super::{Change, Image, Outcome};
use crate::{
    Acks,
    limits::{MAX_COUNT, MAX_UNREAD_OFFSETS, MAX_UNSYNCED_OFFSETS},
    partition::PartitionId,
    planted::planted,
};

impl Image {
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

    /// Lifts next offsets above all that journals can have held which cannot be read.
    pub(crate) fn lift_unread(&mut self) {
        for (_, partition) in self.partitions_mut() {
            partition.next = (partition.next + MAX_UNREAD_OFFSETS).min(MAX_COUNT);
        }
    }

    /// Lifts the next offset of a partition, if there is one, to `offset`.
    pub(crate) fn lift_next_offset(&mut self, id: PartitionId, offset: u64) {
        if let Some(partition) = self.partition_mut(id) {
            partition.next = partition.next.max(offset);
        }
    }
}
