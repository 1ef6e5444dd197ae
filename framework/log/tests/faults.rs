//! Failed syncs, full disks, short and interrupted writes.

use std::{
    fmt::Debug,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use levada_log::{
    Error, Log, Options, Partition,
    vfs::{Open, OsFs, Vfs, VfsFile},
};

use crate::support::{batch, found, made, pass_to_os, read_all, reopened};

/// What goes wrong, and when.
#[derive(Debug)]
struct Faults {
    /// Syncs that still work.
    syncs: AtomicI64,
    /// Bytes that can still be written.
    room: AtomicI64,
    /// The most that one write takes; every other one is interrupted first.
    write_bytes: AtomicUsize,
    calls: AtomicUsize,
    failed_syncs: AtomicUsize,
}

#[derive(Debug)]
struct Faulty(Arc<Faults>);

#[derive(Debug)]
struct FaultyFile {
    file: Box<dyn VfsFile>,
    faults: Arc<Faults>,
}

impl Faults {
    fn none() -> Arc<Self> {
        Arc::new(Self {
            syncs: AtomicI64::new(i64::MAX),
            room: AtomicI64::new(i64::MAX),
            write_bytes: AtomicUsize::new(usize::MAX),
            calls: AtomicUsize::new(0),
            failed_syncs: AtomicUsize::new(0),
        })
    }

    fn options(self: &Arc<Self>) -> Options {
        let vfs = Arc::new(Faulty(Arc::clone(self)));
        Log::options()
            .journal_bytes(32 << 10)
            .segment_bytes(8 << 10)
            .vfs(vfs)
    }
}

impl Vfs for Faulty {
    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        let file = OsFs.open(path, open)?;
        Ok(Box::new(FaultyFile {
            file,
            faults: Arc::clone(&self.0),
        }))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        OsFs.lock(path)
    }

    pass_to_os!(names);
}

impl VfsFile for FaultyFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let faults = &*self.faults;
        let limit = faults.write_bytes.load(Ordering::SeqCst);
        if limit < usize::MAX
            && faults
                .calls
                .fetch_add(1, Ordering::SeqCst)
                .is_multiple_of(2)
        {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let room = usize::try_from(faults.room.load(Ordering::SeqCst)).unwrap_or(0);
        let taken = self
            .file
            .write_at(&buf[..buf.len().min(limit).min(room)], offset)?;
        if taken == 0 && !buf.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        faults
            .room
            .fetch_sub(i64::try_from(taken).unwrap(), Ordering::SeqCst);
        Ok(taken)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.faults.syncs.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.faults.failed_syncs.fetch_add(1, Ordering::SeqCst);
            return Err(io::Error::from_raw_os_error(5));
        }
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

/// Appends records that hold their own number, until one is refused; how many were acknowledged.
fn append_until_refused(orders: &Partition, most: u64) -> (u64, Option<Error>) {
    for i in 0..most {
        let value = [&i.to_le_bytes()[..], &[7; 992]].concat();
        if let Err(error) = orders.append(batch(&[&value])).wait() {
            return (i, Some(error));
        }
    }
    (most, None)
}

#[test]
fn failed_sync_is_never_tried_again_and_reopening_reads_the_truth() {
    // Whatever the sync fails in: a journal, a segment, an image.
    for syncs in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let faults = Faults::none();
        let log = faults.options().open(folder.path()).unwrap();
        let orders = made(&log, "orders");
        faults.syncs.store(syncs, Ordering::SeqCst);
        let (acknowledged, error) = append_until_refused(&orders, 1000);
        let error = error.expect("a failed sync stops the log");
        assert!(matches!(error, Error::Dead { .. }), "{error}");
        assert!(matches!(
            orders.append(batch(&[b"x"])).wait(),
            Err(Error::Dead { .. })
        ));
        assert!(matches!(log.close().wait(), Err(Error::Dead { .. })));
        assert_eq!(
            read_all(&orders, 0).len() as u64,
            acknowledged,
            "reads go on"
        );
        // The writer and the keeper may each have been in a sync of their own.
        assert!(faults.failed_syncs.load(Ordering::SeqCst) <= 2);
        drop((log, orders));
        faults.syncs.store(i64::MAX, Ordering::SeqCst);

        let log = reopened(|| faults.options(), folder.path());
        let read = read_all(&found(&log, "orders"), 0);
        let numbers = read
            .iter()
            .map(|(_, value)| u64::from_le_bytes(*value.first_chunk().unwrap()));
        assert!(numbers.eq(0..read.len() as u64));
        assert!(read.len() as u64 >= acknowledged);
    }
}

#[test]
fn full_disk_refuses_appends_and_takes_them_again_when_there_is_room() {
    for room in (1000..200_000).step_by(7919) {
        let folder = tempfile::tempdir().unwrap();
        let faults = Faults::none();
        let log = faults.options().open(folder.path()).unwrap();
        let orders = made(&log, "orders");
        faults.room.store(room, Ordering::SeqCst);
        let (acknowledged, error) = append_until_refused(&orders, 1000);
        let error = error.expect("a full disk refuses");
        assert!(matches!(error, Error::NoSpace { .. }), "{error}");
        assert_eq!(read_all(&orders, 0).len() as u64, acknowledged);

        faults.room.store(i64::MAX, Ordering::SeqCst);
        // A flush that was refused is tried again by the next append that is.
        let resumed = (0..10).find_map(|_| orders.append(batch(&[b"again"])).wait().ok());
        let offset = resumed.expect("appends resume").offsets.start;
        assert!(offset >= acknowledged);
        let read = read_all(&orders, 0);
        assert_eq!(read.len() as u64, acknowledged + 1);
        assert_eq!(read.last(), Some(&(offset, b"again".to_vec())));
        // So is one that closing waits for.
        let closed = (0..10).any(|_| log.close().wait().is_ok());
        assert!(closed, "the log can be closed again");
        let log = faults.options().open(folder.path()).unwrap();
        assert_eq!(read_all(&found(&log, "orders"), 0), read);
    }
}

#[test]
fn short_and_interrupted_writes_are_finished() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::none();
    faults.write_bytes.store(137, Ordering::SeqCst);
    let log = faults.options().open(folder.path()).unwrap();
    let orders = made(&log, "orders");
    assert_eq!(append_until_refused(&orders, 100).0, 100);
    log.close().wait().unwrap();
    assert_eq!(
        read_all(
            &found(&faults.options().open(folder.path()).unwrap(), "orders"),
            0
        )
        .len(),
        100
    );
}
