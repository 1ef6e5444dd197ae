//! When an operator that gathers puts out what it has: per record, at the end, or every so often.
//!
//! Never per chunk: what comes out does not depend on how records happened to travel.

use std::time::Duration;

use levada_core::{Adjust, Context, Time, Timer, Timestamp, key::Key};

/// When an operator that gathers puts out what it has.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// After so many records of a key.
    Records(u64),
    /// When a key has changed and this much time has gone by.
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
pub trait Gathers {
    /// Says when.
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
    /// use levada_operators::{prelude::*, sink::Collected};
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
    /// use levada_operators::{prelude::*, sink::Collected};
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
    /// Asks whether the key puts out now, after its record number `seen`; sets the timers that it
    /// needs to be asked again.
    pub(crate) fn now<K: Key>(self, seen: u64, cx: &mut Context<'_, K>) -> bool {
        let due = match self {
            Self::PerRecord => return true,
            Self::AtEnd => false,
            Self::Every(Every::Records(records)) => seen.is_multiple_of(records.max(1)),
            Self::Every(Every::Time(time)) => {
                cx.set_timer(Timer::processing(cx.now() + time));
                false
            }
        };
        if due {
            cx.clear_timer(Time::Event, 0);
        } else {
            cx.set_timer(Timer::event(Timestamp::MAX));
        }
        due
    }

    /// A timer has fired: what is put out now is not put out again.
    pub(crate) fn fired<K: Key>(cx: &mut Context<'_, K>) {
        cx.clear_timer(Time::Event, 0);
        cx.clear_timer(Time::Processing, 0);
    }
}
