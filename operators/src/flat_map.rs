//! `flat_map`: puts out any number of values for each record.

use levada_core::{Context, Dataflow, Emit, Fault, Operator, key::Key};

/// Adds [`flat_map`](Self::flat_map) to streams.
pub trait FlatMap: Dataflow {
    /// Puts out each of the values that `f` makes of a record, in their order.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::prelude::*;
    ///
    /// let pipeline = Pipeline::new("words");
    /// let words = Collected::new();
    /// pipeline
    ///     .source(iter(["to be", "or not"].map(str::to_owned)))
    ///     .flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    ///     .sink(collect(&words));
    /// pipeline.run()?;
    /// assert_eq!(words.take(), ["to", "be", "or", "not"]);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    fn flat_map<I, F>(self, f: F) -> Self::Applied<FlatMapping<F>>
    where
        I: IntoIterator<Item: 'static>,
        F: Fn(Self::Item) -> I + Clone + Send + 'static,
    {
        self.apply("flat_map", FlatMapping { f })
    }
}

impl<D: Dataflow> FlatMap for D {}

/// The operator behind [`flat_map`](FlatMap::flat_map).
#[derive(Clone, Debug)]
pub struct FlatMapping<F> {
    f: F,
}

impl<T, I, K, F> Operator<T, K> for FlatMapping<F>
where
    T: 'static,
    I: IntoIterator<Item: 'static>,
    K: Key,
    F: Fn(T) -> I + Clone + Send + 'static,
{
    type Out = I::Item;

    fn record(
        &mut self,
        value: T,
        _: &mut Context<'_, K>,
        out: &mut impl Emit<I::Item>,
    ) -> Result<(), Fault> {
        (self.f)(value).into_iter().for_each(|item| out.emit(item));
        Ok(())
    }
}
