//! Sources: where records enter.
//!
//! # How a topic is filled once
//!
//! A topic's positions are kept by its groups. Nothing else has a position: [`iter`], [`lines`],
//! [`csv()`], [`generate`] and [`Handover`] begin again whenever their pipeline is started, and
//! what is appended to a topic from them is appended again.
//!
//! A topic that is sealed when all is in it tells a later start that there is nothing to do, by
//! [`is_sealed`](levada_core::Topic::is_sealed). A start that was killed before that has sent some
//! of it, though. Where none of this may come twice, each record carries its number in a header,
//! and a start sends what is missing:
//!
//! ```
//! use std::{collections::HashSet, ops::ControlFlow};
//!
//! use futures::executor::block_on;
//! use levada_core::{Topic, backend::BackendError};
//! use levada_engine::{Error, Levada};
//! use levada_operators::prelude::*;
//!
//! /// The numbers of the records that a topic holds.
//! fn held<T>(topic: &Topic<T>) -> Result<HashSet<Vec<u8>>, BackendError> {
//!     let mut held = HashSet::new();
//!     for number in 0..topic.partitions() {
//!         let partition = topic.raw().partition(number);
//!         let mut next = partition.ends().start;
//!         while next < partition.ends().visible {
//!             let fetched = block_on(partition.fetch(next, 1 << 20))?;
//!             for batch in &fetched.batches {
//!                 batch.each_from(next, &mut |record| {
//!                     held.extend(record.headers.get("number").map(<[u8]>::to_vec));
//!                     ControlFlow::Continue(())
//!                 });
//!             }
//!             next = fetched.next;
//!         }
//!     }
//!     Ok(held)
//! }
//!
//! /// Appends the orders that `topic` lacks.
//! fn fill(levada: &Levada, topic: &Topic<String>, orders: &[&str]) -> Result<(), Error> {
//!     let held = held(topic)?;
//!     let orders: Vec<_> = orders.iter().map(|order| (*order).to_owned()).collect();
//!     let pipeline = levada.pipeline("fill");
//!     pipeline
//!         .source(iter((0_u64..).zip(orders)))
//!         .filter(move |(number, _)| !held.contains(number.to_be_bytes().as_slice()))
//!         .map(|(_, order)| order)
//!         .key_by(String::clone)
//!         // The offset that a source gave a record goes with it; that of `iter` is its number.
//!         .sink(to_topic(topic).header("number", |_, head| {
//!             head.origin.offset.to_be_bytes().to_vec()
//!         }));
//!     pipeline.run()
//! }
//!
//! let levada = Levada::in_memory();
//! let topic = levada.topic("orders").partitions(2).create()?;
//! fill(&levada, &topic, &["tea", "jam"])?; // It was killed, and came no further.
//! fill(&levada, &topic, &["tea", "jam", "tea"])?;
//! fill(&levada, &topic, &["tea", "jam", "tea"])?;
//! assert_eq!(held(&topic)?.len(), 3);
//! let appended: u64 = (0..2).map(|number| topic.raw().partition(number).ends().visible).sum();
//! assert_eq!(appended, 3);
//! # Ok::<(), Error>(())
//! ```
//!
//! All numbers are looked at, not only the last of each partition: records of different keys may
//! overtake each other, and a crash may leave out one before another. Offsets do not tell either,
//! since they may have gaps. What does not fit in memory is read by a source of one's own, behind
//! a [`Handover`]: the order bus of `examples/` has one.

mod csv;
mod generate;
mod handover;
mod iter;
mod lines;
mod topic;

pub use self::{
    csv::{CsvSource, Row, csv},
    generate::{Generate, GenerateReader, generate},
    handover::{Handover, NotWanted, Offer},
    iter::{Iter, IterReader, iter},
    lines::{Lines, lines},
    topic::{RecordInfo, TopicReader, TopicSource, topic},
};
