//! What the programs of the benches read and write: numbered events, and a sum.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use levada::{
    BoxError, Data, Incoming, Sink, SinkContext, SinkWriter, Source, SourceContext, SplitReader,
    key::Key, record::Head,
};

/// How many splits the events are dealt into: one for each worker of the peers.
pub const SPLITS: u32 = 2;

/// Reads `count` events, number *i* made by `event(i)`, dealt into [`SPLITS`] splits by turns.
///
/// # Examples
///
/// ```
/// use levada::{prelude::*, sink::Collected};
/// use levada_benches::workload::events;
///
/// let pipeline = Pipeline::new("squares");
/// let squares = Collected::new();
/// pipeline.source(events(5, |i| i * i)).sink(collect(&squares));
/// pipeline.run()?;
/// assert_eq!(squares.take_sorted(), [0, 1, 4, 9, 16]);
/// # Ok::<(), Error>(())
/// ```
pub fn events<T, F>(count: u64, event: F) -> Events<F>
where
    T: Data,
    F: Fn(u64) -> T + Clone + Send + 'static,
{
    Events { count, event }
}

/// See [`events`].
#[derive(Clone, Debug)]
pub struct Events<F> {
    count: u64,
    event: F,
}

impl<T, F> Source for Events<F>
where
    T: Data,
    F: Fn(u64) -> T + Clone + Send + 'static,
{
    type Item = T;
    type Reader = EventReader<F>;

    fn splits(&self) -> Result<Vec<String>, BoxError> {
        Ok((0..SPLITS).map(|split| format!("events/{split}")).collect())
    }

    fn open(&self, split: u32, _: &SourceContext) -> Result<Self::Reader, BoxError> {
        let (first, step) = (u64::from(split), u64::from(SPLITS));
        Ok(EventReader {
            event: self.event.clone(),
            first,
            next: 0,
            end: self.count.saturating_sub(first).div_ceil(step),
        })
    }
}

/// Reads every event of one split: the reader of [`events`].
#[derive(Debug)]
pub struct EventReader<F> {
    event: F,
    first: u64,
    next: u64,
    end: u64,
}

impl<T: 'static, F: Fn(u64) -> T + 'static> SplitReader<T> for EventReader<F> {
    #[inline]
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Incoming<T>>, BoxError>> {
        if self.next == self.end {
            return Poll::Ready(Ok(None));
        }
        let offset = self.next;
        self.next += 1;
        let event = (self.event)(self.first + offset * u64::from(SPLITS));
        Poll::Ready(Ok(Some(Incoming::new(offset, event))))
    }
}

/// A sum that [`add`] adds to. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    total: Arc<AtomicU64>,
}

impl Sum {
    /// The sum so far; complete when the pipeline has ended.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// Adds up what `value` makes of each record. Each copy sums by itself and tells at the end.
///
/// # Examples
///
/// ```
/// use levada::prelude::*;
/// use levada_benches::workload::{Sum, add, events};
///
/// let pipeline = Pipeline::new("sum");
/// let sum = Sum::default();
/// pipeline.source(events(1_000, |i| i)).sink(add(&sum, |i| i));
/// pipeline.run()?;
/// assert_eq!(sum.total(), 499_500);
/// # Ok::<(), Error>(())
/// ```
pub fn add<F: Clone>(sum: &Sum, value: F) -> Add<F> {
    Add {
        sum: sum.clone(),
        value,
    }
}

/// See [`add`].
#[derive(Clone, Debug)]
pub struct Add<F> {
    sum: Sum,
    value: F,
}

impl<T, K, F> Sink<T, K> for Add<F>
where
    T: 'static,
    K: Key,
    F: Fn(T) -> u64 + Clone + Send + 'static,
{
    type Writer = Adding<F>;

    fn open(&self, _: &SinkContext) -> Result<Adding<F>, BoxError> {
        Ok(Adding {
            add: self.clone(),
            own: 0,
        })
    }
}

/// One copy of [`Add`].
#[derive(Debug)]
pub struct Adding<F> {
    add: Add<F>,
    own: u64,
}

impl<T, K, F> SinkWriter<T, K> for Adding<F>
where
    T: 'static,
    K: Key,
    F: Fn(T) -> u64 + 'static,
{
    fn write(&mut self, value: T, _: &K, _: &Head) -> Result<(), BoxError> {
        self.own = self.own.wrapping_add((self.add.value)(value));
        Ok(())
    }

    fn poll_finished(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let own = std::mem::take(&mut self.own);
        self.add.sum.total.fetch_add(own, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}
