//! Answers that come later: by waker for tasks, or by waiting for threads.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use futures::{channel::oneshot, future::BoxFuture};

use crate::{Error, Result};

/// The answer to a call, which comes once the I/O behind it is done.
///
/// A task awaits it; a thread calls [`wait`](Self::wait). It is answered exactly once, also when
/// the log fails or is closed. Dropping it does not undo the call.
///
/// # Examples
///
/// ```
/// use futures::executor::block_on;
/// use levada_log::{Batch, Log, Record, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
/// let one = |value: &[u8]| -> levada_log::Result<Batch> {
///     let mut batch = Batch::new();
///     batch.push(&Record::of(value))?;
///     Ok(batch)
/// };
/// // Both are on their way before either is waited for: they share a sync.
/// let (first, second) = (orders.append(one(b"tea")?), orders.append(one(b"jam")?));
/// assert_eq!(first.wait()?.offsets, 0..1);
/// assert_eq!(block_on(second)?.offsets, 1..2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the call may fail, and it is not done before its ticket says so"]
pub struct Ticket<T>(Answer<T>);

enum Answer<T> {
    Known(Option<Result<T>>),
    Awaited(oneshot::Receiver<Result<T>>),
    Made(BoxFuture<'static, Result<T>>),
}

impl<T> Ticket<T> {
    /// A ticket, and the other end that answers it.
    pub(crate) fn new() -> (Completion<T>, Self) {
        let (sender, receiver) = oneshot::channel();
        (Completion(sender), Self(Answer::Awaited(receiver)))
    }

    /// A ticket whose answer is known already.
    pub(crate) fn known(answer: Result<T>) -> Self {
        Self(Answer::Known(Some(answer)))
    }

    /// A ticket for a call that was refused.
    pub(crate) fn refused(error: Error) -> Self {
        Self::known(Err(error))
    }

    /// A ticket whose answer is made of those of others.
    pub(crate) fn made(answer: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self(Answer::Made(Box::pin(answer)))
    }

    /// Blocks the calling thread until the answer is there. Not for threads that run tasks.
    ///
    /// # Errors
    ///
    /// As the call that gave the ticket says.
    pub fn wait(mut self) -> Result<T> {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }

        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match Pin::new(&mut self).poll(&mut context) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => thread::park(),
            }
        }
    }
}

impl<T> Unpin for Ticket<T> {}

impl<T> Future for Ticket<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        match &mut self.0 {
            Answer::Known(answer) => Poll::Ready(
                answer
                    .take()
                    .expect("a future is not polled after it was ready"),
            ),
            Answer::Made(answer) => answer.as_mut().poll(context),
            Answer::Awaited(receiver) => {
                // Whoever would have answered is gone: the log was dropped.
                Pin::new(receiver)
                    .poll(context)
                    .map(|sent| sent.unwrap_or(Err(Error::Closed)))
            }
        }
    }
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

/// The end of a [`Ticket`] that answers.
#[derive(Debug)]
pub(crate) struct Completion<T>(oneshot::Sender<Result<T>>);

impl<T> Completion<T> {
    /// Answers. That the ticket was dropped meanwhile is its owner's choice, not a failure.
    pub(crate) fn complete(self, answer: Result<T>) {
        drop(self.0.send(answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticket_whose_log_is_gone_says_closed() {
        let (completion, ticket) = Ticket::<()>::new();
        drop(completion);
        assert!(matches!(ticket.wait(), Err(Error::Closed)));
    }
}
