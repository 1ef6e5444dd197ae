//! `dedup`: drops the repeats of a key within a span of event time.
//!
//! Event times decide, not the order of arrival or the clock; the timer only cleans up behind them.

use std::time::Duration;

use levada_core::{
    BoxError, Context, Data, Dataflow, Emit, Fault, Keyed, Open, Operator, Timer, Timestamp, Value,
    key::Key,
};

/// Adds [`dedup`](Self::dedup) to keyed streams.
pub trait Dedup: Dataflow {
    /// Keeps the first record of each key and drops its repeats for the next `span` of event time.
    ///
    /// Without event time every record has the same time, and the first of each key is kept. A
    /// record that comes late, from `span` or more before the one that is remembered, is no repeat
    /// of it: it is kept, and not remembered.
    ///
    /// Its state [has a name](crate#state-has-a-name) where topics are on disk: `.named("..")`.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_core::Timestamp;
    /// use levada_engine::Pipeline;
    /// use levada_operators::prelude::*;
    /// use std::time::Duration;
    ///
    /// let pipeline = Pipeline::new("once");
    /// let kept = Collected::new();
    /// let orders = [("tea", 0), ("tea", 500), ("jam", 600), ("tea", 1_000)];
    /// pipeline
    ///     .source(iter(orders.map(|(what, at)| (what.to_owned(), at))))
    ///     .event_time(Duration::ZERO, |(_, at)| Timestamp::from_millis(*at))
    ///     .key_by(|(what, _)| what.clone())
    ///     .dedup(Duration::from_secs(1))
    ///     .map(|(_, at)| at)
    ///     .sink(collect(&kept));
    /// pipeline.run()?;
    /// assert_eq!(kept.take_sorted(), [0, 600, 1_000]);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    fn dedup(self, span: Duration) -> Self::Applied<Deduplicating>
    where
        Self: Keyed,
        Self::Item: Data,
    {
        self.apply(
            "dedup",
            Deduplicating {
                span,
                passed: Value::new("passed"),
            },
        )
    }
}

impl<D: Dataflow> Dedup for D {}

/// The operator behind [`dedup`](Dedup::dedup).
#[derive(Clone, Debug)]
pub struct Deduplicating {
    span: Duration,
    /// When the first record of the key happened; kept for `span`, so that the keys that are
    /// remembered are those of one span.
    passed: Value<Timestamp>,
}

impl<T: Data, K: Key> Operator<T, K> for Deduplicating {
    type Out = T;

    fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
        open.value(&mut self.passed);
        Ok(())
    }

    #[inline]
    fn record(
        &mut self,
        value: T,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<T>,
    ) -> Result<(), Fault> {
        let at = cx.event_time();
        let passed = cx.entry(&self.passed);
        if let Some(first) = *passed {
            if at < first && at <= first - self.span {
                out.emit(value);
                return Ok(());
            }
            if at < first + self.span {
                return Ok(());
            }
        }
        *passed = Some(at);
        cx.set_timer(Timer::event(at + self.span));
        out.emit(value);
        Ok(())
    }

    fn timer(
        &mut self,
        _: Timer,
        cx: &mut Context<'_, K>,
        _: &mut impl Emit<T>,
    ) -> Result<(), Fault> {
        *cx.entry(&self.passed) = None;
        Ok(())
    }
}
