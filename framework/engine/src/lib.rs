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
//! | [`progress`] | lag, and what metrics are told |
//! | `typed` | one type of record per topic |
//! | [`backend`] | the embedded log, and topics in memory |

mod actor;
pub mod backend;
mod builder;
mod conductor;
mod error;
mod levada;
mod pipeline;
pub mod progress;
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
