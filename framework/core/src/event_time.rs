//! Event time: reads it from the records and raises the watermark behind them.
//!
//! Within a split the watermark is a function of the records before a record, never of chunks or
//! of timing: it rises after the record that raises it. Over the splits of a copy it is the lowest;
//! a split that has not spoken holds it at the beginning of time.

use std::{fmt, time::Duration};

use crate::{
    BoxError, Timestamp,
    chain::{Chain, Control, Place, Push, Run},
    graph::StageOpening,
    key::Key,
    record::Head,
    stage::Stage,
};

/// Event time after a chain.
///
/// See [`Stream::event_time`](crate::Stream::event_time).
#[derive(Clone)]
pub struct Timed<C, F> {
    pub(crate) chain: C,
    pub(crate) time: F,
    pub(crate) max_lateness: Duration,
}

impl<C, F> fmt::Debug for Timed<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timed")
            .field("max_lateness", &self.max_lateness)
            .finish_non_exhaustive()
    }
}

impl<K, C, F> Chain<K> for Timed<C, F>
where
    K: Key,
    C: Chain<K>,
    F: Fn(&C::Out) -> Timestamp + Clone + Send + 'static,
{
    type Out = C::Out;

    fn fuse<P: Push<C::Out, K>>(
        &self,
        next: P,
        opening: &mut StageOpening,
    ) -> Result<Box<dyn Stage>, BoxError> {
        let splits: Vec<_> = opening
            .opening
            .splits
            .iter()
            .map(|s| (*s, Timestamp::MIN))
            .collect();
        // Behind an exchange the records of all splits are mixed: there they count as one.
        let merged = splits.is_empty().then_some(Timestamp::MIN);
        let push = TimedPush {
            time: self.time.clone(),
            max_lateness: self.max_lateness,
            next,
            splits,
            merged,
            watermark: Timestamp::MIN,
        };
        self.chain.fuse(push, opening)
    }
}

/// Event time in its place in a line.
///
/// See [`Stream::event_time`](crate::Stream::event_time).
pub struct TimedPush<F, P> {
    time: F,
    max_lateness: Duration,
    next: P,
    /// The latest event time of each split that has not ended.
    splits: Vec<(u32, Timestamp)>,
    /// The latest event time of all, where splits cannot be told apart.
    merged: Option<Timestamp>,
    watermark: Timestamp,
}

impl<F, P> fmt::Debug for TimedPush<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedPush")
            .field("watermark", &self.watermark)
            .finish_non_exhaustive()
    }
}

impl<F, P> TimedPush<F, P> {
    #[inline]
    fn saw(&mut self, split: u32, at: Timestamp, run: &Run) {
        let latest = match &mut self.merged {
            Some(latest) => latest,
            None => match self.splits.iter_mut().find(|(number, _)| *number == split) {
                Some((_, latest)) => latest,
                None => return,
            },
        };
        if at > *latest {
            *latest = at;
            self.look(run);
        }
    }

    /// Raises the watermark if the slowest split allows it.
    fn look(&mut self, run: &Run) {
        let slowest = self
            .merged
            .or_else(|| self.splits.iter().map(|(_, at)| *at).min());
        let watermark = slowest.map_or(Timestamp::MIN, |at| at - self.max_lateness);
        if watermark > self.watermark {
            self.watermark = watermark;
            run.raise();
        }
    }
}

impl<T, K, F, P> Push<T, K> for TimedPush<F, P>
where
    K: Key,
    F: Fn(&T) -> Timestamp + 'static,
    P: Push<T, K>,
{
    #[inline]
    fn push(&mut self, value: T, key: &K, head: &Head, run: &Run) {
        let before = run.enter(Place::Closure("event_time"));
        let at = (self.time)(&value);
        run.at_place(before);
        self.next.push(value, key, &Head { at, ..*head }, run);
        self.saw(head.origin.split, at, run);
    }

    fn control(&mut self, control: Control, run: &Run) -> bool {
        let control = match control {
            Control::Watermark(at) if at < Timestamp::MAX => Control::Watermark(self.watermark),
            Control::SplitEnd(split) => {
                self.splits.retain(|(number, _)| *number != split);
                self.look(run);
                control
            }
            _ => control,
        };
        self.next.control(control, run)
    }

    fn deadline(&mut self) -> Option<Timestamp> {
        self.next.deadline()
    }

    fn look_ahead(&mut self, keys: &[K], hashes: &[u32]) {
        self.next.look_ahead(keys, hashes);
    }
}
