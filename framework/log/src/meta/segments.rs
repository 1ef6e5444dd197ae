//! What flushes, retention and compaction do to an image.

use super::{Image, Segment};
use crate::{
    batch::header::{Header, How},
    cleaner::Compacted,
    partition::PartitionId,
};

impl Image {
    /// Takes in batches of a partition that are in `segments` now.
    pub(crate) fn flushed(
        &mut self,
        id: PartitionId,
        segments: Vec<Segment>,
        batches: impl IntoIterator<Item = Header>,
    ) {
        for header in batches {
            // One that was forgotten in the same journal was forgotten before its batches come.
            let by = header.produced.map(|by| by.producer);
            let is_known = by.is_some_and(|producer| self.producers.contains_key(&producer));
            let record = self.partition_mut(id);
            let record = record.expect("a partition is in the image before its batches");
            record.end = header.end();
            record.next = record.next.max(record.end);
            record.append_time = header.append_time;
            if is_known {
                record.note_sequences(&header);
            }
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

    /// Lets the oldest `count` segments of a partition go: their names are in `dropped` then.
    pub(crate) fn drop_oldest(&mut self, id: PartitionId, count: usize) {
        let Some(record) = self.partition_mut(id) else {
            return;
        };
        let gone: Vec<Segment> = record.segments.drain(..count).collect();
        if let Some(last) = gone.last() {
            record.start = last.end;
        }
        record.forget_aborted(record.start);
        let names = gone.iter().map(|segment| (id, segment.name()));
        self.dropped.extend(names);
    }

    /// Puts what a pass over a partition has written in the place of what it has read, which is in
    /// `dropped` then. Returns up to where nothing is left that was aborted.
    pub(crate) fn compacted(&mut self, outcome: &Compacted) -> u64 {
        let Some(record) = self.partition_mut(outcome.id) else {
            return 0;
        };
        let outputs = outcome.outputs.iter().copied();
        let gone: Vec<Segment> = record.segments.splice(..outcome.inputs, outputs).collect();
        let before = std::mem::replace(&mut record.compacted, outcome.clean_to);
        record.forget_aborted(before);
        record.swept = outcome.swept;
        let names = gone.iter().map(|segment| (outcome.id, segment.name()));
        self.dropped.extend(names);
        before
    }
}
