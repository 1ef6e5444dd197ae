//! Any number of partitions works with few open files, and running out of them kills nothing.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use levada_log::{
    Batch, Error, Options, Partition, Record, Retention, Topic, TopicOptions,
    vfs::{Open, OsFs, Vfs, VfsFile},
};

use levada_testkit::TestClock;

use crate::support::{
    Steps, answer, batch, copy, found, in_memory, made, pass_to_file, pass_to_os, read_all,
    segments, small,
};

const HOUR: Duration = Duration::from_hours(1);

/// A file system on which only so many files can be open at once. Clones share them.
#[derive(Clone, Debug)]
struct Crowded {
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    /// Whether there is none for segments, whatever else is open.
    barred: Arc<AtomicBool>,
    /// There is none for this folder, to sync it; and how often that was tried.
    unsynced: Arc<Mutex<Option<PathBuf>>>,
    tried: Arc<AtomicUsize>,
}

/// A place among the files that are open.
#[derive(Debug)]
struct Held(Crowded);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Crowded {
    fn at_most(most: usize) -> Self {
        Self {
            open: Arc::default(),
            most: Arc::new(AtomicUsize::new(most)),
            barred: Arc::default(),
            unsynced: Arc::default(),
            tried: Arc::default(),
        }
    }

    /// No file can be opened any more, but in the place of one that is closed.
    fn fill(&self) {
        let open = self.open.load(Ordering::SeqCst);
        self.most.store(open, Ordering::SeqCst);
    }

    fn set(&self, most: usize) {
        self.most.store(most, Ordering::SeqCst);
    }

    fn hold(&self) -> io::Result<Held> {
        let held = Held(self.clone());
        if self.open.fetch_add(1, Ordering::SeqCst) < self.most.load(Ordering::SeqCst) {
            return Ok(held);
        }
        Err(full())
    }
}

/// `EMFILE`, on every Unix.
fn full() -> io::Error {
    io::Error::from_raw_os_error(24)
}

#[derive(Debug)]
struct CrowdedFile(
    Box<dyn VfsFile>,
    #[expect(dead_code, reason = "it is held")] Held,
);

impl VfsFile for CrowdedFile {
    pass_to_file!(0: read_at write_at sync_data set_len len);
}

impl Vfs for Crowded {
    pass_to_os!(create_dir_all list rename remove_file remove_dir free_space lock);

    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        let is_segment = path.components().any(|part| part.as_os_str() == "topics");
        if is_segment && self.barred.load(Ordering::SeqCst) {
            return Err(full());
        }
        let held = self.hold()?;
        Ok(Box::new(CrowdedFile(OsFs.open(path, open)?, held)))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let _held = self.hold()?;
        if self.unsynced.lock().unwrap().as_deref() == Some(path) {
            self.tried.fetch_add(1, Ordering::SeqCst);
            return Err(full());
        }
        OsFs.sync_dir(path)
    }
}

/// A log on a crowded file system, driven by the test.
fn crowded(vfs: &Crowded, steps: &Steps, clock: &TestClock) -> Options {
    let options = small().vfs(Arc::new(vfs.clone()));
    options
        .spawner(Arc::new(steps.clone()))
        .clock(Arc::new(clock.clone()))
}

#[test]
fn commit_is_acknowledged_although_no_other_file_can_be_opened() {
    let folder = in_memory();
    let (vfs, steps) = (Crowded::at_most(100), Steps::default());
    let log = crowded(&vfs, &steps, &TestClock::default());
    let log = log.open(folder.path()).unwrap();
    let topic = steps.wait(log.create_topic("orders", TopicOptions::new()));
    let orders = topic.unwrap().partition(0).unwrap();
    vfs.fill();
    for _ in 0..3 {
        steps.wait(orders.append(batch(&[b"fine"]))).unwrap();
    }
}

#[test]
fn commit_that_cannot_look_at_the_fence_waits_and_is_neither_refused_nor_acknowledged() {
    let folder = in_memory();
    let (vfs, steps, clock) = (
        Crowded::at_most(100),
        Steps::default(),
        TestClock::default(),
    );
    let log = crowded(&vfs, &steps, &clock).open(folder.path()).unwrap();
    let topic = steps.wait(log.create_topic("orders", TopicOptions::new()));
    let orders = topic.unwrap().partition(0).unwrap();
    vfs.set(0);
    let mut waits = orders.append(batch(&[b"waits"]));
    let mut behind = orders.append(batch(&[b"behind"]));
    for _ in 0..100 {
        steps.step();
        clock.advance(Duration::from_secs(1));
        assert!(answer(&mut waits).is_pending() && answer(&mut behind).is_pending());
        assert_eq!(orders.visible_end(), 0);
    }
    vfs.set(100);
    assert_eq!(steps.wait(waits).unwrap().offsets, 0..1);
    assert_eq!(steps.wait(behind).unwrap().offsets, 1..2);
}

#[test]
fn running_out_of_files_refuses_appends_and_they_go_on_when_there_are_some() {
    let folder = in_memory();
    let vfs = Crowded::at_most(100);
    let options = || small().vfs(Arc::new(vfs.clone()));
    let log = options().open(folder.path()).unwrap();
    let orders = made(&log, "orders");
    let value = [7; 500];
    let (mut appended, mut refused) = (Vec::new(), 0);
    // With each number of files something else is the first that cannot be opened.
    for files in [0, 1, 2, 3, 4, 5, 100].into_iter().cycle().take(70) {
        vfs.fill();
        vfs.most.fetch_add(files, Ordering::SeqCst);
        vfs.barred.store(files == 100, Ordering::SeqCst);
        for _ in 0..20 {
            match orders.append(batch(&[&value])).wait() {
                Ok(at) => appended.extend(at.offsets),
                Err(Error::TooManyFiles { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        vfs.set(100);
        vfs.barred.store(false, Ordering::SeqCst);
        // Who asks first may still hear of a flush that could not be done before.
        let at = loop {
            match orders.append(batch(&[&value])).wait() {
                Err(Error::TooManyFiles { .. }) => {}
                appended => break appended.unwrap(),
            }
        };
        appended.extend(at.offsets);
    }
    assert!(refused > 20, "only {refused} were refused");
    let offsets = |all: Vec<(u64, Vec<u8>)>| all.into_iter().map(|(at, _)| at).collect::<Vec<_>>();
    assert_eq!(offsets(read_all(&orders, 0)), appended);
    log.close().wait().unwrap();
    let log = options().open(folder.path()).unwrap();
    assert_eq!(offsets(read_all(&found(&log, "orders"), 0)), appended);
}

/// A topic's segments that were compacted.
fn compacted(folder: &Path) -> usize {
    let segments = segments(folder).into_iter();
    segments.filter(|file| file.extension().is_some()).count()
}

/// The last value of each of ten keys.
fn latest(steps: &Steps, customers: &Partition) -> BTreeMap<u8, u8> {
    let read = steps.read_all(customers).into_iter();
    read.map(|(_, value)| (value[0] % 10, value[0])).collect()
}

#[test]
fn compaction_whose_image_is_there_but_may_not_stay_removes_nothing_that_it_names() {
    let folder = in_memory();
    let (vfs, steps, clock) = (
        Crowded::at_most(100),
        Steps::default(),
        TestClock::default(),
    );
    let log = crowded(&vfs, &steps, &clock).open(folder.path()).unwrap();
    let topic = steps.wait(log.create_topic("customers", TopicOptions::new()));
    let topic = topic.unwrap();
    let customers = topic.partition(0).unwrap();
    for number in 0..60_u8 {
        let (key, value) = ([number % 10], [number; 1000]);
        let key = Some(&key[..]);
        let mut batch = Batch::new();
        let record = Record::of(&value);
        batch.push(&Record { key, ..record }).unwrap();
        steps.wait(customers.append(batch)).unwrap();
    }
    let expected: BTreeMap<_, _> = (50..60).map(|number| (number % 10, number)).collect();
    let step = || {
        clock.advance(Duration::from_millis(100));
        steps.step();
    };
    let by_key = Retention::forever().tombstones(HOUR);
    steps.wait(topic.set_retention(by_key)).unwrap();
    let began = (0..1000).any(|_| {
        step();
        compacted(folder.path()) > 0
    });
    assert!(began);

    // The image with what it has written can be named, and its name not be synced.
    *vfs.unsynced.lock().unwrap() = Some(folder.path().to_path_buf());
    for _ in 0..50 {
        step();
        let killed = in_memory();
        copy(folder.path(), killed.path());
        let steps = Steps::default();
        let log = small().spawner(Arc::new(steps.clone()));
        let log = log.open(killed.path()).unwrap();
        assert_eq!(latest(&steps, &found(&log, "customers")), expected);
    }
    assert!(vfs.tried.load(Ordering::SeqCst) > 0);

    *vfs.unsynced.lock().unwrap() = None;
    (0..100).for_each(|_| step());
    assert_eq!(latest(&steps, &customers), expected);
    let named = log.topic("customers").unwrap().describe().segments();
    assert_eq!(segments(folder.path()).len(), named);
}

/// Appends to every partition of a topic, in turn, until all have segments.
fn fill(topic: &Topic) {
    for round in 0..3_u8 {
        let tickets = (0..topic.partitions()).map(|number| {
            let partition = topic.partition(number).unwrap();
            partition.append(batch(&[&[round; 200], &number.to_le_bytes()]))
        });
        for ticket in tickets.collect::<Vec<_>>() {
            ticket.wait().unwrap();
        }
    }
}

/// Reads every partition of a topic, in turn and twice.
fn read(topic: &Topic) {
    for number in (0..topic.partitions()).chain(0..topic.partitions()) {
        let values = read_all(&topic.partition(number).unwrap(), 0);
        let numbers = values.iter().skip(1).step_by(2);
        let numbers: Vec<_> = numbers.map(|(_, value)| value.clone()).collect();
        assert_eq!(numbers, [number.to_le_bytes(); 3], "{number}");
    }
}

#[test]
fn reader_keeps_no_more_files_open_than_it_may_and_lets_them_go_when_there_are_too_few() {
    let folder = in_memory();
    let vfs = Crowded::at_most(100);
    let options = || small().vfs(Arc::new(vfs.clone())).open_files(10);
    let log = options().open(folder.path()).unwrap();
    let many = TopicOptions::new().partitions(50);
    fill(&log.create_topic("many", many).wait().unwrap());
    log.close().wait().unwrap();
    drop(log);

    let log = options().open(folder.path()).unwrap();
    let topic = log.topic("many").unwrap();
    let before = vfs.open.load(Ordering::SeqCst);
    read(&topic);
    let kept = vfs.open.load(Ordering::SeqCst) - before;
    assert_eq!(kept, 10);

    // Others take five of the places that were the log's.
    vfs.fill();
    vfs.most.fetch_sub(5, Ordering::SeqCst);
    read(&topic);
    vfs.set(0);
    let refused = topic.partition(7).unwrap().fetch(0, 1).wait();
    assert!(
        matches!(refused, Err(Error::TooManyFiles { .. })),
        "{refused:?}"
    );
    vfs.set(100);
    read(&topic);
}

/// Names the folder that [`small_process`] opens.
const FOLDER: &str = "LEVADA_LOG_TEST_SMALL_PROCESS";

/// The other process: this test binary again, with this test alone. By itself it does nothing.
#[test]
fn small_process() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let log = small().open(&folder).unwrap();
    let many = TopicOptions::new().partitions(200);
    let topic = log.create_topic("many", many).wait().unwrap();
    fill(&topic);
    read(&topic);
    log.close().wait().unwrap();
    drop((log, topic));
    let log = small().open(&folder).unwrap();
    read(&log.topic("many").unwrap());
}

#[cfg(unix)]
#[test]
fn two_hundred_partitions_work_in_a_process_that_may_open_64_files() {
    let folder = in_memory();
    let other = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "open_files::small_process", "--test-threads=1"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&other.stdout);
    let passed = other.status.success() && said.contains("1 passed");
    assert!(passed, "{said}");
}
