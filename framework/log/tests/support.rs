//! What the tests share: a log whose I/O the test itself drives, and a file system that can fail.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    io,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use futures::future::BoxFuture;
use levada_core::Spawner;
use levada_log::{
    Batch, Error, Log, Options, Partition, Record, Ticket, TopicOptions,
    vfs::{Open, OsFs, Vfs, VfsFile},
};
use tempfile::TempDir;

/// A folder for what needs no disk: in memory, where the machine has a place for that.
///
/// A test whose log is only ever closed, killed or damaged shows the same there, and one that opens
/// thousands of logs does not wait for the disk.
pub(crate) fn in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.unwrap()
}

/// A batch of one record per value.
pub(crate) fn batch(values: &[&[u8]]) -> Batch {
    let mut batch = Batch::new();
    for value in values {
        batch.push(&Record::of(value)).unwrap();
    }
    batch
}

/// All visible records from `from` on: offset and value.
pub(crate) fn read_all(partition: &Partition, mut from: u64) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    while from < partition.visible_end() {
        let fetched = partition.fetch(from, 1000).wait().unwrap();
        all.extend(
            fetched
                .records()
                .map(|record| (record.offset, record.value.to_vec())),
        );
        assert!(
            fetched.next > from,
            "a fetch below the visible end finds something"
        );
        from = fetched.next;
    }
    all
}

/// The partition 0 of a topic made by name.
pub(crate) fn made(log: &Log, name: &str) -> Partition {
    log.create_topic(name, TopicOptions::new())
        .wait()
        .unwrap()
        .partition(0)
        .unwrap()
}

/// The partition 0 of a topic that exists.
pub(crate) fn found(log: &Log, name: &str) -> Partition {
    log.topic(name).unwrap().partition(0).unwrap()
}

/// Opens a folder again whose last handle has just been dropped: its works may still be ending.
pub(crate) fn reopened(options: impl Fn() -> Options, folder: &Path) -> Log {
    loop {
        match options().open(folder) {
            Err(Error::InUse(_)) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// Copies a data folder, as a power cut would leave it if all had reached the disk.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file below a folder, and what is in it.
pub(crate) fn contents(folder: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            all.insert(path, bytes);
        }
    }
    all
}

/// The only journal of a folder that has one.
pub(crate) fn journal(folder: &Path) -> std::path::PathBuf {
    let image = std::fs::read_dir(folder.join("journal")).unwrap();
    image.map(|entry| entry.unwrap().path()).max().unwrap()
}

/// The segments of a folder, in order.
pub(crate) fn segments(folder: &Path) -> Vec<std::path::PathBuf> {
    contents(&folder.join("topics")).into_keys().collect()
}

/// Runs the log's works only when the test says so: one step at a time, on the test's thread.
#[derive(Clone, Default)]
pub(crate) struct Steps(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

impl Steps {
    /// All visible records of a partition, as [`read_all`] finds them.
    pub(crate) fn read_all(&self, partition: &Partition) -> Vec<(u64, Vec<u8>)> {
        let (mut all, mut from) = (Vec::new(), partition.start());
        while from < partition.visible_end() {
            let fetched = self.wait(partition.fetch(from, 1000)).unwrap();
            let records = fetched.records();
            all.extend(records.map(|record| (record.offset, record.value.to_vec())));
            assert!(fetched.next > from, "there is something below the end");
            from = fetched.next;
        }
        all
    }

    /// Polls each work once.
    pub(crate) fn step(&self) {
        let mut context = Context::from_waker(Waker::noop());
        let mut works = self.0.lock().unwrap();
        works.retain_mut(|work| work.as_mut().poll(&mut context).is_pending());
    }

    /// Polls each work until there is surely nothing left to do for it.
    pub(crate) fn settle(&self) {
        (0..400).for_each(|_| self.step());
    }

    /// Polls until a ticket is answered.
    pub(crate) fn wait<T>(&self, mut ticket: Ticket<T>) -> levada_log::Result<T> {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..10_000 {
            if let Poll::Ready(answer) = Pin::new(&mut ticket).poll(&mut context) {
                return answer;
            }
            self.step();
        }
        panic!("a ticket is answered in bounded steps");
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steps")
    }
}

impl Spawner for Steps {
    fn spawn(&self, _name: &str, work: BoxFuture<'static, ()>) -> io::Result<()> {
        self.0.lock().unwrap().push(work);
        Ok(())
    }
}

/// What a ticket says, if it says anything yet.
pub(crate) fn answer<T>(ticket: &mut Ticket<T>) -> Poll<levada_log::Result<T>> {
    Pin::new(ticket).poll(&mut Context::from_waker(Waker::noop()))
}

/// What is logged as a warning while something is done on this thread.
pub(crate) fn warnings(act: impl FnOnce()) -> String {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, act);
    let bytes = logged.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// What was logged, as text.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Small journals and segments, so that a test sees many.
pub(crate) fn small() -> Options {
    Log::options()
        .journal_bytes(16 << 10)
        .segment_bytes(8 << 10)
        .reserve_bytes(8 << 10)
        .vfs(Arc::new(OsFs))
}

/// The calls of a [`Vfs`] that a test leaves to the operating system.
macro_rules! pass_to_os {
    ($($call:ident)*) => { $($crate::support::pass_to_os!(@ $call);)* };
    (@ open) => {
        fn open(&self, path: &std::path::Path, open: Open) -> std::io::Result<Box<dyn VfsFile>> {
            OsFs.open(path, open)
        }
    };
    (@ create_dir_all) => {
        fn create_dir_all(&self, path: &std::path::Path) -> std::io::Result<()> {
            OsFs.create_dir_all(path)
        }
    };
    (@ list) => {
        fn list(&self, path: &std::path::Path) -> std::io::Result<Vec<levada_log::vfs::Entry>> {
            OsFs.list(path)
        }
    };
    (@ rename) => {
        fn rename(&self, from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
            OsFs.rename(from, to)
        }
    };
    (@ remove_file) => {
        fn remove_file(&self, path: &std::path::Path) -> std::io::Result<()> {
            OsFs.remove_file(path)
        }
    };
    (@ remove_dir) => {
        fn remove_dir(&self, path: &std::path::Path) -> std::io::Result<()> {
            OsFs.remove_dir(path)
        }
    };
    (@ sync_dir) => {
        fn sync_dir(&self, path: &std::path::Path) -> std::io::Result<()> {
            OsFs.sync_dir(path)
        }
    };
    (@ free_space) => {
        fn free_space(&self, folder: &std::path::Path) -> std::io::Result<u64> {
            OsFs.free_space(folder)
        }
    };
    (@ lock) => {
        fn lock(
            &self,
            path: &std::path::Path,
        ) -> std::io::Result<Box<dyn std::fmt::Debug + Send + Sync>> {
            OsFs.lock(path)
        }
    };
}
pub(crate) use pass_to_os;

/// The calls of a [`VfsFile`] that a test leaves to the file that it wraps.
macro_rules! pass_to_file {
    ($file:tt: $($call:ident)*) => { $($crate::support::pass_to_file!(@ $file $call);)* };
    (@ $file:tt read_at) => {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
            self.$file.read_at(buf, offset)
        }
    };
    (@ $file:tt write_at) => {
        fn write_at(&self, buf: &[u8], offset: u64) -> std::io::Result<usize> {
            self.$file.write_at(buf, offset)
        }
    };
    (@ $file:tt sync_data) => {
        fn sync_data(&self) -> std::io::Result<()> {
            self.$file.sync_data()
        }
    };
    (@ $file:tt set_len) => {
        fn set_len(&self, len: u64) -> std::io::Result<()> {
            self.$file.set_len(len)
        }
    };
    (@ $file:tt len) => {
        fn len(&self) -> std::io::Result<u64> {
            self.$file.len()
        }
    };
}
pub(crate) use pass_to_file;

/// Small journals and segments, and no sync: for a test without a crash that makes many commits.
pub(crate) fn unsynced() -> Options {
    small().vfs(Arc::new(Unsynced))
}

/// Files that are never synced.
#[derive(Clone, Copy, Debug)]
struct Unsynced;

#[derive(Debug)]
struct UnsyncedFile(Box<dyn VfsFile>);

impl Vfs for Unsynced {
    pass_to_os!(create_dir_all list rename remove_file remove_dir free_space lock);

    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(UnsyncedFile(OsFs.open(path, open)?)))
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl VfsFile for UnsyncedFile {
    pass_to_file!(0: read_at write_at set_len len);

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}
