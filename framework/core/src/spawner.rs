//! Threads as a seam: work that blocks is a future which somebody else drives.

use std::{fmt, io, thread};

use futures::{executor::block_on, future::BoxFuture};

/// Runs a long-lived piece of work that may block, such as the I/O of a log.
///
/// The work is a future that is polled to its end. In production each gets a thread of its own
/// ([`Threads`]); a simulator polls it among its other tasks, so that a seed decides every
/// interleaving.
///
/// # Examples
///
/// Work for which somebody else has a thread:
///
/// ```
/// use std::{io, sync::{Arc, Mutex}};
///
/// use futures::{executor::block_on, future::BoxFuture};
/// use levada_core::Spawner;
///
/// #[derive(Clone, Debug, Default)]
/// struct Later(Arc<Mutex<Vec<String>>>);
///
/// impl Spawner for Later {
///     fn spawn(&self, name: &str, work: BoxFuture<'static, ()>) -> io::Result<()> {
///         self.0.lock().unwrap().push(name.to_owned());
///         block_on(work);
///         Ok(())
///     }
/// }
///
/// let spawner = Later::default();
/// spawner.spawn("reader", Box::pin(async {}))?;
/// assert_eq!(*spawner.0.lock().unwrap(), ["reader"]);
/// # Ok::<(), io::Error>(())
/// ```
pub trait Spawner: fmt::Debug + Send + Sync + 'static {
    /// Starts `work` under `name`.
    ///
    /// # Errors
    ///
    /// When the operating system gives no thread.
    fn spawn(&self, name: &str, work: BoxFuture<'static, ()>) -> io::Result<()>;
}

/// A named thread for each piece of work.
///
/// # Examples
///
/// ```
/// use levada_core::{Spawner, Threads};
/// use std::sync::mpsc::sync_channel;
///
/// let (done, wait) = sync_channel(1);
/// Threads.spawn("greeter", Box::pin(async move { done.send("hello").unwrap() }))?;
/// assert_eq!(wait.recv()?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Threads;

impl Spawner for Threads {
    fn spawn(&self, name: &str, work: BoxFuture<'static, ()>) -> io::Result<()> {
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || block_on(work))?;
        Ok(())
    }
}
