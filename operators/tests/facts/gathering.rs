//! Operators that remember: what they say, and when.

use std::time::Duration;

use levada_core::{ChunkLimits, Timestamp};
use levada_engine::{Levada, Pipeline};
use levada_operators::{prelude::*, sink::Collected};
use levada_testkit::{TestBench, TestPipeline};

use crate::support::{append, row, seal};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_count_speaks_after_each_record() {
    let pipeline = Pipeline::new("count");
    let counts = Collected::new();
    pipeline
        .source(iter(0..6_u32))
        .key_by(|n| n % 2)
        .count()
        .sink(collect(&counts));
    pipeline.run().unwrap();
    assert_eq!(
        counts.take_sorted(),
        [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]
    );
}

#[test]
fn every_so_many_says_the_rest_at_the_end_and_nothing_twice() {
    for (records, said) in [(1, vec![1]), (4, vec![4]), (9, vec![4, 8, 9]), (0, vec![])] {
        let pipeline = Pipeline::new("every");
        let counts = Collected::new();
        pipeline
            .source(iter(0..records))
            .key_by(|_| "all".to_owned())
            .count()
            .every(4)
            .map(|(_, n)| n)
            .sink(collect(&counts));
        pipeline.run().unwrap();
        assert_eq!(counts.take(), said, "of {records} records");
    }
}

/// A topic of one partition, and a pipeline on a bench that reads it through `draw`.
fn fed<U>(
    draw: impl FnOnce(levada_core::Stream<u32>, &Collected<U>),
) -> (
    TestBench,
    levada_core::Topic<u32>,
    TestPipeline,
    Collected<U>,
) {
    let bench = TestBench::new();
    let numbers = bench
        .levada()
        .topic("numbers")
        .partitions(1)
        .create()
        .unwrap();
    let pipeline = bench.levada().pipeline("fed");
    let out = Collected::new();
    draw(pipeline.source(topic(&numbers)).boxed(), &out);
    let run = bench.start(pipeline).unwrap();
    (bench, numbers, run, out)
}

#[test]
fn every_so_long_speaks_while_records_keep_coming() {
    let (_bench, numbers, mut run, out) = fed(|stream, out| {
        stream
            .key_by(|_| 0_u8)
            .count()
            .every(SECOND)
            .map(|(_, n)| n)
            .sink(collect(out));
    });
    // A record each 0.4 s: the key is never quiet for a second.
    let mut said = Vec::new();
    for n in 0..10 {
        append(&numbers, 0, [row(n)]);
        run.until_idle();
        run.advance(SECOND * 2 / 5);
        said.extend(out.take());
    }
    assert!(said.len() >= 3, "it said {said:?} in four seconds");
    seal(&numbers);
    run.until_idle();
    said.extend(out.take());
    assert_eq!(said.last(), Some(&10));
}

#[test]
fn a_fold_says_the_value_of_its_last_record_at_the_end() {
    let pipeline = Pipeline::new("fold");
    let longest = Collected::new();
    pipeline
        .source(iter(["to", "tree", "tea", "oak", "on"].map(str::to_owned)))
        .key_by(|word| word.as_bytes()[0])
        .fold(String::new(), |longest: &mut String, word: String| {
            if word.len() > longest.len() {
                *longest = word;
            }
        })
        .at_end()
        .sink(collect(&longest));
    pipeline.run().unwrap();
    let want = [(b'o', "oak".to_owned()), (b't', "tree".to_owned())];
    assert_eq!(longest.take_sorted(), want);
}

#[test]
fn a_batch_leaves_when_it_is_full_and_the_rest_leaves_at_the_end() {
    let pipeline = Pipeline::new("batch");
    let batches = Collected::new();
    pipeline
        .source(iter(0..7_u32))
        .batch(3, Duration::from_hours(1))
        .sink(collect(&batches));
    pipeline.run().unwrap();
    assert_eq!(batches.take(), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
}

#[test]
fn a_batch_leaves_when_its_first_record_has_waited_long_enough() {
    let (_bench, numbers, mut run, out) = fed(|stream, out| {
        stream.batch(100, SECOND).sink(collect(out));
    });
    append(&numbers, 0, [row(1)]);
    run.until_idle();
    run.advance(SECOND * 3 / 4);
    append(&numbers, 0, [row(2)]);
    run.until_idle();
    assert!(out.is_empty(), "left too early");
    run.advance(SECOND / 4);
    assert_eq!(out.take(), [vec![1, 2]]);
    // The next one waits for its own first record.
    append(&numbers, 0, [row(3)]);
    run.until_idle();
    run.advance(SECOND * 3 / 4);
    assert!(out.is_empty(), "left too early");
    run.advance(SECOND / 4);
    assert_eq!(out.take(), [vec![3]]);
}

#[test]
fn a_batch_that_left_full_leaves_no_timer_behind() {
    let (_bench, numbers, mut run, out) = fed(|stream, out| {
        stream.batch(2, SECOND).sink(collect(out));
    });
    append(&numbers, 0, [row(1), row(2)]);
    run.until_idle();
    run.advance(SECOND / 2);
    append(&numbers, 0, [row(3)]);
    run.until_idle();
    assert_eq!(out.take(), [vec![1, 2]]);
    run.advance(SECOND / 2);
    assert!(out.is_empty(), "the first batch's timer let the second go");
    run.advance(SECOND / 2);
    assert_eq!(out.take(), [vec![3]]);
}

#[test]
fn batches_of_a_keyed_stream_hold_one_key() {
    let pipeline = Pipeline::new("keyed-batches");
    let batches = Collected::new();
    pipeline
        .source(iter(0..10_u32))
        .key_by(|n| n % 2)
        .batch(2, Duration::from_hours(1))
        .sink(collect(&batches));
    pipeline.run().unwrap();
    let want = [
        vec![0, 2],
        vec![1, 3],
        vec![4, 6],
        vec![5, 7],
        vec![8],
        vec![9],
    ];
    assert_eq!(batches.take_sorted(), want);
}

/// What `dedup` of ten seconds lets through of these event times, in milliseconds, of one key.
fn deduplicated(times: &[i64]) -> Vec<i64> {
    let pipeline = Pipeline::new("dedup");
    let kept = Collected::new();
    pipeline
        .source(iter(times.to_vec()))
        .event_time(SECOND, |at| Timestamp::from_millis(*at))
        .key_by(|_| 0_u8)
        .dedup(SECOND * 10)
        .sink(collect(&kept));
    pipeline.run().unwrap();
    kept.take()
}

#[test]
fn repeat_inside_the_span_is_dropped() {
    assert_eq!(deduplicated(&[0, 1, 9_999]), [0]);
}

#[test]
fn repeat_behind_the_span_passes_and_begins_a_span_of_its_own() {
    assert_eq!(
        deduplicated(&[0, 10_000, 19_999, 20_000]),
        [0, 10_000, 20_000]
    );
}

#[test]
fn a_dropped_repeat_does_not_prolong_the_span() {
    assert_eq!(deduplicated(&[0, 9_000, 10_000]), [0, 10_000]);
}

#[test]
fn a_join_takes_the_latest_and_gives_what_found_nothing() {
    let bench = TestBench::new();
    let levada = bench.levada();
    let prices = levada
        .topic::<(String, u32)>("prices")
        .partitions(1)
        .create()
        .unwrap();
    let orders = levada
        .topic::<(String, u32)>("orders")
        .partitions(1)
        .create()
        .unwrap();
    let pipeline = levada.pipeline("join");
    let (pairs, others) = (Collected::new(), Collected::new());
    let (joined, unmatched) = pipeline
        .source(topic(&orders))
        .key_by(|(sku, _)| sku.clone())
        .join_latest(
            pipeline
                .source(topic(&prices))
                .key_by(|(sku, _)| sku.clone()),
        );
    joined
        .map(|((_, order), (_, price))| (order, price))
        .sink(collect(&pairs));
    unmatched.map(|(_, order)| order).sink(collect(&others));
    let mut run = bench.start(pipeline).unwrap();
    let steps = [
        (&orders, 1),
        (&prices, 30),
        (&orders, 2),
        (&prices, 40),
        (&orders, 3),
    ];
    for (topic, number) in steps {
        append(topic, 0, [row(("tea".to_owned(), number))]);
        run.until_idle();
    }
    assert_eq!(pairs.take(), [(2, 30), (3, 40)]);
    assert_eq!(others.take(), [1]);
}

#[test]
fn what_comes_out_does_not_depend_on_how_records_travel() {
    let run = |records| {
        let limits = ChunkLimits {
            records,
            ..ChunkLimits::default()
        };
        let levada = Levada::builder()
            .arbiters(1)
            .chunk_limits(limits)
            .in_memory();
        let pipeline = levada.pipeline("chunks");
        let out = Collected::new();
        pipeline
            .source(iter(0..5_000_u64))
            .event_time(SECOND, |n| {
                Timestamp::from_millis(i64::try_from(n * 10).unwrap())
            })
            .key_by(|n| n * n % 97)
            .dedup(SECOND)
            .count()
            .every(3)
            .sink(collect(&out));
        pipeline.run().unwrap();
        out.take()
    };
    let want = run(1024);
    assert!(
        want.len() > 500,
        "{} records are too few to tell",
        want.len()
    );
    for records in [1, 7, 64] {
        assert_eq!(run(records), want, "with chunks of {records}");
    }
}

#[test]
fn a_record_from_long_before_the_one_that_passed_is_no_repeat_of_it() {
    let seconds = [7_200, 5_400, 7_200, 7_199, 7_201];
    let pipeline = Pipeline::new("late");
    let kept = Collected::new();
    pipeline
        .source(iter(seconds))
        .event_time(Duration::from_hours(1), |at| {
            Timestamp::from_millis(at * 1_000)
        })
        .key_by(|_| 0_u8)
        .dedup(Duration::from_secs(1))
        .sink(collect(&kept));
    pipeline.run().unwrap();
    assert_eq!(kept.take(), [7_200, 5_400, 7_199, 7_201]);
}
