//! Bugs to plant: a campaign that does not find them proves nothing.

use std::{fmt::Debug, io, path::Path};

use levada_log::vfs::{Entry, Open, Vfs, VfsFile};

/// A file system whose files say that they were synced, and were not.
///
/// # Examples
///
/// ```
/// use levada_core::Seed;
/// use levada_log::vfs::{Open, Vfs};
/// use levada_testkit::vfs::{FaultyFs, Keep, SkipFsync};
/// use std::path::Path;
///
/// let fs = FaultyFs::new(Seed::new(7));
/// let file = SkipFsync(fs.clone()).open(Path::new("/a"), Open::CreateNew)?;
/// file.write_all_at(b"gone", 0)?;
/// file.sync_data()?;
/// fs.sync_dir(Path::new("/"))?;
/// assert_eq!(fs.power_cut(Keep::Nothing).contents("/a").unwrap(), b"");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SkipFsync<V>(pub V);

/// A file system whose folders say that they were synced, and were not.
///
/// # Examples
///
/// ```
/// use levada_core::Seed;
/// use levada_log::vfs::{Open, Vfs};
/// use levada_testkit::vfs::{FaultyFs, Keep, NoDirSync};
/// use std::path::Path;
///
/// let fs = FaultyFs::new(Seed::new(7));
/// NoDirSync(fs.clone()).open(Path::new("/a"), Open::CreateNew)?.sync_data()?;
/// NoDirSync(fs.clone()).sync_dir(Path::new("/"))?;
/// assert_eq!(fs.power_cut(Keep::Nothing).contents("/a"), None);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NoDirSync<V>(pub V);

#[derive(Debug)]
struct Unsynced(Box<dyn VfsFile>);

/// The calls that a bug leaves alone.
macro_rules! pass_on {
    () => {
        fn create_dir_all(&self, path: &Path) -> io::Result<()> {
            self.0.create_dir_all(path)
        }

        fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
            self.0.list(path)
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.0.rename(from, to)
        }

        fn remove_file(&self, path: &Path) -> io::Result<()> {
            self.0.remove_file(path)
        }

        fn remove_dir(&self, path: &Path) -> io::Result<()> {
            self.0.remove_dir(path)
        }

        fn free_space(&self, folder: &Path) -> io::Result<u64> {
            self.0.free_space(folder)
        }

        fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
            self.0.lock(path)
        }
    };
}

impl<V: Vfs> Vfs for SkipFsync<V> {
    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        let file = self.0.open(path, open)?;
        Ok(Box::new(Unsynced(file)))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }

    pass_on!();
}

impl<V: Vfs> Vfs for NoDirSync<V> {
    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        self.0.open(path, open)
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    pass_on!();
}

impl VfsFile for Unsynced {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}
