//! Levada: actor-based stream processing on durable topics, with nothing to install.
//!
// The first definition of a link counts: here the files of the repository are elsewhere.
//! [`examples/`]: https://github.com/levada-rs/levada/blob/main/examples/README.md
//! [The book]: https://github.com/levada-rs/levada/blob/main/book/src/SUMMARY.md
//! [`CONTRIBUTING.md`]: https://github.com/levada-rs/levada/blob/main/CONTRIBUTING.md
//! [`SECURITY.md`]: https://github.com/levada-rs/levada/blob/main/SECURITY.md
//! [`CHANGELOG.md`]: https://github.com/levada-rs/levada/blob/main/CHANGELOG.md
//! [Apache License 2.0]: https://github.com/levada-rs/levada/blob/main/LICENSE-APACHE
//! [MIT licence]: https://github.com/levada-rs/levada/blob/main/LICENSE-MIT
//!
#![doc = include_str!("../README.md")]
//!
//! # Index of operators
//!
//! Each is a method of streams, and its page has a program that runs.
//!
//! | operator | does |
//! |---|---|
//! | [`map`](operators::Map::map) | puts out one value for each record |
//! | [`map_with`](operators::Map::map_with) | the same, with something that each copy owns |
//! | [`filter`](operators::Filter::filter) | lets some records through |
//! | [`flat_map`](operators::FlatMap::flat_map) | puts out any number of values for each record |
//! | [`try_map`](operators::TryMap::try_map) | maps, and gives what failed as a second stream |
//! | [`split`](operators::Split::split) | sends each record to one of two streams |
//! | [`fork`](operators::Fork::fork) | sends each record to both of two streams |
//! | [`batch`](operators::Batch::batch) | groups records by count or time |
//! | [`map_async`](Stream::map_async) | makes an async call for each record |
//! | [`batch_async`](Stream::batch_async) | makes a call for many records |
//! | [`count`](operators::Count::count) | counts per key |
//! | [`fold`](operators::Fold::fold) | folds the records of each key into one value |
//! | [`at_end`](operators::EmitWhen::at_end) | lets `count` and `fold` speak at the end only |
//! | [`every`](operators::EmitWhen::every) | lets `count` and `fold` speak every so often |
//! | [`dedup`](operators::Dedup::dedup) | drops repeats within a span of event time |
//! | [`join_latest`](operators::JoinLatest::join_latest) | joins with the latest of another |
//!
//! | source | reads |
//! |---|---|
//! | [`topic`](source::topic) | a topic, under a group |
//! | [`lines`](source::lines) | the lines of a text file |
//! | [`csv`](source::csv) | the rows of a CSV file |
//! | [`iter`](source::iter) | what an iterator gives |
//! | [`generate`](source::generate) | what a seed gives |
//! | [`Handover`](source::Handover) | what a thread of its own reads |
//!
//! | sink | writes |
//! |---|---|
//! | [`topic`](sink::to_topic) | a topic |
//! | [`files`](sink::files) | a file, whole or not at all |
//! | [`print`](sink::print()) | standard output |
//! | [`collect`](sink::collect) | a list in memory |
//! | [`discard`](sink::discard) | nothing |
//!
//! Sources begin a pipeline, by `pipeline.source(..)`; sinks end a stream, by `.sink(..)`.
//! Yours are no different: [`Operator`], [`Source`] and [`Sink`] are all there is to them.

pub use levada_core as core;
pub use levada_core::*;
pub use levada_engine::{Builder, Ended, Error, Levada, Pipeline, Running, backend, progress};
pub use levada_operators::{self as operators, sink, source};

/// Everything that a program which composes operators needs.
pub mod prelude {
    pub use levada_core::{
        Calls, Data, Dataflow as _, Fault, KeyedStream, Stream, Timestamp, key::Key,
    };
    pub use levada_engine::{Error, Levada, Pipeline};
    pub use levada_operators::prelude::*;
}
