//! What is said about a topic is what is there.

use std::{fs, sync::Arc, time::Duration};

use levada_core::Timestamp;
use levada_log::{Acks, Compression, Log, Retention, Status, TopicOptions};

use levada_testkit::TestClock;

use crate::support::{batch, segments, small};

#[test]
fn ends_sizes_and_times_are_those_of_what_was_appended_and_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::default();
    let options = || small().clock(Arc::new(clock.clone()));
    let log = options().open(folder.path()).unwrap();
    let topic = log.create_topic("orders", TopicOptions::new().partitions(3));
    let topic = topic.wait().unwrap();
    let orders = topic.partition(1).unwrap();
    let mut bytes = 0;
    for _ in 0..50 {
        clock.advance(Duration::from_secs(1));
        let batch = batch(&[&[7; 1000], b"second"]);
        bytes += batch.size() as u64;
        orders.append(batch).wait().unwrap();
        let said = topic.describe();
        assert_eq!(said.segment_bytes() + said.memory_bytes(), bytes);
    }
    let said = topic.describe();
    let empty = &said.partitions[0];
    assert_eq!((empty.start, empty.end, empty.segments), (0, 0, 0));
    assert_eq!((empty.first_append, empty.last_append), (None, None));
    let said = &said.partitions[1];
    assert_eq!((said.start, said.visible_end, said.end), (0, 100, 100));
    assert!(said.memory_bytes > 0 && said.segment_bytes > 0);
    let times = [1_000, 50_000].map(|millis| Some(Timestamp::from_millis(millis)));
    assert_eq!([said.first_append, said.last_append], times);
    topic.seal().wait().unwrap();
    log.close().wait().unwrap();

    let log = options().open(folder.path()).unwrap();
    let said = log.topic("orders").unwrap().describe();
    let files = segments(folder.path());
    assert_eq!(said.segments(), files.len());
    let lens = files.iter().map(|path| path.metadata().unwrap().len());
    assert_eq!((said.segment_bytes(), lens.sum::<u64>()), (bytes, bytes));
    assert_eq!(said.memory_bytes(), 0);
    let said = &said.partitions[1];
    assert_eq!([said.first_append, said.last_append], times);
    assert!(said.sealed && said.status == Status::Healthy);
}

#[test]
fn how_a_topic_was_made_and_what_has_failed_is_said_and_printed() {
    let folder = tempfile::tempdir().unwrap();
    let day = Retention::forever().age(Duration::from_hours(24));
    let options = TopicOptions::new()
        .partitions(2)
        .acks(Acks::Written)
        .compression(Compression::Lz4)
        .retention(day)
        .codec("msgpack")
        .partitioner("murmur2");
    let log = Log::open(folder.path()).unwrap();
    let topic = log.create_topic("orders", options).wait().unwrap();
    let orders = topic.partition(0).unwrap();
    orders.append(batch(&[b"lost"])).wait().unwrap();
    log.close().wait().unwrap();
    drop((log, topic, orders));
    Log::open(folder.path()).unwrap().close().wait().unwrap();
    fs::remove_file(&segments(folder.path())[0]).unwrap();

    let log = Log::open(folder.path()).unwrap();
    let said = log.topic("orders").unwrap().describe();
    assert_eq!(said.name, "orders");
    assert_eq!(
        (said.acks, said.compression),
        (Acks::Written, Compression::Lz4)
    );
    assert_eq!(said.retention, day);
    assert_eq!((&*said.codec, &*said.partitioner), ("msgpack", "murmur2"));
    assert!(matches!(said.partitions[0].status, Status::Failed { .. }));
    assert_eq!(said.partitions[1].status, Status::Healthy);

    let table = said.to_string();
    let lines: Vec<_> = table.lines().collect();
    let first = "topic orders, 2 partitions, acks Written, compression Lz4, keeps 86400s";
    assert_eq!(lines[..3], [first, "codec msgpack", "partitioner murmur2"]);
    let cells = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        cells(lines[3])[..4],
        ["partition", "start", "visible", "end"]
    );
    assert_eq!(cells(lines[4])[..5], ["0", "0", "1", "1", "1"]);
    assert!(lines[4].contains("failed: segment"), "{table}");
    let healthy = [
        "1", "0", "0", "0", "0", "0", "B", "0", "B", "-", "-", "healthy",
    ];
    assert_eq!(cells(lines[5]), healthy);
    assert_eq!(cells(lines[6])[..4], ["all", "1", "129", "B"]);
    assert_eq!(lines.len(), 7);
}
