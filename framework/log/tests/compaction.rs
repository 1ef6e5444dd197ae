//! A compacted topic is a map: whatever goes, the latest record of each key stays.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use levada_core::{Clock as _, Rng, Seed};
use levada_log::{
    Batch, Error, Options, Partition, Record, RecordView, Retention, Status, Ticket, TopicOptions,
    vfs::Vfs as _,
};
use levada_testkit::{
    TestClock,
    vfs::{Fault, FaultyFs, When},
};

use crate::{machine::Machine, support::batch};

const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);

/// What a compacted topic stands for: the value of each key.
type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// The partition of a new topic that is compacted.
fn compacted(machine: &Machine) -> Partition {
    let options = TopicOptions::new().retention(Retention::forever().tombstones(DAY));
    machine.made("customers", options).remove(0)
}

/// A machine with such a topic.
fn scene() -> (Machine, Partition) {
    let machine = Machine::new();
    let customers = compacted(&machine);
    (machine, customers)
}

/// A record that was read: offset, key, and its value unless it is a tombstone.
type Read = (u64, Vec<u8>, Option<Vec<u8>>);

fn owned(record: &RecordView<'_>) -> Read {
    let value = (!record.tombstone).then(|| record.value.to_vec());
    (record.offset, record.key.unwrap().to_vec(), value)
}

/// All visible records from `from` on.
fn read(machine: &Machine, partition: &Partition, mut from: u64) -> Vec<Read> {
    let mut all = Vec::new();
    while from < partition.visible_end() {
        let fetched = machine.wait(partition.fetch(from, 5000)).unwrap();
        all.extend(fetched.records().map(|it| owned(&it)));
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
fn append_some(rng: &mut Rng, machine: &Machine, partition: &Partition, keys: u64) -> Vec<Read> {
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
    let Ok(appended) = machine.wait(partition.append(batch)) else {
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

/// Whether something was compacted.
fn is_compacted(machine: &Machine) -> bool {
    let segments = machine.segments();
    segments.iter().any(|file| file.extension().is_some())
}

#[test]
fn compacted_topic_equals_a_map_through_restarts() {
    for seed in 0..8 {
        let mut rng = Seed::new(seed).rng("puts and deletes");
        // With little memory a pass ends where its keys did.
        let bytes = [64 << 10, 1000, 300][usize::try_from(rng.below(3)).unwrap()];
        let mut machine = Machine::with(move |options| options.compaction_bytes(bytes));
        compacted(&machine);
        let mut appended = Vec::new();
        for life in 0..4 {
            let customers = machine.found("customers", 0);
            for _ in 0..120 {
                appended.extend(append_some(&mut rng, &machine, &customers, 20));
                machine.clock.advance(Duration::from_mins(rng.below(20)));
                let polls = rng.below(12);
                (0..polls).for_each(|_| machine.steps.step());
                if rng.chance(1, 20) {
                    assert_equal(&read(&machine, &customers, 0), &appended, "meanwhile");
                }
            }
            machine.pass(MINUTE);
            let there = read(&machine, &customers, 0);
            assert_equal(&there, &appended, &format!("seed {seed}, life {life}"));
            let (left, all) = (there.len(), appended.len());
            assert!(life == 0 || left < 250, "{left} of {all}, {bytes} bytes");
            if rng.chance(1, 2) {
                machine.wait(machine.log.close()).unwrap();
            }
            machine = machine.killed();
        }
        assert!(is_compacted(&machine));
    }
}

#[test]
fn reader_that_begins_at_any_time_comes_to_the_same_map() {
    let mut rng = Seed::new(7).rng("readers");
    let (machine, customers) = scene();
    let mut appended = Vec::new();
    // What each reader has seen, where it is, and what it waits for.
    let mut readers: Vec<(Vec<Read>, u64, Option<Ticket<levada_log::Fetched>>)> = Vec::new();
    for round in 0..600 {
        appended.extend(append_some(&mut rng, &machine, &customers, 10));
        machine.clock.advance(MINUTE / 4);
        if round % 40 == 0 {
            readers.push((Vec::new(), 0, None));
        }
        for (seen, at, waits) in &mut readers {
            let ticket = waits.take().unwrap_or_else(|| customers.fetch(*at, 300));
            if rng.chance(1, 2) {
                *waits = Some(ticket);
                continue;
            }
            let fetched = machine.wait(ticket).unwrap();
            seen.extend(fetched.records().map(|it| owned(&it)));
            *at = fetched.next;
        }
        machine.steps.step();
    }
    assert!(is_compacted(&machine));
    for (mut seen, at, _) in readers {
        seen.extend(read(&machine, &customers, at));
        assert_equal(&seen, &appended, "a reader");
    }
}

#[test]
fn tombstones_stay_for_their_time_after_the_pass_that_removed_what_was_before_them() {
    let (machine, customers) = scene();
    let append = |record: &Record<'_>| {
        let mut batch = Batch::new();
        batch.push(record).unwrap();
        machine.wait(customers.append(batch)).unwrap().offsets.start
    };
    let value = vec![1; 500];
    let put = |key| Record {
        key: Some(key),
        ..Record::of(&value)
    };
    append(&put(b"gone"));
    let tombstone = append(&Record::tombstone(b"gone"));
    // It is old before a pass sees it.
    machine.clock.advance(10 * DAY);
    let fill = || {
        for _ in 0..100 {
            append(&put(b"other"));
            machine.steps.settle();
        }
        machine.pass(MINUTE);
    };
    fill();
    let tombstones = || {
        let all = read(&machine, &customers, 0);
        let gone = all.iter().filter(|(_, key, _)| key == b"gone");
        gone.map(|(offset, ..)| *offset).collect::<Vec<_>>()
    };
    assert_eq!(
        tombstones(),
        [tombstone],
        "what was before it went just now"
    );
    machine.pass(Duration::from_mins(24 * 60 - 2));
    assert_eq!(tombstones(), [tombstone]);
    // Nothing has been appended: it goes all the same.
    machine.pass(2 * MINUTE);
    assert!(tombstones().is_empty());
}

#[test]
fn small_segments_become_few_and_old_files_are_removed() {
    let (machine, customers) = scene();
    let mut rng = Seed::new(1).rng("puts");
    for _ in 0..400 {
        append_some(&mut rng, &machine, &customers, 5);
        machine.pass(MINUTE);
    }
    let files = machine.segments();
    assert!(files.len() <= 6, "{files:?}");
    assert_eq!(customers.start(), 0, "compaction moves no start");
    let refused = machine
        .wait(customers.append(batch(&[b"no key"])))
        .unwrap_err();
    assert!(matches!(refused, Error::NoKey { .. }), "{refused}");
}

#[test]
fn records_without_a_key_from_before_stay() {
    let machine = Machine::new();
    let topic = machine.topic("orders", TopicOptions::new());
    let orders = topic.partition(0).unwrap();
    for number in 0..60_u8 {
        machine.append(&orders, &[number; 700]);
    }
    let before = machine.steps.read_all(&orders);
    machine
        .wait(topic.set_retention(Retention::forever().compacted()))
        .unwrap();
    machine.pass(MINUTE);
    assert!(is_compacted(&machine));
    assert_eq!(machine.steps.read_all(&orders), before);
}

#[test]
fn damage_that_compaction_finds_stops_the_partition_and_changes_nothing() {
    let machine = Machine::new();
    let topic = machine.topic("customers", TopicOptions::new());
    let customers = topic.partition(0).unwrap();
    let mut rng = Seed::new(1).rng("puts");
    for _ in 0..100 {
        append_some(&mut rng, &machine, &customers, 5);
    }
    machine.steps.settle();
    let file = machine.segments().remove(1);
    let byte = machine.fs.contents(&file).unwrap()[500];
    machine.fs.rot(&file, 500, &[byte ^ 1]);
    let contents = || {
        machine
            .segments()
            .into_iter()
            .map(|file| machine.fs.contents(file))
    };
    let before: Vec<_> = contents().collect();
    machine
        .wait(topic.set_retention(Retention::forever().compacted()))
        .unwrap();
    machine.pass(MINUTE);
    assert!(matches!(customers.status(), Status::Failed { .. }));
    assert!(contents().eq(before), "nothing is changed");
}

/// So that little is written between two passes.
fn tiny(options: Options) -> Options {
    options.journal_bytes(4096).segment_bytes(4096)
}

/// Appends and compacts on a disk that stops before the call with this number, if it is said: what
/// was acknowledged.
fn play(fs: &FaultyFs, clock: &TestClock, calls: Option<u64>) -> Vec<Read> {
    fs.inject(Fault::Crash, calls.map_or(When::Never, When::After));
    let mut rng = Seed::new(3).rng("puts and deletes");
    let mut appended = Vec::new();
    if let Ok(machine) = Machine::on(fs.clone(), clock.clone(), Arc::new(tiny))
        && let Ok(topic) = machine.log.topic("customers")
    {
        let customers = topic.partition(0).unwrap();
        for _ in 0..12 {
            appended.extend(append_some(&mut rng, &machine, &customers, 6));
            machine.clock.advance(MINUTE);
            (0..40).for_each(|_| machine.steps.step());
        }
    }
    appended
}

#[test]
fn crash_before_any_call_leaves_the_same_map_and_no_file_that_nothing_names() {
    // A folder with something to compact already.
    let base = Machine::with(tiny);
    let customers = compacted(&base);
    let mut rng = Seed::new(2).rng("puts and deletes");
    let mut before = Vec::new();
    for _ in 0..60 {
        before.extend(append_some(&mut rng, &base, &customers, 6));
    }
    base.wait(base.log.close()).unwrap();

    let made = base.fs.calls();
    let whole = base.fs.kill();
    play(&whole, &TestClock::at(base.clock.now()), None);
    let all = whole.calls() - made;
    let files = whole.files();
    let generations = files.iter().filter_map(|file| file.extension()?.to_str());
    let generation = generations.filter_map(|it| it.parse::<u32>().ok()).max();
    assert!(
        generation >= Some(2) && all > 200,
        "{generation:?}, {all} calls"
    );
    for call in 0..all {
        let (fs, clock) = (base.fs.kill(), TestClock::at(base.clock.now()));
        let appended = [before.clone(), play(&fs, &clock, Some(call))].concat();
        let machine = Machine::on(fs.kill(), clock, Arc::new(tiny)).unwrap();
        // Nothing has run yet. What is there is named: removing any of it is missed.
        let files = machine.segments();
        let base = |file: &PathBuf| file.file_stem().unwrap().to_owned();
        let is_one_each = files.is_sorted_by(|a, b| base(a) < base(b));
        assert!(is_one_each, "call {call}: {files:?}");
        let is_named = |file: &PathBuf| call % 8 != 0 || is_missed(&machine, file);
        assert!(files.iter().all(is_named), "call {call}: {files:?}");
        let customers = machine.found("customers", 0);
        let there = read(&machine, &customers, 0);
        // One more may have become durable than was acknowledged.
        let acknowledged = appended.last().map_or(0, |it| it.0);
        if there.iter().all(|it| it.0 <= acknowledged) {
            assert_equal(&there, &appended, &format!("call {call}"));
        }
        machine.steps.settle();
        let later = read(&machine, &customers, 0);
        assert_eq!(fold(&later), fold(&there), "call {call}");
        machine.wait(machine.log.close()).unwrap();
    }
}

/// Whether a log that has lost this file cannot be read.
fn is_missed(machine: &Machine, file: &Path) -> bool {
    let fs = machine.fs.kill();
    fs.remove_file(file).unwrap();
    let machine = machine.started(fs).unwrap();
    let customers = machine.found("customers", 0);
    let mut from = 0;
    while from < customers.visible_end() {
        match machine.wait(customers.fetch(from, 1 << 20)) {
            Ok(fetched) => from = fetched.next,
            Err(_) => return true,
        }
    }
    customers.status() != Status::Healthy
}
