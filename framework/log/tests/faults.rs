//! Full disks, writes that are refused, short or interrupted, and reads that fail.

use std::{
    fmt::Debug,
    future::Future,
    io,
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
};

use levada_log::{
    Appended, Error, Log, Options, Partition, Status, Ticket, TopicOptions,
    vfs::{Open, OsFs, Vfs, VfsFile},
};

use crate::support::{Steps, batch, found, made, pass_to_file, pass_to_os, read_all, reopened};

/// What goes wrong, and when.
#[derive(Debug)]
struct Faults {
    /// Bytes that can still be written.
    room: AtomicI64,
    /// What a write gets when there is no room.
    refusal: Mutex<io::ErrorKind>,
    /// Nothing can be read.
    unreadable: AtomicBool,
    /// The most that one write takes; every other one is interrupted first.
    write_bytes: AtomicUsize,
    calls: AtomicUsize,
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
            room: AtomicI64::new(i64::MAX),
            refusal: Mutex::new(io::ErrorKind::StorageFull),
            unreadable: AtomicBool::new(false),
            write_bytes: AtomicUsize::new(usize::MAX),
            calls: AtomicUsize::new(0),
        })
    }

    fn options(self: &Arc<Self>) -> Options {
        let vfs = Arc::new(Faulty(Arc::clone(self)));
        Log::options()
            .journal_bytes(32 << 10)
            .segment_bytes(8 << 10)
            .reserve_bytes(0)
            .vfs(vfs)
    }
}

impl Vfs for Faulty {
    pass_to_os!(create_dir_all list rename remove_file remove_dir sync_dir free_space lock);

    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        let file = OsFs.open(path, open)?;
        Ok(Box::new(FaultyFile {
            file,
            faults: Arc::clone(&self.0),
        }))
    }
}

impl VfsFile for FaultyFile {
    pass_to_file!(file: sync_data set_len len);

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.faults.unreadable.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk gives nothing"));
        }
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
            return Err((*faults.refusal.lock().unwrap()).into());
        }
        faults
            .room
            .fetch_sub(i64::try_from(taken).unwrap(), Ordering::SeqCst);
        Ok(taken)
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

/// Appends once, when it is first woken: in the middle of whatever the log is doing then.
struct AppendsWhenWoken(Partition, OnceLock<Mutex<Ticket<Appended>>>);

impl Wake for AppendsWhenWoken {
    fn wake(self: Arc<Self>) {
        let append = || Mutex::new(self.0.append(batch(&[b"between"])));
        self.1.get_or_init(append);
    }
}

/// Polls a ticket that is not answered yet.
fn poll_with(ticket: &mut Ticket<Appended>, waker: Arc<AppendsWhenWoken>) {
    let waker = Waker::from(waker);
    let polled = Pin::new(ticket).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
}

#[test]
fn append_in_the_middle_of_refusals_overtakes_nothing_and_blocks_nothing() {
    // How many of the three that wait have been refused when it comes.
    for refused in 0..=3 {
        let (folder, faults) = (tempfile::tempdir().unwrap(), Faults::none());
        let steps = Steps::default();
        let options = || faults.options().spawner(Arc::new(steps.clone()));
        let log = options().open(folder.path()).unwrap();
        let make = |name| steps.wait(log.create_topic(name, TopicOptions::new()));
        let [orders, other] =
            ["orders", "other"].map(|name| make(name).unwrap().partition(0).unwrap());
        let append = |value: &[u8]| steps.wait(orders.append(batch(&[value])));
        let mut kept = vec![(append(b"first").unwrap().offsets.start, b"first".to_vec())];

        faults.room.store(0, Ordering::SeqCst);
        let large = || batch(&[&[7; 5000]]);
        let before: Vec<_> = (0..refused).map(|_| orders.append(large())).collect();
        let mut middle = other.append(large());
        let after: Vec<_> = (refused..3).map(|_| orders.append(large())).collect();
        let between = Arc::new(AppendsWhenWoken(orders.clone(), OnceLock::new()));
        poll_with(&mut middle, Arc::clone(&between));
        while between.1.get().is_none() {
            steps.step();
        }
        faults.room.store(i64::MAX, Ordering::SeqCst);
        for ticket in before.into_iter().chain([middle]).chain(after) {
            let refused = steps.wait(ticket).unwrap_err();
            assert!(matches!(refused, Error::NoSpace { .. }), "{refused}");
        }
        let between = Arc::into_inner(between).and_then(|it| it.1.into_inner());
        match steps.wait(between.unwrap().into_inner().unwrap()) {
            Ok(appended) => {
                assert_eq!(refused, 3, "it has overtaken what was before it");
                kept.push((appended.offsets.start, b"between".to_vec()));
            }
            Err(Error::NoSpace { .. }) => assert!(refused < 3, "there is room again"),
            Err(error) => panic!("{error}"),
        }
        for value in [b"again", b"later"] {
            let appended = append(value).expect("there is room again");
            kept.push((appended.offsets.start, value.to_vec()));
        }
        assert!(kept.is_sorted());
        let read = |log: &Log| {
            let fetched = steps.wait(found(log, "orders").fetch(0, 1 << 20)).unwrap();
            let read = fetched.records();
            read.map(|record| (record.offset, record.value.to_vec()))
                .collect::<Vec<_>>()
        };
        assert_eq!(read(&log), kept);
        steps.wait(log.close()).unwrap();
        assert_eq!(read(&options().open(folder.path()).unwrap()), kept);
    }
}

#[test]
fn spent_quota_and_a_limit_of_file_size_are_a_full_disk() {
    for kind in [io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge] {
        let (folder, faults) = (tempfile::tempdir().unwrap(), Faults::none());
        let log = faults.options().open(folder.path()).unwrap();
        let orders = made(&log, "orders");
        *faults.refusal.lock().unwrap() = kind;
        faults.room.store(30_000, Ordering::SeqCst);
        let (acknowledged, error) = append_until_refused(&orders, 1000);
        assert!(matches!(error, Some(Error::NoSpace { .. })), "{error:?}");
        assert_eq!(read_all(&orders, 0).len() as u64, acknowledged);
        faults.room.store(i64::MAX, Ordering::SeqCst);
        let again = || orders.append(batch(&[b"again"])).wait();
        assert!((0..10).any(|_| again().is_ok()), "{kind}: appends resume");
    }
}

#[test]
fn write_that_is_refused_for_another_reason_ends_the_writer_and_reads_go_on() {
    let kinds = [
        io::ErrorKind::ReadOnlyFilesystem,
        io::ErrorKind::PermissionDenied,
    ];
    for kind in kinds {
        let (folder, faults) = (tempfile::tempdir().unwrap(), Faults::none());
        let log = faults.options().open(folder.path()).unwrap();
        let orders = made(&log, "orders");
        *faults.refusal.lock().unwrap() = kind;
        faults.room.store(100_000, Ordering::SeqCst);
        let (acknowledged, error) = append_until_refused(&orders, 1000);
        assert!(matches!(error, Some(Error::Dead { .. })), "{error:?}");
        assert_eq!(read_all(&orders, 0).len() as u64, acknowledged);
        faults.room.store(i64::MAX, Ordering::SeqCst);
        let refused = orders.append(batch(&[b"again"])).wait();
        assert!(
            matches!(refused, Err(Error::Dead { .. })),
            "not tried again"
        );
        drop((orders, log));
        let log = reopened(|| faults.options(), folder.path());
        let read = read_all(&found(&log, "orders"), 0).len() as u64;
        assert!((acknowledged..=acknowledged + 1).contains(&read), "{kind}");
    }
}

#[test]
fn read_that_fails_is_an_error_of_that_read_alone() {
    let (folder, faults) = (tempfile::tempdir().unwrap(), Faults::none());
    let log = faults.options().open(folder.path()).unwrap();
    let orders = made(&log, "orders");
    assert_eq!(append_until_refused(&orders, 200).0, 200);
    log.close().wait().unwrap();
    let log = faults.options().open(folder.path()).unwrap();
    let orders = found(&log, "orders");
    faults.unreadable.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let failed = orders.fetch(0, 1000).wait();
        assert!(matches!(failed, Err(Error::Io { .. })), "{failed:?}");
    }
    assert_eq!(
        orders.status(),
        Status::Healthy,
        "nothing is known to be damaged"
    );
    faults.unreadable.store(false, Ordering::SeqCst);
    orders.append(batch(&[b"again"])).wait().unwrap();
    assert_eq!(read_all(&orders, 0).len(), 201);
}

#[test]
fn fence_that_cannot_be_read_ends_the_writer_and_what_it_had_written_is_there_again() {
    let (folder, faults) = (tempfile::tempdir().unwrap(), Faults::none());
    let log = faults.options().open(folder.path()).unwrap();
    let orders = made(&log, "orders");
    orders.append(batch(&[b"first"])).wait().unwrap();
    faults.unreadable.store(true, Ordering::SeqCst);
    // It is on disk. Whether the folder was still ours then is not known, so nobody is told.
    let unknown = orders.append(batch(&[b"unknown"])).wait();
    assert!(matches!(unknown, Err(Error::Dead { .. })), "{unknown:?}");
    assert_eq!(orders.visible_end(), 1);
    faults.unreadable.store(false, Ordering::SeqCst);
    let later = orders.append(batch(&[b"later"])).wait();
    assert!(matches!(later, Err(Error::Dead { .. })), "{later:?}");
    drop((orders, log));
    let log = reopened(|| faults.options(), folder.path());
    let read = read_all(&found(&log, "orders"), 0).into_iter();
    let values: Vec<_> = read.map(|(_, value)| value).collect();
    assert_eq!(values, [&b"first"[..], b"unknown"]);
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
