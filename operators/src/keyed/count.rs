//! `count`: counts the records of each key.

use levada_core::{Data, Dataflow, Keyed};

use super::Folding;

/// Adds [`count`](Self::count) to keyed streams.
pub trait Count: Dataflow {
    /// Counts the records of each key: after each record, its key and how many there were so far.
    /// [`at_end`](super::EmitWhen::at_end) and [`every`](super::EmitWhen::every) say less often.
    ///
    /// Its state [has a name](crate#state-has-a-name) where topics are on disk: `.named("..")`.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::prelude::*;
    ///
    /// let pipeline = Pipeline::new("letters");
    /// let counts = Collected::new();
    /// pipeline.source(iter("abab".chars())).key_by(|c| *c).count().sink(collect(&counts));
    /// pipeline.run()?;
    /// assert_eq!(counts.take_sorted(), [('a', 1), ('a', 2), ('b', 1), ('b', 2)]);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    fn count(self) -> Self::Applied<Counting<Self::Item>>
    where
        Self: Keyed,
        Self::Item: Data,
    {
        self.apply(
            "count",
            Folding::new("count", 0, |records, _| *records += 1),
        )
    }
}

impl<D: Dataflow> Count for D {}

/// The operator behind [`count`](Count::count): a fold that adds one.
pub type Counting<T> = Folding<u64, fn(&mut u64, T)>;
