//! The time that ages are measured by: the wall clock, as far as it can be believed.
//!
//! Append times are wall clock times, so ages need one too; but people and machines set wall
//! clocks. A clock that leaps a year ahead must not make a week's records look a year old. So:
//!
//! 1. While a log is open its time runs as fast as the monotonic clock. A wall clock that is ahead
//!    of that has leapt (somebody set it, or the machine slept).
//! 2. A leap is believed once the clock has gone on steadily from there for a day, or for as long
//!    as the leap was, if that is less. Until then it is said loudly, once, and ages are measured
//!    without it. A clock that never stands still for a day is never believed.
//! 3. A wall clock that is behind is believed at once: it lets records stay longer.
//! 4. At the opening the newest append time is the witness. If the wall clock is more than 30 days
//!    ahead of it, that is a leap as well: the log was closed for long, or the clock is wrong, and
//!    a day tells. Less is believed, so that a program that runs once a night retains what it says.
//!
//! So a record may stay longer than it must by as much as the clock was wrong or the machine slept,
//! and at most a day after the clock is right. It goes too early only if the clock is wrong for
//! more than a day and nobody minds the warning, or by less than 30 days at the opening.

use std::time::Duration;

use levada_core::Timestamp;

/// How long a leap must hold.
const HELD_FOR: Duration = Duration::from_hours(24);
/// How long a log may have been closed without a doubt about the clock.
const CLOSED_FOR: Duration = Duration::from_hours(30 * 24);
/// Clocks that differ by less agree.
const TOLERANCE: Duration = Duration::from_mins(1);

/// The wall clock, as far as it can be believed.
#[derive(Debug)]
pub(crate) struct SteadyClock {
    /// The time that is believed, and the monotonic time at which it was.
    believed: Timestamp,
    at: Duration,
    leap: Option<Leap>,
}

/// By how much the wall clock is ahead, and since when.
#[derive(Clone, Copy, Debug)]
struct Leap {
    by: Duration,
    since: Duration,
}

impl SteadyClock {
    /// A clock for a log that is opened at `wall` and whose newest record was appended at `newest`.
    pub(crate) fn new(wall: Timestamp, elapsed: Duration, newest: Option<Timestamp>) -> Self {
        let believed = match newest {
            Some(newest) if wall.since(newest) > CLOSED_FOR => newest,
            _ => wall,
        };
        let mut clock = Self {
            believed,
            at: elapsed,
            leap: None,
        };
        clock.read(wall, elapsed);
        clock
    }

    /// The time to measure ages by.
    pub(crate) fn read(&mut self, wall: Timestamp, elapsed: Duration) -> Timestamp {
        self.believed = self.believed + elapsed.saturating_sub(self.at);
        self.at = self.at.max(elapsed);
        let ahead = wall.since(self.believed);
        if ahead <= TOLERANCE {
            self.leap = None;
            return self.believed.min(wall);
        }
        let leap = match self.leap {
            Some(leap) if leap.by.abs_diff(ahead) <= TOLERANCE => leap,
            _ => {
                tracing::warn!(
                    ahead_s = ahead.as_secs(),
                    "the wall clock has leapt ahead: retention believes it if it stays so"
                );
                let since = elapsed;
                *self.leap.insert(Leap { by: ahead, since })
            }
        };
        if elapsed.saturating_sub(leap.since) >= HELD_FOR.min(leap.by) {
            tracing::warn!(ahead_s = ahead.as_secs(), "the wall clock is believed now");
            self.believed = wall;
            self.leap = None;
        }
        self.believed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const YEAR: Duration = Duration::from_hours(365 * 24);
    const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn hours(hours: u64) -> Duration {
        Duration::from_hours(hours)
    }

    #[test]
    fn leap_is_not_believed_before_it_has_held_for_a_day() {
        let mut clock = SteadyClock::new(START, HOUR, Some(START));
        assert_eq!(clock.read(START + HOUR, hours(2)), START + HOUR);
        for hour in 2..26 {
            let wall = START + YEAR + hours(hour);
            assert_eq!(clock.read(wall, hours(1 + hour)), START + hours(hour));
        }
        let wall = START + YEAR + hours(26);
        assert_eq!(clock.read(wall, hours(27)), wall);
    }

    #[test]
    fn leap_that_is_taken_back_leaves_nothing_behind() {
        let mut clock = SteadyClock::new(START, HOUR, None);
        clock.read(START + YEAR, hours(2));
        clock.read(START + hours(22), hours(23));
        // It begins anew.
        let wall = START + YEAR + hours(30);
        assert_eq!(clock.read(wall, hours(31)), START + hours(30));
    }

    #[test]
    fn clock_that_runs_too_fast_is_never_believed() {
        let mut clock = SteadyClock::new(START, HOUR, None);
        for hour in 1..1000 {
            let read = clock.read(START + hours(3 * hour), HOUR + hours(hour));
            assert_eq!(read, START + hours(hour));
        }
    }

    #[test]
    fn clock_that_is_set_back_is_believed_at_once() {
        let mut clock = SteadyClock::new(START, HOUR, Some(START + YEAR));
        assert_eq!(clock.read(START - YEAR, hours(2)), START - YEAR);
        assert_eq!(clock.read(START + hours(2), hours(3)), START + hours(2));
    }

    #[test]
    fn short_sleep_is_believed_after_as_long_awake() {
        let mut clock = SteadyClock::new(START, HOUR, None);
        let slept = |awake| START + HOUR + awake;
        assert_eq!(clock.read(slept(Duration::ZERO), HOUR), START);
        let awake = HOUR;
        assert_eq!(clock.read(slept(awake), HOUR + awake), slept(awake));
    }

    #[test]
    fn long_pause_before_the_opening_is_a_leap_and_a_short_one_is_not() {
        let mut nightly = SteadyClock::new(START + hours(24), HOUR, Some(START));
        assert_eq!(nightly.read(START + hours(24), HOUR), START + hours(24));
        let mut doubted = SteadyClock::new(START + YEAR, HOUR, Some(START));
        assert_eq!(doubted.read(START + YEAR, HOUR), START);
        let (wall, elapsed) = (START + YEAR + hours(24), hours(25));
        assert_eq!(doubted.read(wall, elapsed), wall);
    }
}
