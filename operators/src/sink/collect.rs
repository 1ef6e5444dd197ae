//! `collect`: keeps what comes in a list in memory.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use levada_core::{BoxError, Sink, SinkContext, SinkWriter, key::Key, record::Head};

/// A list that [`collect`] fills. Clones share it; it grows as long as records come.
///
/// # Examples
///
/// ```
/// use levada_engine::Pipeline;
/// use levada_operators::prelude::*;
///
/// let pipeline = Pipeline::new("letters");
/// let letters = Collected::new();
/// pipeline.source(iter("cab".chars())).sink(collect(&letters));
/// pipeline.run()?;
/// assert_eq!(letters.len(), 3);
/// assert_eq!(letters.take_sorted(), ['a', 'b', 'c']);
/// assert!(letters.is_empty(), "they were taken");
/// # Ok::<(), levada_engine::Error>(())
/// ```
pub struct Collected<T> {
    values: Arc<Mutex<Vec<T>>>,
}

impl<T> Clone for Collected<T> {
    fn clone(&self) -> Self {
        Self {
            values: Arc::clone(&self.values),
        }
    }
}

impl<T> Default for Collected<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Collected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collected")
            .field("len", &self.len())
            .finish()
    }
}

impl<T> Collected<T> {
    /// An empty list.
    pub fn new() -> Self {
        Self {
            values: Arc::default(),
        }
    }

    /// Takes what has come so far, in the order of arrival.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.lock())
    }

    /// Takes what has come so far, in the order of its values: for what comes from several copies.
    pub fn take_sorted(&self) -> Vec<T>
    where
        T: Ord,
    {
        let mut values = self.take();
        values.sort();
        values
    }

    /// How many have come since the last `take`.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// True if none has come since the last `take`.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps what comes in `list`.
///
/// # Examples
///
/// ```
/// use levada_engine::Pipeline;
/// use levada_operators::prelude::*;
///
/// let pipeline = Pipeline::new("kept");
/// let kept = Collected::new();
/// pipeline.source(iter(1..=3_u32)).sink(collect(&kept));
/// pipeline.run()?;
/// assert_eq!(kept.take(), [1, 2, 3]);
/// # Ok::<(), levada_engine::Error>(())
/// ```
pub fn collect<T>(list: &Collected<T>) -> CollectSink<T> {
    CollectSink { list: list.clone() }
}

/// See [`collect`].
#[derive(Debug)]
pub struct CollectSink<T> {
    list: Collected<T>,
}

impl<T: Send + 'static, K: Key> Sink<T, K> for CollectSink<T> {
    type Writer = Self;

    fn name(&self) -> String {
        "collect".to_owned()
    }

    fn open(&self, _: &SinkContext) -> Result<Self, BoxError> {
        Ok(Self {
            list: self.list.clone(),
        })
    }
}

impl<T: Send + 'static, K: Key> SinkWriter<T, K> for CollectSink<T> {
    fn write(&mut self, value: T, _: &K, _: &Head) -> Result<(), BoxError> {
        self.list.lock().push(value);
        Ok(())
    }
}
