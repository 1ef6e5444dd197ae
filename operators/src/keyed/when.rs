//! When an operator that gathers puts out what it has: per record, at the end, or every so often.
//!
//! Never per chunk: what comes out does not depend on how records happened to travel.

use std::time::Duration;

use levada_core::{Adjust, Context, Timer, Timestamp, key::Key};

/// When an operator that gathers puts out what it has.
///
/// See [`Gathers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// After each record.
    PerRecord,
    /// Once per key, when the input has ended.
    AtEnd,
    /// After every so many records of a key, or so much time since the last.
    Every(Every),
}

/// How often an operator that gathers puts out what it has.
///
/// # Examples
///
/// Both kinds come by [`EmitWhen::every`]:
///
/// ```
/// use std::time::Duration;
///
/// use levada_operators::Every;
///
/// assert_eq!(Every::from(10), Every::Records(10));
/// assert_eq!(Every::from(Duration::from_secs(5)), Every::Time(Duration::from_secs(5)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// After so many records of a key.
    Records(u64),
    /// When a key has changed, at the next multiple of this time on the clock.
    Time(Duration),
}

impl From<u64> for Every {
    fn from(records: u64) -> Self {
        Self::Records(records)
    }
}

impl From<Duration> for Every {
    fn from(time: Duration) -> Self {
        Self::Time(time)
    }
}

/// An operator whose output can be put off.
///
/// # Examples
///
/// An operator of one's own asks its [`When`] after each record, and says what it has not said:
///
/// ```
/// use levada_core::{BoxError, Context, Dataflow as _, Emit, Fault, Open, Operator, Timer, Value};
/// use levada_core::key::Key;
/// use levada_engine::Pipeline;
/// use levada_operators::{Gathers, When, prelude::*};
///
/// /// The highest value of each key since it spoke last.
/// #[derive(Clone)]
/// struct Highest {
///     /// What was not said yet, and how many records there were.
///     seen: Value<(Option<u32>, u64)>,
///     when: When,
/// }
///
/// impl Gathers for Highest {
///     fn emit_when(&mut self, when: When) {
///         self.when = when;
///     }
/// }
///
/// impl Highest {
///     fn speak<K: Key>(&self, cx: &mut Context<'_, K>, out: &mut impl Emit<u32>) {
///         let unsaid = cx.entry(&self.seen).as_mut().and_then(|(unsaid, _)| unsaid.take());
///         unsaid.into_iter().for_each(|highest| out.emit(highest));
///     }
/// }
///
/// impl<K: Key> Operator<u32, K> for Highest {
///     type Out = u32;
///
///     fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
///         open.value(&mut self.seen);
///         Ok(())
///     }
///
///     fn record(
///         &mut self,
///         value: u32,
///         cx: &mut Context<'_, K>,
///         out: &mut impl Emit<u32>,
///     ) -> Result<(), Fault> {
///         let (unsaid, records) = cx.entry(&self.seen).get_or_insert_default();
///         *unsaid = (*unsaid).max(Some(value));
///         *records += 1;
///         let records = *records;
///         if self.when.is_due(records, cx) {
///             self.speak(cx, out);
///         }
///         Ok(())
///     }
///
///     fn timer(
///         &mut self,
///         _: Timer,
///         cx: &mut Context<'_, K>,
///         out: &mut impl Emit<u32>,
///     ) -> Result<(), Fault> {
///         self.speak(cx, out);
///         Ok(())
///     }
/// }
///
/// let pipeline = Pipeline::new("highest");
/// let highest = Collected::new();
/// let numbers = pipeline.source(iter([3_u32, 8, 5, 2, 6])).key_by(|n| n % 2 == 0);
/// let operator = Highest { seen: Value::new("seen"), when: When::PerRecord };
/// numbers.apply("highest", operator).every(2).sink(collect(&highest));
/// pipeline.run()?;
/// assert_eq!(highest.take_sorted(), [5, 6, 8]);
/// # Ok::<(), levada_engine::Error>(())
/// ```
pub trait Gathers {
    /// Tells it when: [`EmitWhen::at_end`] and [`EmitWhen::every`] call this.
    fn emit_when(&mut self, when: When);
}

/// Adds [`at_end`](Self::at_end) and [`every`](Self::every) behind operators that gather.
pub trait EmitWhen<O: Gathers>: Adjust<O> {
    /// Puts out once per key, when the input has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::prelude::*;
    ///
    /// let pipeline = Pipeline::new("totals");
    /// let totals = Collected::new();
    /// pipeline
    ///     .source(iter(0..100_u64))
    ///     .key_by(|n| n % 2)
    ///     .count()
    ///     .at_end()
    ///     .sink(collect(&totals));
    /// pipeline.run()?;
    /// assert_eq!(totals.take_sorted(), [(0, 50), (1, 50)]);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    fn at_end(self) -> Self {
        self.adjust(|operator| operator.emit_when(When::AtEnd))
    }

    /// Puts out after every so many records of a key, or so much time; what is left, at the end.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::prelude::*;
    ///
    /// let pipeline = Pipeline::new("tens");
    /// let tens = Collected::new();
    /// pipeline
    ///     .source(iter(0..25_u64))
    ///     .key_by(|_| "all".to_owned())
    ///     .count()
    ///     .every(10)
    ///     .map(|(_, n)| n)
    ///     .sink(collect(&tens));
    /// pipeline.run()?;
    /// assert_eq!(tens.take(), [10, 20, 25]);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    fn every(self, every: impl Into<Every>) -> Self {
        let every = every.into();
        self.adjust(|operator| operator.emit_when(When::Every(every)))
    }
}

impl<O: Gathers, S: Adjust<O>> EmitWhen<O> for S {}

impl When {
    /// Asks whether the key puts out now, after its record number `seen`; sets the timers by which
    /// it is asked again.
    ///
    /// Timers are set anew with each record and never cleared: setting one that is there already
    /// costs nothing. So whoever hears one looks whether there is anything that it has not said.
    pub fn is_due<K: Key>(self, seen: u64, cx: &mut Context<'_, K>) -> bool {
        match self {
            Self::PerRecord => return true,
            Self::Every(Every::Records(records)) if seen.is_multiple_of(records.max(1)) => {
                return true;
            }
            Self::AtEnd | Self::Every(Every::Records(_)) => {}
            Self::Every(Every::Time(time)) => {
                cx.set_timer(Timer::processing(next_tick(cx.now(), time)));
            }
        }
        cx.set_timer(Timer::event(Timestamp::MAX));
        false
    }
}

/// The next multiple of `every` on the clock: the same for all records up to it, so that a key that
/// is never quiet speaks all the same.
fn next_tick(now: Timestamp, every: Duration) -> Timestamp {
    let step = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
    let since = now.as_millis().rem_euclid(step);
    Timestamp::from_millis(now.as_millis().saturating_add(step - since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_the_next_multiple_on_either_side_of_1970() {
        let tick = |now, every| {
            next_tick(Timestamp::from_millis(now), Duration::from_millis(every)).as_millis()
        };
        assert_eq!([tick(0, 10), tick(9, 10), tick(10, 10)], [10, 10, 20]);
        assert_eq!([tick(-1, 10), tick(-10, 10)], [0, 0]);
        assert_eq!(tick(5, 0), 6, "a span of nothing is the least there is");
    }
}
