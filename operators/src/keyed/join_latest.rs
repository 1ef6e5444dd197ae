//! `join_latest`: joins each record with the latest of the other side.
//!
//! Two inputs are one stream of [`Either`]s, so that the operator is like any other.

use levada_core::{
    self as core, BoxError, Context, Data, Dataflow, Emit, Fault, KeyedStream, Open, Operator,
    Stream, Value, chain::Chain, key::Key,
};
use serde::{Deserialize, Serialize};

use crate::Map as _;

/// Which of two inputs a record came from.
///
/// See [`JoinLatest::join_latest`]. An operator of one's own with two inputs takes this too, from
/// `left.map(Either::Left).merge(right.map(Either::Right))`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Either<L, R> {
    /// The stream that the operator was called on.
    Left(L),
    /// The stream that it was given.
    Right(R),
}

/// What a join gives: pairs, and the left records that had nothing to be paired with.
///
/// See [`JoinLatest::join_latest`].
pub type Joined<K, L, R> = (
    KeyedStream<K, (L, R), core::chain::Applied<core::Start<Either<L, R>, K>, Joining<L, R>>>,
    Stream<L>,
);

/// Adds [`join_latest`](Self::join_latest) to keyed streams.
pub trait JoinLatest<K: Key, L: Data> {
    /// Pairs each record with the latest of the same key that `right` has brought before it; what
    /// finds none goes to the second stream.
    ///
    /// Which one is the latest follows the order of arrival, so it is for what changes slowly.
    ///
    /// Its state [has a name](crate#state-has-a-name) where topics are on disk: call `.named("..")`
    /// on the pairs.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::prelude::*;
    ///
    /// let pipeline = Pipeline::new("priced");
    /// let (priced, unpriced) = (Collected::new(), Collected::new());
    /// let orders = pipeline.source(iter(["jam", "tea"].map(str::to_owned))).key_by(String::clone);
    /// let prices = pipeline.source(iter([("tea".to_owned(), 3)])).key_by(|(sku, _)| sku.clone());
    /// let (pairs, others) = orders.join_latest(prices);
    /// pairs.map(|(order, (_, price))| (order, price)).sink(collect(&priced));
    /// others.sink(collect(&unpriced));
    /// pipeline.run()?;
    ///
    /// // The tea is priced if its price was there first; nothing ever prices the jam.
    /// let (priced, unpriced) = (priced.take(), unpriced.take());
    /// assert!(unpriced.contains(&"jam".to_owned()));
    /// assert_eq!(priced.contains(&("tea".to_owned(), 3)), unpriced.len() == 1);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    fn join_latest<R: Data + Clone, D: Chain<K, Out = R>>(
        self,
        right: KeyedStream<K, R, D>,
    ) -> Joined<K, L, R>;
}

impl<K: Key, L: Data, C: Chain<K, Out = L>> JoinLatest<K, L> for KeyedStream<K, L, C> {
    fn join_latest<R: Data + Clone, D: Chain<K, Out = R>>(
        self,
        right: KeyedStream<K, R, D>,
    ) -> Joined<K, L, R> {
        let both = self.map(Either::Left).merge(right.map(Either::Right));
        let unmatched = core::Side::new("unmatched");
        let joining = Joining {
            latest: Value::new("latest"),
            unmatched: unmatched.clone(),
        };
        let pairs = both.apply("join_latest", joining);
        let others = pairs.side(&unmatched);
        (pairs, others)
    }
}

/// The operator behind [`join_latest`](JoinLatest::join_latest).
#[derive(Debug)]
pub struct Joining<L, R> {
    /// One record for each key that the right side has brought.
    latest: Value<R>,
    unmatched: core::Side<L>,
}

impl<L, R> Clone for Joining<L, R> {
    fn clone(&self) -> Self {
        Self {
            latest: self.latest.clone(),
            unmatched: self.unmatched.clone(),
        }
    }
}

impl<L: Data, R: Data + Clone, K: Key> Operator<Either<L, R>, K> for Joining<L, R> {
    type Out = (L, R);

    fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
        open.value(&mut self.latest);
        open.side(&mut self.unmatched);
        Ok(())
    }

    fn record(
        &mut self,
        value: Either<L, R>,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<(L, R)>,
    ) -> Result<(), Fault> {
        match value {
            Either::Right(right) => *cx.entry(&self.latest) = Some(right),
            Either::Left(left) => match cx.entry(&self.latest).clone() {
                Some(right) => out.emit((left, right)),
                None => cx.side(&self.unmatched, left),
            },
        }
        Ok(())
    }
}
