//! `fork`: sends each record to both of two streams.

use levada_core::{
    BoxError, Context, Data, Dataflow, Emit, Fault, Open, Operator, Side, Stream, key::Key,
};

/// Adds [`fork`](Self::fork) to streams.
pub trait Fork: Dataflow {
    /// Sends each record on, and a clone of it to the second stream.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::prelude::*;
    ///
    /// let pipeline = Pipeline::new("both");
    /// let (plain, doubled) = (Collected::new(), Collected::new());
    /// let (one, other) = pipeline.source(iter(1..=3_u32)).fork();
    /// one.sink(collect(&plain));
    /// other.map(|n| n * 2).sink(collect(&doubled));
    /// pipeline.run()?;
    /// assert_eq!((plain.take(), doubled.take()), (vec![1, 2, 3], vec![2, 4, 6]));
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    #[expect(
        clippy::type_complexity,
        reason = "two streams, each with what it was told to do"
    )]
    fn fork(self) -> (Self::Applied<Forking<Self::Item>>, Stream<Self::Item>)
    where
        Self: Dataflow<Item: Data + Clone>,
    {
        let copy = Side::new("copy");
        let stream = self.apply("fork", Forking { copy: copy.clone() });
        let copies = stream.side(&copy);
        (stream, copies)
    }
}

impl<D: Dataflow> Fork for D {}

/// The operator behind [`fork`](Fork::fork).
#[derive(Debug)]
pub struct Forking<T> {
    copy: Side<T>,
}

impl<T> Clone for Forking<T> {
    fn clone(&self) -> Self {
        Self {
            copy: self.copy.clone(),
        }
    }
}

impl<T: Data + Clone, K: Key> Operator<T, K> for Forking<T> {
    type Out = T;

    fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
        open.side(&mut self.copy);
        Ok(())
    }

    fn record(
        &mut self,
        value: T,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<T>,
    ) -> Result<(), Fault> {
        cx.side(&self.copy, value.clone());
        out.emit(value);
        Ok(())
    }
}
