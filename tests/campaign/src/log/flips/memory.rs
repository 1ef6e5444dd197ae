//! Files in memory that are only that: each case opens a folder of its own, hundreds of thousands
//! of times, so nothing is traced and nothing is random.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use levada_log::vfs::{Entry, EntryKind, Open, Vfs, VfsFile};

/// The content of every file, by its path.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

type Content = Arc<Mutex<Vec<u8>>>;

/// A file system in memory. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    files: Mutex<BTreeMap<PathBuf, Content>>,
    folders: Mutex<BTreeSet<PathBuf>>,
    fails_to_sync: AtomicBool,
}

#[derive(Debug)]
struct MemoryFile {
    content: Content,
    of: Memory,
}

impl Memory {
    /// These files, and the folders that they are in.
    pub(super) fn of(files: &Files) -> Self {
        let memory = Self::default();
        for (path, content) in files {
            let folders = path.ancestors().skip(1).map(Path::to_path_buf);
            lock(&memory.0.folders).extend(folders);
            let content = Arc::new(Mutex::new(content.clone()));
            lock(&memory.0.files).insert(path.clone(), content);
        }
        memory
    }

    /// All files as they are now.
    pub(super) fn files(&self) -> Files {
        let files = lock(&self.0.files);
        let files = files
            .iter()
            .map(|(path, content)| (path.clone(), lock(content).clone()));
        files.collect()
    }

    /// Whether a file has these bytes and no others.
    pub(super) fn has(&self, path: &Path, bytes: &[u8]) -> bool {
        let files = lock(&self.0.files);
        files
            .get(path)
            .is_some_and(|content| *lock(content) == bytes)
    }

    /// Lets every sync of a file fail from now on.
    pub(super) fn fail_to_sync(&self) {
        self.0.fails_to_sync.store(true, Ordering::SeqCst);
    }
}

impl Vfs for Memory {
    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        let mut files = lock(&self.0.files);
        let content = match (files.get(path), open) {
            (Some(_), Open::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(content), _) => Arc::clone(content),
            (None, Open::CreateNew) => {
                let content = Content::default();
                files.insert(path.to_path_buf(), Arc::clone(&content));
                content
            }
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
        };
        let of = self.clone();
        Ok(Box::new(MemoryFile { content, of }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        lock(&self.0.folders).extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let entry = |name: &Path, kind| {
            let name = (name.parent()? == path).then(|| name.file_name())??;
            Some(Entry {
                name: name.to_owned(),
                kind,
            })
        };
        let (files, folders) = (lock(&self.0.files), lock(&self.0.folders));
        let files = files.keys().filter_map(|name| entry(name, EntryKind::File));
        let folders = folders
            .iter()
            .filter_map(|name| entry(name, EntryKind::Dir));
        let mut entries: Vec<_> = files.chain(folders).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = lock(&self.0.files);
        let content = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_path_buf(), content);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let removed = lock(&self.0.files).remove(path);
        removed.map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        lock(&self.0.folders).remove(path);
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        Ok(Box::new(()))
    }
}

impl VfsFile for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = lock(&self.content);
        let there = content.get(index(offset)..).unwrap_or_default();
        let len = buf.len().min(there.len());
        buf[..len].copy_from_slice(&there[..len]);
        Ok(len)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let mut content = lock(&self.content);
        let (from, end) = (index(offset), index(offset) + buf.len());
        if content.len() < end {
            content.resize(end, 0);
        }
        content[from..end].copy_from_slice(buf);
        Ok(buf.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.of.0.fails_to_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("the file could not be synced"));
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        lock(&self.content).resize(index(len), 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.content).len() as u64)
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a file in memory is addressed by usize")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
