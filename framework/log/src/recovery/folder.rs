//! What lies in a data folder, by names and lengths: looked at around the reading of the journals.

use std::{collections::BTreeSet, io, path::Path};

use levada_core::Clock;

use super::{Recovery, error, stop};
use crate::{
    Error, Result,
    cleaner::{Cleaning, expired},
    image,
    meta::{Image, PartitionImage},
    partition::PartitionId,
    paths::{Paths, is_segment, number},
    shared::FolderLock,
    vfs::{Entry, EntryKind, Open, Vfs},
};

/// A data folder that is being opened.
#[derive(Clone, Copy)]
pub(super) struct Folder<'a> {
    pub(super) vfs: &'a dyn Vfs,
    pub(super) paths: &'a Paths,
}

impl Folder<'_> {
    /// Looks at the folder's names and takes its lock.
    pub(super) fn take(&self) -> Result<FolderLock> {
        let (vfs, paths) = (self.vfs, self.paths);
        let folder = paths.folder();
        vfs.create_dir_all(folder)
            .map_err(|e| Error::io("cannot create folder", folder, e))?;
        let entries = vfs
            .list(folder)
            .map_err(|e| Error::io("cannot list folder", folder, e))?;
        for entry in entries {
            let expected = match entry.name.to_str() {
                Some("lock" | "acknowledged" | "reserve" | "image" | "image.new") => {
                    EntryKind::File
                }
                Some("journal" | "topics") => EntryKind::Dir,
                _ => {
                    tracing::warn!(name = ?entry.name, "not a name of the log's: left alone");
                    continue;
                }
            };
            if entry.kind != expected {
                return Err(Error::Unusable {
                    path: folder.join(&entry.name),
                    reason: "it is a symbolic link or of the wrong kind".to_owned(),
                    remedy: "move it away, or choose another folder",
                });
            }
        }
        let lock = paths.lock();
        vfs.lock(&lock).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => Error::InUse(folder.to_path_buf()),
            _ => Error::io("cannot lock", lock, e),
        })
    }

    /// Makes a new data folder, unless there are signs of an old one.
    pub(super) fn make(&self, nonce: u64) -> Result<Image> {
        let (vfs, paths) = (self.vfs, self.paths);
        for folder in [paths.journals(), paths.topics()] {
            vfs.create_dir_all(&folder)
                .map_err(|e| Error::io("cannot create folder", &folder, e))?;
        }
        let mut signs = !self.list(&paths.topics())?.is_empty();
        for journal in self.journals()? {
            let path = paths.journal(journal);
            let file = vfs.open(&path, Open::Read);
            let len = file.and_then(|file| file.len());
            signs |= len.map_err(|e| Error::io("cannot open", path, e))? > 0;
        }
        if signs {
            return Err(Error::Unusable {
                path: paths.image(),
                reason: "it is missing, but there is data beside it".to_owned(),
                remedy: "restore the data folder from a copy",
            });
        }
        // Any of the folders above may be new as well, and a name is durable only in its folder.
        for folder in paths.folder().ancestors() {
            let here = folder.as_os_str().is_empty();
            let folder = if here { Path::new(".") } else { folder };
            match vfs.sync_dir(folder) {
                // What we may not open we have not made.
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced.map_err(|e| Error::io("cannot sync folder", folder, e))?,
            }
        }
        Ok(Image {
            nonce,
            commit: 1,
            ..Image::default()
        })
    }

    /// The numbers of all journals, in order.
    pub(super) fn journals(&self) -> Result<Vec<u64>> {
        let folder = self.paths.journals();
        let mut numbers = Vec::new();
        for entry in self.list(&folder)? {
            match number(&entry.name) {
                Some(number) if entry.kind == EntryKind::File => numbers.push(number),
                Some(_) => {
                    return Err(Error::Unusable {
                        path: folder.join(entry.name),
                        reason: "it is a symbolic link or a folder".to_owned(),
                        remedy: "move it away",
                    });
                }
                None => tracing::warn!(name = ?entry.name, "not a journal: left alone"),
            }
        }
        Ok(numbers)
    }

    /// Stops partitions whose last segment has lost acknowledged bytes.
    pub(super) fn check_segments(&self, image: &mut Image) -> Result<()> {
        for (id, record) in image.partitions_mut() {
            let Some(last) = record.segments.last() else {
                continue;
            };
            let path = self.paths.segment(id, last.name());
            let reason = match self.vfs.open(&path, Open::Read).and_then(|file| file.len()) {
                Ok(len) if len >= last.bytes => continue,
                Ok(len) => format!(
                    "segment {} has {len} of {} bytes",
                    path.display(),
                    last.bytes
                ),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    format!("segment {} is missing", path.display())
                }
                Err(e) => return Err(Error::io("cannot open", path, e)),
            };
            stop(id, record, reason);
        }
        Ok(())
    }

    /// Removes old journals but one, whose file will be used again if the log was closed in order:
    /// else whoever wrote it may live, past the lock, and still write.
    pub(super) fn retire(&self, image: &Image, journals: &[u64], found: &Recovery) -> Option<u64> {
        let mut old = journals.iter().filter(|n| !image.kept_journals.contains(n));
        let spare = found.clean.then(|| old.next().copied()).flatten();
        for &number in old {
            let path = self.paths.journal(number);
            // Left behind, it costs room and nothing else: no image names it.
            if let Err(error) = self.vfs.remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "an old journal cannot be removed");
            }
        }
        spare
    }

    /// Lets go of what has expired, before anything else is done: the disk is full. The image is
    /// the commit point, as ever.
    pub(super) fn make_room(&self, clock: &dyn Clock) -> Result<()> {
        let Some(old) = image::read(self.vfs, self.paths)? else {
            return Ok(());
        };
        let now = Cleaning::new(clock, &old).now(clock);
        let mut next = old.clone();
        for (&topic, of) in &old.topics {
            for (partition, record) in (0..).zip(&of.partitions) {
                let count = expired(&record.segments, &of.settings.retention, now);
                if record.failed.is_none() {
                    next.drop_oldest(PartitionId { topic, partition }, count);
                }
            }
        }
        // Whoever lives past a missing lock may have written another meanwhile.
        if image::read(self.vfs, self.paths)?.as_ref() != Some(&old) {
            return Err(Error::InUse(self.paths.folder().to_path_buf()));
        }
        if next == old {
            // Whoever was killed may have named it and not synced that: what it takes the place of
            // still needs what goes.
            let folder = self.paths.folder();
            let synced = self.vfs.sync_dir(folder);
            synced.map_err(|e| Error::io("cannot sync folder", folder, e))?;
        } else {
            image::write(self.vfs, self.paths, &next).map_err(error)?;
        }
        self.remove_dropped(&mut next)
    }

    /// Removes the files that no partition names any more. What stays behind stays named: it costs
    /// room, and the next opening tries again. A folder that cannot be synced is refused, as ever.
    pub(super) fn remove_dropped(&self, image: &mut Image) -> Result<()> {
        let mut left = Vec::new();
        for (id, name) in std::mem::take(&mut image.dropped) {
            let path = self.paths.segment(id, name);
            match self.vfs.remove_file(&path) {
                Ok(()) => {
                    let folder = self.paths.partition(id);
                    let synced = self.vfs.sync_dir(&folder);
                    synced.map_err(|e| Error::io("cannot sync folder", folder, e))?;
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let path = path.display();
                    tracing::warn!(%path, %error, "an old segment cannot be removed");
                    left.push((id, name));
                }
            }
        }
        image.dropped = left;
        Ok(())
    }

    /// Removes segments that no image names, as what wrote them did not come to its end: a
    /// compaction, or a flush, which is done again but may divide what it writes otherwise.
    pub(super) fn remove_leftovers(
        &self,
        image: &Image,
        flushed: &BTreeSet<PartitionId>,
    ) -> Result<()> {
        for (&topic, of) in &image.topics {
            for (partition, record) in (0..).zip(&of.partitions) {
                let id = PartitionId { topic, partition };
                let was_compacted = of.settings.retention.is_compacted() || record.compacted > 0;
                if (was_compacted || flushed.contains(&id)) && record.failed.is_none() {
                    self.remove_leftovers_of(id, record)?;
                }
            }
        }
        Ok(())
    }

    fn remove_leftovers_of(&self, id: PartitionId, record: &PartitionImage) -> Result<()> {
        let folder = self.paths.partition(id);
        let entries = match self.vfs.list(&folder) {
            // It has never had a segment.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|e| Error::io("cannot list folder", &folder, e))?,
        };
        let paths = record
            .segments
            .iter()
            .map(|it| self.paths.segment(id, it.name()));
        let named: BTreeSet<_> = paths.collect();
        for entry in entries {
            let path = folder.join(&entry.name);
            if !is_segment(&entry.name) || named.contains(&path) {
                continue;
            }
            if let Err(error) = self.vfs.remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "a leftover cannot be removed");
            }
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> Result<Vec<Entry>> {
        self.vfs
            .list(folder)
            .map_err(|e| Error::io("cannot list folder", folder, e))
    }
}
