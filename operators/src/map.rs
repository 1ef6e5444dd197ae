//! `map`: puts out one value for each record.

use levada_core::{Context, Dataflow, Emit, Fault, Operator, key::Key};

/// Adds [`map`](Self::map) to streams.
pub trait Map: Dataflow {
    /// Puts out what `f` makes of each record.
    ///
    /// The closure is `Fn`: what it remembered would be neither checkpointed nor shared between
    /// copies.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::{prelude::*, sink::Collected};
    ///
    /// let pipeline = Pipeline::new("squares");
    /// let squares = Collected::new();
    /// pipeline.source(iter(1..=4_u32)).map(|n| n * n).sink(collect(&squares));
    /// pipeline.run()?;
    /// assert_eq!(squares.take(), [1, 4, 9, 16]);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    fn map<U, F>(self, f: F) -> Self::Applied<Mapping<F>>
    where
        U: 'static,
        F: Fn(Self::Item) -> U + Clone + Send + 'static,
    {
        self.apply("map", Mapping { f })
    }
}

impl<D: Dataflow> Map for D {}

/// The operator behind [`map`](Map::map).
#[derive(Clone, Debug)]
pub struct Mapping<F> {
    f: F,
}

impl<T, U, K, F> Operator<T, K> for Mapping<F>
where
    T: 'static,
    U: 'static,
    K: Key,
    F: Fn(T) -> U + Clone + Send + 'static,
{
    type Out = U;

    #[inline]
    fn record(
        &mut self,
        value: T,
        _: &mut Context<'_, K>,
        out: &mut impl Emit<U>,
    ) -> Result<(), Fault> {
        out.emit((self.f)(value));
        Ok(())
    }
}
