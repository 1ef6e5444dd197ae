//! `fold`: folds the records of each key into one value.

use levada_core::{
    BoxError, Context, Data, Dataflow, Emit, Fault, Keyed, Open, Operator, Timer, Value, key::Key,
};
use serde::{Deserialize, Serialize};

use super::when::{Gathers, When};

/// Adds [`fold`](Self::fold) to keyed streams.
pub trait Fold: Dataflow {
    /// Folds the records of each key into one value, which begins as `init` and which `f` changes
    /// in place: after each record, its key and the value so far.
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
    /// let pipeline = Pipeline::new("sums");
    /// let sums = Collected::new();
    /// pipeline
    ///     .source(iter(1..=10_u64))
    ///     .key_by(|n| n % 2 == 0)
    ///     .fold(0, |sum, n| *sum += n)
    ///     .at_end()
    ///     .sink(collect(&sums));
    /// pipeline.run()?;
    /// assert_eq!(sums.take_sorted(), [(false, 25), (true, 30)]);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    fn fold<A, F>(self, init: A, f: F) -> Self::Applied<Folding<A, F>>
    where
        Self: Keyed,
        Self::Item: Data,
        A: Data + Clone,
        F: Fn(&mut A, Self::Item) + Clone + Send + 'static,
    {
        self.apply("fold", Folding::new("folded", init, f))
    }
}

impl<D: Dataflow> Fold for D {}

/// The operator behind [`fold`](Fold::fold).
#[derive(Debug)]
pub struct Folding<A, F> {
    init: A,
    f: F,
    folded: Value<Folded<A>>,
    when: When,
}

/// What there is of a key so far.
#[derive(Debug, Serialize, Deserialize)]
struct Folded<A> {
    value: A,
    records: u64,
    /// How many there were when it spoke last.
    said: u64,
}

impl<A: Clone, F: Clone> Clone for Folding<A, F> {
    fn clone(&self) -> Self {
        let (init, f) = (self.init.clone(), self.f.clone());
        Self {
            init,
            f,
            folded: self.folded.clone(),
            when: self.when,
        }
    }
}

impl<A, F> Gathers for Folding<A, F> {
    fn emit_when(&mut self, when: When) {
        self.when = when;
    }
}

impl<T, K, A, F> Operator<T, K> for Folding<A, F>
where
    T: Data,
    K: Key,
    A: Data + Clone,
    F: Fn(&mut A, T) + Clone + Send + 'static,
{
    type Out = (K, A);

    fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
        open.value(&mut self.folded);
        Ok(())
    }

    fn record(
        &mut self,
        value: T,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<(K, A)>,
    ) -> Result<(), Fault> {
        let begin = || Folded {
            value: self.init.clone(),
            records: 0,
            said: 0,
        };
        let folded = cx.entry(&self.folded).get_or_insert_with(begin);
        (self.f)(&mut folded.value, value);
        folded.records += 1;
        let records = folded.records;
        if self.when.is_due(records, cx) {
            self.emit(cx, out);
        }
        Ok(())
    }

    fn timer(
        &mut self,
        _: Timer,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<(K, A)>,
    ) -> Result<(), Fault> {
        self.emit(cx, out);
        Ok(())
    }
}

impl<A, F> Folding<A, F> {
    /// An operator that calls its state by this name and speaks after each record.
    pub(super) fn new(state: &'static str, init: A, f: F) -> Self {
        let (folded, when) = (Value::new(state), When::PerRecord);
        Self {
            init,
            f,
            folded,
            when,
        }
    }
}

impl<A: Data + Clone, F> Folding<A, F> {
    /// Says what was not said.
    fn emit<K: Key>(&self, cx: &mut Context<'_, K>, out: &mut impl Emit<(K, A)>) {
        let key = cx.key();
        if let Some(folded) = cx.entry(&self.folded)
            && folded.said < folded.records
        {
            folded.said = folded.records;
            out.emit((key.clone(), folded.value.clone()));
        }
    }
}
