//! Operators that look at one record at a time.

use levada_core::{BoxError, Calls, Dataflow as _, Fault};
use levada_engine::Pipeline;
use levada_operators::{prelude::*, sink::Collected};

#[test]
fn what_fails_keeps_its_value_its_error_and_the_order_of_the_rest() {
    let pipeline = Pipeline::new("parsing");
    let (good, bad) = (Collected::new(), Collected::new());
    let (numbers, malformed) = pipeline
        .source(iter(["1", "x", "3", "", "5"].map(str::to_owned)))
        .try_map(|text| text.parse::<u32>());
    numbers.named("parse").sink(collect(&good));
    malformed.sink(collect(&bad));
    pipeline.run().unwrap();
    assert_eq!(good.take(), [1, 3, 5]);
    let bad: Vec<_> = bad.take();
    let told: Vec<_> = bad
        .iter()
        .map(|l| (l.value.as_str(), l.error.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("x", "invalid digit found in string"),
            ("", "cannot parse integer from empty string")
        ]
    );
    assert!(bad.iter().all(|letter| letter.attempts == 1));
    assert!(bad.iter().all(|letter| letter.operator == "parse"));
}

#[test]
fn a_skipped_record_is_neither_a_result_nor_a_dead_letter() {
    let pipeline = Pipeline::new("skipping");
    let (good, bad) = (Collected::new(), Collected::new());
    let (even, failed) = pipeline.source(iter(0..10_u32)).try_map(|n| match n {
        n if n % 2 == 0 => Ok(*n),
        7 => Err(Fault::NonRetryable(BoxError::from("seven"))),
        _ => Err(Fault::Skip),
    });
    even.sink(collect(&good));
    failed.map(|letter| letter.value).sink(collect(&bad));
    pipeline.run().unwrap();
    assert_eq!(good.take(), [0, 2, 4, 6, 8]);
    assert_eq!(bad.take(), [7]);
}

#[test]
fn each_record_goes_to_exactly_one_side_of_a_split() {
    let pipeline = Pipeline::new("split");
    let (small, large) = (Collected::new(), Collected::new());
    let (less, more) = pipeline.source(iter(0..5_000_u32)).split(|n| *n < 2_000);
    less.sink(collect(&small));
    more.sink(collect(&large));
    pipeline.run().unwrap();
    assert_eq!(small.take(), (0..2_000).collect::<Vec<_>>());
    assert_eq!(large.take(), (2_000..5_000).collect::<Vec<_>>());
}

#[test]
fn both_streams_of_a_fork_have_every_record() {
    let pipeline = Pipeline::new("fork");
    let (one, other) = (Collected::new(), Collected::new());
    let (stream, copy) = pipeline.source(iter(0..5_000_u32)).fork();
    stream.sink(collect(&one));
    copy.map(|n| n + 1).sink(collect(&other));
    pipeline.run().unwrap();
    assert_eq!(one.take(), (0..5_000).collect::<Vec<_>>());
    assert_eq!(other.take(), (1..5_001).collect::<Vec<_>>());
}

#[test]
fn operators_without_keys_serve_keyed_streams_and_keep_their_keys() {
    let pipeline = Pipeline::new("keyed");
    let counts = Collected::new();
    let (odd, none) = pipeline
        .source(iter(0..100_u32))
        .key_by(|n| n % 4)
        .map(|n| n * 2)
        .filter(|n| *n >= 100)
        .flat_map(|n| [n, n])
        .split(|n| n % 4 == 2);
    odd.count().at_end().sink(collect(&counts));
    none.sink(discard());
    pipeline.run().unwrap();
    assert_eq!(counts.take_sorted(), [(1, 24), (3, 26)]);
}

#[test]
fn calls_keep_the_order_of_a_plain_stream() {
    let pipeline = Pipeline::new("calls");
    let called = Collected::new();
    pipeline
        .source(iter(0..1_000_u64))
        .map_async("wait", Calls::at_most(16), |n| async move {
            for _ in 0..n * 7 % 5 {
                yield_once().await;
            }
            n
        })
        .sink(collect(&called));
    pipeline.run().unwrap();
    assert_eq!(called.take(), (0..1_000).collect::<Vec<_>>());
}

/// Comes back at the next turn.
async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
