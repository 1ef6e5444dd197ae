//! What a pipeline says of itself while it runs and when it starts.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use futures::executor::block_on;
use levada_core::{
    Begin, BoxError, Dataflow as _, Fault, Source, SourceContext, Subscription, Timestamp,
    backend::{Batch, NewRecord, Topic},
};
use levada_engine::{Ended, Error, Levada, Pipeline, Running};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::support::{Count, Counting, Each, Kept, Numbers};

#[test]
fn pipelines_that_are_waited_for_can_still_be_looked_at() {
    let levada = Levada::in_memory();
    let kept = Kept::new();
    let draw = |name: &str| {
        let pipeline = levada.pipeline(name);
        let numbers = Numbers {
            splits: 1,
            count: 100,
        };
        let numbers = pipeline.source(numbers);
        numbers
            .apply("keep", Each(|_: &u64| Ok(())))
            .sink(kept.sink());
        pipeline
    };
    let running = levada.start([draw("a"), draw("b")]).unwrap();
    let names: Vec<&str> = running.iter().map(Running::name).collect();
    assert_eq!(names, ["a", "b"]);
    let progress = Arc::clone(running[1].progress());
    assert_eq!(levada.wait(running).unwrap(), Ended::Finished);
    let taken = &progress.operators()[0].counts.records_in;
    assert_eq!(taken.load(std::sync::atomic::Ordering::Relaxed), 100);
    assert!(block_on(progress.lag()).is_empty(), "it reads no topic");
}

#[test]
fn two_pipelines_of_one_name_are_refused() {
    let levada = Levada::in_memory();
    let draw = || {
        let pipeline = levada.pipeline("twin");
        let endless = Numbers {
            splits: 1,
            count: u64::MAX,
        };
        pipeline.source(endless).sink(Kept::new().sink());
        pipeline
    };
    let refused = levada.start([draw(), draw()]).unwrap_err();
    assert!(matches!(refused, Error::SameName { name } if name == "twin"));
}

/// A fault of each kind, by number.
fn fault_of(kind: u64) -> Result<(), Fault> {
    Err(match kind {
        0 => Fault::Skip,
        1 => Fault::Retryable("busy".into()),
        2 => Fault::NonRetryable("broken".into()),
        3 => Fault::Backoff("down".into()),
        4 => "odd".into(),
        _ => return Ok(()),
    })
}

#[test]
fn errors_are_counted_by_the_kind_of_their_fault() {
    let reasons = [
        "skip",
        "retryable",
        "non_retryable",
        "backoff",
        "unclassified",
    ];
    for (kind, reason) in (0..).zip(reasons) {
        let levada = Levada::in_memory();
        let pipeline = levada.pipeline("p");
        let numbers = pipeline.source(Numbers {
            splits: 1,
            count: 1,
        });
        numbers
            .apply("judge", Each(move |_: &u64| fault_of(kind)))
            .sink(Kept::new().sink());
        let running = pipeline.start().unwrap();
        let progress = Arc::clone(running.progress());
        // All but the first stop the pipeline.
        assert_eq!(running.wait().is_ok(), kind == 0);

        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || block_on(progress.publish()));
        let shown = recorder.handle().render();
        let family = "levada_operator_errors_total{pipeline=\"p\",operator=\"judge\",";
        let counts: Vec<&str> = shown
            .lines()
            .filter(|line| line.starts_with(family))
            .collect();
        assert_eq!(counts.len(), reasons.len(), "{shown}");
        for line in counts {
            let expected = u8::from(line.contains(&format!("reason=\"{reason}\"")));
            assert!(line.ends_with(&format!(" {expected}")), "{line}");
        }
    }
}

/// Numbers that are said to be those of a topic.
struct OfTopic(Numbers);

impl Source for OfTopic {
    type Item = u64;
    type Reader = Counting;

    fn splits(&self) -> Result<Vec<String>, BoxError> {
        self.0.splits()
    }

    fn open(&self, split: u32, cx: &SourceContext) -> Result<Counting, BoxError> {
        self.0.open(split, cx)
    }

    fn subscription(&self, cx: &SourceContext) -> Option<Subscription> {
        Some(Subscription {
            topic: "numbers".to_owned(),
            group: cx.pipeline.to_string(),
            slots: 256,
            keyed: false,
            begin: Begin::Committed,
        })
    }
}

/// Appends so many records to a partition.
fn fill(topic: &dyn Topic, number: u32, count: u64) {
    let mut batch = Batch::default();
    for _ in 0..count {
        batch.push(NewRecord {
            key: None,
            value: b"7",
            event_time: Timestamp::MIN,
            headers: &[],
        });
    }
    block_on(topic.partition(number).append(batch)).expect("it is open");
}

#[test]
fn a_committed_offset_is_told_only_of_groups_that_commit() {
    for keeps_state in [false, true] {
        let levada = Levada::in_memory();
        let topic = levada.topic::<u64>("numbers").partitions(1);
        let topic = topic.create().unwrap();
        fill(&**topic.raw(), 0, 10);
        let pipeline = levada.pipeline("readers");
        let numbers = pipeline.source(OfTopic(Numbers {
            splits: 1,
            count: 10,
        }));
        if keeps_state {
            let counts = numbers.key_by(|n| *n).apply("count", Count::new());
            counts.sink(Kept::new().sink());
        } else {
            numbers.sink(Kept::new().sink());
        }
        let running = pipeline.start().unwrap();
        let progress = Arc::clone(running.progress());
        running.wait().unwrap();

        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || block_on(progress.publish()));
        let shown = recorder.handle().render();
        let labels = "{group=\"readers\",topic=\"numbers\",partition=\"0\"}";
        let of = |name: &str| {
            let line = format!("levada_group_{name}{labels} ");
            shown.lines().find_map(|shown| shown.strip_prefix(&line))
        };
        let committed = topic.committed("readers", 0).unwrap();
        assert_eq!(committed, (!keeps_state).then_some(10));
        assert_eq!(of("committed_offset"), (!keeps_state).then_some("10"));
        assert_eq!(of("lag_records"), Some("0"), "{shown}");
    }
}

/// What was logged, as text.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What starting a pipeline logs at the level that programs show by default.
fn logged_at_start(pipeline: Pipeline) -> String {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || pipeline.prepare().expect("it can be built"));
    let bytes = std::mem::take(&mut *logged.0.lock().expect("nobody panicked"));
    String::from_utf8(bytes).expect("text was logged")
}

#[test]
fn a_pipeline_that_reads_a_topic_again_from_the_start_says_so_once() {
    let levada = Levada::in_memory();
    let topic = levada
        .topic::<u64>("numbers")
        .partitions(2)
        .create()
        .unwrap();
    let draw = |keeps_state| {
        let pipeline = levada.pipeline("counts");
        let numbers = pipeline.source(OfTopic(Numbers {
            splits: 2,
            count: 1,
        }));
        if keeps_state {
            let counts = numbers.key_by(|n| *n).apply("count", Count::new());
            counts.sink(Kept::new().sink());
        } else {
            numbers.sink(Kept::new().sink());
        }
        pipeline
    };
    assert_eq!(
        logged_at_start(draw(true)),
        "",
        "there is nothing to read again"
    );
    for number in 0..2 {
        fill(&**topic.raw(), number, 1);
    }
    assert_eq!(
        logged_at_start(draw(false)),
        "",
        "it goes on where it stopped"
    );
    let said = logged_at_start(draw(true));
    let sentence = "pipeline `counts` reads topic `numbers` from offset 0: what it keeps is in \
                    memory only";
    assert_eq!(said.matches(sentence).count(), 1, "{said}");
}
