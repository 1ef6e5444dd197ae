//! What a program holds while it draws: a stream, with or without keys.

mod dataflow;
mod entry;
mod keyed;
mod plain;
mod tip;

use std::{fmt, marker::PhantomData};

use self::tip::Tip;
pub use self::{
    dataflow::{Adjust, Dataflow, Keyed},
    entry::{FromSource, Start},
};
use crate::key::Key;

/// Records without keys.
///
/// A stream does nothing by itself: it says what is to be done, and [`sink`](Self::sink) ends it.
/// Its second type is the chain of operators since the last exchange, as the type of an iterator
/// names its adapters; [`boxed`](Self::boxed) forgets it.
#[must_use = "a stream does nothing until it reaches a sink: end it with `.sink(..)`"]
pub struct Stream<T, C = Start<T>> {
    tip: Tip,
    chain: C,
    of: PhantomData<fn() -> T>,
}

/// Records with keys: order is kept, and state is held, per key.
#[must_use = "a stream does nothing until it reaches a sink: end it with `.sink(..)`"]
pub struct KeyedStream<K: Key, T, C = Start<T, K>> {
    tip: Tip,
    chain: C,
    of: PhantomData<fn() -> (K, T)>,
}

impl<T, C> Stream<T, C> {
    fn new(tip: Tip, chain: C) -> Self {
        let of = PhantomData;
        Self { tip, chain, of }
    }
}

impl<K: Key, T, C> KeyedStream<K, T, C> {
    fn new(tip: Tip, chain: C) -> Self {
        let of = PhantomData;
        Self { tip, chain, of }
    }
}

impl<T, C> fmt::Debug for Stream<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("stage", &self.tip.stage)
            .finish_non_exhaustive()
    }
}

impl<K: Key, T, C> fmt::Debug for KeyedStream<K, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedStream")
            .field("stage", &self.tip.stage)
            .finish_non_exhaustive()
    }
}
