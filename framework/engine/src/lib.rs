//! Runs pipelines: actors on arbiters, backends, signals, progress.
//!
//! The only package that names actix, and none of its types is seen outside.
//!
//! | file | is |
//! |---|---|
//! | [`Levada`], [`Builder`] | a backend, the threads and the seams |
//! | [`Pipeline`], [`Running`] | what a program draws and starts |
//! | `actor` | the shell around a task: start, place, stop |
//! | `conductor` | does what the coordinator of a pipeline decides |
//! | `groups` | which groups metrics are told of |
//! | [`progress`] | lag, and what metrics are told |
//! | `reading` | the same of one group in one partition |
//! | `typed` | one type of record per topic |
//! | [`backend`] | the embedded log, and topics in memory |
//!
//! # Examples
//!
//! ```
//! use levada::{Ended, prelude::*};
//!
//! let levada = Levada::builder().arbiters(2).in_memory();
//! let orders = levada.topic::<String>("orders").create()?;
//!
//! let feed = levada.pipeline("feed");
//! let names = ["tea", "jam", "tea"].map(str::to_owned);
//! feed.source(iter(names)).key_by(|name| name.clone()).sink(to_topic(&orders).sealing());
//!
//! let totals = levada.pipeline("totals");
//! let counts = Collected::new();
//! let by_name = totals.source(topic(&orders)).keyed(|name| name.clone());
//! by_name.count().at_end().sink(collect(&counts));
//!
//! assert_eq!(levada.run([feed, totals])?, Ended::Finished);
//! assert_eq!(counts.take_sorted(), [("jam".to_owned(), 1), ("tea".to_owned(), 2)]);
//! # Ok::<(), Error>(())
//! ```

mod actor;
pub mod backend;
mod builder;
mod conductor;
mod error;
mod groups;
mod levada;
mod pipeline;
pub mod progress;
mod reading;
mod signals;
mod threads;
mod typed;

pub use self::{
    builder::Builder,
    conductor::{Conducted, Conductor},
    error::Error,
    levada::{Ended, Levada},
    pipeline::{Pipeline, Prepared, Running},
};
