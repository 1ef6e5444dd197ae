//! Ratios of paired runs, believed only as far as pairs go in which nothing differs.
//!
//! Latencies of a shared disk change by the minute. So as often as what is asked is run beside what
//! it is compared with, the latter is run beside itself: the control. If the control shows a
//! difference where there is none, nothing is said of the ratios, neither good nor bad.

use std::{fmt, ops::RangeInclusive, process::ExitCode};

/// Where the median of a control must lie.
const QUIET: RangeInclusive<f64> = 0.95..=1.05;

/// The ratios of all pairs, and of those of the control.
#[derive(Clone, Debug, Default)]
pub struct Controlled {
    /// What is asked over what it is compared with, by pair.
    pub asked: Vec<f64>,
    /// What it is compared with over the same, by pair.
    pub control: Vec<f64>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bar is met.
    Met,
    /// It is not.
    Missed,
    /// Nobody can tell.
    TooNoisy,
}

impl Controlled {
    /// Whether the median of what is asked is at most `most`.
    pub fn verdict(&self, most: f64) -> Verdict {
        if QUIET.contains(&median(&self.control)) {
            Verdict::at_most(most, median(&self.asked))
        } else {
            Verdict::TooNoisy
        }
    }
}

impl Verdict {
    /// Whether a figure that needs no control is at most `most`.
    pub fn at_most(most: f64, figure: f64) -> Self {
        if figure <= most {
            Self::Met
        } else {
            Self::Missed
        }
    }

    /// What two bars come to together: one that is missed cannot be made good.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Missed, _) | (_, Self::Missed) => Self::Missed,
            (Self::TooNoisy, _) | (_, Self::TooNoisy) => Self::TooNoisy,
            (Self::Met, Self::Met) => Self::Met,
        }
    }

    /// How a bench ends that has come to this: 0 if the bar is met, 1 if it is missed, and 2 if
    /// nobody can tell.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Met => ExitCode::SUCCESS,
            Self::Missed => ExitCode::FAILURE,
            Self::TooNoisy => ExitCode::from(2),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::TooNoisy => "too noisy: neither met nor missed",
        })
    }
}

/// The one in the middle.
///
/// # Panics
///
/// If there is none.
pub fn median(of: &[f64]) -> f64 {
    let mut of = of.to_vec();
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(asked: [f64; 3], control: [f64; 3]) -> Verdict {
        let (asked, control) = (asked.to_vec(), control.to_vec());
        Controlled { asked, control }.verdict(1.1)
    }

    #[test]
    fn the_median_of_what_is_asked_meets_the_bar_or_misses_it() {
        let quiet = [0.5, 1.05, 2.0];
        assert_eq!(verdict([9.0, 1.1, 0.1], quiet), Verdict::Met);
        assert_eq!(verdict([1.11, 1.11, 0.1], quiet), Verdict::Missed);
    }

    #[test]
    fn a_bar_that_is_missed_outweighs_one_of_which_nobody_can_tell() {
        let [met, missed, noisy] = [Verdict::Met, Verdict::Missed, Verdict::TooNoisy];
        assert_eq!(met.and(met), met);
        assert_eq!((noisy.and(missed), missed.and(noisy)), (missed, missed));
        assert_eq!((noisy.and(met), met.and(noisy)), (noisy, noisy));
    }

    #[test]
    fn a_control_that_differs_from_itself_is_no_verdict_whatever_was_asked() {
        for asked in [[1.0; 3], [2.0; 3]] {
            assert_eq!(verdict(asked, [1.06, 1.06, 1.0]), Verdict::TooNoisy);
            assert_eq!(verdict(asked, [0.94, 0.94, 1.0]), Verdict::TooNoisy);
        }
    }
}
