//! What one partition with large batches costs: by hand, through a journal, and in the log.

use std::{
    collections::VecDeque,
    fs, io,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

use levada_log::{Batch, Log, Record, TopicOptions};

use crate::{
    JOURNAL, Size, create,
    journal::{Journal, Space},
    median, rate,
};

/// One batch: 1,000 records of 100 bytes.
const BATCH: usize = 100_000;

/// Prints what one partition with large batches costs: the bar of a log written by hand.
pub(crate) fn table(folder: &Path, size: Size) -> io::Result<()> {
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
