//! Lag and counts are what a test counts itself, on a clock that it moves.

use std::{
    io,
    sync::{Arc, Mutex, atomic::Ordering},
    thread,
    time::Duration,
};

use futures::{FutureExt as _, executor::block_on, future::BoxFuture};
use levada::{
    Running, Topic, engine::backend::EmbeddedBackend, prelude::*, sink::Collected,
    source::TopicSource,
};
use levada_core::{Spawner, Threads, Timestamp, backend::Backend};
use levada_log::{Batch, Log, Partition, Record, Retention, TopicOptions};
use levada_testkit::{TestBench, TestClock, TestPipeline};
use metrics_exporter_prometheus::PrometheusBuilder;
use tracing::{Dispatch, instrument::WithSubscriber as _};

const SECOND: Duration = Duration::from_secs(1);

fn write(bench: &TestBench, topic: &Topic<u32>, count: u32) {
    let writing = bench.levada().pipeline("writing");
    writing
        .source(iter((0..count).collect::<Vec<_>>()))
        .sink(to_topic(topic));
    let mut run = bench.start(writing).unwrap();
    run.until_idle();
    assert!(matches!(run.result(), Some(Ok(()))));
}

/// What a recorder shows of the log and of the group, as Prometheus collects it.
fn shown(running: &Running) -> Vec<String> {
    shown_of(running.progress().publish())
}

/// What a recorder shows of logs and groups that it is told of.
fn shown_of(publish: impl Future<Output = ()>) -> Vec<String> {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || block_on(publish));
    let text = recorder.handle().render();
    let families = ["levada_topic_", "levada_group_"];
    let is_shown = |line: &&str| families.iter().any(|family| line.starts_with(family));
    let mut shown: Vec<_> = text.lines().filter(is_shown).map(str::to_owned).collect();
    shown.sort_unstable();
    shown
}

/// Where the partition begins and ends, by the test's own count.
fn ends(run: &TestPipeline) -> (u64, u64) {
    let ends = run.lag()[0].ends;
    (ends.start, ends.visible)
}

/// Position, lag in records, lag in seconds.
fn lag(run: &TestPipeline) -> (u64, u64, f64) {
    let lags = run.lag();
    assert_eq!(lags.len(), 1);
    (lags[0].position, lags[0].records, lags[0].seconds)
}

#[test]
fn a_stalled_group_lags_by_what_was_appended_and_by_the_age_of_the_oldest() {
    let bench = TestBench::new();
    let numbers = bench
        .levada()
        .topic::<u32>("numbers")
        .partitions(1)
        .create()
        .unwrap();
    let clock = bench.clock().clone();
    let done = Collected::new();
    let pipeline = bench.levada().pipeline("slow");
    pipeline
        .source(topic(&numbers))
        .map_async("wait", Calls::at_most(1), move |n| {
            let pause = clock.sleep(10 * SECOND);
            async move {
                pause.await;
                n
            }
        })
        .sink(collect(&done));
    let mut run = bench.start(pipeline).unwrap();
    run.advance(SECOND);
    assert_eq!(lag(&run), (0, 0, 0.0), "nothing was appended");
    assert_eq!(ends(&run), (0, 0));

    write(&bench, &numbers, 3);
    run.advance(SECOND);
    assert_eq!(lag(&run), (0, 3, 1.0), "read, and not done");
    assert_eq!(ends(&run), (0, 3));
    run.advance(8 * SECOND);
    assert_eq!(lag(&run), (0, 3, 9.0));

    write(&bench, &numbers, 2);
    run.advance(2 * SECOND); // The first call is done 10 s after it began.
    assert_eq!(done.len(), 1);
    assert_eq!(
        lag(&run),
        (1, 4, 11.0),
        "the oldest is the second record of the first batch"
    );
    assert_eq!(ends(&run), (0, 5));
    let (of_topic, of_group) = (
        "{topic=\"numbers\",partition=\"0\"}",
        "{group=\"slow\",topic=\"numbers\",partition=\"0\"}",
    );
    assert_eq!(
        shown(run.running()),
        [
            format!("levada_group_committed_offset{of_group} 1"),
            format!("levada_group_lag_records{of_group} 4"),
            format!("levada_group_lag_seconds{of_group} 11"),
            format!("levada_topic_partition_log_end_offset{of_topic} 5"),
            format!("levada_topic_partition_log_start_offset{of_topic} 0"),
        ]
    );

    for _ in 0..40 {
        run.advance(SECOND);
    }
    assert_eq!(done.take(), [0, 1, 2, 0, 1]);
    assert_eq!(lag(&run), (5, 0, 0.0), "caught up");
    let counts = &run.running().progress().operators()[0].counts;
    assert_eq!(counts.records_in.load(Ordering::Relaxed), 5);
}

#[test]
fn a_group_without_state_goes_on_at_the_lowest_record_that_was_not_done() {
    let bench = TestBench::new();
    let numbers = bench
        .levada()
        .topic::<u32>("numbers")
        .partitions(1)
        .create()
        .unwrap();
    write(&bench, &numbers, 10);
    let done = Collected::new();
    let draw = || {
        let (clock, pipeline) = (bench.clock().clone(), bench.levada().pipeline("slow"));
        pipeline
            .source(topic(&numbers))
            .map_async("wait", Calls::at_most(4).unordered(), move |n: u32| {
                // The third takes for ever; the others a second.
                let pause = clock.sleep(if n == 2 { 1000 * SECOND } else { SECOND });
                async move {
                    pause.await;
                    n
                }
            })
            .sink(collect(&done));
        bench.start(pipeline).unwrap()
    };
    let mut first = draw();
    for _ in 0..4 {
        first.advance(SECOND);
    }
    assert_eq!(done.take_sorted(), [0, 1, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(lag(&first), (2, 8, 4.0));

    let mut second = draw();
    second.until_idle();
    for _ in 0..4 {
        second.advance(SECOND);
    }
    assert_eq!(
        done.take_sorted(),
        [3, 4, 5, 6, 7, 8, 9],
        "from the third on"
    );
}

#[test]
fn a_group_that_reads_from_the_start_again_lags_by_what_it_reads() {
    let bench = TestBench::new();
    let numbers = bench
        .levada()
        .topic::<u32>("numbers")
        .partitions(1)
        .create()
        .unwrap();
    write(&bench, &numbers, 5);
    let done = Collected::new();
    let draw = |source: TopicSource<u32>, wait| {
        let (clock, pipeline) = (bench.clock().clone(), bench.levada().pipeline("slow"));
        pipeline
            .source(source)
            .map_async("wait", Calls::at_most(1), move |n| {
                let pause = clock.sleep(wait);
                async move {
                    pause.await;
                    n
                }
            })
            .sink(collect(&done));
        bench.start(pipeline).unwrap()
    };
    let mut first = draw(topic(&numbers), Duration::ZERO);
    first.until_idle();
    first.advance(SECOND);
    assert_eq!(lag(&first), (5, 0, 0.0));
    assert_eq!(done.take().len(), 5);

    let mut again = draw(topic(&numbers).from_start(), 10 * SECOND);
    assert_eq!(
        lag(&again),
        (0, 5, 1.0),
        "it has all to read again, before it has read any"
    );
    again.advance(SECOND);
    assert_eq!(lag(&again), (0, 5, 2.0));
    again.advance(10 * SECOND);
    assert_eq!(done.take(), [0]);
    assert_eq!(lag(&again), (1, 4, 12.0));
    for _ in 0..40 {
        again.advance(SECOND);
    }
    assert_eq!(lag(&again), (5, 0, 0.0), "caught up");
}

#[test]
fn a_pipeline_whose_input_has_ended_stops_before_its_calls_are_done() {
    let bench = TestBench::new();
    let clock = bench.clock().clone();
    let done = Collected::new();
    let pipeline = bench.levada().pipeline("slow");
    pipeline
        .source(iter(0..10_u32))
        .map_async("wait", Calls::at_most(2), move |n| {
            let pause = clock.sleep(100 * SECOND);
            async move {
                pause.await;
                n
            }
        })
        .sink(collect(&done));
    let mut run = bench.start(pipeline).unwrap();
    run.advance(SECOND);
    run.tell(levada_core::coordinator::Ending::Stop);
    run.until_idle();
    assert!(
        matches!(run.result(), Some(Ok(()))),
        "it waits for its calls"
    );
    assert!(done.is_empty());
}

#[test]
fn a_group_is_told_how_long_retention_leaves_what_it_has_not_done() {
    const DAY: Duration = Duration::from_hours(24);
    let (folder, clock) = (
        tempfile::tempdir().unwrap(),
        TestClock::at(Timestamp::from_millis(0)),
    );
    let log = Log::options().clock(Arc::new(clock.clone()));
    let log = log.open(folder.path()).unwrap();
    let kept = TopicOptions::new()
        .codec("msgpack/1")
        .partitioner("murmur2/1");
    let for_a_day = kept.clone().retention(Retention::forever().age(DAY));
    let numbers = log.create_topic("numbers", for_a_day).wait().unwrap();
    let for_good = log.create_topic("primes", kept).wait().unwrap();
    for _ in 0..2 {
        for topic in [&numbers, &for_good] {
            let mut batch = Batch::new();
            batch.push(&Record::of(&[7])).unwrap();
            topic.partition(0).unwrap().append(batch).wait().unwrap();
        }
        clock.advance(10 * SECOND);
    }
    let done = [(&numbers.partition(0).unwrap(), 1)];
    log.group("further").unwrap().commit(&done).wait().unwrap();

    let backend = Arc::new(EmbeddedBackend::on(log));
    let levada = Levada::builder().clock(clock.clone()).on(backend);
    let prepared = |group: &str, name: &str| {
        let pipeline = levada.pipeline(group);
        let from = levada.topic::<u32>(name).open().unwrap();
        pipeline.source(topic(&from)).sink(discard());
        pipeline.prepare().unwrap().running // Nothing moves.
    };
    let told = |running: &Running| {
        let lines = shown(running).into_iter();
        let mut of = lines.filter(|line| line.starts_with("levada_group_retention_seconds"));
        let line = of.next()?;
        Some(line.split_once("} ")?.1.to_owned())
    };
    let first = prepared("first", "numbers");
    assert_eq!(told(&first).as_deref(), Some("86380"));
    assert_eq!(
        block_on(first.lag())[0].retained_for,
        Some(Duration::from_secs(86_380))
    );
    assert_eq!(
        told(&prepared("further", "numbers")).as_deref(),
        Some("86390")
    );
    assert_eq!(
        told(&prepared("first", "primes")),
        None,
        "nothing would remove it"
    );

    clock.advance(Duration::from_hours(1));
    assert_eq!(told(&first).as_deref(), Some("82780"));
    numbers.set_retention(Retention::forever()).wait().unwrap();
    assert_eq!(told(&first).as_deref(), Some("inf"), "no longer");
    assert_eq!(block_on(first.lag())[0].retained_for, None);
}

/// Threads for the works of a log, and what is logged on them as a warning.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn warnings(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Spawner for Heard {
    fn spawn(&self, name: &str, work: BoxFuture<'static, ()>) -> io::Result<()> {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let heard = work.with_subscriber(Dispatch::new(subscriber));
        Threads.spawn(name, heard.boxed())
    }
}

impl io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits for what other threads do, for a minute.
fn until(is_so: impl Fn() -> bool) {
    for _ in 0..60_000 {
        if is_so() {
            return;
        }
        thread::park_timeout(Duration::from_millis(1));
    }
    panic!("others do it within a minute");
}

fn append(partition: &Partition) {
    let mut batch = Batch::new();
    batch.push(&Record::of(&[7])).unwrap();
    partition.append(batch).wait().unwrap();
}

/// Of a group of this name in partition 0 of `numbers`: lag in records and in seconds, and the time
/// that retention leaves it.
fn told_of(levada: &Levada, group: &str) -> [Option<f64>; 3] {
    let shown = shown_of(levada.publish());
    ["lag_records", "lag_seconds", "retention_seconds"].map(|family| {
        let labels = format!("{{group=\"{group}\",topic=\"numbers\",partition=\"0\"}} ");
        let line = format!("levada_group_{family}{labels}");
        let value = shown.iter().find_map(|it| it.strip_prefix(&line))?;
        Some(value.parse().unwrap())
    })
}

#[test]
fn a_group_whose_pipeline_has_ended_is_told_of_until_retention_has_taken_its_backlog() {
    const HOUR: Duration = Duration::from_hours(1);
    let (folder, heard) = (tempfile::tempdir().unwrap(), Heard::default());
    let clock = TestClock::at(Timestamp::from_millis(0));
    let log = Log::options()
        .clock(Arc::new(clock.clone()))
        .spawner(Arc::new(heard.clone()));
    let log = log.open(folder.path()).unwrap();
    let for_a_day = TopicOptions::new()
        .codec("msgpack/1")
        .partitioner("murmur2/1")
        .retention(Retention::forever().age(24 * HOUR));
    let numbers = log.create_topic("numbers", for_a_day).wait().unwrap();
    let partition = numbers.partition(0).unwrap();
    let group = log.group("slow").unwrap();
    append(&partition);

    let backend: Arc<dyn Backend> = Arc::new(EmbeddedBackend::on(log));
    let on = || {
        Levada::builder()
            .clock(clock.clone())
            .on(Arc::clone(&backend))
    };
    let levada = on();
    let done = Collected::new();
    let pipeline = levada.pipeline("slow");
    let from = levada.topic::<u32>("numbers").open().unwrap();
    pipeline.source(topic(&from)).sink(collect(&done));
    let running = pipeline.start().unwrap();
    until(|| done.len() == 1);
    running.stop().unwrap();
    assert_eq!(group.position(&partition), Some(1));

    // It has ended, and more comes.
    append(&partition);
    assert_eq!(
        told_of(&levada, "slow"),
        [Some(1.0), Some(0.0), Some(86_400.0)]
    );
    clock.advance(HOUR);
    assert_eq!(
        told_of(&levada, "slow"),
        [Some(1.0), Some(3600.0), Some(82_800.0)]
    );
    let elsewhere = on(); // Of a program that has no such pipeline.
    assert_eq!(told_of(&elsewhere, "slow"), told_of(&levada, "slow"));

    // A tenth of a day is left.
    assert_eq!(heard.warnings(), "");
    clock.advance(21 * HOUR);
    until(|| heard.warnings().contains("retention will soon remove"));
    assert!(
        heard
            .warnings()
            .contains("group=slow topic=numbers partition=0 position=1")
    );
    assert_eq!(
        told_of(&levada, "slow"),
        [Some(1.0), Some(79_200.0), Some(7200.0)]
    );
    assert_eq!(
        partition.fetch(1, 1000).wait().unwrap().next,
        2,
        "it is there"
    );

    clock.advance(3 * HOUR);
    until(|| partition.start() == 2);
    assert!(partition.fetch(1, 1000).wait().is_err());
    let [records, seconds, _] = told_of(&levada, "slow");
    assert_eq!(
        (records, seconds),
        (Some(0.0), Some(0.0)),
        "nothing is left to lag by"
    );
    assert_eq!(group.missed(&partition), 1);
}

#[test]
fn a_group_that_commits_nothing_is_told_of_where_its_pipeline_left_it() {
    let levada = Levada::in_memory();
    let numbers = levada
        .topic::<u32>("numbers")
        .partitions(1)
        .create()
        .unwrap();
    let draw = |name| {
        let writing = levada.pipeline(name);
        writing.source(iter([7_u32])).sink(to_topic(&numbers));
        writing.run().unwrap();
    };
    draw("first");
    let (counting, counted) = (levada.pipeline("counting"), Collected::new());
    let by_number = counting.source(topic(&numbers)).key_by(|n| *n);
    by_number.count().named("counts").sink(collect(&counted));
    let running = counting.start().unwrap();
    until(|| counted.len() == 1);
    running.stop().unwrap();
    assert_eq!(numbers.committed("counting", 0).unwrap(), None);
    let lag = || told_of(&levada, "counting")[0];
    assert_eq!(lag(), Some(0.0));
    draw("second");
    assert_eq!(lag(), Some(1.0));
}
