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
///
/// # Examples
///
/// A helper that is given any stream, and gives one back:
///
/// ```
/// use levada::prelude::*;
///
/// fn shouted(words: Stream<String>) -> Stream<String> {
///     words.map(|word| word.to_uppercase()).boxed()
/// }
///
/// let pipeline = Pipeline::new("shout");
/// let heard = Collected::new();
/// let words = pipeline.source(iter(["tea", "", "jam"].map(str::to_owned)));
/// shouted(words.filter(|word| !word.is_empty()).boxed()).sink(collect(&heard));
/// pipeline.run()?;
/// assert_eq!(heard.take(), ["TEA", "JAM"]);
/// # Ok::<(), Error>(())
/// ```
#[must_use = "a stream does nothing until it reaches a sink: end it with `.sink(..)`"]
pub struct Stream<T, C = Start<T>> {
    tip: Tip,
    chain: C,
    of: PhantomData<fn() -> T>,
}

/// Records with keys: order is kept, and state is held, per key.
///
/// # Examples
///
/// ```
/// use levada::prelude::*;
///
/// let pipeline = Pipeline::new("articles");
/// let sold = Collected::new();
/// let sales = [("tea", 2), ("jam", 1), ("tea", 3)].map(|(name, n)| (name.to_owned(), n));
/// let by_article: KeyedStream<String, (String, u64)> =
///     pipeline.source(iter(sales)).key_by(|(name, _)| name.clone());
/// by_article.fold(0, |sum, (_, n)| *sum += n).at_end().sink(collect(&sold));
/// pipeline.run()?;
/// assert_eq!(sold.take_sorted(), [("jam".to_owned(), 1), ("tea".to_owned(), 5)]);
/// # Ok::<(), Error>(())
/// ```
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
