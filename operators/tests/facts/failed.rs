//! After a failure nothing passes for done: no position, no end, no result.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use futures::FutureExt as _;
use levada_core::{BoxError, Calls, Sink, SinkContext, SinkWriter, Topic, key::Key, record::Head};
use levada_engine::{Levada, Pipeline};
use levada_operators::prelude::*;

/// Takes everything, and cannot make it durable.
#[derive(Clone, Copy)]
struct Leaky(&'static AtomicU64);

impl<K: Key> Sink<u64, K> for Leaky {
    type Writer = Self;

    fn open(&self, _: &SinkContext) -> Result<Self, BoxError> {
        Ok(*self)
    }
}

impl<K: Key> SinkWriter<u64, K> for Leaky {
    fn write(&mut self, _: u64, _: &K, _: &Head) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn poll_synced(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Err("the disk is gone".into()))
    }
}

fn filled(levada: &Levada, records: u64) -> Topic<u64> {
    let numbers = levada.topic("numbers").partitions(1).create().unwrap();
    let filling = levada.pipeline("filling");
    filling.source(iter(0..records)).sink(to_topic(&numbers));
    filling.run().unwrap();
    numbers
}

#[test]
fn what_a_sink_could_not_make_durable_is_not_committed_and_a_stop_says_so() {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let levada = Levada::builder()
        .checkpoint_interval(Duration::from_hours(1))
        .in_memory();
    let numbers = filled(&levada, 10);
    let reading = levada.pipeline("reading");
    reading.source(topic(&numbers)).sink(Leaky(&TAKEN));
    let running = reading.start().unwrap();
    while TAKEN.load(Ordering::Relaxed) < 10 {
        std::thread::yield_now();
    }
    let error = running.stop().unwrap_err().to_string();
    assert!(error.contains("the disk is gone"), "{error}");
    assert_eq!(numbers.committed("reading", 0).unwrap(), None);
}

#[test]
fn a_failure_in_the_last_timer_leaves_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("sums");
    let pipeline = Pipeline::new("sums");
    pipeline
        .source(iter(0..100_u64))
        .key_by(|n| n % 3)
        .fold(0, |sum: &mut u64, n| *sum += n)
        .at_end()
        // Maps have no canonical bytes.
        .key_by(|(key, _)| BTreeMap::from([(*key, 0_u8)]))
        .sink(files(&result, |(key, sum)| format!("{key},{sum}")));
    let error = pipeline.run().unwrap_err().to_string();
    assert!(error.contains("`key_by` failed"), "{error}");
    assert!(!result.exists(), "half a result was written");
}

#[test]
fn a_batch_that_does_not_fit_what_may_be_in_flight_is_as_large_as_fits() {
    let levada = Levada::builder().edge_window(64 * 50).in_memory();
    let (pipeline, sizes) = (levada.pipeline("bulk"), Collected::new());
    let len = |batch: Vec<u64>| async move { batch.len() };
    pipeline
        .source(iter(0..1_000_u64))
        .batch_async("insert", 700, Duration::MAX, Calls::at_most(1), len)
        .sink(collect(&sizes));
    pipeline.run().unwrap();
    let sizes = sizes.take();
    assert_eq!(sizes.iter().sum::<usize>(), 1_000);
    assert!(
        sizes.iter().all(|size| (1..700).contains(size)),
        "{sizes:?}"
    );
}

#[test]
fn calls_for_results_of_batches_are_made_again_from_the_first_record() {
    let levada = Levada::in_memory();
    let numbers = filled(&levada, 10);
    numbers.raw().seal().now_or_never().unwrap().unwrap();
    let sizes = |with_calls: bool| {
        let (pipeline, sizes) = (levada.pipeline("sizes"), Collected::new());
        let len = |batch: Vec<u64>| async move { batch.len() };
        let batches = pipeline.source(topic(&numbers));
        let lens = batches.batch_async("len", 4, Duration::MAX, Calls::at_most(1), len);
        if with_calls {
            let same = |len| async move { len };
            lens.map_async("same", Calls::at_most(1), same)
                .sink(collect(&sizes));
        } else {
            lens.sink(collect(&sizes));
        }
        pipeline.run().unwrap();
        sizes.take()
    };
    assert_eq!(sizes(false), [4, 4, 2]);
    assert_eq!(sizes(false), [0; 0], "it goes on from its position");
    assert_eq!(sizes(true), [4, 4, 2], "it has no position to go on from");
}

#[test]
fn a_group_that_would_read_a_topic_twice_is_refused() {
    let levada = Levada::in_memory();
    let numbers = filled(&levada, 10);
    let pipeline = levada.pipeline("twice");
    for _ in 0..2 {
        pipeline.source(topic(&numbers)).sink(discard());
    }
    let error = pipeline.run().unwrap_err().to_string();
    let says = "two sources read topic `numbers` as group `twice`";
    assert!(error.contains(says), "{error}");
}

#[test]
fn a_csv_file_that_cannot_be_read_on_is_an_error_and_no_bad_row() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::new("folder");
    pipeline
        .source(csv::<(u64, u64)>(folder.path()))
        .sink(discard());
    let error = pipeline.run().unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
}
