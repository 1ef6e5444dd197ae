//! What Linux tells of this process and of its machine; elsewhere figures read 0.

use std::fs;

/// Has Linux start anew with the peak of this process.
pub fn forget_peak() {
    // Where it cannot, the peak is the higher one: that of making the pool.
    drop(fs::write("/proc/self/clear_refs", "5"));
}

/// CPU time of this process, all threads. Linux counts it in hundredths for programs.
pub fn cpu_seconds() -> f64 {
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

/// Memory in use, in MiB.
pub fn rss_mb() -> f64 {
    status_mb("VmRSS:")
}

/// The most memory that was in use since the start, or since it was last [forgotten](forget_peak),
/// in MiB.
pub fn peak_mb() -> f64 {
    status_mb("VmHWM:")
}

/// Bytes that were read from disks for this process so far: not those that the operating system had
/// in its page cache.
pub fn bytes_from_disk() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("read_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

fn status_mb(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// How busy the machine is: processes that ran or waited over the last minute.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ')
        .next()
        .filter(|it| !it.is_empty())
        .unwrap_or("unknown")
        .to_owned()
}
