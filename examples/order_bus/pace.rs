//! How fast rows are given out: by a clock and a count, so that what was late is caught up with.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use levada::Clock;

/// So many rows a second, counted from the first look.
pub(crate) struct Pace {
    rate: u64,
    clock: Arc<dyn Clock>,
    start: Duration,
    given: u64,
    /// Rows that were due at the last look, and were not given yet.
    due: u64,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl Pace {
    pub(crate) fn new(rate: u32, clock: Arc<dyn Clock>) -> Self {
        Self {
            rate: rate.into(),
            start: clock.elapsed(),
            clock,
            given: 0,
            due: 0,
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    /// `Ready` when a row is due.
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.due == 0 {
            let spent = self.clock.elapsed().saturating_sub(self.start);
            self.due = due(self.rate, spent, self.given);
            if self.due == 0 {
                let next = Duration::from_micros((self.given + 1) * 1_000_000 / self.rate);
                let wait = next.saturating_sub(spent).max(Duration::from_millis(1));
                self.sleep.set(tokio::time::sleep(wait));
                ready!(self.sleep.as_mut().poll(cx));
            }
        }
        Poll::Ready(())
    }

    /// A row that was due was given.
    pub(crate) fn gave_one(&mut self) {
        self.given += 1;
        self.due -= 1;
    }
}

/// How many rows more than these should have been given in this time.
fn due(rate: u64, spent: Duration, given: u64) -> u64 {
    let all = spent.as_micros() * u128::from(rate) / 1_000_000;
    u64::try_from(all).unwrap_or(u64::MAX).saturating_sub(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_late_is_caught_up_with() {
        let spent = Duration::from_millis(2_500);
        assert_eq!(due(400, spent, 0), 1_000);
        assert_eq!(due(400, spent, 400), 600);
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        assert_eq!(due(400, Duration::from_micros(2_499), 0), 0);
        assert_eq!(due(400, Duration::from_micros(2_500), 0), 1);
        assert_eq!(due(400, Duration::from_secs(1), 1_000), 0);
    }
}
