//! The files of a compaction: the segments that it reads and those that it writes.

use std::io;

use crate::{
    Error, FetchedBatch,
    error::Failure,
    meta::{Segment, SegmentName},
    partition::{PartitionId, reading::View},
    segment::{
        Roll, Stored, Writing,
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
    next: u64,
}

impl Scan {
    pub(super) fn of(segments: Vec<Segment>) -> Self {
        Self {
            segments: segments.into_iter(),
            open: None,
            index: Index::default(),
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

/// The new segments.
pub(super) struct Output {
    pub(super) generation: u32,
    pub(super) roll: Roll,
    /// The end of the last batch that was written.
    pub(super) end: u64,
    pub(super) open: Option<Writing>,
    pub(super) done: Vec<Segment>,
}

impl Output {
    /// Writes batches, and syncs them: a slice at a time, so that no sync takes long.
    pub(super) fn put(
        &mut self,
        shared: &Shared,
        id: PartitionId,
        batches: &[Stored],
    ) -> Result<(), Failure> {
        let (vfs, paths) = (&*shared.vfs, &shared.paths);
        let mut left = batches;
        while let Some(((first, _), _)) = left.split_first() {
            let mut open = match self.open.take() {
                Some(open) if self.roll.fits(open.segment(), first) => open,
                full => {
                    self.done.extend(full.map(|full| *full.segment()));
                    Writing::create(vfs, paths, id, first, self.generation)?
                }
            };
            let taken = open.append(vfs, left, self.roll);
            self.open = Some(open);
            left = &left[taken?..];
        }
        self.end = batches.last().map_or(self.end, |(last, _)| last.end());
        Ok(())
    }

    pub(super) fn into_segments(mut self) -> Vec<Segment> {
        self.done
            .extend(self.open.iter().map(|open| *open.segment()));
        self.done
    }

    pub(super) fn names(&self) -> impl Iterator<Item = SegmentName> {
        let open = self.open.iter().map(|open| open.segment().name());
        self.done.iter().map(Segment::name).chain(open)
    }
}
