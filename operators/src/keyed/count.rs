//! `count`: counts the records of each key.

use levada_core::{
    BoxError, Context, Data, Dataflow, Emit, Fault, KeyedStream, Open, Operator, Timer, Value,
    chain::{Applied, Chain},
    key::Key,
};

use super::when::{Gathers, When};

/// Adds [`count`](Self::count) to keyed streams.
pub trait Count<K: Key, T> {
    /// The stream that comes of it.
    type Counted;

    /// Counts the records of each key: after each record, its key and how many there were so far.
    /// [`at_end`](super::EmitWhen::at_end) and [`every`](super::EmitWhen::every) say less often.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::{prelude::*, sink::Collected};
    ///
    /// let pipeline = Pipeline::new("letters");
    /// let counts = Collected::new();
    /// pipeline.source(iter("abab".chars())).key_by(|c| *c).count().sink(collect(&counts));
    /// pipeline.run()?;
    /// assert_eq!(counts.take_sorted(), [('a', 1), ('a', 2), ('b', 1), ('b', 2)]);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    fn count(self) -> Self::Counted;
}

impl<K: Key, T: Data, C: Chain<K, Out = T>> Count<K, T> for KeyedStream<K, T, C> {
    type Counted = KeyedStream<K, (K, u64), Applied<C, Counting>>;

    fn count(self) -> Self::Counted {
        self.apply(
            "count",
            Counting {
                n: Value::new("count"),
                when: When::PerRecord,
            },
        )
    }
}

/// The operator behind [`count`](Count::count).
#[derive(Clone, Debug)]
pub struct Counting {
    n: Value<u64>,
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
        open.value(&mut self.n);
        Ok(())
    }

    #[inline]
    fn record(
        &mut self,
        _: T,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<(K, u64)>,
    ) -> Result<(), Fault> {
        let n = cx.entry(&self.n).get_or_insert(0);
        *n += 1;
        let n = *n;
        if self.when.now(n, cx) {
            out.emit((cx.key().clone(), n));
        }
        Ok(())
    }

    fn timer(
        &mut self,
        _: Timer,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<(K, u64)>,
    ) -> Result<(), Fault> {
        When::fired(cx);
        if let Some(n) = *cx.entry(&self.n) {
            out.emit((cx.key().clone(), n));
        }
        Ok(())
    }
}
