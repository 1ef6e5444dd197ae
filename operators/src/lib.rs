//! Levada's operators, sources and sinks: one file each, written with what every user has.
//!
//! | operator | in | does |
//! |---|---|---|
//! | [`map`](Map::map) | `map` | puts out one value for each record |
//! | [`map_with`](Map::map_with) | `map` | the same, with something that each copy owns |
//! | [`filter`](Filter::filter) | `filter` | lets some records through |
//! | [`flat_map`](FlatMap::flat_map) | `flat_map` | puts out any number of values for each record |
//! | [`try_map`](TryMap::try_map) | `try_map` | maps, and gives what failed as a second stream |
//! | [`split`](Split::split) | `split` | sends each record to one of two streams |
//! | [`fork`](Fork::fork) | `fork` | sends each record to both of two streams |
//! | [`batch`](Batch::batch) | `batch` | groups records by count or time |
//! | [`map_async`](levada_core::Stream::map_async) | core | makes an async call for each record |
//! | [`batch_async`](levada_core::Stream::batch_async) | core | makes a call for many records |
//! | [`count`](Count::count) | `count` | counts per key |
//! | [`fold`](Fold::fold) | `fold` | folds the records of each key into one value |
//! | [`at_end`](EmitWhen::at_end) | `when` | lets `count` and `fold` speak at the end only |
//! | [`every`](EmitWhen::every) | `when` | lets `count` and `fold` speak every so often |
//! | [`dedup`](Dedup::dedup) | `dedup` | drops repeats within a span of event time |
//! | [`join_latest`](JoinLatest::join_latest) | `join_latest` | joins with the latest of another |
//!
//! | source | in | reads |
//! |---|---|---|
//! | [`topic`](source::topic) | `topic` | a topic, under a group |
//! | [`lines`](source::lines) | `lines` | the lines of a text file |
//! | [`csv`](source::csv) | `csv` | the rows of a CSV file |
//! | [`iter`](source::iter) | `iter` | what an iterator gives |
//! | [`generate`](source::generate) | `generate` | what a seed gives |
//! | [`Handover`](source::Handover) | `handover` | what a thread of its own reads |
//!
//! | sink | in | writes |
//! |---|---|---|
//! | [`topic`](sink::to_topic) | `topic` | a topic |
//! | [`files`](sink::files) | `files` | a file, whole or not at all |
//! | [`print`](sink::print()) | `print` | standard output |
//! | [`collect`](sink::collect) | `collect` | a list in memory |
//! | [`discard`](sink::discard) | `discard` | nothing |
//!
//! # State has a name
//!
//! [`count`](Count::count), [`fold`](Fold::fold), [`dedup`](Dedup::dedup),
//! [`join_latest`](JoinLatest::join_latest) and [`batch`](Batch::batch) keep state. So does an
//! operator of yours that declares some. It is in memory: when a pipeline that has any is started
//! again, it begins with none and reads its topics from the first record.
//!
//! The name of an operator is what metrics and errors call it: its method's, and a number where
//! that is taken. Where topics are on disk, an operator with state must be given one. State that
//! outlives the process is to be found by it, and a name that a program got by counting would be
//! another's after the next change.
//!
//! ```
//! use levada_core::Dataflow as _;
//! use levada_engine::Levada;
//! use levada_operators::prelude::*;
//!
//! let folder = tempfile::tempdir()?;
//! let levada = Levada::open(folder.path())?;
//!
//! let nameless = levada.pipeline("letters");
//! nameless.source(iter("abab".chars())).key_by(|c| *c).count().sink(discard());
//! let error = nameless.start().expect_err("its state has no name").to_string();
//! assert!(error.contains("add `.named(\"..\")` behind it"), "{error}");
//!
//! let named = levada.pipeline("letters");
//! let letters = named.source(iter("abab".chars())).key_by(|c| *c);
//! letters.count().named("per-letter").sink(discard());
//! let running = named.start()?;
//! let operators = running.progress().operators();
//! assert!(operators.iter().any(|operator| operator.name == "per-letter"));
//! running.wait()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod filter;
mod flat_map;
mod fork;
mod keyed;
mod map;
pub mod sink;
pub mod source;
mod split;
mod try_map;

pub use self::{
    batch::{Batch, Batching},
    filter::{Filter, Filtering},
    flat_map::{FlatMap, FlatMapping},
    fork::{Fork, Forking},
    keyed::{
        Count, Counting, Dedup, Deduplicating, Either, EmitWhen, Every, Fold, Folding, Gathers,
        JoinLatest, Joined, Joining, When,
    },
    map::{Map, Mapping, MappingWith},
    split::{Split, Splitting},
    try_map::{DeadLetter, TryMap, TryMapping},
};

/// Everything that adds a method to a stream, and what is most wanted beside.
pub mod prelude {
    pub use crate::{
        Batch as _, Count as _, DeadLetter, Dedup as _, EmitWhen as _, Filter as _, FlatMap as _,
        Fold as _, Fork as _, JoinLatest as _, Map as _, Split as _, TryMap as _,
        sink::{Collected, collect, discard, files, print, to_topic},
        source::{csv, generate, iter, lines, topic},
    };
}
