//! Files as a seam: everything the log asks of a file system.
//!
//! The real one is [`OsFs`]. The test kit has one that loses, tears and reorders what was not
//! synced, and fails on command. So the trait says exactly what a caller may rely on:
//!
//! 1. A write is durable only after [`VfsFile::sync_data`] on a handle of the same file returned
//!    `Ok`. Until then any subset of the bytes, in any order, may survive a power cut.
//! 2. A created, renamed or removed name is durable only after [`Vfs::sync_dir`] on its folder
//!    returned `Ok`.
//! 3. After a failed sync nothing is known about what it covered. The caller must not sync again
//!    and believe the answer: the operating system may have dropped the dirty pages (what
//!    `PostgreSQL` found out in 2018).
//! 4. Every call blocks. Only I/O work that was given to a [`Spawner`](levada_core::Spawner) calls.
//!
//! # Examples
//!
//! ```
//! use std::path::Path;
//!
//! use levada_log::vfs::{Entry, EntryKind, Open, OsFs, Vfs, VfsFile};
//!
//! /// Replaces a file as a whole: at any instant the old one is there, or the new one.
//! fn replace(vfs: &dyn Vfs, folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
//!     let (next, path) = (folder.join("next"), folder.join(name));
//!     let file: Box<dyn VfsFile> = vfs.open(&next, Open::CreateNew)?;
//!     file.write_all_at(bytes, 0)?;
//!     file.sync_data()?;
//!     vfs.rename(&next, &path)?;
//!     vfs.sync_dir(folder)
//! }
//!
//! let folder = tempfile::tempdir()?;
//! replace(&OsFs, folder.path(), "image", b"first")?;
//! replace(&OsFs, folder.path(), "image", b"second")?;
//! let entries: Vec<Entry> = OsFs.list(folder.path())?;
//! assert_eq!(entries, [Entry { name: "image".into(), kind: EntryKind::File }]);
//! let file = OsFs.open(&folder.path().join("image"), Open::Read)?;
//! assert_eq!(file.len()?, 6);
//! # Ok::<(), std::io::Error>(())
//! ```

use std::{ffi::OsString, fmt::Debug, io, path::Path};

mod gathered;
mod os;

pub(crate) use gathered::Gathered;
pub use os::OsFs;
pub(crate) use os::is_out_of_files;

/// How a file is opened. Symbolic links in the last place are never followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// For reading a file that exists.
    Read,
    /// For reading and writing a file that exists.
    Write,
    /// For reading and writing a file that must not exist yet.
    CreateNew,
}

/// What lies in a folder under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, without its folder.
    pub name: OsString,
    /// What it is.
    pub kind: EntryKind,
}

/// What a name in a folder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A plain file.
    File,
    /// A folder.
    Dir,
    /// Anything else, such as a symbolic link: the log leaves it alone and says so.
    Other,
}

/// A file system.
pub trait Vfs: Debug + Send + Sync + 'static {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// As the operating system gives them; `NotFound` and `AlreadyExists` as their names say.
    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>>;

    /// Creates a folder that only its owner may enter, and its parents.
    ///
    /// # Errors
    ///
    /// As the operating system gives them. A folder that exists already is none.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Lists a folder, in the order of the names' bytes.
    ///
    /// # Errors
    ///
    /// As the operating system gives them.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// Renames a file, replacing what has the new name.
    ///
    /// # Errors
    ///
    /// As the operating system gives them.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// As the operating system gives them.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    ///
    /// As the operating system gives them.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable. Where the platform cannot sync a folder (Windows),
    /// this does nothing.
    ///
    /// # Errors
    ///
    /// As the operating system gives them; see rule 3 of the module.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// How many bytes may still be written below a folder.
    ///
    /// # Errors
    ///
    /// As the operating system gives them; `Unsupported` where that cannot be told, which is also
    /// what this does unless it is written.
    fn free_space(&self, _folder: &Path) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes the exclusive lock on a file, creating it if need be; it is held until the returned
    /// value is dropped or the process ends. Dropping lets it go at once, whoever else has the file
    /// open.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when another holder has it, in this process or another.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::ErrorKind;
    ///
    /// use levada_log::vfs::{OsFs, Vfs};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("lock");
    /// let lock = OsFs.lock(&path)?;
    /// let refused = OsFs.lock(&path).expect_err("somebody has it");
    /// assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    /// drop(lock);
    /// OsFs.lock(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>>;
}

/// An open file. Positions are explicit, so that a handle can be shared.
#[expect(
    clippy::len_without_is_empty,
    reason = "nobody asks whether a file is empty"
)]
pub trait VfsFile: Debug + Send + Sync {
    /// Reads up to `buf.len()` bytes at `offset`; 0 at or past the end.
    ///
    /// # Errors
    ///
    /// As the operating system gives them.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes up to `buf.len()` bytes at `offset`, growing the file if need be; may write less.
    ///
    /// # Errors
    ///
    /// As the operating system gives them.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes what was written, and the length, durable.
    ///
    /// # Errors
    ///
    /// As the operating system gives them; see rule 3 of the module.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts or grows (with zeros) the file.
    ///
    /// # Errors
    ///
    /// As the operating system gives them.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    ///
    /// As the operating system gives them.
    fn len(&self) -> io::Result<u64>;

    /// Reads exactly `buf.len()` bytes.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the file ends before, else as the operating system gives them.
    fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    buf = &mut buf[n..];
                    offset += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes all of `buf`.
    ///
    /// # Errors
    ///
    /// `WriteZero` when the file system takes nothing, else as the operating system gives them.
    fn write_all_at(&self, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write_at(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    buf = &buf[n..];
                    offset += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
