//! Pipelines that belong together start together, or not at all.

use std::{sync::Arc, thread};

use futures::executor::block_on;
use levada_core::{
    BoxError, Sink, SinkContext, SinkWriter, Source, SourceContext,
    backend::{Topic, TopicSpec},
    key::Key,
    record::Head,
};
use levada_engine::{Error, Levada};

use crate::support::{Counting, Kept, Numbers};

/// Seals a topic when it is opened.
struct Sealing(Arc<dyn Topic>);

impl<K: Key> Sink<u64, K> for Sealing {
    type Writer = Self;

    fn open(&self, _: &SinkContext) -> Result<Self, BoxError> {
        block_on(self.0.seal())?;
        Ok(Self(Arc::clone(&self.0)))
    }
}

impl<K: Key> SinkWriter<u64, K> for Sealing {
    fn write(&mut self, _: u64, _: &K, _: &Head) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Has nothing to read, and finds that out late: others that run have had their time.
struct Absent(Arc<dyn Topic>);

impl Source for Absent {
    type Item = u64;
    type Reader = Counting;

    fn splits(&self) -> Result<Vec<String>, BoxError> {
        let others_run = || self.0.partition(0).ends().sealed;
        for _ in 0..20_000 {
            if others_run() {
                break;
            }
            thread::yield_now();
        }
        Err("there is nothing to read".into())
    }

    fn open(&self, _: u32, _: &SourceContext) -> Result<Counting, BoxError> {
        unreachable!("it has no splits")
    }
}

#[test]
fn nothing_has_started_when_one_of_them_cannot_be_built() {
    let levada = Levada::builder().arbiters(2).in_memory();
    let spec = TopicSpec {
        partitions: 1,
        codec: "raw/1".to_owned(),
    };
    let topic = levada.backend().create_topic("orders", &spec).unwrap();

    let first = levada.pipeline("first");
    let numbers = Numbers {
        splits: 1,
        count: 10,
    };
    first.source(numbers).sink(Sealing(Arc::clone(&topic)));
    let second = levada.pipeline("second");
    let absent = second.source(Absent(Arc::clone(&topic)));
    absent.sink(Kept::new().sink());

    let refused = levada.start([first, second]).unwrap_err();
    assert!(matches!(refused, Error::Start { pipeline, .. } if pipeline == "second"));
    assert!(!topic.partition(0).ends().sealed, "the first had started");
}
