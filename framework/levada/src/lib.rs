//! Levada: actor-based stream processing on durable topics, with nothing to install.
//!
//! A program begins with `use levada::prelude::*`: see the [`prelude`].
//! Below the README are an [index of operators](#index-of-operators) and
//! [a program that is started twice](#from-one-start-to-the-next).
//!
// The first definition of a link counts: here the files of the repository are elsewhere.
//! [`examples/`]: https://github.com/levada-rs/levada/blob/main/examples/README.md
//! [The book]: https://github.com/levada-rs/levada/blob/main/book/src/SUMMARY.md
//! [Starting again]: https://github.com/levada-rs/levada/blob/main/book/src/starting-again.md
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
//!
//! # From one start to the next
//!
//! A folder, a topic that is filled once, two groups that read it, and what the second start does:
//!
//! ```
//! use levada::prelude::*;
//! use std::path::Path;
//!
//! type Counts = Vec<(String, u64)>;
//!
//! /// One start of the program: what was shipped in it, and how many orders there are of each.
//! fn start(folder: &Path) -> Result<(Vec<String>, Counts), Error> {
//!     let levada = Levada::open(folder)?;
//!     let orders = levada.topic::<String>("orders").partitions(2).create()?;
//!     let mut pipelines = Vec::new();
//!
//!     // `iter` begins again at each start. A sealed topic has it all.
//!     if !orders.is_sealed() {
//!         let feed = levada.pipeline("feed");
//!         feed.source(iter(["tea", "jam", "tea"].map(str::to_owned)))
//!             .key_by(String::clone)
//!             .sink(to_topic(&orders).sealing());
//!         pipelines.push(feed);
//!     }
//!
//!     // Keeps no state: it goes on where its group stands.
//!     let shipping = levada.pipeline("shipping");
//!     let shipped = Collected::new();
//!     shipping.source(topic(&orders)).sink(collect(&shipped));
//!     pipelines.push(shipping);
//!
//!     // Keeps state, which is in memory: it reads the topic from its first record.
//!     let totals = levada.pipeline("totals");
//!     let counts = Collected::new();
//!     totals
//!         .source(topic(&orders))
//!         .keyed(String::clone)
//!         .count()
//!         .named("per-article")
//!         .at_end()
//!         .sink(collect(&counts));
//!     pipelines.push(totals);
//!
//!     levada.run(pipelines)?;
//!     Ok((shipped.take_sorted(), counts.take_sorted()))
//! }
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let (shipped, first) = start(folder)?;
//! assert_eq!(shipped, ["jam", "tea", "tea"]);
//! assert_eq!(first, [("jam".to_owned(), 1), ("tea".to_owned(), 2)]);
//!
//! let (shipped, second) = start(folder)?;
//! assert!(shipped.is_empty(), "nothing is shipped twice");
//! assert_eq!(second, first, "all orders were counted again, from none");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A topic that nobody seals has no end: who reads it waits for more, and [`Levada::run`] returns
//! when the process is told to stop. When a program is started again,
//!
//! - a pipeline that keeps no state reads its topics from the first record that it has not done;
//! - one that keeps state (`count`, `fold`, `dedup`, `join_latest`, `batch`) or ends in `files`
//!   reads its topics from the first record;
//! - what is no topic is read whole: see
//!   [how a topic is filled once](source#how-a-topic-is-filled-once).
//!
//! Ctrl-C and SIGTERM stop pipelines in order, and where each group stands is committed.
//! After a kill the last commit counts: there is one
//! [every 200 ms](Builder::checkpoint_interval) while records flow, and what was done since is done
//! again. What a topic has acknowledged is there in any case.
//!
//! # What is where
//!
//! The names that operators, sources and sinks of your own are written with are on this page, and
//! what travels with a record is in [`mod@record`]. What a program seldom sees, such as plans,
//! ports and backends, is in [`core`] and [`engine`].

// What operators, sources and sinks are written with.
pub use levada_core::{
    Adjust, BoxError, CallOrder, Calls, Codec, Context, Data, Dataflow, Emit, Fault, Grouping,
    Incoming, Json, Keyed, KeyedStream, List, MessagePack, Open, Operator, Raw, Side, Sink,
    SinkContext, SinkLayout, SinkWriter, Source, SourceContext, SplitReader, Stream, Subscription,
    Time, Timer, Timestamp, Topic, TopicBuilder, Value, key, record,
};
// The seams, and what they are asked for.
pub use levada_core::{ChunkLimits, Clock, Rng, Seed, Spawner, SystemClock, Threads};
pub use levada_engine::{Builder, Ended, Error, Levada, Pipeline, Running};
#[doc(inline)]
pub use levada_operators::{sink, source};
#[doc(inline)]
pub use {levada_core as core, levada_engine as engine, levada_operators as operators};

/// Everything that a program which composes operators needs.
///
/// The operators come as methods of streams: see their [index](crate#index-of-operators). By name
/// come the sources and sinks, and what a program names beside them.
///
/// # Examples
///
/// ```
/// use levada::prelude::*;
///
/// let pipeline = Pipeline::new("letters");
/// let counts = Collected::new();
/// let letters = pipeline.source(iter("abab".chars())).key_by(|letter| *letter);
/// letters.count().at_end().sink(collect(&counts));
/// pipeline.run()?;
/// assert_eq!(counts.take_sorted(), [('a', 2), ('b', 2)]);
/// # Ok::<(), Error>(())
/// ```
pub mod prelude {
    pub use levada_core::{
        Calls, Data, Dataflow as _, Fault, KeyedStream, Seed, Stream, Timestamp, Topic, key::Key,
    };
    pub use levada_engine::{Error, Levada, Pipeline};
    pub use levada_operators::prelude::*;
}
