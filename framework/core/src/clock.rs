//! Time as a seam: the only file that reads the real clock.

use std::{
    fmt,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures::future::BoxFuture;
use futures_timer::Delay;

use crate::Timestamp;

/// Tells the time. Everything that needs it takes one, so that a test owns it.
///
/// # Examples
///
/// Time as a test wants it (`levada-testkit` has a clock that moves):
///
/// ```
/// use std::{future::pending, time::Duration};
///
/// use futures::future::BoxFuture;
/// use levada::{Clock, Context, Emit, Operator, prelude::*};
///
/// const NOON: Timestamp = Timestamp::from_millis(12 * 60 * 60 * 1000);
///
/// #[derive(Debug)]
/// struct Noon;
///
/// impl Clock for Noon {
///     fn now(&self) -> Timestamp {
///         NOON
///     }
///
///     fn elapsed(&self) -> Duration {
///         Duration::ZERO
///     }
///
///     fn sleep_until(&self, _: Duration) -> BoxFuture<'static, ()> {
///         Box::pin(pending()) // It stands still.
///     }
/// }
///
/// #[derive(Clone)]
/// struct Stamping;
///
/// impl<T: 'static, K: Key> Operator<T, K> for Stamping {
///     type Out = (T, Timestamp);
///
///     fn record(
///         &mut self,
///         value: T,
///         cx: &mut Context<'_, K>,
///         out: &mut impl Emit<(T, Timestamp)>,
///     ) -> Result<(), Fault> {
///         out.emit((value, cx.now()));
///         Ok(())
///     }
/// }
///
/// let levada = Levada::builder().clock(Noon).in_memory();
/// let pipeline = levada.pipeline("stamped");
/// let stamped = Collected::new();
/// pipeline.source(iter([1])).apply("stamp", Stamping).sink(collect(&stamped));
/// pipeline.run()?;
/// assert_eq!(stamped.take(), [(1, NOON)]);
/// # Ok::<(), Error>(())
/// ```
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The wall clock, which people set: for stamping records, never for measuring.
    fn now(&self) -> Timestamp;

    /// Time since some fixed start, which never goes back: for deadlines and durations.
    fn elapsed(&self) -> Duration;

    /// Completes once [`elapsed`](Self::elapsed) has reached `at`.
    fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's own clocks.
///
/// # Examples
///
/// ```
/// use levada_core::{Clock, SystemClock};
///
/// let clock = SystemClock::new();
/// let before = clock.elapsed();
/// assert!(clock.elapsed() >= before);
/// ```
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: Instant,
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else takes"
)]
impl SystemClock {
    /// A clock whose [`elapsed`](Clock::elapsed) starts now.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else takes"
)]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A machine set before 1970 is a machine with a broken clock; time zero is what it gets.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()> {
        Box::pin(Delay::new(at.saturating_sub(self.elapsed())))
    }
}
