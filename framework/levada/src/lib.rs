#![doc = include_str!("../README.md")]
//!
//! # Index of operators
//!
//! See [`levada_operators`].

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
