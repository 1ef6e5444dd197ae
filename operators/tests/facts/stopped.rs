//! A log that dies under a pipeline: what was read until then is no result.

use std::sync::{Arc, atomic::Ordering};

use levada_core::{Dataflow as _, Seed};
use levada_engine::{Levada, backend::EmbeddedBackend};
use levada_log::Log;
use levada_operators::prelude::*;
use levada_testkit::vfs::{Fault, FaultyFs, When};

use crate::support::{append, row, try_append};

#[test]
fn when_a_sync_fails_the_pipeline_fails_and_writes_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("counts");
    let fs = FaultyFs::new(Seed::new(1));
    let log = Log::options()
        .vfs(Arc::new(fs.clone()))
        .open("/log")
        .unwrap();
    let backend = Arc::new(EmbeddedBackend::on(log));
    let levada = Levada::builder().arbiters(1).on(backend);
    let numbers = levada
        .topic::<u32>("numbers")
        .partitions(2)
        .create()
        .unwrap();
    append(&numbers, 0, (0..10).map(row));

    let counting = levada.pipeline("counting");
    counting
        .source(topic(&numbers))
        .key_by(|n| n % 2)
        .count()
        .at_end()
        .named("counts")
        .sink(files(&result, |(digit, n)| format!("{digit},{n}")));
    let running = counting.start().unwrap();
    let read = &running.progress().operators()[0].counts.records_in;
    while read.load(Ordering::Relaxed) < 10 {
        std::thread::yield_now();
    }

    fs.inject(Fault::SyncFailed, When::Always);
    try_append(&numbers, 1, [row(10)]).unwrap_err();
    let said = running.wait().unwrap_err().to_string();
    assert!(
        said.contains("of topic `numbers` has stopped before its end"),
        "{said}"
    );
    assert!(
        said.contains("cannot sync") && said.contains("open it again"),
        "{said}"
    );
    assert!(!result.exists(), "half the input was taken for all of it");
}
