//! What one run has shown: how fast, at which cost, and with which result.
//!
//! The peers print the same line, so that one reader reads all.

use levada::{BoxError, Clock, SystemClock};
use serde::{Deserialize, Serialize};

use super::{
    Workload,
    process::{cpu_seconds, forget_peak, peak_mb, rss_mb},
};
use crate::ALLOCATOR_NAME;

/// What one run has shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Figure {
    #[serde(rename = "alloc")]
    pub(super) allocator: String,
    #[serde(rename = "n")]
    pub(super) events: u64,
    #[serde(rename = "s")]
    pub(super) seconds: f64,
    #[serde(rename = "cpu_s")]
    pub(super) cpu_seconds: f64,
    /// Memory in use before the run: that of the pool.
    #[serde(rename = "rss0_mb")]
    pub(super) before_mb: f64,
    pub(super) peak_mb: f64,
    pub(super) check: u64,
}

impl Figure {
    /// Events per second.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate is printed with two decimals"
    )]
    pub(super) fn rate(&self) -> f64 {
        self.events as f64 / self.seconds
    }

    /// CPU time of an event, in nanoseconds.
    pub(super) fn cpu_nanos(&self) -> f64 {
        self.cpu_seconds * 1e9 / (self.rate() * self.seconds)
    }
}

/// Runs our program in this process.
pub(super) fn measure(workload: &Workload, events: u64) -> Result<Figure, BoxError> {
    (workload.prepare)();
    let clock = SystemClock::new();
    let before_mb = rss_mb();
    forget_peak();
    let (cpu, begun) = (cpu_seconds(), clock.elapsed());
    let check = (workload.run)(events)?;
    Ok(Figure {
        allocator: ALLOCATOR_NAME.to_owned(),
        events,
        seconds: clock.elapsed().saturating_sub(begun).as_secs_f64(),
        cpu_seconds: cpu_seconds() - cpu,
        before_mb,
        peak_mb: peak_mb(),
        check,
    })
}
