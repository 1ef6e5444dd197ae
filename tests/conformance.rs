//! Every backend passes the one conformance suite, check by check.

use std::sync::Arc;

use levada::{
    Levada, SystemClock, Threads,
    engine::backend::{EmbeddedBackend, MemoryBackend},
};
use levada_core::backend::Backend;
use levada_testkit::conformance;

#[test]
fn the_backend_in_memory_keeps_every_promise() {
    conformance::check(&|| Arc::new(MemoryBackend::new(Arc::new(SystemClock::new()))));
}

#[test]
fn the_embedded_backend_keeps_every_promise() {
    let folders = tempfile::tempdir().unwrap();
    let next = std::cell::Cell::new(0);
    conformance::check(&|| {
        next.set(next.get() + 1);
        let folder = folders.path().join(next.get().to_string());
        let clock = Arc::new(SystemClock::new());
        Arc::new(EmbeddedBackend::open(&folder, clock, Arc::new(Threads)).unwrap())
    });
}

/// What was acknowledged is there when the folder is opened again, positions and seals too.
#[test]
fn the_embedded_backend_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let count = |levada: &Levada| -> (u64, bool, Option<u64>) {
        let topic = levada
            .topic::<String>("words")
            .partitions(1)
            .create()
            .unwrap();
        let ends = topic.raw().partition(0).ends();
        (
            ends.visible,
            ends.sealed,
            topic.committed("readers", 0).unwrap(),
        )
    };
    let levada = Levada::open(folder.path()).unwrap();
    let words = levada
        .topic::<String>("words")
        .partitions(1)
        .create()
        .unwrap();
    let writing = levada.pipeline("writing");
    {
        use levada::prelude::*;
        let source = iter((0..100).map(|n| n.to_string()).collect::<Vec<_>>());
        writing.source(source).sink(to_topic(&words).sealing());
        writing.run().unwrap();
        let readers = levada.pipeline("readers");
        readers.source(topic(&words)).sink(discard());
        readers.run().unwrap();
    }
    assert_eq!(count(&levada), (100, true, Some(100)));
    drop((levada, words));
    assert_eq!(
        count(&Levada::open(folder.path()).unwrap()),
        (100, true, Some(100))
    );
}

/// The wiring of a backend of a program's own.
#[test]
fn a_program_may_bring_a_backend_of_its_own() {
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new(Arc::new(SystemClock::new())));
    let levada = Levada::builder().on(Arc::clone(&backend));
    levada
        .topic::<u64>("numbers")
        .partitions(2)
        .create()
        .unwrap();
    assert_eq!(backend.topic("numbers").unwrap().spec().partitions, 2);
}
