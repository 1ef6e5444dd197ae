//! What a user's own tests cost: little time, and nothing in what is shipped.

use std::time::Duration;

use levada::{Clock as _, SystemClock, prelude::*, sink::Collected};
use levada_testkit::TestBench;

use crate::support::tree;

/// What a test of a user's pipeline may take.
const LIMIT: Duration = Duration::from_millis(50);
/// A machine that is busy with other tests is not what is measured: the best of so many tries is.
const TRIES: u32 = 20;

/// A test as a user would write it: a topic, a pipeline with state, and what comes out.
fn users_test() {
    let bench = TestBench::new();
    let words = bench.levada().topic::<String>("words").create().unwrap();
    let writing = bench.levada().pipeline("writing");
    let source = iter(["to", "be", "or", "not", "to", "be"].map(str::to_owned));
    writing
        .source(source)
        .key_by(String::clone)
        .sink(to_topic(&words).sealing());
    bench.start(writing).unwrap().until_idle();

    let (counting, counts) = (bench.levada().pipeline("counting"), Collected::new());
    counting
        .source(topic(&words))
        .key_by(String::clone)
        .count()
        .at_end()
        .sink(collect(&counts));
    let mut run = bench.start(counting).unwrap();
    run.until_idle();
    assert!(matches!(run.result(), Some(Ok(()))));
    let counted = counts.take_sorted();
    let expected = [("be", 2), ("not", 1), ("or", 1), ("to", 2)];
    assert_eq!(
        counted,
        expected.map(|(word, count)| (word.to_owned(), count))
    );
}

#[test]
fn a_users_test_in_memory_takes_less_than_fifty_milliseconds() {
    let clock = SystemClock::new();
    let took = (0..TRIES).map(|_| {
        let before = clock.elapsed();
        users_test();
        clock.elapsed().saturating_sub(before)
    });
    let best = took.min().unwrap();
    assert!(best < LIMIT, "it took {best:?}");
}

#[test]
fn no_test_code_is_in_what_is_shipped() {
    for package in [
        "levada",
        "levada-core",
        "levada-log",
        "levada-engine",
        "levada-operators",
    ] {
        let needed = tree(&["--package", package, "--edges", "normal,build"]);
        let is_test_code = |name: &&String| *name == "levada-testkit";
        assert_eq!(needed.iter().find(is_test_code), None, "{package} needs it");
    }
}
