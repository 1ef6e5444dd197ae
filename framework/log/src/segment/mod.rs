//! Segments: where batches lie once their journal is full.
//!
//! 1. A segment is written and synced through one descriptor, then the image names its length. What
//!    a file has beyond that length is not part of the log: the journal still has it, and the next
//!    flush writes it again, to the same place.
//! 2. A file's size proves nothing, except damage when it is too small.
//! 3. Every batch that is walked over is checked: checksum, identity, and that it follows the one
//!    before it. So a batch that was lost, swapped or misdirected is found by whoever passes.

pub(crate) mod read;

use std::{io, time::Duration};

use bytes::Bytes;

use crate::{
    Error, Retention,
    batch::header::Header,
    error::{Failure, unsynced, unwritten},
    meta::Segment,
    partition::PartitionId,
    paths::Paths,
    vfs::{Open, Vfs, VfsFile},
};

/// A batch, and what its header says.
pub(crate) type Stored = (Header, Bytes);

/// Small batches are gathered into writes of this size.
const WRITE_BYTES: usize = 1 << 20;

/// Appends `batches` to the `segments` of a partition, makes them durable, and returns what its
/// segments are then.
pub(crate) fn flush(
    vfs: &dyn Vfs,
    paths: &Paths,
    id: PartitionId,
    mut segments: Vec<Segment>,
    batches: &[Stored],
    roll: Roll,
) -> Result<Vec<Segment>, Failure> {
    let mut left = batches;
    while let Some(((first, _), _)) = left.split_first() {
        let mut open = match segments.pop() {
            Some(last) if roll.fits(&last, first) => Writing::reopen(vfs, paths, id, last)?,
            last => {
                segments.extend(last);
                Writing::create(vfs, paths, id, first, 0)?
            }
        };
        let taken = open.append(vfs, left, roll)?;
        segments.push(open.segment);
        left = &left[taken..];
    }
    Ok(segments)
}

/// When a segment is followed by another.
///
/// Segments go whole, so they must not be large by the measure of what is kept: what is kept too
/// long is at most an eighth of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Roll {
    bytes: u64,
    span: Option<Duration>,
}

/// Part of what is kept that one segment has.
const PART: u32 = 8;
/// However little is kept, there are not more segments than one for these.
const LEAST_BYTES: u64 = 4096;
const LEAST_SPAN: Duration = Duration::from_secs(1);

impl Roll {
    pub(crate) fn of(segment_bytes: u64, retention: &Retention) -> Self {
        let kept = retention.max_bytes().unwrap_or(u64::MAX);
        let ages = [retention.max_age(), retention.tombstone_time()];
        let least = ages.into_iter().flatten().min();
        Self {
            bytes: segment_bytes.min((kept / u64::from(PART)).max(LEAST_BYTES)),
            span: least.map(|age| (age / PART).max(LEAST_SPAN)),
        }
    }

    /// For segments that are compacted: their tombstones go one by one.
    pub(crate) fn compacted(segment_bytes: u64, retention: &Retention) -> Self {
        let age = retention.max_age();
        Self {
            span: age.map(|age| (age / PART).max(LEAST_SPAN)),
            ..Self::of(segment_bytes, retention)
        }
    }

    pub(crate) fn fits(&self, segment: &Segment, batch: &Header) -> bool {
        let lasted = batch.append_time.since(segment.first_append);
        let is_small = segment.bytes + batch.len as u64 <= self.bytes;
        segment.bytes == 0 || (is_small && self.span.is_none_or(|span| lasted <= span))
    }
}

/// A segment that is being written.
pub(crate) struct Writing {
    file: Box<dyn VfsFile>,
    path: std::path::PathBuf,
    segment: Segment,
    /// The folders that its name is new in.
    folders: Vec<std::path::PathBuf>,
}

impl Writing {
    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    fn reopen(
        vfs: &dyn Vfs,
        paths: &Paths,
        id: PartitionId,
        segment: Segment,
    ) -> Result<Self, Failure> {
        let path = paths.segment(id, segment.name());
        let file = match vfs.open(&path, Open::Write) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::Damaged(format!(
                    "segment {} is missing",
                    path.display()
                )));
            }
            Err(e) => return Err(unwritten("cannot open", &path, e)),
        };
        let len = file
            .len()
            .map_err(|e| Failure::Fatal(Error::io("cannot read", &path, e)))?;
        if len < segment.bytes {
            return Err(Failure::Damaged(format!(
                "segment {} has {len} of {} bytes",
                path.display(),
                segment.bytes
            )));
        }
        Ok(Self {
            file,
            path,
            segment,
            folders: Vec::new(),
        })
    }

    /// Starts a segment, whose name is durable with what is appended first.
    pub(crate) fn create(
        vfs: &dyn Vfs,
        paths: &Paths,
        id: PartitionId,
        first: &Header,
        generation: u32,
    ) -> Result<Self, Failure> {
        let segment = Segment {
            base: first.base_offset,
            end: first.base_offset,
            bytes: 0,
            generation,
            first_append: first.append_time,
            last_append: first.append_time,
        };
        let (path, folder) = (paths.segment(id, segment.name()), paths.partition(id));
        vfs.create_dir_all(&folder)
            .map_err(|e| unwritten("cannot create", &folder, e))?;
        let file = match vfs.open(&path, Open::CreateNew) {
            Ok(file) => file,
            // Left by what did not come to its end: no image names it.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let file = vfs.open(&path, Open::Write);
                let file = file.map_err(|e| unwritten("cannot open", &path, e))?;
                file.set_len(0)
                    .map_err(|e| unwritten("cannot empty", &path, e))?;
                file
            }
            Err(e) => return Err(unwritten("cannot create", &path, e)),
        };
        tracing::debug!(
            topic = id.topic,
            partition = id.partition,
            base = segment.base,
            "segment started"
        );
        let folders = vec![folder, paths.topic(id.topic), paths.topics()];
        Ok(Self {
            file,
            path,
            segment,
            folders,
        })
    }

    /// Writes and syncs as many of `batches` as fit, at least one; returns how many.
    pub(crate) fn append(
        &mut self,
        vfs: &dyn Vfs,
        batches: &[Stored],
        roll: Roll,
    ) -> Result<usize, Failure> {
        let mut taken = 0;
        let mut gathered = Vec::new();
        let mut position = self.segment.bytes;
        for (header, bytes) in batches {
            if !roll.fits(&self.segment, header) {
                break;
            }
            gathered.extend_from_slice(bytes);
            if gathered.len() >= WRITE_BYTES {
                position = self.write(&mut gathered, position)?;
            }
            self.segment.bytes += bytes.len() as u64;
            self.segment.end = header.end();
            self.segment.last_append = header.append_time;
            taken += 1;
        }
        self.write(&mut gathered, position)?;
        self.file.sync_data().map_err(|e| unsynced(&self.path, e))?;
        // After the file: most file systems have made the names durable with it, and do nothing.
        for folder in self.folders.drain(..) {
            vfs.sync_dir(&folder).map_err(|e| unsynced(&folder, e))?;
        }
        Ok(taken)
    }

    fn write(&self, gathered: &mut Vec<u8>, position: u64) -> Result<u64, Failure> {
        let written = self.file.write_all_at(gathered, position);
        written.map_err(|e| unwritten("cannot write", &self.path, e))?;
        let end = position + gathered.len() as u64;
        gathered.clear();
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use levada_core::Timestamp;

    use super::*;

    #[test]
    fn segment_is_small_by_the_measure_of_what_is_kept() {
        let at = |second| Timestamp::from_millis(0) + Duration::from_secs(second);
        let segment = Segment {
            base: 0,
            end: 1,
            bytes: 10_000,
            generation: 0,
            first_append: at(0),
            last_append: at(0),
        };
        let fits = |retention: &Retention, len, second| {
            let header = Header::example(len, at(second));
            Roll::of(64 << 10, retention).fits(&segment, &header)
        };
        let forever = Retention::forever();
        assert!(fits(&forever, 55_536, 1_000_000) && !fits(&forever, 55_537, 0));
        let minutes = forever.age(Duration::from_mins(8));
        assert!(fits(&minutes, 1000, 60) && !fits(&minutes, 1000, 61));
        let tombstones = forever.tombstones(Duration::from_mins(16));
        assert!(fits(&tombstones, 1000, 120) && !fits(&tombstones, 1000, 121));
        let bytes = forever.bytes(100_000);
        assert!(fits(&bytes, 2_500, 0) && !fits(&bytes, 2_501, 0));
    }
}
