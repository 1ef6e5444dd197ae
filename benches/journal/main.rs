//! What a group commit costs when it touches many segments: a pool of sync threads, or a journal.
//!
//! The log's format rests on this measurement. A group commit makes batches of many partitions
//! durable at once. Either (a) each dirty segment is synced, by a small pool of threads; or (b) all
//! batches go into one journal as one frame with one sync, and the segments are written behind.
//! The rule was fixed before the run: (a) is taken only if, with 1,000 records in a group commit,
//! a record costs at most 1.5 times as much over 1,000 segments as in one.
//!
//! ```text
//! cargo bench -p levada-benches --bench journal [-- --smoke] [-- --dir FOLDER]
//! ```

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures real time and real threads"
)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod group_commit;
mod journal;
mod one_partition;

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// What the journal's frames are aligned to: a torn write never reaches an older frame's page.
const PAGE: usize = 4096;
/// The journal file is replaced, and what it holds flushed to segments, when it is this long.
const JOURNAL: usize = 64 << 20;

/// How much is run.
#[derive(Clone, Copy)]
struct Size {
    rounds: usize,
    dirty: &'static [usize],
    /// Batches of the one-partition case.
    batches: usize,
}

const FULL: Size = Size {
    rounds: 9,
    dirty: &[1, 10, 100, 1000],
    batches: 4000,
};
const SMOKE: Size = Size {
    rounds: 1,
    dirty: &[1, 10],
    batches: 20,
};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    // Without `--bench`, which cargo passes when it measures, a bench is a test.
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    let size = if given("--smoke") || !given("--bench") {
        SMOKE
    } else {
        FULL
    };
    let named = arguments
        .iter()
        .position(|a| a == "--dir")
        .and_then(|i| arguments.get(i + 1));
    let parent = named.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = parent.join(format!("journal-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let result =
        group_commit::table(&folder, size).and_then(|()| one_partition::table(&folder, size));
    fs::remove_dir_all(&folder)?;
    result
}

fn median(rounds: usize, mut round: impl FnMut() -> io::Result<Duration>) -> io::Result<Duration> {
    let mut times = (0..rounds)
        .map(|_| round())
        .collect::<io::Result<Vec<_>>>()?;
    times.sort();
    Ok(times[times.len() / 2])
}

fn millis(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is printed with two decimals"
)]
fn rate(batches: usize, time: Duration) -> f64 {
    batches as f64 * 1000.0 / time.as_secs_f64() / 1e6
}

fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(path)?;
    file.sync_all()?;
    Ok(file)
}
