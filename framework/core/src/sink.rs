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
