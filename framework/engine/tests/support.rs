//! A source, an operator and a sink, written as a user would write them.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use levada_core::{
    BoxError, Context as Cx, Data, Emit, Fault, Incoming, Open, Operator, Sink, SinkContext,
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
    type Reader = Counting;

    fn splits(&self) -> Result<Vec<String>, BoxError> {
        Ok((0..self.splits)
            .map(|split| format!("numbers/{split}"))
            .collect())
    }

    fn open(&self, split: u32, _: &SourceContext) -> Result<Counting, BoxError> {
        Ok(Counting {
            split: split.into(),
            splits: self.splits,
            next: 0,
            end: self.count,
        })
    }
}

pub(crate) struct Counting {
    split: u64,
    splits: u64,
    next: u64,
    end: u64,
}

impl SplitReader<u64> for Counting {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Incoming<u64>>, BoxError>> {
        if self.next == self.end {
            return Poll::Ready(Ok(None));
        }
        let offset = self.next;
        self.next += 1;
        let value = offset * self.splits + self.split;
        Poll::Ready(Ok(Some(Incoming::new(offset, value))))
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
