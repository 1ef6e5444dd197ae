//! What one run has shown: how fast, at which cost, and with which result.
//!
//! The peers print the same line, so that one reader reads all. Costs are those of the process as
//! Linux tells them; elsewhere they read 0.

use std::fs;

use levada::{BoxError, Clock, SystemClock};
use serde::{Deserialize, Serialize};

use super::Workload;
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
    let before_mb = status_mb("VmRSS:");
    forget_peak();
    let (cpu, begun) = (cpu_seconds(), clock.elapsed());
    let check = (workload.run)(events)?;
    Ok(Figure {
        allocator: ALLOCATOR_NAME.to_owned(),
        events,
        seconds: clock.elapsed().saturating_sub(begun).as_secs_f64(),
        cpu_seconds: cpu_seconds() - cpu,
        before_mb,
        peak_mb: status_mb("VmHWM:"),
        check,
    })
}

/// Has Linux start anew with the peak of this process.
fn forget_peak() {
    // Where it cannot, the peak is the higher one: that of making the pool.
    drop(fs::write("/proc/self/clear_refs", "5"));
}

/// CPU time of this process, all threads. Linux counts it in hundredths for programs.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in parentheses, may hold anything; behind it, fields 3 and up.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn status_mb(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// How busy the machine is: processes that ran or waited over the last minute.
pub(super) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ')
        .next()
        .filter(|it| !it.is_empty())
        .unwrap_or("unknown")
        .to_owned()
}
