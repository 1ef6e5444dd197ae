//! The operator contract: what comes out is a function of what goes in, whatever the chunks, and
//! credit adds up at every step on the way.

use std::{ops::ControlFlow, time::Duration};

use futures::FutureExt as _;
use levada::{ChunkLimits, Levada, Seed, Topic, prelude::*, sink::Collected};
use levada_testkit::TestBench;

/// An event of 1 of 40 keys, out of order by up to 50 ms, sometimes repeated, sometimes broken.
fn events() -> Vec<(u32, i64, String)> {
    let mut rng = Seed::new(11).rng("events");
    let mut events = Vec::new();
    for i in 0..5_000_i64 {
        let (key, jitter) = (u32::try_from(rng.below(40)).unwrap(), rng.below(50));
        let text = if rng.chance(1, 20) {
            "broken".to_owned()
        } else {
            rng.below(900).to_string()
        };
        events.push((key, i * 10 - i64::try_from(jitter).unwrap(), text));
    }
    events
}

/// Everything in one: two outputs, event time, state, timers of both kinds, two levels of keys.
fn draw(levada: &Levada, out: &Topic<String>) -> Pipeline {
    let pipeline = levada.pipeline("contract");
    let (parsed, broken) = pipeline
        .source(iter(events()))
        .event_time(Duration::from_millis(50), |(_, at, _)| {
            Timestamp::from_millis(*at)
        })
        .try_map(|(key, _, text)| text.parse::<u64>().map(|n| (*key, n)));
    let counts = parsed
        .key_by(|(key, _)| *key)
        .dedup(Duration::from_millis(300))
        .count()
        .every(3)
        .map(|(key, n)| format!("count {key} {n}"))
        .values();
    let broken = broken
        .key_by(|letter| letter.value.0 % 4)
        .fold(0_u64, |n, _| *n += 1)
        .at_end()
        .batch(2, Duration::from_secs(1))
        .map(|batch| format!("broken {batch:?}"))
        .values();
    counts.key_by(String::clone).sink(to_topic(out));
    broken.sink(to_topic(out).header("kind", |_, _| b"broken".to_vec()));
    pipeline
}

/// Every byte of a topic: values, keys, times and headers, by partition and kind of record.
fn bytes_of(out: &Topic<String>) -> Vec<String> {
    let mut all = Vec::new();
    for number in 0..out.partitions() {
        let partition = out.raw().partition(number);
        let fetched = partition
            .fetch(0, usize::MAX)
            .now_or_never()
            .unwrap()
            .unwrap();
        for batch in &fetched.batches {
            batch.each_from(0, &mut |record| {
                let kind = record.headers.get("kind").map(<[u8]>::to_vec);
                let (key, value, at) = (record.key, record.value, record.event_time);
                all.push(format!("{number} {kind:?} {key:?} {value:?} {at:?}"));
                ControlFlow::Continue(())
            });
        }
    }
    // Two sinks share the topic, and how they take turns is nobody's promise: each keeps its order.
    all.sort_by_key(|record| record.contains("Some([98"));
    all
}

fn run_with(records: usize, window: u32) -> Vec<String> {
    let limits = ChunkLimits {
        records,
        ..ChunkLimits::default()
    };
    let bench =
        TestBench::with(|builder| builder.arbiters(1).chunk_limits(limits).edge_window(window));
    let out = bench
        .levada()
        .topic::<String>("out")
        .partitions(3)
        .create()
        .unwrap();
    let mut run = bench.start(draw(bench.levada(), &out)).unwrap();
    // Each turn of this run counts the credit of every edge.
    run.until_idle();
    let result = run.result();
    assert!(matches!(result, Some(Ok(()))), "{result:?}");
    bytes_of(&out)
}

#[test]
fn the_same_bytes_come_out_whatever_the_chunks() {
    let want = run_with(1024, 256 << 10);
    assert!(want.len() > 300, "{}", want.len());
    for records in [1, 7, 64] {
        assert!(
            run_with(records, 256 << 10) == want,
            "chunks of {records} differ"
        );
    }
}

#[test]
fn the_same_bytes_come_out_however_little_credit_there_is() {
    let want = run_with(1024, 256 << 10);
    for window in [1, 100, 5_000] {
        assert!(
            run_with(1024, window) == want,
            "a window of {window} differs"
        );
    }
}

#[test]
fn a_processing_timer_fires_when_the_clock_has_come_to_it_and_not_before() {
    let bench = TestBench::new();
    let batches = Collected::new();
    let numbers = bench
        .levada()
        .topic::<u32>("numbers")
        .partitions(1)
        .create()
        .unwrap();
    let pipeline = bench.levada().pipeline("batches");
    pipeline
        .source(topic(&numbers))
        .batch(10, Duration::from_millis(100))
        .sink(collect(&batches));
    let mut run = bench.start(pipeline).unwrap();

    let writing = bench.levada().pipeline("writing");
    writing.source(iter([1_u32, 2, 3])).sink(to_topic(&numbers));
    bench.start(writing).unwrap().until_idle();

    run.until_idle();
    run.advance(Duration::from_millis(99));
    assert!(batches.is_empty());
    run.advance(Duration::from_millis(1));
    assert_eq!(batches.take(), [vec![1, 2, 3]]);
}

#[test]
fn a_batch_of_calls_keeps_filling_until_its_slot_is_free() {
    let bench = TestBench::new();
    let clock = bench.clock().clone();
    let numbers = bench
        .levada()
        .topic::<u32>("numbers")
        .partitions(1)
        .create()
        .unwrap();
    let pipeline = bench.levada().pipeline("calls");
    let (sizes, wait) = (Collected::new(), Duration::from_millis(100));
    pipeline
        .source(topic(&numbers))
        .batch_async("call", 500, wait, Calls::at_most(1), move |batch| {
            let pause = clock.sleep(Duration::from_millis(200));
            async move {
                pause.await;
                batch.len()
            }
        })
        .sink(collect(&sizes));
    let mut run = bench.start(pipeline).unwrap();
    let write = |numbers_from: u32| {
        let writing = bench.levada().pipeline("writing");
        let some: Vec<u32> = (numbers_from..numbers_from + 100).collect();
        writing.source(iter(some)).sink(to_topic(&numbers));
        bench.start(writing).unwrap().until_idle();
    };
    write(0);
    run.until_idle();
    run.advance(wait); // The first hundred have waited long enough: their call starts.
    for n in 1..=4 {
        write(n * 100);
        run.advance(Duration::from_millis(49));
    }
    assert!(sizes.is_empty());
    run.advance(Duration::from_millis(4)); // The slot is free at 200 ms, and takes all that came.
    assert_eq!(sizes.take(), [100]);
    run.advance(Duration::from_millis(200));
    assert_eq!(sizes.take(), [400]);
}

#[test]
fn a_processing_timer_fires_on_time_in_a_stage_that_never_runs_dry() {
    let bench = TestBench::with(|builder| {
        builder.arbiters(1).chunk_limits(ChunkLimits {
            records: 10,
            ..ChunkLimits::default()
        })
    });
    let clock = bench.clock().clone();
    let batches = Collected::new();
    let pipeline = bench.levada().pipeline("busy");
    pipeline
        .source(iter(0..10_000_u32))
        // Each record takes a millisecond of the test's clock, and more are always waiting.
        .map(move |n| {
            clock.advance(Duration::from_millis(1));
            n
        })
        .batch(1_000_000, Duration::from_millis(100))
        .sink(collect(&batches));
    let mut run = bench.start(pipeline).unwrap();
    run.until_idle();
    let sizes: Vec<usize> = batches
        .take()
        .into_iter()
        .map(|batch| batch.len())
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 10_000);
    assert!(sizes.len() > 50, "{} batches", sizes.len());
}
