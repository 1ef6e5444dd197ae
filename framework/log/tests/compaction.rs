//! A compacted topic is a map: whatever goes, the latest record of each key stays.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use levada_core::{Rng, Seed, Timestamp};
use levada_log::{
    Batch, Error, Log, Options, Partition, Record, Retention, Status, Ticket, TopicOptions,
};

use crate::support::{Calls, SetClock, Steps, batch, contents, copy, found, segments, small};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);

/// What a compacted topic stands for: the value of each key.
type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn options(clock: &SetClock, steps: &Steps) -> Options {
    small()
        .vfs(Arc::new(Calls::until(None)))
        .clock(Arc::new(clock.clone()))
        .spawner(Arc::new(steps.clone()))
}

fn compacted(steps: &Steps, log: &Log) -> Partition {
    let options = TopicOptions::new().retention(Retention::forever().tombstones(DAY));
    let topic = steps.wait(log.create_topic("customers", options)).unwrap();
    topic.partition(0).unwrap()
}

/// A record that was read: offset, key, and its value unless it is a tombstone.
type Read = (u64, Vec<u8>, Option<Vec<u8>>);

/// All visible records from `from` on.
fn read(steps: &Steps, partition: &Partition, mut from: u64) -> Vec<Read> {
    let mut all = Vec::new();
    while from < partition.visible_end() {
        let fetched = steps.wait(partition.fetch(from, 5000)).unwrap();
        let records = fetched.records();
        all.extend(records.map(|it| {
            let value = (!it.tombstone).then(|| it.value.to_vec());
            (it.offset, it.key.unwrap().to_vec(), value)
        }));
        from = fetched.next;
    }
    assert!(all.is_sorted_by_key(|(offset, ..)| *offset));
    all
}

fn fold(records: &[Read]) -> Map {
    let mut map = Map::new();
    for (_, key, value) in records {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
    map
}

/// Appends some puts and deletes over a few keys; what was acknowledged.
fn append_some(rng: &mut Rng, steps: &Steps, partition: &Partition, keys: u64) -> Vec<Read> {
    let (mut batch, mut records) = (Batch::new(), Vec::new());
    for _ in 0..=rng.below(5) {
        let key = format!("customer {}", rng.below(keys)).into_bytes();
        let value = vec![u8::try_from(rng.below(256)).unwrap(); 200];
        let is_put = !rng.chance(1, 4);
        let put = Record {
            key: Some(&key),
            ..Record::of(&value)
        };
        let record = if is_put { put } else { Record::tombstone(&key) };
        batch.push(&record).unwrap();
        records.push((0, key, is_put.then_some(value)));
    }
    let Ok(appended) = steps.wait(partition.append(batch)) else {
        return Vec::new();
    };
    let offsets = appended.offsets.zip(records);
    offsets
        .map(|(offset, (_, key, value))| (offset, key, value))
        .collect()
}

/// Whether what is read is part of what was appended, and stands for the same map.
fn assert_equal(read: &[Read], appended: &[Read], what: &str) {
    let all: BTreeMap<u64, &Read> = appended.iter().map(|it| (it.0, it)).collect();
    for record in read {
        assert_eq!(all.get(&record.0), Some(&record), "{what}");
    }
    assert_eq!(fold(read), fold(appended), "{what}");
}

fn names(folder: &Path) -> Vec<String> {
    let name = |path: &std::path::PathBuf| path.file_name()?.to_str().map(str::to_owned);
    segments(folder).iter().filter_map(name).collect()
}

#[test]
fn compacted_topic_equals_a_map_through_restarts() {
    for seed in 0..8 {
        let mut rng = Seed::new(seed).rng("puts and deletes");
        let folder = tempfile::tempdir().unwrap();
        let (clock, mut appended) = (SetClock::at(START), Vec::new());
        // With little memory a pass ends where its keys did.
        let bytes = [64 << 10, 1000, 300][usize::try_from(rng.below(3)).unwrap()];
        for life in 0..4 {
            let steps = Steps::default();
            let opened = options(&clock, &steps).compaction_bytes(bytes);
            let log = opened.open(folder.path()).unwrap();
            let customers = if life == 0 {
                compacted(&steps, &log)
            } else {
                found(&log, "customers")
            };
            for _ in 0..120 {
                appended.extend(append_some(&mut rng, &steps, &customers, 20));
                clock.pass(Duration::from_mins(rng.below(20)));
                let polls = rng.below(12);
                (0..polls).for_each(|_| steps.step());
                if rng.chance(1, 20) {
                    assert_equal(&read(&steps, &customers, 0), &appended, "meanwhile");
                }
            }
            clock.pass(MINUTE);
            steps.settle();
            let there = read(&steps, &customers, 0);
            assert_equal(&there, &appended, &format!("seed {seed}, life {life}"));
            let (left, all) = (there.len(), appended.len());
            assert!(life == 0 || left < 250, "{left} of {all}, {bytes} bytes");
            if rng.chance(1, 2) {
                steps.wait(log.close()).unwrap();
            }
        }
        assert!(names(folder.path()).iter().any(|name| name.contains('.')));
    }
}

#[test]
fn reader_that_begins_at_any_time_comes_to_the_same_map() {
    let mut rng = Seed::new(7).rng("readers");
    let (folder, clock, steps) = (
        tempfile::tempdir().unwrap(),
        SetClock::at(START),
        Steps::default(),
    );
    let log = options(&clock, &steps).open(folder.path()).unwrap();
    let customers = compacted(&steps, &log);
    let mut appended = Vec::new();
    // What each reader has seen, where it is, and what it waits for.
    let mut readers: Vec<(Vec<Read>, u64, Option<Ticket<levada_log::Fetched>>)> = Vec::new();
    for round in 0..600 {
        appended.extend(append_some(&mut rng, &steps, &customers, 10));
        clock.pass(MINUTE / 4);
        if round % 40 == 0 {
            readers.push((Vec::new(), 0, None));
        }
        for (seen, at, waits) in &mut readers {
            let ticket = waits.take().unwrap_or_else(|| customers.fetch(*at, 300));
            if rng.chance(1, 2) {
                *waits = Some(ticket);
                continue;
            }
            let fetched = steps.wait(ticket).unwrap();
            seen.extend(fetched.records().map(|it| {
                let value = (!it.tombstone).then(|| it.value.to_vec());
                (it.offset, it.key.unwrap().to_vec(), value)
            }));
            *at = fetched.next;
        }
        steps.step();
    }
    assert!(names(folder.path()).iter().any(|name| name.contains('.')));
    for (mut seen, at, _) in readers {
        seen.extend(read(&steps, &customers, at));
        assert_equal(&seen, &appended, "a reader");
    }
}

#[test]
fn tombstones_stay_for_their_time_after_the_pass_that_removed_what_was_before_them() {
    let (folder, clock, steps) = (
        tempfile::tempdir().unwrap(),
        SetClock::at(START),
        Steps::default(),
    );
    let log = options(&clock, &steps).open(folder.path()).unwrap();
    let customers = compacted(&steps, &log);
    let append = |record: &Record<'_>| {
        let mut batch = Batch::new();
        batch.push(record).unwrap();
        steps.wait(customers.append(batch)).unwrap().offsets.start
    };
    let value = vec![1; 500];
    let put = |key| Record {
        key: Some(key),
        ..Record::of(&value)
    };
    append(&put(b"gone"));
    let tombstone = append(&Record::tombstone(b"gone"));
    // It is old before a pass sees it.
    clock.pass(10 * DAY);
    let fill = || {
        for _ in 0..100 {
            append(&put(b"other"));
            steps.settle();
        }
        clock.pass(MINUTE);
        steps.settle();
    };
    fill();
    let tombstones = || {
        let all = read(&steps, &customers, 0);
        let gone = all.iter().filter(|(_, key, _)| key == b"gone");
        gone.map(|(offset, ..)| *offset).collect::<Vec<_>>()
    };
    assert_eq!(
        tombstones(),
        [tombstone],
        "what was before it went just now"
    );
    clock.pass(Duration::from_mins(24 * 60 - 2));
    steps.settle();
    assert_eq!(tombstones(), [tombstone]);
    // Nothing has been appended: it goes all the same.
    clock.pass(2 * MINUTE);
    steps.settle();
    assert!(tombstones().is_empty());
}

#[test]
fn small_segments_become_few_and_old_files_are_removed() {
    let (folder, clock, steps) = (
        tempfile::tempdir().unwrap(),
        SetClock::at(START),
        Steps::default(),
    );
    let log = options(&clock, &steps).open(folder.path()).unwrap();
    let customers = compacted(&steps, &log);
    let mut rng = Seed::new(1).rng("puts");
    for _ in 0..400 {
        append_some(&mut rng, &steps, &customers, 5);
        clock.pass(MINUTE);
        steps.settle();
    }
    let files = names(folder.path());
    assert!(files.len() <= 6, "{files:?}");
    assert_eq!(customers.start(), 0, "compaction moves no start");
    let refused = steps
        .wait(customers.append(batch(&[b"no key"])))
        .unwrap_err();
    assert!(matches!(refused, Error::NoKey { .. }), "{refused}");
}

#[test]
fn records_without_a_key_from_before_stay() {
    let (folder, clock, steps) = (
        tempfile::tempdir().unwrap(),
        SetClock::at(START),
        Steps::default(),
    );
    let log = options(&clock, &steps).open(folder.path()).unwrap();
    let topic = steps
        .wait(log.create_topic("orders", TopicOptions::new()))
        .unwrap();
    let orders = topic.partition(0).unwrap();
    for number in 0..60_u8 {
        steps.wait(orders.append(batch(&[&[number; 700]]))).unwrap();
    }
    let before = steps.read_all(&orders);
    steps
        .wait(topic.set_retention(Retention::forever().compacted()))
        .unwrap();
    clock.pass(MINUTE);
    steps.settle();
    assert!(names(folder.path()).iter().any(|name| name.contains('.')));
    assert_eq!(steps.read_all(&orders), before);
}

#[test]
fn damage_that_compaction_finds_stops_the_partition_and_changes_nothing() {
    let (folder, clock, steps) = (
        tempfile::tempdir().unwrap(),
        SetClock::at(START),
        Steps::default(),
    );
    let log = options(&clock, &steps).open(folder.path()).unwrap();
    let topic = steps
        .wait(log.create_topic("customers", TopicOptions::new()))
        .unwrap();
    let customers = topic.partition(0).unwrap();
    let mut rng = Seed::new(1).rng("puts");
    for _ in 0..100 {
        append_some(&mut rng, &steps, &customers, 5);
    }
    steps.settle();
    let file = segments(folder.path()).remove(1);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[500] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let before = contents(&folder.path().join("topics"));
    steps
        .wait(topic.set_retention(Retention::forever().compacted()))
        .unwrap();
    clock.pass(MINUTE);
    steps.settle();
    assert!(matches!(customers.status(), Status::Failed { .. }));
    let after = contents(&folder.path().join("topics"));
    assert!(after == before);
}

/// So that little is written between two passes.
fn tiny(clock: &SetClock, steps: &Steps) -> Options {
    options(clock, steps)
        .journal_bytes(4096)
        .segment_bytes(4096)
}

/// A script that appends and is compacted, up to a call at which the machine stops: what was
/// acknowledged, and how many calls there were.
fn stopped_after(calls: Option<u64>, folder: &Path, clock: &SetClock) -> (Vec<Read>, u64) {
    let (steps, vfs) = (Steps::default(), Calls::until(calls));
    let mut rng = Seed::new(3).rng("puts and deletes");
    let mut appended = Vec::new();
    let opened = tiny(clock, &steps).vfs(Arc::new(vfs.clone())).open(folder);
    if let Ok(log) = opened
        && let Ok(topic) = log.topic("customers")
    {
        let customers = topic.partition(0).unwrap();
        for _ in 0..12 {
            appended.extend(append_some(&mut rng, &steps, &customers, 6));
            clock.pass(MINUTE);
            (0..40).for_each(|_| steps.step());
        }
    }
    (appended, vfs.made())
}

#[test]
fn crash_before_any_call_leaves_the_same_map_and_no_file_that_nothing_names() {
    // A folder with something to compact already.
    let (base, clock, steps) = (
        tempfile::tempdir().unwrap(),
        SetClock::at(START),
        Steps::default(),
    );
    let log = tiny(&clock, &steps).open(base.path()).unwrap();
    let customers = compacted(&steps, &log);
    let mut rng = Seed::new(2).rng("puts and deletes");
    let mut before = Vec::new();
    for _ in 0..60 {
        before.extend(append_some(&mut rng, &steps, &customers, 6));
    }
    steps.wait(log.close()).unwrap();

    let play = |calls| {
        let folder = tempfile::tempdir().unwrap();
        copy(base.path(), folder.path());
        let clock = SetClock::at(clock_now(&clock));
        let (appended, made) = stopped_after(calls, folder.path(), &clock);
        (folder, appended, made)
    };
    let (folder, _, all) = play(None);
    let generation = |name: &String| name.split_once('.').map(|(_, it)| it.to_owned());
    let generations = names(folder.path()).iter().filter_map(generation).max();
    assert!(
        generations >= Some("2".to_owned()) && all > 200,
        "{generations:?}, {all} calls"
    );
    for call in 0..all {
        let (folder, appended, _) = play(Some(call));
        let appended = [before.clone(), appended].concat();
        let steps = Steps::default();
        let log = tiny(&clock, &steps).open(folder.path()).unwrap();
        // Nothing has run yet. What is there is named: removing any of it is missed.
        let files = names(folder.path());
        let base = |name: &String| name[..20].to_owned();
        assert!(
            files.is_sorted_by(|a, b| base(a) < base(b)),
            "call {call}: {files:?}"
        );
        if call % 8 == 0 {
            assert_eq!(files, named(folder.path(), &clock), "call {call}");
        }
        let customers = found(&log, "customers");
        let there = read(&steps, &customers, 0);
        // One more may have become durable than was acknowledged.
        let acknowledged = appended.last().map_or(0, |it| it.0);
        let known: Vec<Read> = there
            .iter()
            .filter(|it| it.0 <= acknowledged)
            .cloned()
            .collect();
        if known.len() == there.len() {
            assert_equal(&there, &appended, &format!("call {call}"));
        }
        steps.settle();
        assert_eq!(
            fold(&read(&steps, &customers, 0)),
            fold(&there),
            "call {call}"
        );
        steps.wait(log.close()).unwrap();
    }
}

fn clock_now(clock: &SetClock) -> Timestamp {
    levada_core::Clock::now(clock)
}

/// The names of the segments that reading all of a folder needs.
fn named(folder: &Path, clock: &SetClock) -> Vec<String> {
    let needed = |file: &std::path::PathBuf| {
        let copied = tempfile::tempdir().unwrap();
        copy(folder, copied.path());
        let inside = file.strip_prefix(folder).unwrap();
        std::fs::remove_file(copied.path().join(inside)).unwrap();
        let steps = Steps::default();
        let log = tiny(clock, &steps).open(copied.path()).unwrap();
        let customers = found(&log, "customers");
        let mut from = 0;
        while from < customers.visible_end() {
            match steps.wait(customers.fetch(from, 1 << 20)) {
                Ok(fetched) => from = fetched.next,
                Err(_) => return true,
            }
        }
        customers.status() != Status::Healthy
    };
    let files = segments(folder).into_iter().filter(needed);
    let name = |path: std::path::PathBuf| path.file_name()?.to_str().map(str::to_owned);
    files.filter_map(name).collect()
}
