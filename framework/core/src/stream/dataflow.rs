//! What plain and keyed streams have in common, for operators to build on.

use super::{KeyedStream, Stream};
use crate::{Data, Operator, Side, chain::Applied, key::Key};

/// What plain and keyed streams have in common: operators are applied to them.
///
/// The operators of `levada-operators` are traits on top of this one, and so can yours be.
///
/// # Examples
///
/// An operator of one's own, as a method of plain and keyed streams:
///
/// ```
/// use levada::{Context, Dataflow, Emit, Operator, prelude::*};
///
/// #[derive(Clone)]
/// struct Above(u32);
///
/// impl<K: Key> Operator<u32, K> for Above {
///     type Out = u32;
///
///     fn record(
///         &mut self,
///         n: u32,
///         _: &mut Context<'_, K>,
///         out: &mut impl Emit<u32>,
///     ) -> Result<(), Fault> {
///         if n > self.0 {
///             out.emit(n);
///         }
///         Ok(())
///     }
/// }
///
/// trait OnlyAbove: Dataflow<Item = u32> {
///     /// Lets through what is larger.
///     fn only_above(self, least: u32) -> Self::Applied<Above> {
///         self.apply("only_above", Above(least))
///     }
/// }
///
/// impl<D: Dataflow<Item = u32>> OnlyAbove for D {}
///
/// let pipeline = Pipeline::new("large");
/// let large = Collected::new();
/// pipeline.source(iter([3, 12, 7, 20])).only_above(10).sink(collect(&large));
/// pipeline.run()?;
/// assert_eq!(large.take(), [12, 20]);
/// # Ok::<(), Error>(())
/// ```
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
/// use levada::{Context, Dataflow, Emit, Keyed, Operator, prelude::*};
///
/// #[derive(Clone)]
/// struct Naming;
///
/// impl<T: 'static, K: Key> Operator<T, K> for Naming {
///     type Out = K;
///
///     fn record(
///         &mut self,
///         _: T,
///         cx: &mut Context<'_, K>,
///         out: &mut impl Emit<K>,
///     ) -> Result<(), Fault> {
///         out.emit(cx.key().clone());
///         Ok(())
///     }
/// }
///
/// trait Keys: Dataflow {
///     /// Puts out the key of each record, which makes no sense without keys.
///     fn keys(self) -> Self::Applied<Naming>
///     where
///         Self: Keyed,
///     {
///         self.apply("keys", Naming)
///     }
/// }
///
/// impl<D: Dataflow> Keys for D {}
///
/// let pipeline = Pipeline::new("keys");
/// let keys = Collected::new();
/// pipeline.source(iter(0..4_u32)).key_by(|n| n % 2).keys().sink(collect(&keys));
/// pipeline.run()?;
/// assert_eq!(keys.take_sorted(), [0, 0, 1, 1]);
/// # Ok::<(), Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "this stream has no keys: call `.key_by(..)` first",
    label = "works per key"
)]
pub trait Keyed: Dataflow {}

impl<K: Key, T: 'static, C> Keyed for KeyedStream<K, T, C> {}

/// A stream whose last step is an operator that can still be adjusted.
///
/// # Examples
///
/// A word behind an operator that changes how it works:
///
/// ```
/// use levada::{Adjust, Context, Emit, Operator, prelude::*};
///
/// #[derive(Clone)]
/// struct Rounding {
///     to: u32,
/// }
///
/// impl<K: Key> Operator<u32, K> for Rounding {
///     type Out = u32;
///
///     fn record(
///         &mut self,
///         n: u32,
///         _: &mut Context<'_, K>,
///         out: &mut impl Emit<u32>,
///     ) -> Result<(), Fault> {
///         out.emit(n / self.to * self.to);
///         Ok(())
///     }
/// }
///
/// trait To: Adjust<Rounding> {
///     /// Rounds down to a multiple of this. Default: 1.
///     fn to(self, to: u32) -> Self {
///         self.adjust(|rounding| rounding.to = to)
///     }
/// }
///
/// impl<S: Adjust<Rounding>> To for S {}
///
/// let pipeline = Pipeline::new("rounded");
/// let rounded = Collected::new();
/// let numbers = pipeline.source(iter([3, 12, 27]));
/// numbers.apply("round", Rounding { to: 1 }).to(10).sink(collect(&rounded));
/// pipeline.run()?;
/// assert_eq!(rounded.take(), [0, 10, 20]);
/// # Ok::<(), Error>(())
/// ```
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
