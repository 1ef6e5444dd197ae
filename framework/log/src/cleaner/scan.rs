//! The segments that a compaction reads.

use std::io;

use crate::{
    Error, FetchedBatch,
    meta::Segment,
    partition::{PartitionId, view::View},
    segment::{
        blocks::Blocks,
        read::{Index, Source, Unread},
    },
    shared::Shared,
    vfs::{Open, VfsFile},
};

/// Read at once, and then at most written: what a flush may have to wait for.
const SLICE_BYTES: usize = 1 << 20;

/// A walk through segments, a slice at a time.
pub(super) struct Scan {
    segments: std::vec::IntoIter<Segment>,
    open: Option<(Segment, Box<dyn VfsFile>)>,
    index: Index,
    blocks: Blocks,
    next: u64,
}

impl Scan {
    pub(super) fn of(segments: Vec<Segment>) -> Self {
        Self {
            segments: segments.into_iter(),
            open: None,
            index: Index::default(),
            blocks: Blocks::default(),
            next: 0,
        }
    }

    /// The next batches, checked; `None` at the end.
    pub(super) fn read(
        &mut self,
        shared: &Shared,
        id: PartitionId,
    ) -> Result<Option<Vec<FetchedBatch>>, Unread> {
        if !matches!(&self.open, Some((segment, _)) if self.next < segment.end) {
            let Some(segment) = self.segments.next() else {
                return Ok(None);
            };
            self.open = Some((segment, open(shared, id, &segment)?));
            self.index = Index::default();
            self.next = segment.base;
        }
        let Some((segment, file)) = &self.open else {
            return Ok(None);
        };
        let source = Source {
            id,
            segment: *segment,
            path: &shared.paths.segment(id, segment.name()),
            file: &**file,
            index: &mut self.index,
            blocks: &mut self.blocks,
        };
        let found = source.fetch(&View::all(), self.next, SLICE_BYTES)?.batches;
        self.next = found.last().map_or(segment.end, FetchedBatch::end_offset);
        Ok(Some(found))
    }
}

fn open(shared: &Shared, id: PartitionId, segment: &Segment) -> Result<Box<dyn VfsFile>, Unread> {
    let path = shared.paths.segment(id, segment.name());
    shared.vfs.open(&path, Open::Read).map_err(|e| {
        if e.kind() == io::ErrorKind::NotFound {
            return Unread::Damaged(format!("segment {} is missing", path.display()));
        }
        Unread::Io(Error::io("cannot open", path, e))
    })
}
