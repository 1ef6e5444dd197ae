//! Sinks: where records leave.
//!
//! # A sink of your own
//!
//! A [`Sink`](levada_core::Sink) opens a writer for each parallel copy of the stage before it. One
//! that needs everything in one place says so by its layout; one whose result is of the whole
//! input, here what comes most often, writes it when the input has ended:
//!
//! ```
//! use std::{
//!     sync::mpsc,
//!     task::{Context, Poll},
//! };
//!
//! use levada_core::{BoxError, Sink, SinkContext, SinkLayout, SinkWriter, key::Key, record::Head};
//! use levada_engine::Pipeline;
//! use levada_operators::prelude::*;
//!
//! /// Sends the record with the highest count.
//! struct Most<T>(mpsc::Sender<(T, u64)>);
//!
//! /// What `Most` was given so far.
//! struct MostWriter<T> {
//!     best: Option<(T, u64)>,
//!     to: mpsc::Sender<(T, u64)>,
//! }
//!
//! // For every key, so that it ends plain and keyed streams alike.
//! impl<T: Send + 'static, K: Key> Sink<(T, u64), K> for Most<T> {
//!     type Writer = MostWriter<T>;
//!
//!     fn layout(&self) -> SinkLayout {
//!         SinkLayout::Single
//!     }
//!
//!     fn needs_whole_input(&self) -> bool {
//!         true
//!     }
//!
//!     fn open(&self, _: &SinkContext) -> Result<MostWriter<T>, BoxError> {
//!         Ok(MostWriter { best: None, to: self.0.clone() })
//!     }
//! }
//!
//! impl<T: 'static, K: Key> SinkWriter<(T, u64), K> for MostWriter<T> {
//!     fn write(&mut self, value: (T, u64), _: &K, _: &Head) -> Result<(), BoxError> {
//!         if self.best.as_ref().is_none_or(|(_, count)| *count < value.1) {
//!             self.best = Some(value);
//!         }
//!         Ok(())
//!     }
//!
//!     fn poll_finished(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
//!         let sent = self.best.take().map_or(Ok(()), |best| self.to.send(best));
//!         Poll::Ready(sent.map_err(|_| "nobody waits for the result".into()))
//!     }
//! }
//!
//! let (to, results) = mpsc::channel();
//! let pipeline = Pipeline::new("most");
//! let letters = pipeline.source(iter("abracadabra".chars())).key_by(|letter| *letter);
//! letters.count().at_end().sink(Most(to));
//! pipeline.run()?;
//! assert_eq!(results.recv(), Ok(('a', 5)));
//! # Ok::<(), levada_engine::Error>(())
//! ```

mod collect;
mod discard;
mod files;
mod print;
mod topic;

pub use self::{
    collect::{CollectSink, Collected, collect},
    discard::{Discard, discard},
    files::{Files, files},
    print::{Print, print},
    topic::{TopicSink, to_topic},
};
