//! What plain and keyed streams have in common, for operators to build on.

use super::{KeyedStream, Stream};
use crate::{Data, Operator, Side, chain::Applied, key::Key};

/// What plain and keyed streams have in common: operators are applied to them.
///
/// The operators of `levada-operators` are traits on top of this one, and so can yours be.
pub trait Dataflow: Sized {
    /// What the stream carries.
    type Item: 'static;
    /// What it is grouped by: `()` on a plain stream.
    type Key: Key;
    /// The stream after an operator.
    type Applied<O: Operator<Self::Item, Self::Key>>: Dataflow<Item = O::Out, Key = Self::Key>;

    /// Applies an operator. Its name is what metrics and errors call it.
    fn apply<O: Operator<Self::Item, Self::Key>>(self, name: &str, operator: O)
    -> Self::Applied<O>;

    /// Takes a second output of the last operator, by the handle that it declares.
    fn side<S: Data>(&self, side: &Side<S>) -> Stream<S>;

    /// Names the last operator: its state is found by this name after a restart.
    fn named(self, name: &str) -> Self;
}

/// A stream whose records have keys, so that there is state for each.
///
/// An operator that works per key asks for it, so that the compiler can say what is missing.
///
/// # Examples
///
/// ```
/// use levada_core::{Dataflow, Keyed, Operator};
///
/// trait PerKey: Dataflow {
///     /// Applies an operator that makes no sense without keys.
///     fn per_key<O>(self, operator: O) -> Self::Applied<O>
///     where
///         Self: Keyed,
///         O: Operator<Self::Item, Self::Key>,
///     {
///         self.apply("per_key", operator)
///     }
/// }
///
/// impl<D: Dataflow> PerKey for D {}
/// ```
#[diagnostic::on_unimplemented(
    message = "this stream has no keys: call `.key_by(..)` first",
    label = "works per key"
)]
pub trait Keyed: Dataflow {}

impl<K: Key, T: 'static, C> Keyed for KeyedStream<K, T, C> {}

/// A stream whose last step is an operator that can still be adjusted.
pub trait Adjust<O>: Sized {
    /// Changes the last operator, before anything runs.
    fn adjust(self, change: impl FnOnce(&mut O)) -> Self;
}

impl<T: 'static, C, O> Adjust<O> for Stream<T, Applied<C, O>> {
    fn adjust(mut self, change: impl FnOnce(&mut O)) -> Self {
        change(&mut self.chain.operator);
        self
    }
}

impl<K: Key, T: 'static, C, O> Adjust<O> for KeyedStream<K, T, Applied<C, O>> {
    fn adjust(mut self, change: impl FnOnce(&mut O)) -> Self {
        change(&mut self.chain.operator);
        self
    }
}

impl<T: 'static, C> Dataflow for Stream<T, C> {
    type Item = T;
    type Key = ();
    type Applied<O: Operator<T>> = Stream<O::Out, Applied<C, O>>;

    fn apply<O: Operator<T>>(self, name: &str, operator: O) -> Self::Applied<O> {
        let (tip, id) = self.tip.apply::<T, (), O>(name, &operator);
        let chain = Applied {
            chain: self.chain,
            operator,
            id,
        };
        Stream::new(tip, chain)
    }

    fn side<S: Data>(&self, side: &Side<S>) -> Stream<S> {
        self.tip.side(side)
    }

    fn named(self, name: &str) -> Self {
        self.tip.named(name);
        self
    }
}

impl<K: Key, T: 'static, C> Dataflow for KeyedStream<K, T, C> {
    type Item = T;
    type Key = K;
    type Applied<O: Operator<T, K>> = KeyedStream<K, O::Out, Applied<C, O>>;

    fn apply<O: Operator<T, K>>(self, name: &str, operator: O) -> Self::Applied<O> {
        let (tip, id) = self.tip.apply::<T, K, O>(name, &operator);
        let chain = Applied {
            chain: self.chain,
            operator,
            id,
        };
        KeyedStream::new(tip, chain)
    }

    fn side<S: Data>(&self, side: &Side<S>) -> Stream<S> {
        self.tip.side(side)
    }

    fn named(self, name: &str) -> Self {
        self.tip.named(name);
        self
    }
}
