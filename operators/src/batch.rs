//! `batch`: groups records by count or time, whichever comes first.
//!
//! What is held is state, so that a half-full batch is not lost with its process once state is
//! checkpointed; what is left at the end of the input leaves with it.

use std::time::Duration;

use levada_core::{
    BoxError, Context, Data, Dataflow, Emit, Fault, List, Open, Operator, Time, Timer, Timestamp,
    key::Key,
};

/// Adds [`batch`](Self::batch) to streams.
pub trait Batch: Dataflow {
    /// Groups up to `max` records, waiting no longer than `wait` for the last of them.
    ///
    /// On a keyed stream each key has batches of its own; on a plain one, each copy.
    ///
    /// Its state [has a name](crate#state-has-a-name) where topics are on disk: `.named("..")`.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::prelude::*;
    /// use std::time::Duration;
    ///
    /// let pipeline = Pipeline::new("threes");
    /// let batches = Collected::new();
    /// pipeline
    ///     .source(iter(1..=7_u32))
    ///     .batch(3, Duration::from_secs(60))
    ///     .sink(collect(&batches));
    /// pipeline.run()?;
    /// assert_eq!(batches.take(), [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    fn batch(self, max: usize, wait: Duration) -> Self::Applied<Batching<Self::Item>>
    where
        Self: Dataflow<Item: Data>,
    {
        self.apply(
            "batch",
            Batching {
                max,
                wait,
                held: List::new("held"),
            },
        )
    }
}

impl<D: Dataflow> Batch for D {}

/// The operator behind [`batch`](Batch::batch).
#[derive(Debug)]
pub struct Batching<T> {
    max: usize,
    wait: Duration,
    /// At most `max` records for each key.
    held: List<T>,
}

impl<T> Clone for Batching<T> {
    fn clone(&self) -> Self {
        Self {
            max: self.max,
            wait: self.wait,
            held: self.held.clone(),
        }
    }
}

impl<T: Data, K: Key> Operator<T, K> for Batching<T> {
    type Out = Vec<T>;

    fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
        if self.max == 0 {
            return Err("a batch of at most 0 records never fills: take at least 1".into());
        }
        open.list(&mut self.held);
        Ok(())
    }

    fn record(
        &mut self,
        value: T,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<Vec<T>>,
    ) -> Result<(), Fault> {
        let held = cx.push(&self.held, value);
        if held == 1 && self.max > 1 {
            cx.set_timer(Timer::processing(cx.now() + self.wait));
            // The end of the input: what is left then leaves with it. It is never cleared, since
            // setting it again costs nothing; on a keyed stream each key keeps this one timer.
            cx.set_timer(Timer::event(Timestamp::MAX));
        }
        if held >= self.max {
            cx.clear_timer(Time::Processing, 0);
            out.emit(cx.take(&self.held));
        }
        Ok(())
    }

    fn timer(
        &mut self,
        _: Timer,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<Vec<T>>,
    ) -> Result<(), Fault> {
        let held = cx.take(&self.held);
        if !held.is_empty() {
            out.emit(held);
        }
        Ok(())
    }
}
