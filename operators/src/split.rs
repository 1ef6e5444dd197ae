//! `split`: sends each record to one of two streams.

use levada_core::{
    BoxError, Context, Data, Dataflow, Emit, Fault, Open, Operator, Side, Stream, key::Key,
};

/// Adds [`split`](Self::split) to streams.
pub trait Split: Dataflow {
    /// Sends each record on if `test` says so, and to the second stream if not.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::prelude::*;
    ///
    /// let pipeline = Pipeline::new("sizes");
    /// let (small, large) = (Collected::new(), Collected::new());
    /// let (below, above) = pipeline.source(iter(1..=6_u32)).split(|n| *n < 3);
    /// below.sink(collect(&small));
    /// above.sink(collect(&large));
    /// pipeline.run()?;
    /// assert_eq!((small.take(), large.take()), (vec![1, 2], vec![3, 4, 5, 6]));
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    #[expect(
        clippy::type_complexity,
        reason = "two streams, each with what it was told to do"
    )]
    fn split<F>(self, test: F) -> (Self::Applied<Splitting<F, Self::Item>>, Stream<Self::Item>)
    where
        Self: Dataflow<Item: Data>,
        F: Fn(&Self::Item) -> bool + Clone + Send + 'static,
    {
        let rest = Side::new("rest");
        let matching = self.apply(
            "split",
            Splitting {
                test,
                rest: rest.clone(),
            },
        );
        let others = matching.side(&rest);
        (matching, others)
    }
}

impl<D: Dataflow> Split for D {}

/// The operator behind [`split`](Split::split).
#[derive(Debug)]
pub struct Splitting<F, T> {
    test: F,
    rest: Side<T>,
}

impl<F: Clone, T> Clone for Splitting<F, T> {
    fn clone(&self) -> Self {
        Self {
            test: self.test.clone(),
            rest: self.rest.clone(),
        }
    }
}

impl<T, K, F> Operator<T, K> for Splitting<F, T>
where
    T: Data,
    K: Key,
    F: Fn(&T) -> bool + Clone + Send + 'static,
{
    type Out = T;

    fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
        open.side(&mut self.rest);
        Ok(())
    }

    fn record(
        &mut self,
        value: T,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<T>,
    ) -> Result<(), Fault> {
        if (self.test)(&value) {
            out.emit(value);
        } else {
            cx.side(&self.rest, value);
        }
        Ok(())
    }
}
