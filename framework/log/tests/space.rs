//! A disk that becomes full: the alarm first, then refusals; reads go on, and what expires makes
//! room for more.

use std::{
    env, fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use levada_core::{Seed, Timestamp};
use levada_log::{
    Error, Log, Options, Partition, Retention, Space, TopicOptions,
    vfs::{Open, OsFs, Vfs},
};

use levada_testkit::{TestClock, vfs::FaultyFs};

use crate::{
    machine::Machine,
    support::{Steps, batch, contents, found},
};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const HOUR: Duration = Duration::from_hours(1);
const DISK_BYTES: u64 = 8 << 20;

/// A log on a small disk, whose time and steps the test owns.
struct Scene {
    folder: PathBuf,
    clock: TestClock,
    steps: Steps,
    vfs: Arc<dyn Vfs>,
    /// Of the disk; everything is in proportion.
    bytes: u64,
}

impl Scene {
    /// On a disk of [`DISK_BYTES`].
    fn new(folder: &Path, vfs: Arc<dyn Vfs>) -> Self {
        Self {
            bytes: DISK_BYTES,
            folder: folder.to_path_buf(),
            clock: TestClock::at(START),
            steps: Steps::default(),
            vfs,
        }
    }

    /// On a disk of so many bytes, in memory.
    fn simulated(bytes: u64) -> Self {
        let fs = FaultyFs::new(Seed::new(7));
        fs.set_room(Some(bytes));
        Self {
            bytes,
            ..Self::new(Path::new("/data"), Arc::new(fs))
        }
    }

    fn reserve_bytes(&self) -> u64 {
        self.bytes / 64
    }

    fn batch(&self) -> levada_log::Batch {
        let len = usize::try_from(self.bytes / 800).unwrap();
        batch(&[&vec![7; len]])
    }

    fn open(&self) -> Log {
        self.options().open(&self.folder).unwrap()
    }

    fn options(&self) -> Options {
        Log::options()
            .journal_bytes(self.bytes / 32)
            .segment_bytes(self.bytes / 64)
            .reserve_bytes(self.reserve_bytes())
            .low_space_bytes(self.bytes / 4)
            .clock(Arc::new(self.clock.clone()))
            .spawner(Arc::new(self.steps.clone()))
            .vfs(Arc::clone(&self.vfs))
    }

    fn topic(&self, log: &Log, retention: Retention) -> levada_log::Topic {
        let options = TopicOptions::new().retention(retention);
        self.steps
            .wait(log.create_topic("orders", options))
            .unwrap()
    }

    fn append(&self, orders: &Partition) -> levada_log::Result<u64> {
        let appended = self.steps.wait(orders.append(self.batch()))?;
        Ok(appended.offsets.start)
    }

    /// Appends until the disk is full; the states that were seen before.
    fn fill(&self, log: &Log, orders: &Partition) -> Vec<Space> {
        let mut seen = Vec::new();
        for _ in 0..2000 {
            let space = match log.space() {
                Space::Low { .. } => Space::Low { free: 0 },
                other => other,
            };
            if seen.last() != Some(&space) {
                seen.push(space);
            }
            match self.append(orders) {
                Ok(_) => self.clock.advance(Duration::from_secs(1)),
                Err(error) => {
                    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
                    return seen;
                }
            }
        }
        panic!("a small disk becomes full");
    }

    fn settle(&self) {
        self.clock.advance(Duration::from_secs(2));
        self.steps.settle();
    }

    fn has_reserve(&self) -> bool {
        let reserve = self.vfs.open(&self.folder.join("reserve"), Open::Read);
        reserve.is_ok_and(|it| it.len().unwrap() == self.reserve_bytes())
    }

    /// All offsets that can be read.
    fn offsets(&self, orders: &Partition) -> Vec<u64> {
        let all = self.steps.read_all(orders);
        all.into_iter().map(|(offset, _)| offset).collect()
    }
}

fn alarm_then_refusal_then_room_again(scene: &Scene) {
    let log = scene.open();
    let topic = scene.topic(&log, Retention::forever().age(HOUR));
    let orders = topic.partition(0).unwrap();
    scene.settle();
    assert!(scene.has_reserve() && log.space() == Space::Enough);
    let seen = scene.fill(&log, &orders);
    assert_eq!(seen[..2], [Space::Enough, Space::Low { free: 0 }]);
    assert_eq!(log.space(), Space::Full);
    scene.settle();
    let end = orders.visible_end();
    assert!(end > 500, "{end} of 800");
    assert_eq!(scene.offsets(&orders), (0..end).collect::<Vec<_>>());

    // Nothing else frees anything: what has expired goes, though the disk is full.
    scene.clock.advance(HOUR);
    scene.settle();
    scene.settle();
    assert!(orders.start() > 400, "{}", orders.start());
    assert_eq!(log.space(), Space::Enough);
    let resumed = scene.append(&orders).unwrap();
    assert!(resumed >= end);
    scene.settle();
    assert!(scene.has_reserve(), "it is set aside again");
    scene.steps.wait(log.close()).unwrap();
    let log = scene.open();
    let last = scene.offsets(&found(&log, "orders")).pop();
    assert_eq!(last, Some(resumed));
}

fn retention_can_be_changed_though_the_disk_is_full(scene: &Scene) {
    let log = scene.open();
    let topic = scene.topic(&log, Retention::forever());
    let orders = topic.partition(0).unwrap();
    scene.settle();
    scene.fill(&log, &orders);
    scene.clock.advance(10 * HOUR);
    scene.settle();
    assert_eq!(
        (orders.start(), log.space()),
        (0, Space::Full),
        "nothing goes by itself"
    );
    scene.fill(&log, &orders);
    // Whoever goes on appending does not keep it from being written.
    let refused = orders.append(scene.batch());
    let kept = Retention::forever().bytes(scene.bytes / 8);
    let changed = topic.set_retention(kept);
    assert!(scene.steps.wait(refused).is_err());
    scene.steps.wait(changed).unwrap();
    scene.settle();
    scene.settle();
    assert!(orders.start() > 400, "{}", orders.start());
    scene.append(&orders).unwrap();
    scene.settle();
    assert_eq!(log.space(), Space::Enough);
    assert_eq!(topic.retention(), kept);
}

#[test]
fn alarm_comes_first_then_appends_are_refused_and_what_expires_makes_room() {
    let scene = Scene::simulated(DISK_BYTES);
    alarm_then_refusal_then_room_again(&scene);
}

#[test]
fn retention_can_be_changed_on_a_full_disk() {
    let scene = Scene::simulated(DISK_BYTES);
    retention_can_be_changed_though_the_disk_is_full(&scene);
}

#[test]
fn disk_that_becomes_full_at_any_byte_is_made_room_on() {
    for bytes in (1 << 20..5 << 18).step_by(60_013) {
        alarm_then_refusal_then_room_again(&Scene::simulated(bytes));
        retention_can_be_changed_though_the_disk_is_full(&Scene::simulated(bytes));
    }
}

#[test]
fn folder_on_a_full_disk_can_be_opened_by_using_the_reserve() {
    for (bytes, is_last) in (1 << 20..5 << 18)
        .step_by(90_001)
        .zip([false, true].into_iter().cycle())
    {
        let scene = Scene::simulated(bytes);
        let log = scene.open();
        let topic = scene.topic(&log, Retention::forever().age(HOUR));
        let orders = topic.partition(0).unwrap();
        scene.settle();
        scene.fill(&log, &orders);
        scene.settle();
        let end = orders.visible_end();
        drop((log, topic, orders));
        scene.steps.settle();
        // Somebody else takes what is left; what the journals hold would not fit.
        let left = scene.vfs.free_space(&scene.folder).unwrap();
        if left > 0 {
            let other = scene.folder.join("other");
            let other = scene.vfs.open(&other, Open::CreateNew).unwrap();
            let bytes = vec![0; usize::try_from(left).unwrap()];
            other.write_all_at(&bytes, 0).unwrap();
        }

        scene.clock.advance(2 * HOUR);
        let options = scene.options();
        let log = if is_last {
            options.reserve_bytes(0)
        } else {
            options
        };
        let log = log.open(&scene.folder).unwrap();
        let orders = found(&log, "orders");
        assert!(orders.visible_end() >= end && orders.start() > 400);
        scene.settle();
        scene.settle();
        scene.append(&orders).unwrap();
    }
}

/// A small disk of the operating system's, as long as it is held.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=8m", "none"])
            .arg(folder.path());
        let is_mounted = mount.output().is_ok_and(|output| output.status.success());
        is_mounted.then_some(Self(folder))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a descriptor may be open still if the test has failed.
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[test]
fn real_full_disk_is_alarmed_of_refused_and_freed() {
    let Some(disk) = Mounted::new() else {
        return skip("small-disk", "no small disk can be mounted here");
    };
    let scene = Scene::new(disk.0.path(), Arc::new(OsFs));
    alarm_then_refusal_then_room_again(&scene);
    drop((scene, disk));

    let disk = Mounted::new().expect("one was mounted before");
    let scene = Scene::new(disk.0.path(), Arc::new(OsFs));
    retention_can_be_changed_though_the_disk_is_full(&scene);
}

/// Says on the process' standard error itself that a test checks nothing here: what a test that
/// passes prints by macros is shown to nobody.
fn skip(need: &str, reason: &str) {
    let required = env::var("LEVADA_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|listed| listed == need);
    assert!(!is_required, "LEVADA_REQUIRE lists `{need}`: {reason}");
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("SKIPPED: {test}: {reason}\n");
    io::stderr()
        .write_all(line.as_bytes())
        .expect("somebody listens");
}

#[test]
fn reserve_is_whole_and_no_foreign_file() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new(folder.path(), Arc::new(OsFs));
    let log = scene.open();
    scene.settle();
    let reserve = contents(folder.path())
        .remove(&folder.path().join("reserve"))
        .unwrap();
    assert_eq!(reserve.len() as u64, scene.reserve_bytes());
    // Cut short by a crash it is written anew.
    scene.steps.wait(log.close()).unwrap();
    fs::write(folder.path().join("reserve"), &reserve[..1000]).unwrap();
    let _log = scene.open();
    scene.settle();
    assert!(scene.has_reserve());
}

#[test]
fn full_disk_with_expired_records_in_memory_is_waited_for_in_peace() {
    let machine = Machine::with(|options| options.journal_bytes(1 << 20));
    let options = TopicOptions::new().retention(Retention::forever().age(HOUR));
    let orders = machine.made("orders", options).remove(0);
    machine.append(&orders, &[7; 1000]);
    machine.fs.set_room(Some(0));
    machine
        .wait(orders.append(batch(&[&vec![7; 100_000]])))
        .unwrap_err();
    machine.pass(Duration::from_secs(10));

    // What has expired should go to a segment, so that it can be removed; there is no room for
    // that.
    machine.pass(3 * HOUR);
    machine.steps.settle();
    let before = machine.fs.calls();
    machine.steps.settle();
    assert_eq!(
        machine.fs.calls(),
        before,
        "nothing happens while time stands still"
    );

    machine.fs.set_room(None);
    machine.pass(10 * HOUR);
    machine.pass(10 * HOUR);
    assert_eq!(orders.start(), orders.visible_end());
}

#[test]
fn flush_that_a_full_disk_held_up_goes_on_by_itself_when_there_is_room() {
    let machine = Machine::new();
    let orders = machine.made("orders", TopicOptions::new()).remove(0);
    let flushed = || machine.log.topic("orders").unwrap().describe().segments();
    machine.append(&orders, &vec![7; 17 << 10]);
    // Enough to begin the next journal.
    machine.fs.set_room(Some(9 << 10));
    machine.append(&orders, b"next");
    machine.rest();
    assert_eq!((machine.log.space(), flushed()), (Space::Full, 0));
    machine.fs.set_room(None);
    machine.rest();
    assert_eq!(flushed(), 0, "nobody has said that there is room");
    machine.pass(HOUR);
    assert_eq!(flushed(), 1);
}
