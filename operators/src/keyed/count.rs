//! `count`: counts the records of each key.

use levada_core::{
    BoxError, Context, Data, Dataflow, Emit, Fault, Keyed, Open, Operator, Timer, Value, key::Key,
};
use serde::{Deserialize, Serialize};

use super::when::{Gathers, When};

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
    fn count(self) -> Self::Applied<Counting>
    where
        Self: Keyed,
        Self::Item: Data,
    {
        self.apply(
            "count",
            Counting {
                counted: Value::new("count"),
                when: When::PerRecord,
            },
        )
    }
}

impl<D: Dataflow> Count for D {}

/// What there is of a key so far.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Counted {
    records: u64,
    /// How many there were when it spoke last.
    said: u64,
}

/// The operator behind [`count`](Count::count).
#[derive(Clone, Debug)]
pub struct Counting {
    counted: Value<Counted>,
    when: When,
}

impl Gathers for Counting {
    fn emit_when(&mut self, when: When) {
        self.when = when;
    }
}

impl<T: Data, K: Key> Operator<T, K> for Counting {
    type Out = (K, u64);

    fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
        open.value(&mut self.counted);
        Ok(())
    }

    #[inline]
    fn record(
        &mut self,
        _: T,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<(K, u64)>,
    ) -> Result<(), Fault> {
        let counted = cx.entry(&self.counted).get_or_insert_default();
        counted.records += 1;
        let records = counted.records;
        if self.when.is_due(records, cx) {
            self.emit(cx, out);
        }
        Ok(())
    }

    fn timer(
        &mut self,
        _: Timer,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<(K, u64)>,
    ) -> Result<(), Fault> {
        self.emit(cx, out);
        Ok(())
    }
}

impl Counting {
    /// Says what was not said.
    #[inline]
    fn emit<K: Key>(&self, cx: &mut Context<'_, K>, out: &mut impl Emit<(K, u64)>) {
        let key = cx.key();
        if let Some(Counted { records, said }) = cx.entry(&self.counted)
            && said < records
        {
            *said = *records;
            out.emit((key.clone(), *records));
        }
    }
}
