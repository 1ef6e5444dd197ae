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

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
    thread,
    time::{Duration, Instant},
};

use levada_log::{Batch, Log, Record, TopicOptions};

/// What the journal's frames are aligned to: a torn write never reaches an older frame's page.
const PAGE: usize = 4096;
/// Sizes of the pool of sync threads that are tried.
const POOLS: [usize; 4] = [2, 4, 8, 16];
/// The journal file is replaced, and what it holds flushed to segments, when it is this long.
const JOURNAL: usize = 64 << 20;
/// One batch of the one-partition case: 1,000 records of 100 bytes.
const BATCH: usize = 100_000;

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
    let size = if arguments.iter().any(|a| a == "--smoke") {
        SMOKE
    } else {
        FULL
    };
    let given = arguments
        .iter()
        .position(|a| a == "--dir")
        .and_then(|i| arguments.get(i + 1));
    let parent = given.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = parent.join(format!("journal-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let result = group_commits(&folder, size).and_then(|()| one_partition(&folder, size));
    fs::remove_dir_all(&folder)?;
    result
}

/// Prints the cost of a group commit by the number of dirty segments.
fn group_commits(folder: &Path, size: Size) -> io::Result<()> {
    println!(
        "Milliseconds per group commit, median of {} rounds.\n",
        size.rounds
    );
    println!(
        "| a commit holds | dirty segments | pool of 2 | 4 | 8 | 16 | journal P | journal M |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let spread: fn(usize) -> usize = |dirty| 100_000 / dirty;
    let small: fn(usize) -> usize = |_| 100;
    let large: fn(usize) -> usize = |_| 10 << 10;
    for (name, bytes) in [
        ("1,000 records of 100 B", spread),
        ("100 B each", small),
        ("10 KiB each", large),
    ] {
        for &dirty in size.dirty {
            let data = vec![b'x'; bytes(dirty)];
            let segments = create_segments(folder, dirty)?;
            let mut cells = Vec::new();
            for threads in POOLS {
                cells.push(millis(pool(&segments, &data, threads, size.rounds)?));
            }
            cells.push(millis(to_page_cache(
                folder,
                &segments,
                &data,
                size.rounds,
            )?));
            cells.push(millis(to_memory(folder, dirty * data.len(), size.rounds)?));
            println!("| {name} | {dirty} | {} |", cells.join(" | "));
        }
    }
    println!();
    Ok(())
}

fn create_segments(folder: &Path, count: usize) -> io::Result<Vec<File>> {
    (0..count)
        .map(|i| create(&folder.join(format!("segment-{i}"))))
        .collect()
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

/// (a): each thread of the pool takes the next dirty segment, writes its share and syncs it.
fn pool(segments: &[File], data: &[u8], threads: usize, rounds: usize) -> io::Result<Duration> {
    let commits = commits(segments.len());
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (start, end) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    let share = |commit| -> io::Result<()> {
        while let Some(file) = segments.get(next.fetch_add(1, Ordering::SeqCst)) {
            file.write_all_at(data, commit * data.len() as u64)?;
            file.sync_data()?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let work = || -> io::Result<()> {
            for commit in 0.. {
                start.wait();
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                share(commit)?;
                end.wait();
            }
            Ok(())
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let median = median(rounds, || {
            let begin = Instant::now();
            for _ in 0..commits {
                next.store(0, Ordering::SeqCst);
                start.wait();
                end.wait();
            }
            Ok(begin.elapsed() / u32::try_from(commits).unwrap_or(u32::MAX))
        });
        stop.store(true, Ordering::SeqCst);
        start.wait();
        for worker in workers {
            worker.join().expect("a worker does not panic")?;
        }
        median
    })
}

/// (b), journal P: one frame, one sync, then the segments, into the page cache.
fn to_page_cache(
    folder: &Path,
    segments: &[File],
    data: &[u8],
    rounds: usize,
) -> io::Result<Duration> {
    let commits = commits(segments.len());
    let mut journal = Journal::create(&folder.join("journal"), Space::Grown)?;
    let frame = vec![b'x'; segments.len() * data.len()];
    let mut end = 0;
    median(rounds, || {
        let begin = Instant::now();
        for _ in 0..commits {
            journal.commit(&frame)?;
            for segment in segments {
                segment.write_all_at(data, end)?;
            }
            end += data.len() as u64;
        }
        Ok(begin.elapsed() / u32::try_from(commits).unwrap_or(u32::MAX))
    })
}

/// (b), journal M: one frame over zeros written before, one sync; the batches stay in memory until
/// the journal is full and are flushed to their segments then (see the one-partition case).
fn to_memory(folder: &Path, bytes: usize, rounds: usize) -> io::Result<Duration> {
    let commits = commits(1);
    let mut journal = Journal::create(&folder.join("journal"), Space::Zeroed)?;
    let frame = vec![b'x'; bytes];
    median(rounds, || {
        let begin = Instant::now();
        for _ in 0..commits {
            journal.commit(&frame)?;
        }
        Ok(begin.elapsed() / u32::try_from(commits).unwrap_or(u32::MAX))
    })
}

/// Where a journal file has its blocks from.
#[derive(Clone, Copy)]
enum Space {
    /// Each frame makes the file longer.
    Grown,
    /// Zeros are written [`AHEAD`] of the frames.
    Zeroed,
    /// The file was a journal before.
    Recycled,
}

/// Zeros are written this far ahead.
const AHEAD: usize = 4 << 20;

struct Journal {
    file: File,
    space: Space,
    end: usize,
    zeroed: usize,
}

impl Journal {
    fn create(path: &Path, space: Space) -> io::Result<Self> {
        let file = match space {
            Space::Recycled if path.exists() => OpenOptions::new().write(true).open(path)?,
            _ => create(path)?,
        };
        Ok(Self {
            file,
            space,
            end: 0,
            zeroed: 0,
        })
    }

    /// Writes one frame, padded to whole pages, and syncs.
    fn commit(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = frame.len().next_multiple_of(PAGE);
        if matches!(self.space, Space::Zeroed) && self.end + length > self.zeroed {
            let zeros = vec![0; length + AHEAD];
            self.file.write_all_at(&zeros, self.end as u64)?;
            self.zeroed = self.end + zeros.len();
        }
        self.file.write_all_at(frame, self.end as u64)?;
        let padding = &PADDING[..length - frame.len()];
        self.file
            .write_all_at(padding, (self.end + frame.len()) as u64)?;
        self.end += length;
        self.file.sync_data()
    }
}

static PADDING: [u8; PAGE] = [0; PAGE];

/// Group commits per round: enough to even out, few where each is long.
fn commits(dirty: usize) -> usize {
    (200 / dirty).clamp(3, 100)
}

/// Prints what one partition with large batches costs: the bar of a log written by hand.
fn one_partition(folder: &Path, size: Size) -> io::Result<()> {
    println!(
        "One partition, {} batches of 1,000 records of 100 B, each durable.\n",
        size.batches
    );
    println!("| | million records/s |");
    println!("|---|---:|");
    let rounds = size.rounds.min(5);
    let by_hand = median(rounds, || appended_in_place(folder, size.batches))?;
    println!(
        "| fdatasync of the segment per batch | {:.2} |",
        rate(size.batches, by_hand)
    );
    for (name, space) in [
        ("growing", Space::Grown),
        ("zeros written 4 MiB ahead", Space::Zeroed),
        ("files used again", Space::Recycled),
    ] {
        let time = median(rounds, || journaled(folder, size.batches, space))?;
        println!(
            "| journal, {name}, flushed behind | {:.2} |",
            rate(size.batches, time)
        );
    }
    the_log(folder, size)
}

/// Prints what the log that was built on the decision does, in the same terms.
fn the_log(folder: &Path, size: Size) -> io::Result<()> {
    for in_flight in [1, 16] {
        let name = if in_flight == 1 {
            "levada-log, 1 batch"
        } else {
            "levada-log, 16 batches"
        };
        let time = median(size.rounds.min(5), || {
            logged(folder, size.batches, in_flight)
        })?;
        println!("| {name} in flight | {:.2} |", rate(size.batches, time));
    }
    Ok(())
}

/// Appends to a new log, with so many batches waiting for their acknowledgement. Encoding is part
/// of it; the flush of what is still in the journal is not, as the acknowledgement does not need
/// it.
fn logged(folder: &Path, batches: usize, in_flight: usize) -> io::Result<Duration> {
    let folder = folder.join("log");
    let log = Log::open(&folder).map_err(io::Error::other)?;
    let orders = log
        .create_topic("orders", TopicOptions::new())
        .wait()
        .map_err(io::Error::other)?;
    let orders = orders.partition(0).map_err(io::Error::other)?;
    let value = [b'x'; 100];
    let begin = Instant::now();
    let mut waiting = VecDeque::new();
    for _ in 0..batches {
        let mut batch = Batch::new();
        for _ in 0..1000 {
            batch.push(&Record::of(&value)).map_err(io::Error::other)?;
        }
        waiting.push_back(orders.append(batch));
        if waiting.len() == in_flight {
            waiting
                .pop_front()
                .map_or(Ok(None), |ticket| ticket.wait().map(Some))
                .map_err(io::Error::other)?;
        }
    }
    for ticket in waiting {
        ticket.wait().map_err(io::Error::other)?;
    }
    let time = begin.elapsed();
    log.close().wait().map_err(io::Error::other)?;
    fs::remove_dir_all(&folder)?;
    Ok(time)
}

fn appended_in_place(folder: &Path, batches: usize) -> io::Result<Duration> {
    let file = create(&folder.join("segment"))?;
    let batch = vec![b'x'; BATCH];
    let begin = Instant::now();
    for i in 0..batches {
        file.write_all_at(&batch, (i * BATCH) as u64)?;
        file.sync_data()?;
    }
    Ok(begin.elapsed())
}

/// Appends through a journal whose files are flushed to the segment by another thread; the clock
/// stops when the last flush is durable, so that nothing is owed.
fn journaled(folder: &Path, batches: usize, space: Space) -> io::Result<Duration> {
    let segment = create(&folder.join("segment"))?;
    let batch = vec![b'x'; BATCH];
    let begin = Instant::now();
    thread::scope(|scope| {
        // One full journal may wait for its flush: the bound on memory.
        let (full, flush) = sync_channel::<usize>(1);
        let (segment, data) = (&segment, &batch);
        let flusher = scope.spawn(move || -> io::Result<()> {
            let mut written = 0_u64..;
            for batches in flush {
                for batch in written.by_ref().take(batches) {
                    segment.write_all_at(data, batch * BATCH as u64)?;
                }
                segment.sync_data()?;
            }
            Ok(())
        });
        let (mut number, mut held) = (0, 0);
        let mut journal = Journal::create(&folder.join("journal-0"), space)?;
        for _ in 0..batches {
            journal.commit(data)?;
            held += 1;
            if journal.end >= JOURNAL {
                full.send(held)
                    .expect("the flusher runs until the channel is closed");
                (number, held) = ((number + 1) % 3, 0);
                journal = Journal::create(&folder.join(format!("journal-{number}")), space)?;
            }
        }
        full.send(held)
            .expect("the flusher runs until the channel is closed");
        drop(full);
        flusher.join().expect("the flusher does not panic")
    })?;
    Ok(begin.elapsed())
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
