//! Appending to the segments of a partition.

use std::{io, path::PathBuf, sync::Arc};

use super::{Roll, Stored};
use crate::{
    Error,
    batch::header::Header,
    error::{Failure, unsynced, unwritten},
    meta::Segment,
    partition::PartitionId,
    paths::Paths,
    vfs::{Gathered, Open, Vfs, VfsFile},
};

/// The segments of a partition while batches are appended to them.
pub(crate) struct Appender {
    id: PartitionId,
    roll: Roll,
    /// What segments that are begun are called after.
    generation: u32,
    /// Those before the one that is open.
    full: Vec<Segment>,
    open: Option<Writing>,
}

impl Appender {
    /// Appends to the last of `segments` as long as batches fit, then to new ones.
    pub(crate) fn new(
        id: PartitionId,
        segments: Vec<Segment>,
        generation: u32,
        roll: Roll,
    ) -> Self {
        Self {
            id,
            roll,
            generation,
            full: segments,
            open: None,
        }
    }

    /// Appends all of `batches`, and makes them durable.
    pub(crate) fn append(
        &mut self,
        vfs: &dyn Vfs,
        paths: &Paths,
        mut batches: &[Stored],
    ) -> Result<(), Failure> {
        while !batches.is_empty() {
            let (taken, unsynced) = self.write(vfs, paths, batches, u64::MAX)?;
            unsynced.sync(vfs)?;
            batches = &batches[taken..];
        }
        Ok(())
    }

    /// Writes as many of `batches` as fit into one segment and `max_bytes`, but at least the first.
    /// Says how many, and what has to be synced before they count.
    pub(crate) fn write(
        &mut self,
        vfs: &dyn Vfs,
        paths: &Paths,
        batches: &[Stored],
        max_bytes: u64,
    ) -> Result<(usize, Unsynced), Failure> {
        let (first, _) = &batches[0];
        let open = self.open_for(vfs, paths, first)?;
        // It stays known if it cannot be written: its file is there.
        let open = self.open.insert(open);
        let taken = open.write(batches, self.roll, max_bytes)?;
        Ok((taken, open.unsynced()))
    }

    fn open_for(
        &mut self,
        vfs: &dyn Vfs,
        paths: &Paths,
        first: &Header,
    ) -> Result<Writing, Failure> {
        if let Some(open) = self.open.take() {
            if self.roll.fits(&open.segment, first) {
                return Ok(open);
            }
            self.full.push(open.segment);
        }
        match self.full.pop() {
            Some(last) if self.roll.fits(&last, first) => {
                Writing::reopen(vfs, paths, self.id, last)
            }
            last => {
                self.full.extend(last);
                Writing::create(vfs, paths, self.id, first, self.generation)
            }
        }
    }

    /// What the segments are with what was written.
    pub(crate) fn segments(&self) -> Vec<Segment> {
        let open = self.open.iter().map(|open| open.segment);
        self.full.iter().copied().chain(open).collect()
    }
}

/// What was written to a segment, and may be lost until it is synced.
///
/// Several of one segment may be synced in any order, also while more is written: each sync is
/// through the descriptor that all of it was written through, so an error of any shows in one.
pub(crate) struct Unsynced {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    /// The folders that the file's name is new in.
    folders: Vec<PathBuf>,
}

impl Unsynced {
    /// Makes it durable.
    pub(crate) fn sync(self, vfs: &dyn Vfs) -> Result<(), Failure> {
        self.file.sync_data().map_err(|e| unsynced(&self.path, e))?;
        // After the file: most file systems have made the names durable with it, and do nothing.
        for folder in &self.folders {
            vfs.sync_dir(folder).map_err(|e| unsynced(folder, e))?;
        }
        Ok(())
    }
}

/// A segment that is being written.
struct Writing {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    segment: Segment,
    /// The folders that its name is new in.
    folders: Vec<PathBuf>,
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
            file: file.into(),
            path,
            segment,
            folders: Vec::new(),
        })
    }

    /// Starts a segment, whose name is durable with what is appended first.
    fn create(
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
            file: file.into(),
            path,
            segment,
            folders,
        })
    }

    /// Writes as many of `batches` as fit, at least one; says how many.
    fn write(&mut self, batches: &[Stored], roll: Roll, max_bytes: u64) -> Result<usize, Failure> {
        let unwritten = |e| unwritten("cannot write", &self.path, e);
        let (mut taken, mut buffer) = (0, Vec::new());
        let from = self.segment.bytes;
        let mut gathered = Gathered::at(&*self.file, from, &mut buffer);
        for (header, bytes) in batches {
            let is_over = self.segment.bytes - from >= max_bytes;
            if taken > 0 && (is_over || !roll.fits(&self.segment, header)) {
                break;
            }
            gathered.put(bytes).map_err(unwritten)?;
            self.segment.bytes += bytes.len() as u64;
            self.segment.end = header.end();
            self.segment.last_append = header.append_time;
            taken += 1;
        }
        gathered.end().map_err(unwritten)?;
        Ok(taken)
    }

    fn unsynced(&mut self) -> Unsynced {
        Unsynced {
            file: Arc::clone(&self.file),
            path: self.path.clone(),
            folders: std::mem::take(&mut self.folders),
        }
    }
}
