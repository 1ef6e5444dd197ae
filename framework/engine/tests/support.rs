//! A source, an operator and a sink, written as a user would write them.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use levada_core::{
    BoxError, Context as Cx, Data, Emit, Fault, Intake, Open, Operator, Read, Sink, SinkContext,
    SinkWriter, Source, SourceContext, SplitReader, Value, key::Key, record::Head,
};

/// Counts up, to an end or for ever.
pub(crate) struct Numbers {
    pub(crate) splits: u64,
    /// How many in each split.
    pub(crate) count: u64,
}

impl Source for Numbers {
    type Item = u64;

    fn splits(&self) -> Result<Vec<String>, BoxError> {
        Ok((0..self.splits)
            .map(|split| format!("numbers/{split}"))
            .collect())
    }

    fn open(&self, split: u32, _: &SourceContext) -> Result<Box<dyn SplitReader<u64>>, BoxError> {
        Ok(Box::new(Counting {
            split: split.into(),
            splits: self.splits,
            next: 0,
            end: self.count,
        }))
    }
}

struct Counting {
    split: u64,
    splits: u64,
    next: u64,
    end: u64,
}

impl SplitReader<u64> for Counting {
    fn poll_read(
        &mut self,
        _: &mut Context<'_>,
        limit: usize,
        intake: &mut Intake<u64>,
    ) -> Poll<Result<Read, BoxError>> {
        for _ in 0..limit {
            if self.next == self.end {
                return Poll::Ready(Ok(Read::End));
            }
            intake.push(self.next, self.next * self.splits + self.split);
            self.next += 1;
        }
        Poll::Ready(Ok(Read::More))
    }
}

/// A running count per key.
#[derive(Clone)]
pub(crate) struct Count {
    n: Value<u64>,
}

impl Count {
    pub(crate) fn new() -> Self {
        Self { n: Value::new("n") }
    }
}

impl<T: Data, K: Key> Operator<T, K> for Count {
    type Out = (K, u64);

    fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
        open.value(&mut self.n);
        Ok(())
    }

    fn record(
        &mut self,
        _: T,
        cx: &mut Cx<'_, K>,
        out: &mut impl Emit<(K, u64)>,
    ) -> Result<(), Fault> {
        let key = cx.key().clone();
        let n = cx.entry(&self.n).get_or_insert(0);
        *n += 1;
        out.emit((key, *n));
        Ok(())
    }
}

/// Does something to each record.
#[derive(Clone)]
pub(crate) struct Each<F>(pub(crate) F);

impl<T: 'static, K: Key, F> Operator<T, K> for Each<F>
where
    F: Fn(&T) -> Result<(), Fault> + Clone + Send + 'static,
{
    type Out = T;

    fn record(&mut self, value: T, _: &mut Cx<'_, K>, out: &mut impl Emit<T>) -> Result<(), Fault> {
        (self.0)(&value)?;
        out.emit(value);
        Ok(())
    }
}

/// Keeps what comes.
pub(crate) struct Kept<T>(Arc<Mutex<Vec<T>>>);

impl<T> Kept<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn sink(&self) -> Keep<T> {
        Keep(Arc::clone(&self.0))
    }

    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().expect("nobody panicked"))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().expect("nobody panicked").len()
    }
}

pub(crate) struct Keep<T>(Arc<Mutex<Vec<T>>>);

impl<T: Send + 'static, K: Key> Sink<T, K> for Keep<T> {
    type Writer = Self;

    fn open(&self, _: &SinkContext) -> Result<Self, BoxError> {
        Ok(Self(Arc::clone(&self.0)))
    }
}

impl<T: 'static, K: Key> SinkWriter<T, K> for Keep<T> {
    fn write(&mut self, value: T, _: &K, _: &Head) -> Result<(), BoxError> {
        self.0.lock().expect("nobody panicked").push(value);
        Ok(())
    }
}
