//! Who runs next and for how long: decisions only, so that they can be tested without waiting.

use std::time::Duration;

/// What to do after a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Run the case of this number.
    Run(u64),
    /// All cases that were asked for have run.
    Complete,
    /// The campaign's share of the time is used up.
    OutOfTime,
}

/// The cases `from..end`, and the time at which to stop before them all have run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) from: u64,
    pub(crate) end: u64,
    /// On the clock that [`step`](Self::step) is asked with. `None`: no limit.
    pub(crate) deadline: Option<Duration>,
}

impl Range {
    /// What comes when case `next` is due and the clock shows `now`.
    ///
    /// The first case runs even if it is late: a campaign of no cases would show nothing.
    pub(crate) fn step(&self, next: u64, now: Duration) -> Step {
        let late = self.deadline.is_some_and(|deadline| now >= deadline);
        match next {
            _ if next >= self.end => Step::Complete,
            _ if late && next > self.from => Step::OutOfTime,
            _ => Step::Run(next),
        }
    }
}

/// The share of `left` for the first of the campaigns that have not run, by their `weights`.
///
/// What one campaign leaves is shared anew among those after it, so nothing is lost when an early
/// one is done before its time.
pub(crate) fn share(left: Duration, weights: &[u32]) -> Duration {
    let total = weights.iter().copied().map(u64::from).sum::<u64>();
    let first = weights.first().copied().map_or(0, u64::from);
    let nanos = u128::from(first) * left.as_nanos() / u128::from(total.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn time_is_shared_by_weight() {
        assert_eq!(share(60 * SECOND, &[1, 2, 3]), 10 * SECOND);
        assert_eq!(share(50 * SECOND, &[2, 3]), 20 * SECOND);
        assert_eq!(share(30 * SECOND, &[3]), 30 * SECOND);
    }

    #[test]
    fn time_left_over_goes_to_the_campaigns_that_follow() {
        let (first, rest) = (share(60 * SECOND, &[1, 1]), share(59 * SECOND, &[1]));
        assert_eq!(
            (first, rest),
            (30 * SECOND, 59 * SECOND),
            "the first took a second"
        );
    }

    #[test]
    fn nothing_is_shared_among_nobody() {
        assert_eq!(share(SECOND, &[]), Duration::ZERO);
    }

    #[test]
    fn cases_run_in_order_until_the_last() {
        let range = Range {
            from: 3,
            end: 5,
            deadline: None,
        };
        assert_eq!(range.step(3, SECOND), Step::Run(3));
        assert_eq!(range.step(4, 1_000 * SECOND), Step::Run(4));
        assert_eq!(range.step(5, SECOND), Step::Complete);
    }

    #[test]
    fn the_deadline_ends_a_campaign_between_cases() {
        let range = Range {
            from: 0,
            end: 5,
            deadline: Some(10 * SECOND),
        };
        assert_eq!(range.step(1, 9 * SECOND), Step::Run(1));
        assert_eq!(range.step(1, 10 * SECOND), Step::OutOfTime);
    }

    #[test]
    fn one_case_runs_even_without_time() {
        let range = Range {
            from: 7,
            end: 9,
            deadline: Some(Duration::ZERO),
        };
        assert_eq!(range.step(7, SECOND), Step::Run(7));
        assert_eq!(range.step(8, SECOND), Step::OutOfTime);
    }

    #[test]
    fn a_campaign_whose_last_case_was_late_is_complete() {
        let range = Range {
            from: 0,
            end: 1,
            deadline: Some(Duration::ZERO),
        };
        assert_eq!(range.step(1, SECOND), Step::Complete);
    }
}
