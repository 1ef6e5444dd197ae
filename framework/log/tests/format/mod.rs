//! Format version 1 is frozen: a folder that was written once opens, and holds what it held.
//!
//! `fixtures/v1/data` is never written again. A release whose log writes another format has a new
//! version number, a fixture of its own beside this one, and still opens this one. How a fixture is
//! made: `cargo test -p levada-log --test promises -- --ignored writes_the_fixture`.

mod life;

use std::{fs, path::PathBuf};

use levada_core::Timestamp;
use levada_log::{Compression, Error, Isolation, Log, Partition, Retention, Status};

use levada_testkit::TestClock;

use crate::support::{Steps, batch, contents, copy};
use life::{DAY, LARGE, START, line, live, options};

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1/data")
}

/// The fixture, copied and opened an hour later.
struct Opened {
    _folder: tempfile::TempDir,
    steps: Steps,
    log: Log,
}

fn opened() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(), folder.path());
    let (clock, steps) = (TestClock::at(START + DAY / 24), Steps::default());
    let log = options(&clock, &steps).open(folder.path()).unwrap();
    Opened {
        _folder: folder,
        steps,
        log,
    }
}

impl Opened {
    fn partition(&self, topic: &str, number: u32) -> Partition {
        self.log.topic(topic).unwrap().partition(number).unwrap()
    }

    /// Offsets and values of the records that readers find, as text.
    fn read(&self, partition: &Partition) -> Vec<(u64, String)> {
        let all = self.steps.read_all(partition).into_iter();
        all.map(|(offset, value)| (offset, String::from_utf8(value).unwrap()))
            .collect()
    }
}

fn pairs(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    let pairs = expected.iter();
    pairs
        .map(|(offset, value)| (*offset, (*value).to_owned()))
        .collect()
}

#[test]
fn committed_and_uncommitted_records_of_version_1_come_back() {
    let opened = opened();
    let [left, right] = [0, 1].map(|number| opened.partition("plain", number));
    let first = [
        (0, "white lantern"),
        (1, ""),
        (2, "no key"),
        (3, "sold"),
        (5, "in the journal"),
        (6, "sold again"),
    ];
    // Opening has ended what was left open; beside it, nothing behind that is shown.
    let (folder, steps) = (tempfile::tempdir().unwrap(), Steps::default());
    copy(&fixture(), folder.path());
    let beside = options(&TestClock::at(START), &steps).open_read_only(folder.path());
    let beside = beside.unwrap().log().topic("plain").unwrap();
    assert_eq!(beside.partition(0).unwrap().visible_end(), 8);
    let ended = [&first[..], &[(9, "behind")]].concat();
    assert_eq!(opened.read(&left), pairs(&ended));
    let uncommitted = left.isolation(Isolation::Uncommitted);
    let more = [
        (4, "returned"),
        (7, "returned again"),
        (8, "not yet"),
        (9, "behind"),
    ];
    let mut all = [&first[..], &more].concat();
    all.sort_unstable();
    assert_eq!(opened.read(&uncommitted), pairs(&all));
    let second = [
        (0, "one"),
        (1, "two"),
        (2, "three"),
        (3, "sold"),
        (4, "one"),
        (5, "two"),
        (6, "three"),
        (7, "sold again"),
    ];
    assert_eq!(opened.read(&right), pairs(&second));
}

#[test]
fn keys_headers_and_times_of_version_1_come_back() {
    let opened = opened();
    let fetched = opened.partition("plain", 0).fetch(0, 1);
    let fetched = opened.steps.wait(fetched).unwrap();
    let records: Vec<_> = fetched.records().collect();
    let [full, before, plain] = &records[..] else {
        panic!("a batch of three records, and found {}", records.len());
    };
    assert_eq!(full.key, Some(&b"536365"[..]));
    assert_eq!(full.headers.get("trace"), Some(&b"\x01\xff"[..]));
    assert_eq!(full.headers.get(""), Some(&b""[..]));
    assert_eq!(full.event_time, START + DAY);
    assert_eq!(full.append_time, START + DAY / (24 * 60 * 60));
    assert_eq!(before.key, Some(&b""[..]));
    assert_eq!(before.event_time, Timestamp::from_millis(-1));
    assert_eq!((plain.key, plain.value), (None, &b"no key"[..]));
}

#[test]
fn compressed_compacted_and_sealed_topics_of_version_1_come_back() {
    let opened = opened();
    let packed = opened.partition("packed", 0);
    let lines: Vec<_> = (0..40).map(|at| (u64::from(at), line(at))).collect();
    assert_eq!(opened.read(&packed), lines);

    let (map, mut records, mut next) = (opened.partition("map", 0), Vec::new(), 0);
    while next < map.visible_end() {
        let fetched = opened.steps.wait(map.fetch(next, 1 << 20)).unwrap();
        records.extend(fetched.records().map(|it| {
            let key = String::from_utf8(it.key.unwrap().to_vec()).unwrap();
            let value = it.value.first().copied();
            let is_whole = it.value == vec![value.unwrap_or(0); it.value.len()];
            assert!(is_whole && [0, LARGE].contains(&it.value.len()), "{key}");
            (it.offset, key, value.map(char::from), it.tombstone)
        }));
        next = fetched.next;
    }
    let put = |offset, key: &str, value| (offset, key.to_owned(), Some(value), false);
    let expected = [
        put(1, "b", '2'),
        put(2, "a", '3'),
        put(3, "c", '4'),
        put(4, "b", '5'),
        put(5, "c", '6'),
        (6, "a".to_owned(), None, true),
    ];
    assert_eq!(records, expected, "the first of `a` was compacted away");
    let files = contents(&fixture());
    let is_compacted = |path: &PathBuf| path.to_string_lossy().ends_with(".1");
    assert!(files.keys().any(is_compacted), "{:?}", files.keys());

    let done = opened.partition("done", 0);
    assert_eq!(opened.read(&done), pairs(&[(0, "the last word")]));
    assert_eq!(done.sealed_at(), Some(1));
    let refused = opened.steps.wait(done.append(batch(&[b"one more"])));
    assert!(matches!(refused, Err(Error::Sealed { .. })), "{refused:?}");
}

#[test]
fn settings_positions_and_sequences_of_version_1_come_back() {
    let opened = opened();
    let log = &opened.log;
    let recovery = log.recovery();
    assert!(!recovery.clean && recovery.cut.is_none(), "{recovery:?}");
    let names: Vec<_> = log
        .topics()
        .iter()
        .map(|topic| topic.name().to_owned())
        .collect();
    assert_eq!(names, ["done", "map", "packed", "plain"]);
    let plain = log.topic("plain").unwrap();
    assert_eq!((plain.codec(), plain.partitioner()), ("text", "murmur2"));
    let packed = log.topic("packed").unwrap().describe();
    assert_eq!(packed.compression, Compression::Lz4);
    let kept = Retention::forever().age(30 * DAY).bytes(1 << 20);
    assert_eq!(packed.retention, kept);
    let map = log.topic("map").unwrap().retention();
    assert_eq!(map, Retention::forever().tombstones(DAY));
    for topic in log.topics() {
        for partition in topic.describe().partitions {
            assert_eq!(partition.status, Status::Healthy, "{}", topic.name());
        }
    }

    let [left, right] = [0, 1].map(|number| opened.partition("plain", number));
    let readers = log.group("readers").unwrap();
    assert_eq!(readers.position(&left), Some(2));
    assert_eq!(readers.position(&opened.partition("packed", 0)), Some(5));
    let clerks = log.group("clerks").unwrap();
    assert_eq!(
        (clerks.position(&left), clerks.position(&right)),
        (None, Some(7))
    );

    let import = opened.steps.wait(log.producer("import")).unwrap();
    assert_eq!(import.next_sequence(&right), 6);
    // The repeat of what lies in a segment, and of what lies in the journal.
    for (sequence, values, offsets) in [(2, &["three"][..], 2..3), (3, &["one", "two"], 4..6)] {
        let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
        let repeat = import.append(&right, sequence, batch(&values));
        assert_eq!(opened.steps.wait(repeat).unwrap().offsets, offsets);
    }
}

#[test]
#[ignore = "makes a fixture: cargo test -p levada-log --test promises -- --ignored writes_the"]
fn writes_the_fixture() {
    let folder = tempfile::tempdir().unwrap();
    live(folder.path());
    let target = fixture();
    assert!(
        !target.exists(),
        "a fixture is never changed: make a new one"
    );
    copy(folder.path(), &target);
    fs::remove_file(target.join("lock")).unwrap();
}
