//! A new folder in the making, and copies into it. Unless it is finished, all is taken away again.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Error, Result,
    vfs::{Open, Vfs, VfsFile},
};

/// Bytes that are copied between two chances for others to run.
const BLOCK: usize = 1 << 20;

/// A folder that did not exist, or was empty.
#[derive(Debug)]
pub(super) struct Making {
    vfs: Arc<dyn Vfs>,
    folder: PathBuf,
    /// Folders that were made, itself included unless it was there.
    folders: BTreeSet<PathBuf>,
    files: Vec<PathBuf>,
    finished: bool,
}

impl Making {
    pub(super) fn begin(vfs: Arc<dyn Vfs>, folder: &Path) -> Result<Self> {
        let is_new = match vfs.list(folder) {
            Ok(entries) if entries.is_empty() => false,
            Ok(_) => {
                return Err(Error::Unusable {
                    path: folder.to_path_buf(),
                    reason: "it is not empty".to_owned(),
                    remedy: "choose a folder that does not exist yet",
                });
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => true,
            Err(e) => return Err(Error::io("cannot list folder", folder, e)),
        };
        let mut making = Self {
            vfs,
            folder: folder.to_path_buf(),
            folders: BTreeSet::new(),
            files: Vec::new(),
            finished: false,
        };
        if is_new {
            making.folder(folder)?;
        }
        Ok(making)
    }

    /// Makes a folder in it, with those above.
    pub(super) fn folder(&mut self, path: &Path) -> Result<()> {
        let inside = path
            .ancestors()
            .take_while(|folder| folder.starts_with(&self.folder));
        let new: Vec<_> = inside
            .filter(|folder| *folder != self.folder || path == self.folder)
            .map(Path::to_path_buf)
            .collect();
        self.folders.extend(new);
        let made = self.vfs.create_dir_all(path);
        made.map_err(|e| Error::io("cannot create folder", path, e))
    }

    /// Makes a file in it.
    pub(super) fn file(&mut self, path: &Path) -> Result<Box<dyn VfsFile>> {
        if let Some(folder) = path.parent() {
            self.folder(folder)?;
        }
        let file = self.vfs.open(path, Open::CreateNew);
        let file = file.map_err(|e| Error::io("cannot create", path, e))?;
        self.files.push(path.to_path_buf());
        Ok(file)
    }

    /// Takes charge of a file in it that somebody else made.
    pub(super) fn adopt(&mut self, file: PathBuf) {
        self.files.push(file);
    }

    /// Makes a file with these bytes in it, durably but for its name.
    pub(super) fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        let file = self.file(path)?;
        let written = file.write_all_at(bytes, 0).and_then(|()| file.sync_data());
        written.map_err(|e| Error::io("cannot write", path, e))
    }

    /// Makes all names in it durable, and its own; then gives it its meaning, with a file that is
    /// written beside its name and renamed.
    pub(super) fn finish(mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        let next = path.with_extension("new");
        self.write(&next, bytes)?;
        let above = self.folder.ancestors().skip(1).map(Path::to_path_buf);
        let all: Vec<_> = self.folders.iter().cloned().chain(above).collect();
        for folder in &all {
            self.sync(folder)?;
        }
        self.sync(&self.folder)?;
        // From here on it may be what it is to be, whatever is said of the renaming.
        self.files.push(path.to_path_buf());
        let renamed = self.vfs.rename(&next, path);
        renamed.map_err(|e| Error::io("cannot rename to", path, e))?;
        self.sync(path.parent().unwrap_or(&self.folder))?;
        self.finished = true;
        Ok(())
    }

    fn sync(&self, folder: &Path) -> Result<()> {
        let here = folder.as_os_str().is_empty();
        let folder = if here { Path::new(".") } else { folder };
        match self.vfs.sync_dir(folder) {
            // What we may not open we have not made.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced.map_err(|e| Error::io("cannot sync folder", folder, e)),
        }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // The file that gives it its meaning is the last, and goes first. What cannot be removed
        // stays: without that file it is nothing.
        for file in self.files.iter().rev() {
            drop(self.vfs.remove_file(file));
        }
        for folder in self.folders.iter().rev() {
            drop(self.vfs.remove_dir(folder));
        }
    }
}

/// A file that is being copied.
pub(super) struct Copying<'a> {
    pub(super) from: Box<dyn VfsFile>,
    pub(super) from_path: &'a Path,
    pub(super) to: Box<dyn VfsFile>,
    pub(super) to_path: &'a Path,
    /// How far to copy.
    pub(super) len: u64,
    pub(super) position: u64,
    /// The checksum of what was copied.
    pub(super) checksum: u32,
}

impl Copying<'_> {
    /// Copies a block; `false` when all is copied, and durable.
    pub(super) fn step(&mut self) -> Result<bool> {
        let left = usize::try_from(self.len - self.position).unwrap_or(usize::MAX);
        if left == 0 {
            let synced = self.to.sync_data();
            synced.map_err(|e| Error::io("cannot sync", self.to_path, e))?;
            return Ok(false);
        }
        let mut block = vec![0; left.min(BLOCK)];
        let read = self.from.read_exact_at(&mut block, self.position);
        read.map_err(|e| Error::io("cannot read", self.from_path, e))?;
        self.checksum = crc32c::crc32c_append(self.checksum, &block);
        let written = self.to.write_all_at(&block, self.position);
        written.map_err(|e| Error::io("cannot write", self.to_path, e))?;
        self.position += block.len() as u64;
        Ok(true)
    }
}
