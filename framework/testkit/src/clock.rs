//! A clock that stands still until a test moves it.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::future::BoxFuture;
use levada_core::{Clock, Timestamp};

/// A clock that a test owns. Clones tell the same time.
///
/// # Examples
///
/// ```
/// use levada_core::{Clock, Timestamp};
/// use levada_testkit::TestClock;
/// use std::time::Duration;
///
/// let clock = TestClock::at(Timestamp::from_millis(1_000));
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(clock.now().as_millis(), 3_000);
/// assert_eq!(clock.elapsed(), Duration::from_secs(2));
/// ```
#[derive(Clone, Default)]
pub struct TestClock {
    shared: Arc<Mutex<Times>>,
}

#[derive(Default)]
struct Times {
    start: Timestamp,
    elapsed: Duration,
    sleepers: Vec<(Duration, Waker)>,
}

impl fmt::Debug for TestClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClock")
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}

impl TestClock {
    /// A clock that stands at this time.
    pub fn at(start: Timestamp) -> Self {
        let times = Times {
            start,
            ..Times::default()
        };
        Self {
            shared: Arc::new(Mutex::new(times)),
        }
    }

    /// Moves it on, and wakes who sleeps no longer.
    pub fn advance(&self, by: Duration) {
        let mut times = self.times();
        times.elapsed += by;
        let now = times.elapsed;
        let due = times.sleepers.extract_if(.., |(until, _)| *until <= now);
        let due: Vec<_> = due.map(|(_, waker)| waker).collect();
        drop(times);
        due.into_iter().for_each(Waker::wake);
    }

    /// Sets the wall clock, as people and time servers do: [`elapsed`](Clock::elapsed) and who
    /// sleeps do not see it.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_core::{Clock, Timestamp};
    /// use levada_testkit::TestClock;
    /// use std::time::Duration;
    ///
    /// let clock = TestClock::at(Timestamp::from_millis(1_000));
    /// clock.advance(Duration::from_secs(2));
    /// clock.set(Timestamp::from_millis(500));
    /// assert_eq!(clock.now().as_millis(), 500);
    /// assert_eq!(clock.elapsed(), Duration::from_secs(2));
    /// ```
    pub fn set(&self, now: Timestamp) {
        let mut times = self.times();
        times.start = now - times.elapsed;
    }

    /// Completes when the clock has moved on by this much: a wait for async code under test.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{task::{Context, Waker}, time::Duration};
    ///
    /// use futures::FutureExt as _;
    /// use levada_testkit::TestClock;
    ///
    /// let clock = TestClock::default();
    /// let mut sleep = clock.sleep(Duration::from_secs(3600));
    /// let cx = &mut Context::from_waker(Waker::noop());
    /// assert!(sleep.poll_unpin(cx).is_pending());
    /// clock.advance(Duration::from_secs(3600));
    /// assert!(sleep.poll_unpin(cx).is_ready());
    /// ```
    pub fn sleep(&self, span: Duration) -> Sleep {
        Sleep {
            until: self.elapsed() + span,
            clock: self.clone(),
        }
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let times = self.times();
        times.start + times.elapsed
    }

    fn elapsed(&self) -> Duration {
        self.times().elapsed
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(Sleep { until: at, clock })
    }
}

/// See [`TestClock::sleep`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    until: Duration,
    clock: TestClock,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut times = self.clock.times();
        if times.elapsed >= self.until {
            return Poll::Ready(());
        }
        times.sleepers.push((self.until, cx.waker().clone()));
        Poll::Pending
    }
}
