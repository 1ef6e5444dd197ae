//! A flush: a full journal's batches on their way to their segments.
//!
//! One partition a step. What the steps come to is a second image, which replaces the first when
//! all are done; until then the one on disk stands, and recovery does the whole flush again, to the
//! same places. So retention can write an image while a full disk holds a flush up: it takes from
//! both.

use super::slot::FullJournal;
use crate::{
    error::Failure,
    meta::Image,
    segment::{self, Roll},
    shared::Shared,
};

/// A full journal on its way to the segments.
pub(super) struct Flush {
    pub(super) full: FullJournal,
    /// The image that will say so.
    pub(super) image: Image,
}

impl Flush {
    pub(super) fn new(full: FullJournal, image: &Image) -> Self {
        let mut image = image.clone();
        let changes = full.changes.iter().cloned();
        changes.for_each(|change| image.apply(change));
        image.journal = full.next;
        image.commit = full.commit;
        Self { full, image }
    }

    /// Takes the batches of one partition to its segments; `false` if none is left.
    pub(super) fn step(&mut self, shared: &Shared) -> Result<bool, Failure> {
        let Some((partition, upto)) = self.full.partitions.last() else {
            return Ok(false);
        };
        shared.check_fence()?;
        let batches = partition.reading().tail_upto(*upto);
        let record = self.image.partition_mut(partition.id);
        let record = record.expect("a partition is in the image before its batches");
        let (vfs, paths) = (&*shared.vfs, &shared.paths);
        let roll = Roll::of(shared.limits.segment_bytes, &partition.reading().retention);
        let segments = record.segments.clone();
        match segment::flush(vfs, paths, partition.id, segments, &batches, roll) {
            Ok(segments) => {
                partition.reading().flushed(&segments);
                let headers = batches.iter().map(|(header, _)| *header);
                self.image.flushed(partition.id, segments, headers);
            }
            Err(Failure::Damaged(reason)) => {
                partition.fail(&reason);
                record.failed = Some(reason);
                record.next = record.next.max(*upto);
                self.image.kept_journals.push(self.full.number);
            }
            Err(failure) => return Err(failure),
        }
        self.full.partitions.pop();
        Ok(true)
    }
}
