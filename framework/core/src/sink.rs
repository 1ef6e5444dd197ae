//! The contract of a sink: where records leave a pipeline.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    BoxError, Clock, Spawner,
    graph::Grouping,
    key::{Key, Slots},
    record::Head,
};

/// What a sink is given to open a copy with.
///
/// See [`Sink`].
#[derive(Clone)]
pub struct SinkContext {
    /// This copy, counted from 0.
    pub copy: u32,
    /// How many copies there are.
    pub copies: u32,
    /// Whether records come with a key.
    pub grouping: Grouping,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where writing that blocks goes.
    pub spawner: Arc<dyn Spawner>,
}

impl fmt::Debug for SinkContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkContext")
            .field("copy", &self.copy)
            .finish_non_exhaustive()
    }
}

/// Which copy of a sink a record goes to.
///
/// See [`Sink`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkLayout {
    /// Each copy of the stage before it has a copy of the sink to itself.
    PerCopy,
    /// There is one copy, which takes everything.
    Single,
    /// Keyed records go by their slot, so that one copy alone writes to each partition.
    ByPartition(Slots),
}

/// Where records leave: a factory of writers, one for each copy.
///
/// # Examples
///
/// The largest number that has come, over all copies:
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
///
/// use levada::{BoxError, Sink, SinkContext, SinkLayout, SinkWriter, prelude::*, record::Head};
///
/// #[derive(Clone, Default)]
/// struct Largest(Arc<AtomicU64>);
///
/// impl<K: Key> Sink<u64, K> for Largest {
///     type Writer = Self;
///
///     fn layout(&self) -> SinkLayout {
///         SinkLayout::Single
///     }
///
///     fn open(&self, cx: &SinkContext) -> Result<Self, BoxError> {
///         assert_eq!((cx.copy, cx.copies), (0, 1));
///         Ok(self.clone())
///     }
/// }
///
/// impl<K: Key> SinkWriter<u64, K> for Largest {
///     fn write(&mut self, n: u64, _: &K, _: &Head) -> Result<(), BoxError> {
///         self.0.fetch_max(n, Ordering::Relaxed);
///         Ok(())
///     }
/// }
///
/// let largest = Largest::default();
/// let pipeline = Pipeline::new("largest");
/// pipeline.source(iter([3, 20, 7])).key_by(|n| *n).sink(largest.clone());
/// pipeline.run()?;
/// assert_eq!(largest.0.load(Ordering::Relaxed), 20);
/// # Ok::<(), Error>(())
/// ```
pub trait Sink<T, K: Key = ()>: Send + 'static {
    /// What writes.
    type Writer: SinkWriter<T, K>;

    /// Which copy a record goes to. Default: each copy of the stage before it has its own.
    fn layout(&self) -> SinkLayout {
        SinkLayout::PerCopy
    }

    /// What metrics and errors call it, as in `to_topic orders`. Default: `sink`.
    fn name(&self) -> String {
        "sink".to_owned()
    }

    /// True if what it writes is a result of the whole input, as a file that is written at its end:
    /// its pipeline then reads from the start whenever it starts, as one with state does, since
    /// what was read before is not in the result otherwise. Default: false.
    fn needs_whole_input(&self) -> bool {
        false
    }

    /// Opens a copy, on the thread that will write.
    ///
    /// # Errors
    ///
    /// When what it writes to is not there; the pipeline then does not start.
    fn open(&self, cx: &SinkContext) -> Result<Self::Writer, BoxError>;
}

/// Writes what one copy of a sink takes. Polled on an arbiter's thread: it never blocks.
///
/// # Examples
///
/// What was taken is gathered here, and in the store when [`poll_synced`](Self::poll_synced) has
/// said so:
///
/// ```
/// use std::{sync::{Arc, Mutex}, task::{Context, Poll}};
///
/// use levada::{BoxError, Sink, SinkContext, SinkWriter, prelude::*, record::Head};
///
/// type Synced = Arc<Mutex<Vec<u64>>>;
///
/// struct Store(Synced);
///
/// impl Sink<u64> for Store {
///     type Writer = Writing;
///
///     fn open(&self, _: &SinkContext) -> Result<Writing, BoxError> {
///         Ok(Writing { gathered: Vec::new(), synced: Arc::clone(&self.0) })
///     }
/// }
///
/// struct Writing {
///     gathered: Vec<u64>,
///     synced: Synced,
/// }
///
/// impl SinkWriter<u64> for Writing {
///     fn write(&mut self, n: u64, _: &(), _: &Head) -> Result<(), BoxError> {
///         self.gathered.push(n);
///         Ok(())
///     }
///
///     fn poll_synced(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
///         self.synced.lock().unwrap().append(&mut self.gathered);
///         Poll::Ready(Ok(()))
///     }
/// }
///
/// let synced = Synced::default();
/// let pipeline = Pipeline::new("storing");
/// pipeline.source(iter([1, 2, 3])).sink(Store(Arc::clone(&synced)));
/// pipeline.run()?;
/// assert_eq!(*synced.lock().unwrap(), [1, 2, 3]);
/// # Ok::<(), Error>(())
/// ```
pub trait SinkWriter<T, K: Key = ()>: 'static {
    /// True in `Ready` when it can take a record; else it has arranged for a wake.
    ///
    /// # Errors
    ///
    /// When it cannot go on; the pipeline stops with this error.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Takes a record. Called only after [`poll_ready`](Self::poll_ready) was `Ready`.
    ///
    /// # Errors
    ///
    /// When it cannot go on; the pipeline stops with this error.
    fn write(&mut self, value: T, key: &K, head: &Head) -> Result<(), BoxError>;

    /// Starts writing what it has gathered, without waiting: the input ran dry.
    ///
    /// # Errors
    ///
    /// When it cannot go on; the pipeline stops with this error.
    fn flush(&mut self) -> Result<(), BoxError> {
        Ok(())
    }

    /// `Ready` when everything that it took is as durable as this sink makes it.
    ///
    /// # Errors
    ///
    /// When it cannot go on; the pipeline stops with this error.
    fn poll_synced(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// `Ready` when the result is final, after everything was synced. Called when the input has
    /// ended for good; a pipeline that is stopped does not come here.
    ///
    /// # Errors
    ///
    /// When it cannot go on; the pipeline stops with this error.
    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }
}
