//! A partition whose end lies beyond its last record, as after an unclean stop of a log.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt as _, future};
use levada_core::{
    Codec as _, MessagePack, Timestamp, TopicBuilder,
    backend::{
        Backend, BackendError, Batch, Durability, Ends, Fetched, FetchedBatch, Headers, Partition,
        Position, RecordView, Ticket, Topic, TopicSpec, Traits,
    },
    key::Slots,
};
use levada_engine::Levada;
use levada_operators::{prelude::*, sink::Collected};

/// Where records lie; everything else up to the end is a gap.
const RECORDS: [u64; 3] = [0, 5, 6];
const END: u64 = 20;

#[test]
fn a_gap_is_passed_over_and_the_end_behind_it_is_found() {
    let backend: Arc<dyn Backend> = Arc::new(Gappy);
    let levada = Levada::builder().on(Arc::clone(&backend));
    let gappy = TopicBuilder::<u64>::new(backend, "gappy").open().unwrap();
    let pipeline = levada.pipeline("reading");
    let read = Collected::new();
    pipeline.source(topic(&gappy)).sink(collect(&read));
    pipeline.run().unwrap();
    assert_eq!(read.take(), RECORDS);
}

/// One sealed topic, one partition, one batch per record: its value is its offset.
#[derive(Debug)]
struct Gappy;

impl Backend for Gappy {
    fn traits(&self) -> Traits {
        Traits {
            durability: Durability::None,
            contiguous_offsets: false,
        }
    }

    fn create_topic(&self, name: &str, _: &TopicSpec) -> Result<Arc<dyn Topic>, BackendError> {
        self.topic(name)
    }

    fn topic(&self, _: &str) -> Result<Arc<dyn Topic>, BackendError> {
        Ok(Arc::new(Self))
    }

    fn commit(&self, _: &str, _: Vec<(String, u32, u64)>) -> Ticket<()> {
        future::ready(Ok(())).boxed()
    }

    fn positions(&self, _: &str, _: &str) -> Result<BTreeMap<u32, u64>, BackendError> {
        Ok(BTreeMap::new())
    }

    fn all_positions(&self) -> Vec<Position> {
        Vec::new()
    }

    fn close(&self) {}
}

impl Topic for Gappy {
    fn name(&self) -> &'static str {
        "gappy"
    }

    fn spec(&self) -> TopicSpec {
        let codec = levada_core::Codec::<u64>::name(&MessagePack).to_owned();
        TopicSpec {
            partitions: 1,
            codec,
        }
    }

    fn slots(&self) -> Slots {
        Slots::for_partitions(1)
    }

    fn partition(&self, _: u32) -> Arc<dyn Partition> {
        Arc::new(Self)
    }

    fn seal(&self) -> Ticket<()> {
        future::ready(Ok(())).boxed()
    }
}

impl Partition for Gappy {
    fn append(&self, _: Batch) -> Ticket<u64> {
        unreachable!("the test only reads")
    }

    fn fetch(&self, from: u64, _: usize) -> Ticket<Fetched> {
        let found = RECORDS.into_iter().find(|offset| *offset >= from);
        let fetched = Fetched {
            next: found.map_or(from, |offset| offset + 1),
            batches: found
                .into_iter()
                .map(|offset| Box::new(One(offset)) as _)
                .collect(),
        };
        future::ready(Ok(fetched)).boxed()
    }

    fn ends(&self) -> Ends {
        Ends {
            start: 0,
            visible: END,
            sealed: true,
        }
    }

    fn poll_visible(&self, _: u64, _: &mut Context<'_>) -> Poll<Result<Ends, BackendError>> {
        Poll::Ready(Ok(self.ends()))
    }
}

#[derive(Debug)]
struct One(u64);

impl FetchedBatch for One {
    fn append_time(&self) -> Timestamp {
        Timestamp::MIN
    }

    fn next_offset(&self) -> u64 {
        self.0 + 1
    }

    fn each_from(&self, from: u64, each: &mut dyn FnMut(RecordView<'_>) -> ControlFlow<()>) {
        let mut value = Vec::new();
        MessagePack.encode(&self.0, &mut value).unwrap();
        if self.0 >= from {
            let _flow = each(RecordView {
                offset: self.0,
                append_time: Timestamp::MIN,
                event_time: Timestamp::MIN,
                key: None,
                value: &value,
                headers: &NoHeaders,
            });
        }
    }
}

struct NoHeaders;

impl Headers for NoHeaders {
    fn get(&self, _: &str) -> Option<&[u8]> {
        None
    }
}
