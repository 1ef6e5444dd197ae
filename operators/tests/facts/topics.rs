//! The topic source and sink.

use std::collections::HashMap;

use futures::executor::block_on;
use levada_core::{
    Timestamp,
    backend::{Batch, NewRecord},
    key::murmur2,
};
use levada_engine::Levada;
use levada_operators::{prelude::*, sink::Collected};
use levada_testkit::TestBench;

use crate::support::{Row, append, row, seal};

#[test]
fn a_record_that_comes_alone_leaves_alone_without_waiting_for_a_checkpoint() {
    let bench = TestBench::new();
    let (from, to) = (
        bench
            .levada()
            .topic::<u32>("from")
            .partitions(1)
            .create()
            .unwrap(),
        bench
            .levada()
            .topic::<u32>("to")
            .partitions(1)
            .create()
            .unwrap(),
    );
    let pipeline = bench.levada().pipeline("copy");
    pipeline.source(topic(&from)).sink(to_topic(&to));
    let mut run = bench.start(pipeline).unwrap();
    for n in 0..20 {
        append(&from, 0, [row(n)]);
        run.until_idle(); // The clock stands still: no checkpoint comes to help.
        assert_eq!(to.raw().partition(0).ends().visible, u64::from(n) + 1);
    }
}

#[test]
fn a_trickle_of_records_without_a_key_reaches_all_partitions() {
    let bench = TestBench::new();
    let levada = bench.levada();
    let from = levada.topic::<u32>("from").partitions(1).create().unwrap();
    let to = levada.topic::<u32>("to").partitions(4).create().unwrap();
    let pipeline = levada.pipeline("copy");
    pipeline.source(topic(&from)).sink(to_topic(&to));
    let mut run = bench.start(pipeline).unwrap();
    for n in 0..12 {
        append(&from, 0, [row(n)]);
        run.until_idle();
    }
    let ends = [0, 1, 2, 3].map(|number| to.raw().partition(number).ends().visible);
    assert_eq!(ends, [3; 4]);
}

#[test]
fn a_sink_with_more_copies_than_partitions_writes_everything_and_seals_once() {
    let levada = Levada::builder().arbiters(4).in_memory();
    let numbers = levada
        .topic::<u32>("numbers")
        .partitions(1)
        .create()
        .unwrap();
    let writing = levada.pipeline("writing");
    writing
        .source(iter(0..5_000_u32))
        .key_by(|n| *n)
        .values()
        .sink(to_topic(&numbers).sealing());
    let reading = levada.pipeline("reading");
    let read = Collected::new();
    reading.source(topic(&numbers)).sink(collect(&read));
    levada.run([writing, reading]).unwrap();
    assert_eq!(read.take_sorted(), (0..5_000).collect::<Vec<_>>());
}

#[test]
fn a_key_lies_in_one_partition_in_its_order_where_kafka_would_put_it() {
    let levada = Levada::builder().arbiters(3).in_memory();
    let words = levada
        .topic::<(String, u32)>("words")
        .partitions(5)
        .create()
        .unwrap();
    let writing = levada.pipeline("writing");
    writing
        .source(iter(0..6_000_u32))
        .map(|n| (format!("key {}", n % 40), n))
        .key_by(|(key, _)| key.clone())
        .sink(to_topic(&words).sealing());
    let reading = levada.pipeline("reading");
    let read = Collected::new();
    reading
        .source(topic(&words).with(|info, value| (info.partition(), value)))
        .sink(collect(&read));
    levada.run([writing, reading]).unwrap();
    let mut last = HashMap::new();
    let all = read.take();
    assert_eq!(all.len(), 6_000);
    for (partition, (key, n)) in all {
        assert_eq!(partition, (murmur2(key.as_bytes()) & 0x7fff_ffff) % 5);
        assert!(last.insert(key, n).is_none_or(|before| before < n));
    }
}

#[test]
fn headers_and_offsets_can_be_read() {
    let levada = Levada::in_memory();
    let numbers = levada
        .topic::<u32>("numbers")
        .partitions(1)
        .create()
        .unwrap();
    let rows = (0..3_u32).map(|n| Row {
        key: None,
        value: n,
        at: Timestamp::from_millis(i64::from(n) * 1_000),
        headers: &[("unit", b"ms"), ("of", b"test")],
    });
    append(&numbers, 0, rows);
    seal(&numbers);
    let pipeline = levada.pipeline("reading");
    let seen = Collected::new();
    let source = topic(&numbers).with(|info, n| {
        let header = |name| info.header(name).map(<[u8]>::to_vec);
        (info.offset(), n, header("of"), header("absent"))
    });
    pipeline.source(source).sink(collect(&seen));
    pipeline.run().unwrap();
    let of = Some(b"test".to_vec());
    assert_eq!(
        seen.take(),
        [0, 1, 2].map(|n| (u64::from(n), n, of.clone(), None))
    );
}

#[test]
fn a_group_without_state_goes_on_where_it_stands_and_one_with_state_begins_again() {
    let levada = Levada::in_memory();
    let numbers = levada
        .topic::<u32>("numbers")
        .partitions(2)
        .create()
        .unwrap();
    append(&numbers, 0, (0..10).map(row));
    append(&numbers, 1, (10..20).map(row));
    seal(&numbers);
    let commit = |group: &str| {
        let positions = vec![("numbers".to_owned(), 0, 7), ("numbers".to_owned(), 1, 10)];
        block_on(levada.backend().commit(group, positions)).unwrap();
    };
    commit("stateless");
    commit("stateful");

    let (stateless, rest) = (levada.pipeline("stateless"), Collected::new());
    stateless.source(topic(&numbers)).sink(collect(&rest));
    let (stateful, total) = (levada.pipeline("stateful"), Collected::new());
    stateful
        .source(topic(&numbers))
        .key_by(|_| 0_u8)
        .count()
        .at_end()
        .sink(collect(&total));
    let (other, grouped) = (levada.pipeline("other"), Collected::new());
    other
        .source(topic(&numbers).group("stateless"))
        .sink(collect(&grouped));

    stateful.run().unwrap();
    assert_eq!(total.take(), [(0, 20)]);
    stateless.run().unwrap();
    assert_eq!(rest.take_sorted(), [7, 8, 9]);
    other.run().unwrap();
    assert!(grouped.is_empty(), "the group stands at the end by now");

    let (again, all) = (levada.pipeline("stateless"), Collected::new());
    again
        .source(topic(&numbers).from_start())
        .sink(collect(&all));
    again.run().unwrap();
    assert_eq!(all.len(), 20);
}

#[test]
fn bytes_that_are_no_value_stop_the_pipeline_and_name_their_place() {
    let levada = Levada::in_memory();
    let numbers = levada
        .topic::<u32>("numbers")
        .partitions(3)
        .create()
        .unwrap();
    append(&numbers, 2, [row(1), row(2)]);
    let mut batch = Batch::default();
    batch.push(NewRecord {
        key: None,
        value: b"\xc1",
        event_time: Timestamp::MIN,
        headers: &[],
    });
    block_on(numbers.raw().partition(2).append(batch)).unwrap();
    let pipeline = levada.pipeline("reading");
    pipeline.source(topic(&numbers)).sink(discard());
    let error = pipeline.run().unwrap_err().to_string();
    assert!(
        error.contains("numbers/2") && error.contains('2'),
        "{error}"
    );
    assert!(error.contains("msgpack/1"), "{error}");
}

#[test]
fn a_key_that_differs_from_the_written_one_stops_the_pipeline() {
    let levada = Levada::in_memory();
    let words = levada.topic::<String>("words").create().unwrap();
    let writing = levada.pipeline("writing");
    writing
        .source(iter(["tea", "jam"].map(str::to_owned)))
        .key_by(Clone::clone)
        .sink(to_topic(&words).sealing());
    writing.run().unwrap();
    let reading = levada.pipeline("reading");
    reading
        .source(topic(&words))
        .keyed(|word| word.len() as u64)
        .count()
        .sink(discard());
    let error = reading.run().unwrap_err().to_string();
    assert!(error.contains("written under another key"), "{error}");
}

#[test]
fn a_pipeline_reads_a_topic_that_is_still_written() {
    let bench = TestBench::new();
    let numbers = bench
        .levada()
        .topic::<u32>("numbers")
        .partitions(2)
        .create()
        .unwrap();
    let pipeline = bench.levada().pipeline("reading");
    let read = Collected::new();
    pipeline.source(topic(&numbers)).sink(collect(&read));
    let mut run = bench.start(pipeline).unwrap();
    for n in 0..50 {
        append(&numbers, n % 2, [row(n)]);
        run.until_idle();
        assert_eq!(read.take(), [n]);
    }
    assert!(run.result().is_none(), "it ended before its topic did");
    seal(&numbers);
    run.until_idle();
    assert!(matches!(run.result(), Some(Ok(()))));
}

#[test]
fn event_times_and_headers_are_written_with_each_record() {
    let levada = Levada::in_memory();
    let from = levada.topic::<u32>("from").partitions(1).create().unwrap();
    let to = levada.topic::<u32>("to").partitions(1).create().unwrap();
    let at = |n: u32| Timestamp::from_millis(i64::from(n) * 1_000);
    let rows = (1..4).map(|n| Row {
        at: at(n),
        ..row(n)
    });
    append(&from, 0, rows);
    seal(&from);
    let pipeline = levada.pipeline("copying");
    let sink = to_topic(&to).header("from", |_, head| {
        head.origin.offset.to_string().into_bytes()
    });
    pipeline.source(topic(&from)).sink(sink);
    pipeline.run().unwrap();
    let mut seen = Vec::new();
    for batch in block_on(to.raw().partition(0).fetch(0, 1 << 20))
        .unwrap()
        .batches
    {
        batch.each_from(0, &mut |record| {
            let header = record.headers.get("from").map(<[u8]>::to_vec);
            seen.push((record.event_time, header));
            std::ops::ControlFlow::Continue(())
        });
    }
    let want = [(1, "0"), (2, "1"), (3, "2")];
    assert_eq!(
        seen,
        want.map(|(n, from)| (at(n), Some(from.as_bytes().to_vec())))
    );
}
