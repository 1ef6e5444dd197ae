//! Reading that blocks: on a thread of its own, handed over in bounded steps.
//!
//! 1. The reading thread parks while [`BOUND`] items wait, beside as many that were taken together;
//!    the pipeline's thread never blocks.
//! 2. Each side wakes the other after it has changed the queue, and looks again after registering.
//! 3. When the reader is dropped the thread stops at its next item.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures::task::AtomicWaker;
use levada_core::{BoxError, Incoming, Spawner, SplitReader};

/// Items that wait to be taken, at most: a few chunks.
const BOUND: usize = 4096;

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    taken: AtomicWaker,
    put: AtomicWaker,
    gone: AtomicBool,
}

struct Queue<T> {
    items: VecDeque<(u64, T)>,
    end: Option<Result<(), BoxError>>,
}

impl<T> Shared<T> {
    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody takes what is read any more.
///
/// See [`Handover`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody takes what is read any more")]
pub struct NotWanted;

/// The side that reads: it offers items until told that nobody wants them.
///
/// See [`Handover`].
pub struct Offer<T> {
    shared: Arc<Shared<T>>,
}

impl<T> fmt::Debug for Offer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Offer")
    }
}

impl<T> Offer<T> {
    /// Hands over an item with its offset, waiting for room.
    ///
    /// # Errors
    ///
    /// [`NotWanted`] when its reader is gone: reading may stop.
    pub async fn put(&self, offset: u64, item: T) -> Result<(), NotWanted> {
        let mut item = Some((offset, item));
        poll_fn(|cx| {
            self.shared.taken.register(cx.waker());
            if self.shared.gone.load(Ordering::Acquire) {
                return Poll::Ready(Err(NotWanted));
            }
            let mut queue = self.shared.queue();
            if queue.items.len() >= BOUND {
                return Poll::Pending;
            }
            queue.items.extend(item.take());
            drop(queue);
            self.shared.put.wake();
            Poll::Ready(Ok(()))
        })
        .await
    }

    fn end(&self, end: Result<(), BoxError>) {
        self.shared.queue().end.get_or_insert(end);
        self.shared.put.wake();
    }
}

impl<T> Drop for Offer<T> {
    fn drop(&mut self) {
        self.end(Err(
            "reading stopped without a word: its thread panicked".into()
        ));
    }
}

/// The side that takes: a reader of a split.
///
/// # Examples
///
/// A source that reads on a thread of its own:
///
/// ```
/// use levada_core::{BoxError, Source, SourceContext};
/// use levada_engine::Pipeline;
/// use levada_operators::{prelude::*, source::Handover};
///
/// struct Squares(u64);
///
/// impl Source for Squares {
///     type Item = u64;
///     type Reader = Handover<u64>;
///
///     fn splits(&self) -> Result<Vec<String>, BoxError> {
///         Ok(vec!["squares".to_owned()])
///     }
///
///     fn open(&self, _: u32, cx: &SourceContext) -> Result<Handover<u64>, BoxError> {
///         let end = self.0;
///         Handover::start(&*cx.spawner, "squares", move |offer| async move {
///             for n in 0..end {
///                 offer.put(n, n * n).await?; // This thread may block.
///             }
///             Ok(())
///         })
///     }
/// }
///
/// let pipeline = Pipeline::new("squares");
/// let squares = Collected::new();
/// pipeline.source(Squares(4)).sink(collect(&squares));
/// pipeline.run()?;
/// assert_eq!(squares.take(), [0, 1, 4, 9]);
/// # Ok::<(), levada_engine::Error>(())
/// ```
pub struct Handover<T> {
    shared: Arc<Shared<T>>,
    /// Taken from the queue all at once, so that a record costs no lock.
    taken: VecDeque<(u64, T)>,
}

impl<T> fmt::Debug for Handover<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handover")
    }
}

impl<T: Send + 'static> Handover<T> {
    /// Starts `read` as a piece of work that may block; what it returns ends the split.
    ///
    /// # Errors
    ///
    /// When the spawner gives no thread.
    pub fn start<F>(
        spawner: &dyn Spawner,
        name: &str,
        read: impl FnOnce(Arc<Offer<T>>) -> F + Send + 'static,
    ) -> Result<Self, BoxError>
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let queue = Queue {
            items: VecDeque::new(),
            end: None,
        };
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            taken: AtomicWaker::new(),
            put: AtomicWaker::new(),
            gone: AtomicBool::new(false),
        });
        let offer = Arc::new(Offer {
            shared: Arc::clone(&shared),
        });
        let work = async move {
            let end = read(Arc::clone(&offer)).await;
            offer.end(end);
        };
        spawner.spawn(name, Box::pin(work))?;
        Ok(Self {
            shared,
            taken: VecDeque::new(),
        })
    }
}

impl<T: Send + 'static> SplitReader<T> for Handover<T> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Incoming<T>>, BoxError>> {
        if self.taken.is_empty() {
            self.shared.put.register(cx.waker());
            let mut queue = self.shared.queue();
            mem::swap(&mut self.taken, &mut queue.items);
            if self.taken.is_empty() {
                return match queue.end.take() {
                    Some(end) => Poll::Ready(end.map(|()| None)),
                    None => Poll::Pending,
                };
            }
            drop(queue);
            self.shared.taken.wake();
        }
        let next = self.taken.pop_front();
        Poll::Ready(Ok(next.map(|(offset, item)| Incoming::new(offset, item))))
    }
}

impl<T> Drop for Handover<T> {
    fn drop(&mut self) {
        self.shared.gone.store(true, Ordering::Release);
        self.shared.taken.wake();
    }
}
