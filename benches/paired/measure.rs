//! A measure that has a bar of its own: what its rounds must come to.

use super::control::median;

/// One round of a measure.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Our millions of records a second.
    pub rate: f64,
    /// What the bar is about: a ratio, or a figure in the bar's unit. `NaN`: there is nothing to
    /// compare with.
    pub judged: f64,
    /// The median time of an append, in milliseconds, if the bar is about that too.
    pub latency_ms: Option<f64>,
}

/// What the medians of all rounds must come to.
#[derive(Clone, Copy, Debug)]
pub struct Must {
    /// At least this of what is judged.
    pub judged: f64,
    /// At least so many millions of records a second, whatever it is compared with.
    pub rate: f64,
    /// At most this latency, in milliseconds.
    pub latency_ms: f64,
}

impl Must {
    /// Only what is judged.
    pub const fn of(judged: f64) -> Self {
        Self {
            judged,
            rate: 0.0,
            latency_ms: f64::INFINITY,
        }
    }

    /// Whether the rounds come to that.
    pub fn is_reached(&self, rounds: &[Round]) -> bool {
        let median_of = |of: fn(&Round) -> f64| median(&rounds.iter().map(of).collect::<Vec<_>>());
        let judged = median_of(|round| round.judged);
        judged >= self.judged
            && median_of(|round| round.rate) >= self.rate
            && median_of(|round| round.latency_ms.unwrap_or(0.0)) <= self.latency_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUST: Must = Must {
        judged: 0.7,
        rate: 1.0,
        latency_ms: 3.0,
    };

    fn rounds(judged: f64, rate: f64, latency_ms: f64) -> [Round; 3] {
        let round = |factor: f64| Round {
            rate: rate * factor,
            judged: judged * factor,
            latency_ms: Some(latency_ms / factor),
        };
        [0.5, 1.0, 2.0].map(round)
    }

    #[test]
    fn the_medians_reach_the_bar_or_one_of_them_misses_it() {
        assert!(MUST.is_reached(&rounds(0.7, 1.0, 3.0)));
        for missed in [(0.69, 9.0, 0.1), (9.0, 0.99, 0.1), (9.0, 9.0, 3.1)] {
            let (judged, rate, latency) = missed;
            assert!(
                !MUST.is_reached(&rounds(judged, rate, latency)),
                "{missed:?}"
            );
        }
        assert!(Must::of(0.7).is_reached(&rounds(0.7, 0.1, 9.0)));
        assert!(!Must::of(0.0).is_reached(&rounds(f64::NAN, 1.0, 1.0)));
    }
}
