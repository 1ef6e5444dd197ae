//! The operating system's files, with what is read of them counted by what they are.

use std::{
    fmt::Debug,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use levada_log::vfs::{Entry, Open, OsFs, Vfs, VfsFile};

/// Files that count.
#[derive(Debug, Default)]
pub(super) struct Counted {
    journals: Arc<AtomicU64>,
    segments: Arc<AtomicU64>,
    others: Arc<AtomicU64>,
}

/// Bytes that were read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    /// Of journals.
    pub(super) journals: u64,
    /// Of segments.
    pub(super) segments: u64,
    /// Of the image, and of whatever else there is.
    pub(super) others: u64,
}

impl Counted {
    /// What was read so far.
    pub(super) fn read(&self) -> Read {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Read {
            journals: of(&self.journals),
            segments: of(&self.segments),
            others: of(&self.others),
        }
    }

    fn count_of(&self, path: &Path) -> &Arc<AtomicU64> {
        let lies_in = |folder| path.components().any(|part| part.as_os_str() == folder);
        if lies_in("topics") {
            &self.segments
        } else if lies_in("journal") {
            &self.journals
        } else {
            &self.others
        }
    }
}

impl Vfs for Counted {
    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(CountedFile {
            file: OsFs.open(path, open)?,
            read: Arc::clone(self.count_of(path)),
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        OsFs.create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        OsFs.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsFs.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        OsFs.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        OsFs.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        OsFs.sync_dir(path)
    }

    fn free_space(&self, folder: &Path) -> io::Result<u64> {
        OsFs.free_space(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        OsFs.lock(path)
    }
}

#[derive(Debug)]
struct CountedFile {
    file: Box<dyn VfsFile>,
    read: Arc<AtomicU64>,
}

impl VfsFile for CountedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buf, offset)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
