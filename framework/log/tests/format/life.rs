//! The life of the log in the fixture: a bit of everything that the format has.

use std::{path::Path, sync::Arc, time::Duration};

use levada_core::{Seed, Timestamp};
use levada_log::{Batch, Compression, Log, Options, Partition, Record, Retention, TopicOptions};

use levada_testkit::TestClock;

use crate::support::{Steps, batch, small};

pub(super) const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
pub(super) const DAY: Duration = Duration::from_hours(24);
const SECOND: Duration = Duration::from_secs(1);
/// Bytes of a value of the compacted topic: a few of them fill a segment.
pub(super) const LARGE: usize = 3000;

/// How the folder is written and read: on the thread of the test, in the order of the test.
pub(super) fn options(clock: &TestClock, steps: &Steps) -> Options {
    small()
        .clock(Arc::new(clock.clone()))
        .spawner(Arc::new(steps.clone()))
        .seed(Seed::new(1))
        .reserve_bytes(0)
}

/// A log that lives.
struct Life {
    clock: TestClock,
    steps: Steps,
    log: Log,
}

/// Lives in a folder, and stops there as a process that is killed does.
pub(super) fn live(folder: &Path) {
    let (clock, steps) = (TestClock::at(START), Steps::default());
    let log = options(&clock, &steps).open(folder).unwrap();
    let life = Life { clock, steps, log };
    life.topics();
    life.records();
    life.sequences(0);
    life.transactions(["sold", "returned"]);
    life.map();
    // From here on all is in the journal alone.
    life.append("plain", 0, batch(&[b"in the journal"]));
    life.append("map", 0, of(&[Record::tombstone(b"a")]));
    life.append("packed", 0, text(20..40));
    life.sequences(3);
    life.transactions(["sold again", "returned again"]);
    life.open_transaction();
    // What is not closed writes nothing more.
    drop(life.steps);
}

impl Life {
    fn partition(&self, topic: &str, number: u32) -> Partition {
        self.log.topic(topic).unwrap().partition(number).unwrap()
    }

    fn append(&self, topic: &str, number: u32, batch: Batch) {
        self.clock.advance(SECOND);
        let ticket = self.partition(topic, number).append(batch);
        self.steps.wait(ticket).unwrap();
        self.steps.settle();
    }

    fn topics(&self) {
        let plain = TopicOptions::new().partitions(2).codec("text");
        let packed = Retention::forever().age(30 * DAY).bytes(1 << 20);
        for (name, options) in [
            ("plain", plain.partitioner("murmur2")),
            (
                "packed",
                TopicOptions::new()
                    .compression(Compression::Lz4)
                    .retention(packed),
            ),
            (
                "map",
                TopicOptions::new().retention(Retention::forever().tombstones(DAY)),
            ),
            ("done", TopicOptions::new()),
        ] {
            let created = self.log.create_topic(name, options);
            self.steps.wait(created).unwrap();
        }
    }

    fn records(&self) {
        let full = Record {
            key: Some(b"536365"),
            value: b"white lantern",
            headers: &[("trace", b"\x01\xff"), ("", b"")],
            event_time: START + DAY,
            tombstone: false,
        };
        let before = Record {
            key: Some(b""),
            event_time: Timestamp::from_millis(-1),
            ..Record::of(b"")
        };
        self.append("plain", 0, of(&[full, before, Record::of(b"no key")]));
        self.append("packed", 0, text(0..20));
        self.append("done", 0, batch(&[b"the last word"]));
        let sealed = self.log.topic("done").unwrap().seal();
        self.steps.wait(sealed).unwrap();
        let (plain, packed) = (self.partition("plain", 0), self.partition("packed", 0));
        let readers = self.log.group("readers").unwrap();
        let moved = readers.commit(&[(&plain, 2), (&packed, 5)]);
        self.steps.wait(moved).unwrap();
    }

    /// Two batches with sequences from `first` on, of two records and of one.
    fn sequences(&self, first: u64) {
        let import = self.steps.wait(self.log.producer("import")).unwrap();
        let to = self.partition("plain", 1);
        for (sequence, values) in [(first, &["one", "two"][..]), (first + 2, &["three"])] {
            let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
            let ticket = import.append(&to, sequence, batch(&values));
            self.steps.wait(ticket).unwrap();
        }
    }

    /// A transaction over two partitions that is committed, with a position, and one that is
    /// aborted.
    fn transactions(&self, [sold, returned]: [&str; 2]) {
        let mut shop = self.steps.wait(self.log.producer("shop")).unwrap();
        let both = [self.partition("plain", 0), self.partition("plain", 1)];
        let sale = shop.begin().unwrap();
        for partition in &both {
            let ticket = sale.append(partition, batch(&[sold.as_bytes()]));
            self.steps.wait(ticket).unwrap();
        }
        let clerks = self.log.group("clerks").unwrap();
        let position = both[1].visible_end();
        let committed = sale.commit_with(&clerks, &[(&both[1], position)]);
        self.steps.wait(committed).unwrap();
        let sale = shop.begin().unwrap();
        let ticket = sale.append(&both[0], batch(&[returned.as_bytes()]));
        self.steps.wait(ticket).unwrap();
        self.steps.wait(sale.abort()).unwrap();
    }

    /// Keys that are put again and again, until the journal is flushed and the topic compacted.
    fn map(&self) {
        for (key, value) in [
            ("a", b'1'),
            ("b", b'2'),
            ("a", b'3'),
            ("c", b'4'),
            ("b", b'5'),
            ("c", b'6'),
        ] {
            let value = [value; LARGE];
            let put = Record {
                key: Some(key.as_bytes()),
                ..Record::of(&value)
            };
            self.append("map", 0, of(&[put]));
        }
        self.clock.advance(60 * SECOND);
        self.steps.settle();
    }

    fn open_transaction(&self) {
        let mut clerk = self.steps.wait(self.log.producer("clerk")).unwrap();
        let sale = clerk.begin().unwrap();
        let ticket = sale.append(&self.partition("plain", 0), batch(&[b"not yet"]));
        self.steps.wait(ticket).unwrap();
        let behind = self.partition("plain", 0).append(batch(&[b"behind"]));
        self.steps.wait(behind).unwrap();
        // Its end is asked for, and nobody is there any more to write it.
        drop(sale);
    }
}

/// A batch of these records.
fn of(records: &[Record<'_>]) -> Batch {
    let mut batch = Batch::new();
    for record in records {
        batch.push(record).unwrap();
    }
    batch
}

/// Lines that are worth being compressed.
fn text(lines: std::ops::Range<u32>) -> Batch {
    let lines: Vec<String> = lines.map(line).collect();
    let values: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    batch(&values)
}

pub(super) fn line(number: u32) -> String {
    format!("line {number} of a text that says the same again and again")
}
