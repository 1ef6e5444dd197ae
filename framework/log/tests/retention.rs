//! What is kept, and what goes.

use std::{path::PathBuf, sync::Arc, time::Duration};

use levada_core::Timestamp;
use levada_log::{Error, Log, Options, Partition, Retention, Topic, TopicOptions};

use crate::support::{Calls, SetClock, Steps, batch, copy, found, segments, small};

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A log whose time and steps the test owns.
struct Scene {
    folder: tempfile::TempDir,
    clock: SetClock,
    steps: Steps,
    log: Log,
}

impl Scene {
    fn new() -> Self {
        let (folder, steps) = (tempfile::tempdir().unwrap(), Steps::default());
        let clock = SetClock::at(START);
        let log = options(&clock, &steps).open(folder.path()).unwrap();
        Self {
            folder,
            clock,
            steps,
            log,
        }
    }

    fn topic(&self, retention: Retention) -> Topic {
        let options = TopicOptions::new().retention(retention);
        self.steps
            .wait(self.log.create_topic("orders", options))
            .unwrap()
    }

    /// Appends so many records of a kilobyte, one a batch, with this time before each.
    fn append(&self, orders: &Partition, count: u32, every: Duration) {
        for _ in 0..count {
            self.pass(every);
            let value = vec![7; 1000];
            self.steps.wait(orders.append(batch(&[&value]))).unwrap();
        }
    }

    fn pass(&self, time: Duration) {
        self.clock.pass(time);
        self.steps.settle();
    }

    /// The offsets that are there, as a reader finds them from the start.
    fn offsets(&self, orders: &Partition) -> Vec<u64> {
        let (mut offsets, mut from) = (Vec::new(), orders.start());
        while from < orders.visible_end() {
            let fetched = self.steps.wait(orders.fetch(from, 1 << 20)).unwrap();
            offsets.extend(fetched.records().map(|record| record.offset));
            from = fetched.next;
        }
        offsets
    }

    fn files(&self) -> Vec<PathBuf> {
        segments(self.folder.path())
    }
}

fn options(clock: &SetClock, steps: &Steps) -> Options {
    small()
        .vfs(Arc::new(Calls::until(None)))
        .clock(Arc::new(clock.clone()))
        .spawner(Arc::new(steps.clone()))
}

#[test]
fn age_removes_whole_segments_once_their_last_record_is_too_old() {
    let scene = Scene::new();
    let topic = scene.topic(Retention::forever().age(HOUR));
    let orders = topic.partition(0).unwrap();
    // A record a minute, for forty minutes.
    scene.append(&orders, 40, MINUTE);
    scene.steps.settle();
    let all: Vec<u64> = (0..40).collect();
    assert_eq!(scene.offsets(&orders), all);
    let mut before = scene.files().len();
    assert!(before > 3, "{before} segments");

    for minute in 41..=110_u64 {
        scene.pass(MINUTE);
        let (start, end) = (orders.start(), orders.visible_end());
        // The record at offset o was appended in minute o + 1.
        let oldest = minute.saturating_sub(61);
        let late = 8; // An eighth of an hour.
        let range = oldest.saturating_sub(late).min(40)..=oldest.min(40);
        assert!(
            range.contains(&start),
            "{start} in minute {minute}, not {range:?}"
        );
        assert_eq!(scene.offsets(&orders), (start..end).collect::<Vec<_>>());
        assert!(scene.files().len() <= before);
        before = scene.files().len();
    }
    assert_eq!(
        (orders.start(), before),
        (40, 0),
        "all is gone, what was in memory too"
    );
    // The next is a new record, not one of the numbers that are gone.
    let appended = scene.steps.wait(orders.append(batch(&[b"new"]))).unwrap();
    assert_eq!(appended.offsets, 40..41);
    scene.steps.wait(scene.log.close()).unwrap();
    let log = options(&scene.clock, &Steps::default()).open(scene.folder.path());
    let orders = found(&log.unwrap(), "orders");
    assert_eq!((orders.start(), orders.visible_end()), (40, 41));
}

#[test]
fn consuming_removes_nothing_and_forever_is_forever() {
    let scene = Scene::new();
    let topic = scene.topic(Retention::forever());
    let orders = topic.partition(0).unwrap();
    scene.append(&orders, 60, MINUTE);
    let group = scene.log.group("shipping").unwrap();
    let end = orders.visible_end();
    scene.steps.wait(group.commit(&[(&orders, end)])).unwrap();
    scene.steps.settle();
    let files = scene.files();
    for _ in 0..10 {
        scene.pass(HOUR * 24 * 365);
        assert_eq!(scene.offsets(&orders), (0..60).collect::<Vec<_>>());
    }
    assert_eq!(scene.files(), files);
    assert_eq!(orders.retained_for(0), None);
}

#[test]
fn size_keeps_the_latest_bytes_and_hardly_more() {
    let scene = Scene::new();
    let topic = scene.topic(Retention::forever().bytes(40 << 10));
    let orders = topic.partition(0).unwrap();
    for _ in 0..20 {
        scene.append(&orders, 10, MINUTE);
        scene.steps.settle();
        let files = scene.files();
        let bytes = files.iter().map(|file| file.metadata().unwrap().len());
        let (bytes, start) = (bytes.sum::<u64>(), orders.start());
        assert!(bytes <= 46 << 10, "{bytes} bytes from {start}");
        assert!(
            start == 0 || bytes >= 40 << 10,
            "{bytes} bytes from {start}"
        );
        let there = start..orders.visible_end();
        assert_eq!(scene.offsets(&orders), there.collect::<Vec<_>>());
    }
    assert!(orders.start() > 100, "{}", orders.start());
    let left = orders.retained_for(orders.start()).unwrap();
    let newest = orders.retained_for(orders.visible_end()).unwrap();
    assert!(left < 10 * MINUTE, "{left:?}");
    assert!((30 * MINUTE..60 * MINUTE).contains(&newest), "{newest:?}");
}

#[test]
fn offset_that_is_gone_is_out_of_range_and_a_group_that_missed_it_is_told() {
    let scene = Scene::new();
    let topic = scene.topic(Retention::forever().age(HOUR));
    let orders = topic.partition(0).unwrap();
    scene.append(&orders, 40, MINUTE);
    let [slow, done] = ["slow", "done"].map(|name| scene.log.group(name).unwrap());
    scene.steps.wait(slow.commit(&[(&orders, 3)])).unwrap();
    scene.steps.wait(done.commit(&[(&orders, 40)])).unwrap();
    let left = orders.retained_for(3).unwrap();
    assert!((20 * MINUTE..=32 * MINUTE).contains(&left), "{left:?}");
    assert_eq!(slow.missed(&orders), 0);
    scene.pass(2 * HOUR);
    scene.pass(MINUTE);
    assert_eq!(orders.start(), 40);
    let refused = scene.steps.wait(orders.fetch(3, 1000)).unwrap_err();
    assert!(
        matches!(refused, Error::OutOfRange { start: 40, .. }),
        "{refused}"
    );
    assert_eq!((slow.missed(&orders), done.missed(&orders)), (37, 0));
    assert_eq!(slow.position(&orders), Some(3), "nobody moves it");
    assert_eq!(orders.retained_for(3), Some(Duration::ZERO));
}

#[test]
fn retention_can_be_changed_and_stays_so() {
    let scene = Scene::new();
    let topic = scene.topic(Retention::forever());
    let orders = topic.partition(0).unwrap();
    scene.append(&orders, 40, MINUTE);
    scene.pass(HOUR);
    assert_eq!(orders.start(), 0);
    let hour = Retention::forever().age(HOUR);
    scene.steps.wait(topic.set_retention(hour)).unwrap();
    scene.steps.settle();
    assert!(orders.start() > 10, "{}", orders.start());
    let start = orders.start();
    // Also after a crash, from the journal.
    let copied = tempfile::tempdir().unwrap();
    copy(scene.folder.path(), copied.path());
    let log = options(&scene.clock, &scene.steps)
        .open(copied.path())
        .unwrap();
    assert_eq!(log.topic("orders").unwrap().retention(), hour);
    assert_eq!(found(&log, "orders").start(), start);
}

#[test]
fn clock_that_leaps_a_year_ahead_removes_nothing() {
    let scene = Scene::new();
    let topic = scene.topic(Retention::forever().age(48 * HOUR));
    let orders = topic.partition(0).unwrap();
    scene.append(&orders, 40, MINUTE);
    scene.clock.set(START + 365 * 24 * HOUR);
    for _ in 0..23 {
        scene.pass(HOUR);
        assert_eq!(scene.offsets(&orders), (0..40).collect::<Vec<_>>());
    }
    // A year back: everything is from the future, and stays.
    scene.clock.set(START - 365 * 24 * HOUR);
    scene.pass(HOUR);
    assert_eq!(orders.start(), 0);
    // It is right again, and what has expired goes when it should.
    scene.clock.set(START + 25 * HOUR);
    scene.pass(20 * HOUR);
    assert_eq!(orders.start(), 0);
    scene.pass(10 * HOUR);
    assert_eq!(orders.start(), 40);
}

#[test]
fn clock_that_is_a_year_ahead_at_the_opening_removes_nothing_on_its_first_day() {
    let scene = Scene::new();
    let topic = scene.topic(Retention::forever().age(HOUR));
    scene.append(&topic.partition(0).unwrap(), 40, Duration::ZERO);
    scene.steps.wait(scene.log.close()).unwrap();
    let (clock, steps) = (SetClock::at(START + 365 * 24 * HOUR), Steps::default());
    let log = options(&clock, &steps).open(scene.folder.path()).unwrap();
    steps.settle();
    assert_eq!(found(&log, "orders").start(), 0);
}

/// What a log looks like after so many calls of a script that appends, flushes and drops: then it
/// is as if the machine had stopped.
fn stopped_after(calls: Option<u64>) -> (tempfile::TempDir, SetClock, u64, u64) {
    let (folder, steps, clock) = (
        tempfile::tempdir().unwrap(),
        Steps::default(),
        SetClock::at(START),
    );
    let vfs = Calls::until(calls);
    let log = options(&clock, &steps)
        .vfs(Arc::new(vfs.clone()))
        .open(folder.path());
    let (mut acknowledged, mut start) = (0, 0);
    if let Ok(log) = log {
        let retention = Retention::forever().age(HOUR);
        let options = TopicOptions::new().retention(retention);
        if let Ok(topic) = steps.wait(log.create_topic("orders", options)) {
            let orders = topic.partition(0).unwrap();
            for _ in 0..20 {
                clock.pass(6 * MINUTE);
                if steps.wait(orders.append(batch(&[&[7; 1000]]))).is_ok() {
                    acknowledged += 1;
                }
                (0..10).for_each(|_| steps.step());
                start = orders.start();
            }
        }
    }
    assert!(calls.is_some() || start > 0, "something was dropped");
    (folder, clock, acknowledged, vfs.made())
}

#[test]
fn crash_before_any_call_keeps_all_that_has_not_expired_and_leaves_no_file_behind() {
    let (.., all) = stopped_after(None);
    assert!(all > 200, "{all} calls");
    for call in 0..all {
        let (folder, clock, acknowledged, _) = stopped_after(Some(call));
        let steps = Steps::default();
        let log = options(&clock, &steps).open(folder.path()).unwrap();
        let Ok(topic) = log.topic("orders") else {
            assert_eq!(acknowledged, 0);
            continue;
        };
        let orders = topic.partition(0).unwrap();
        steps.settle();
        let read: Vec<u64> = steps
            .read_all(&orders)
            .into_iter()
            .map(|(offset, _)| offset)
            .collect();
        let (start, end) = (orders.start(), orders.visible_end());
        assert!(end >= acknowledged, "call {call}: {end} of {acknowledged}");
        assert_eq!(read, (start..end).collect::<Vec<_>>(), "call {call}");
        // Two hours have passed, and each record took six minutes.
        assert!(start <= 10, "call {call}: {start}..{end}");
        // Each file that is there holds something that is.
        steps.wait(log.close()).unwrap();
        for file in segments(folder.path()) {
            let base: u64 = file.file_name().unwrap().to_str().unwrap().parse().unwrap();
            assert!(
                (start..end).contains(&base),
                "call {call}: {base} is left over"
            );
        }
    }
}
