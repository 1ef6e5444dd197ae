//! The operating system's files, behind the [`Vfs`] seam.
//!
//! Files are private to their owner, symbolic links are refused, and descriptors do not leak into
//! child processes (the standard library sets `O_CLOEXEC`).

use std::{
    fmt::Debug,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::Path,
};

use super::{Entry, EntryKind, Open, Vfs, VfsFile};

/// The operating system's files.
///
/// # Examples
///
/// ```
/// use levada_log::vfs::{Open, OsFs, Vfs};
///
/// let folder = tempfile::tempdir()?;
/// let file = OsFs.open(&folder.path().join("a"), Open::CreateNew)?;
/// file.write_all_at(b"water", 0)?;
/// file.sync_data()?;
/// OsFs.sync_dir(folder.path())?;
///
/// let mut bytes = [0; 3];
/// file.read_exact_at(&mut bytes, 2)?;
/// assert_eq!(&bytes, b"ter");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFs;

#[derive(Debug)]
struct OsFile(File);

/// A lock that is held.
#[derive(Debug)]
struct OsLock(File);

impl OsLock {
    /// Locks a file. The lock belongs to this opening of it (`flock`, `LockFileEx`), so a second
    /// opening is refused within one process as well.
    fn take(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = open_plain_file(options, path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for OsLock {
    /// Closing the file would not do: a child process that was just forked has it open as well,
    /// until it runs its own program.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "a lock could not be let go: it goes with the file");
        }
    }
}

/// Whether no file could be opened because too many are.
pub(crate) fn is_out_of_files(error: &io::Error) -> bool {
    #[cfg(unix)]
    const CODES: [i32; 2] = [libc::EMFILE, libc::ENFILE];
    /// `ERROR_TOO_MANY_OPEN_FILES`.
    #[cfg(not(unix))]
    const CODES: [i32; 1] = [4];
    error
        .raw_os_error()
        .is_some_and(|code| CODES.contains(&code))
}

impl Vfs for OsFs {
    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match open {
            Open::Read => {}
            Open::Write => {
                options.write(true);
            }
            Open::CreateNew => {
                options.write(true).create_new(true);
            }
        }
        Ok(Box::new(OsFile(open_plain_file(options, path)?)))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let kind = match entry.file_type()? {
                kind if kind.is_file() => EntryKind::File,
                kind if kind.is_dir() => EntryKind::Dir,
                _ => EntryKind::Other,
            };
            entries.push(Entry {
                name: entry.file_name(),
                kind,
            });
        }
        entries.sort_by(|a, b| a.name.as_encoded_bytes().cmp(b.name.as_encoded_bytes()));
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    #[cfg(unix)]
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    #[cfg(not(unix))]
    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    #[cfg(unix)]
    fn free_space(&self, folder: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(folder)?;
        // What is left to those who are not the superuser.
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        Ok(Box::new(OsLock::take(path)?))
    }
}

/// Opens a file, never through a symbolic link in the last place, and readable by its owner alone.
#[cfg(unix)]
fn open_plain_file(mut options: OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    options
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// Opens a file, never through a symbolic link in the last place.
#[cfg(windows)]
fn open_plain_file(mut options: OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt;

    // `FILE_FLAG_OPEN_REPARSE_POINT`: opens the link itself, which is then seen and refused.
    const OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    let file = options.custom_flags(OPEN_REPARSE_POINT).open(path)?;
    if file.metadata()?.file_type().is_symlink() {
        let sentence = format!("{} is a symbolic link", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
    }
    Ok(file)
}

/// Opens a file. Neither links nor modes are known on this platform.
#[cfg(not(any(unix, windows)))]
fn open_plain_file(options: OpenOptions, path: &Path) -> io::Result<File> {
    options.open(path)
}

impl VfsFile for OsFile {
    #[cfg(not(windows))]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, buf, offset)
    }

    #[cfg(not(windows))]
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(&self.0, buf, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match std::os::windows::fs::FileExt::seek_read(&self.0, buf, offset) {
            // What Windows says instead of "0 bytes" past the end: `ERROR_HANDLE_EOF`.
            Err(error) if error.raw_os_error() == Some(38) => Ok(0),
            read => read,
        }
    }

    #[cfg(windows)]
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_write(&self.0, buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_lock_in_one_process_is_refused_until_the_first_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = OsFs.lock(&path).unwrap();
        assert_eq!(
            OsFs.lock(&path).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        drop(first);
        OsFs.lock(&path).unwrap();
    }

    #[test]
    fn lock_that_is_dropped_is_free_though_a_forked_child_has_its_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = OsLock::take(&path).unwrap();
        // What a child has from the fork on: the same opening of the file, once more.
        let _child = lock.0.try_clone().unwrap();
        drop(lock);
        OsFs.lock(&path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_link_is_refused_and_shown_as_other() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::write(&target, b"kept").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();

        OsFs.open(&link, Open::Write).unwrap_err();
        OsFs.lock(&link).unwrap_err();
        let kinds: Vec<_> = OsFs
            .list(folder.path())
            .unwrap()
            .iter()
            .map(|e| e.kind)
            .collect();
        assert_eq!(kinds, [EntryKind::Other, EntryKind::File]);
        assert_eq!(fs::read(&target).unwrap(), b"kept");
    }

    #[cfg(unix)]
    #[test]
    fn files_and_folders_are_private_to_their_owner() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("x/y");
        OsFs.create_dir_all(&inner).unwrap();
        OsFs.open(&inner.join("f"), Open::CreateNew).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&inner), 0o700);
        assert_eq!(mode(&inner.join("f")), 0o600);
    }
}
