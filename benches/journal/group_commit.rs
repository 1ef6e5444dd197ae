//! What a group commit costs by the number of its dirty segments.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    Size, create,
    journal::{Journal, Space},
    median, millis,
};

/// Sizes of the pool of sync threads that are tried.
const POOLS: [usize; 4] = [2, 4, 8, 16];

/// Prints the cost of a group commit by the number of dirty segments.
pub(crate) fn table(folder: &Path, size: Size) -> io::Result<()> {
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

/// Group commits per round: enough to even out, few where each is long.
fn commits(dirty: usize) -> usize {
    (200 / dirty).clamp(3, 100)
}
