//! `filter`: lets some records through.

use levada_core::{Context, Dataflow, Emit, Fault, Operator, key::Key};

/// Adds [`filter`](Self::filter) to streams.
pub trait Filter: Dataflow {
    /// Lets through the records for which `keep` says so, and drops the others.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::prelude::*;
    ///
    /// let pipeline = Pipeline::new("even");
    /// let even = Collected::new();
    /// pipeline.source(iter(1..=6_u32)).filter(|n| n % 2 == 0).sink(collect(&even));
    /// pipeline.run()?;
    /// assert_eq!(even.take(), [2, 4, 6]);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    fn filter<F>(self, keep: F) -> Self::Applied<Filtering<F>>
    where
        F: Fn(&Self::Item) -> bool + Clone + Send + 'static,
    {
        self.apply("filter", Filtering { keep })
    }
}

impl<D: Dataflow> Filter for D {}

/// The operator behind [`filter`](Filter::filter).
#[derive(Clone, Debug)]
pub struct Filtering<F> {
    keep: F,
}

impl<T, K, F> Operator<T, K> for Filtering<F>
where
    T: 'static,
    K: Key,
    F: Fn(&T) -> bool + Clone + Send + 'static,
{
    type Out = T;

    #[inline]
    fn record(
        &mut self,
        value: T,
        _: &mut Context<'_, K>,
        out: &mut impl Emit<T>,
    ) -> Result<(), Fault> {
        if (self.keep)(&value) {
            out.emit(value);
        }
        Ok(())
    }
}
