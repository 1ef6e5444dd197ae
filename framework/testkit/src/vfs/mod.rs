//! A file system in memory that loses, tears and reorders what was not synced, and fails on
//! command.
//!
//! Every file and name exists twice: as programs see it, and as it lies on the disk. A write or a
//! change of names reaches the first at once and the second by a sync. What a power cut leaves is
//! the second, with any part of what was not synced:
//!
//! 1. An unsynced write survives whole, torn (at 512 or 4,096 bytes, or at any byte), or not at
//!    all, whatever became of the ones before it.
//! 2. A file that had grown may keep its length, with zeros or garbage in it.
//! 3. A name that was made, changed or removed without a sync of its folder may be so, or not.
//! 4. A file that is removed, or replaced by a rename, is as it was until the removal is on disk.
//!
//! A killed process leaves what programs see; what was not synced stays unsynced.
//!
//! A failed [`sync_data`](VfsFile::sync_data) behaves as on Linux: what it covered counts as clean
//! from then on. A part of it has reached the disk, the rest never will, reads still show it, and
//! the next sync reports success. Names are not lost by a failed [`sync_dir`](Vfs::sync_dir): file
//! systems keep those in a journal of their own.
//!
//! All choices come from a seed, and [`FaultyFs::trace`] is a hash of every call and its result:
//! two runs with the same seed and the same calls have the same trace.

mod change;
mod cut;
mod disk;
mod faults;
mod file;
mod picked;
mod planted;

use std::{
    fmt::Debug,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use levada_core::Seed;
use levada_log::vfs::{Entry, Open, Vfs, VfsFile};

pub use cut::Keep;
pub use faults::{Fault, Fired, When};
pub use planted::{NoDirSync, SkipFsync};

use disk::{Disk, FileId};
use faults::{Control, Life};
use file::FaultyFile;

/// A file system in memory that fails as disks, kernels and machines do. Clones are the same one.
///
/// # Examples
///
/// ```
/// use levada_core::Seed;
/// use levada_log::vfs::{Open, Vfs};
/// use levada_testkit::vfs::{FaultyFs, Keep};
/// use std::path::Path;
///
/// let fs = FaultyFs::new(Seed::new(7));
/// let file = fs.open(Path::new("/a"), Open::CreateNew)?;
/// file.write_all_at(b"durable", 0)?;
/// file.sync_data()?;
/// fs.sync_dir(Path::new("/"))?;
/// file.write_all_at(b", not durable", 7)?;
///
/// assert_eq!(fs.contents("/a").unwrap(), b"durable, not durable");
/// assert_eq!(fs.power_cut(Keep::Nothing).contents("/a").unwrap(), b"durable");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FaultyFs(Arc<Mutex<Machine>>);

/// A disk, and what happens to those who use it.
#[derive(Clone, Debug)]
struct Machine {
    disk: Disk,
    control: Control,
}

impl FaultyFs {
    /// An empty file system without faults.
    pub fn new(seed: Seed) -> Self {
        Self::of(Machine {
            disk: Disk::default(),
            control: Control::new(seed.rng("faults of files")),
        })
    }

    fn of(machine: Machine) -> Self {
        Self(Arc::new(Mutex::new(machine)))
    }

    /// Says when calls meet a fault. It replaces what was said of that fault before.
    ///
    /// # Panics
    ///
    /// If the fault does not come of calls: [`Fault::NoSpace`], which is for
    /// [`set_room`](Self::set_room), and those of a power cut.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use levada_core::Seed;
    /// use levada_log::vfs::{Open, Vfs};
    /// use levada_testkit::vfs::{Fault, FaultyFs, When};
    ///
    /// let fs = FaultyFs::new(Seed::new(7));
    /// let file = fs.open(Path::new("/a"), Open::CreateNew)?;
    /// fs.inject(Fault::ShortWrite, When::Always);
    /// assert!(file.write_at(b"durable", 0)? < 7);
    /// fs.heal();
    /// assert_eq!(file.write_at(b"durable", 0)?, 7);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn inject(&self, fault: Fault, when: When) {
        assert!(
            fault.comes_of_calls(),
            "`{fault}` is not met by single calls"
        );
        self.machine().control.plan(fault, when);
    }

    /// Lets calls meet no fault any more, but leaves a machine that has crashed as it is.
    pub fn heal(&self) {
        self.machine().control.heal();
    }

    /// How many bytes files may still grow by until the disk is full. `None`: it never is.
    ///
    /// A file gives its bytes back when it has no name any more and nobody has it open.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{io::ErrorKind, path::Path};
    ///
    /// use levada_core::Seed;
    /// use levada_log::vfs::{Open, Vfs};
    /// use levada_testkit::vfs::FaultyFs;
    ///
    /// let fs = FaultyFs::new(Seed::new(7));
    /// let file = fs.open(Path::new("/a"), Open::CreateNew)?;
    /// fs.set_room(Some(4));
    /// let full = file.write_all_at(b"durable", 0).expect_err("there is room for 4 bytes");
    /// assert_eq!(full.kind(), ErrorKind::StorageFull);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_room(&self, room: Option<u64>) {
        self.machine().control.room = room;
    }

    /// How many calls there were: the number of the next one, for [`When::After`].
    ///
    /// # Examples
    ///
    /// A crash in the middle of a program, at a call that another run has counted:
    ///
    /// ```
    /// use std::{io, path::Path};
    ///
    /// use levada_core::Seed;
    /// use levada_log::vfs::{Open, Vfs};
    /// use levada_testkit::vfs::{Fault, FaultyFs, When};
    ///
    /// fn program(fs: &FaultyFs) -> io::Result<()> {
    ///     let file = fs.open(Path::new("/a"), Open::CreateNew)?;
    ///     file.write_all_at(b"tea", 0)?;
    ///     file.sync_data()
    /// }
    ///
    /// let whole = FaultyFs::new(Seed::new(7));
    /// program(&whole)?;
    /// assert_eq!(whole.calls(), 3);
    /// for calls in 0..whole.calls() {
    ///     let fs = FaultyFs::new(Seed::new(7));
    ///     fs.inject(Fault::Crash, When::After(calls));
    ///     assert!(program(&fs).is_err() && fs.is_crashed());
    /// }
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn calls(&self) -> u64 {
        self.machine().control.calls
    }

    /// A hash of every call so far and its result, over power cuts and kills.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use levada_core::Seed;
    /// use levada_log::vfs::{Open, Vfs};
    /// use levada_testkit::vfs::FaultyFs;
    ///
    /// let trace = |bytes| -> std::io::Result<u64> {
    ///     let fs = FaultyFs::new(Seed::new(7));
    ///     fs.open(Path::new("/a"), Open::CreateNew)?.write_all_at(bytes, 0)?;
    ///     Ok(fs.trace())
    /// };
    /// assert_eq!(trace(b"tea")?, trace(b"tea")?);
    /// assert_ne!(trace(b"tea")?, trace(b"jam")?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn trace(&self) -> u64 {
        self.machine().control.trace
    }

    /// How often each fault fired, over power cuts and kills.
    ///
    /// See [`Fired`].
    pub fn fired(&self) -> Fired {
        self.machine().control.fired
    }

    /// Whether [`Fault::Crash`] has fired: every call fails from then on.
    ///
    /// See [`calls`](Self::calls).
    pub fn is_crashed(&self) -> bool {
        self.machine().control.life != Life::Up
    }

    /// Lets go of all locks, as some network file systems do while their holders live.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use levada_core::Seed;
    /// use levada_log::vfs::Vfs;
    /// use levada_testkit::vfs::FaultyFs;
    ///
    /// let fs = FaultyFs::new(Seed::new(7));
    /// let _held = fs.lock(Path::new("/lock"))?;
    /// assert!(fs.lock(Path::new("/lock")).is_err());
    /// fs.drop_locks();
    /// assert!(fs.lock(Path::new("/lock")).is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn drop_locks(&self) {
        self.machine().disk.locks.clear();
    }

    /// The file system that a killed process leaves behind.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use levada_core::Seed;
    /// use levada_log::vfs::{Open, Vfs};
    /// use levada_testkit::vfs::{FaultyFs, Keep};
    ///
    /// let fs = FaultyFs::new(Seed::new(7));
    /// fs.open(Path::new("/a"), Open::CreateNew)?.write_all_at(b"unsynced", 0)?;
    /// let left = fs.kill();
    /// assert_eq!(left.contents("/a").unwrap(), b"unsynced");
    /// assert_eq!(left.power_cut(Keep::Nothing).contents("/a"), None);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn kill(&self) -> Self {
        let mut machine = self.machine().clone();
        machine.restart();
        Self::of(machine)
    }

    /// The file system that a power cut leaves behind.
    ///
    /// See [`FaultyFs`] and [`Keep`].
    pub fn power_cut(&self, keep: Keep) -> Self {
        let mut machine = self.machine().clone();
        machine.cut_power(keep);
        machine.restart();
        Self::of(machine)
    }

    /// What programs read in a file; `None` if there is none of that name.
    pub fn contents(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.machine().disk.contents(path.as_ref())
    }

    /// The names of all files, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        self.machine().disk.paths()
    }

    /// Lets bytes of a file rot, on the disk and as programs see it.
    ///
    /// # Panics
    ///
    /// If there is no such file, or it is shorter.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use levada_core::Seed;
    /// use levada_log::vfs::{Open, Vfs};
    /// use levada_testkit::vfs::FaultyFs;
    ///
    /// let fs = FaultyFs::new(Seed::new(7));
    /// let file = fs.open(Path::new("/a"), Open::CreateNew)?;
    /// file.write_all_at(b"durable", 0)?;
    /// file.sync_data()?;
    /// fs.rot("/a", 0, b"D");
    /// assert_eq!(fs.contents("/a").unwrap(), b"Durable");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn rot(&self, path: impl AsRef<Path>, offset: usize, bytes: &[u8]) {
        self.machine().disk.rot(path.as_ref(), offset, bytes);
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call: it is counted, may meet a crash, and is traced with its result.
    fn call<T>(
        &self,
        name: &'static str,
        path: &Path,
        body: impl FnOnce(&mut Machine) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut machine = self.machine();
        let result = match machine.control.begin() {
            Ok(()) => body(&mut machine),
            Err(error) => Err(error),
        };
        machine.control.note(name, path, &result);
        result
    }
}

impl Machine {
    /// What is forgotten when all processes end.
    fn restart(&mut self) {
        self.disk.locks.clear();
        self.control.heal();
        self.control.life = Life::Up;
        for file in self.disk.files.values_mut() {
            (file.opened, file.room) = (0, file.live.len() as u64);
        }
    }

    /// Gives back the room of a file, unless it is used.
    fn let_go(&mut self, file: FileId) {
        if self.disk.is_used(file) {
            return;
        }
        let freed = std::mem::take(&mut self.disk.file(file).room);
        if let Some(room) = &mut self.control.room {
            *room += freed;
        }
    }
}

impl Vfs for FaultyFs {
    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        let file = self.call("open", path, |machine| {
            let file = if open == Open::CreateNew {
                machine.control.needs_room()?;
                machine.disk.create(path)?
            } else {
                machine.disk.find(path)?
            };
            machine.disk.file(file).opened += 1;
            Ok(file)
        })?;
        let (fs, path) = (self.clone(), path.to_path_buf());
        Ok(Box::new(FaultyFile { fs, path, file }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call("create_dir_all", path, |machine| {
            if machine.disk.check_dir(path).is_err() {
                machine.control.needs_room()?;
            }
            machine.disk.create_dir_all(path)
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.call("list", path, |machine| {
            machine.control.meets_read_error()?;
            machine.disk.list(path)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename", to, |machine| {
            let replaced = machine.disk.find(to);
            machine.disk.rename(from, to)?;
            if let Ok(file) = replaced {
                machine.let_go(file);
            }
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call("remove_file", path, |machine| {
            let file = machine.disk.find(path)?;
            machine.disk.remove_file(path)?;
            machine.let_go(file);
            Ok(())
        })
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.call("remove_dir", path, |machine| machine.disk.remove_dir(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call("sync_dir", path, |machine| {
            if machine.control.fires(Fault::DirSyncFailed) {
                return Err(io::Error::other("the folder could not be synced"));
            }
            machine.disk.sync_dir(path)
        })
    }

    fn free_space(&self, folder: &Path) -> io::Result<u64> {
        self.call("free_space", folder, |machine| {
            Ok(machine.control.room.unwrap_or(u64::MAX))
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        let holder = self.call("lock", path, |machine| machine.disk.lock(path))?;
        Ok(Box::new(Lock {
            fs: self.clone(),
            path: disk::clean(path),
            holder,
        }))
    }
}

/// A lock that is let go when it is dropped.
#[derive(Debug)]
struct Lock {
    fs: FaultyFs,
    path: PathBuf,
    holder: u64,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.fs.machine().disk.unlock(&self.path, self.holder);
    }
}

#[cfg(test)]
mod tests;
