//! Segments: where batches lie once their journal is full.
//!
//! 1. A segment is written and synced through one descriptor, then the image names its length. What
//!    a file has beyond that length is not part of the log: the journal still has it, and the next
//!    flush writes it again, to the same place.
//! 2. A file's size proves nothing, except damage when it is too small.
//! 3. Every batch that is walked over is checked: checksum, identity, and that it follows the one
//!    before it. So a batch that was lost, swapped or misdirected is found by whoever passes.

pub(crate) mod read;

use std::io;

use bytes::Bytes;

use crate::{
    Error,
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
    segment_bytes: u64,
) -> Result<Vec<Segment>, Failure> {
    let mut left = batches;
    while let Some(((first, _), _)) = left.split_first() {
        let mut open = match segments.pop() {
            Some(last) if fits(&last, first, segment_bytes) => {
                Writing::reopen(vfs, paths, id, last)?
            }
            last => {
                segments.extend(last);
                Writing::create(vfs, paths, id, first)?
            }
        };
        let taken = open.append(vfs, left, segment_bytes)?;
        segments.push(open.segment);
        left = &left[taken..];
    }
    Ok(segments)
}

fn fits(segment: &Segment, batch: &Header, segment_bytes: u64) -> bool {
    segment.bytes == 0 || segment.bytes + batch.len as u64 <= segment_bytes
}

/// A segment that is being written.
struct Writing {
    file: Box<dyn VfsFile>,
    path: std::path::PathBuf,
    segment: Segment,
    /// The folders that its name is new in.
    folders: Vec<std::path::PathBuf>,
}

impl Writing {
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

    fn create(
        vfs: &dyn Vfs,
        paths: &Paths,
        id: PartitionId,
        first: &Header,
    ) -> Result<Self, Failure> {
        let segment = Segment {
            base: first.base_offset,
            end: first.base_offset,
            bytes: 0,
            generation: 0,
            first_append: first.append_time,
            last_append: first.append_time,
        };
        let (path, folder) = (paths.segment(id, segment.name()), paths.partition(id));
        vfs.create_dir_all(&folder)
            .map_err(|e| unwritten("cannot create", &folder, e))?;
        let file = match vfs.open(&path, Open::CreateNew) {
            Ok(file) => file,
            // Left by a flush that did not come to its end: no image names it.
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
    fn append(
        &mut self,
        vfs: &dyn Vfs,
        batches: &[Stored],
        segment_bytes: u64,
    ) -> Result<usize, Failure> {
        let mut taken = 0;
        let mut gathered = Vec::new();
        let mut position = self.segment.bytes;
        for (header, bytes) in batches {
            if !fits(&self.segment, header, segment_bytes) {
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
