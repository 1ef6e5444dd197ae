//! Our log, used as anybody would use it: the public interface, and defaults but for what is said.

use std::{
    collections::VecDeque,
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use levada::{BoxError, Clock, SystemClock};
use levada_log::{Acks, Appended, Batch, Log, Partition, Record, Ticket, TopicOptions};

use crate::Work;

/// What a record carries.
const VALUE: [u8; 100] = [b'x'; 100];
/// Records of a batch.
const BATCH: u64 = 1000;
/// Batches that wait for their acknowledgement, where it is more than one.
const IN_FLIGHT: usize = 16;

/// Millions of records a second, each batch waited for before the next is made.
pub(super) fn durable(folder: &Path, work: Work) -> Result<f64, BoxError> {
    let folder = folder.join("durable");
    work.rate(|records| {
        let (log, partition) = made(&folder, TopicOptions::new())?;
        let time = timed(|| append(&[partition], records, 1))?;
        log.close().wait()?;
        fs::remove_dir_all(&folder)?;
        Ok(time)
    })
}

/// Millions of records a second in a topic that acknowledges what is written.
pub(super) fn written(folder: &Path, work: Work) -> Result<f64, BoxError> {
    let folder = folder.join("written");
    work.rate(|records| {
        let time = write(&folder, records)?;
        fs::remove_dir_all(&folder)?;
        Ok(time)
    })
}

fn write(folder: &Path, records: u64) -> Result<Duration, BoxError> {
    let (log, partition) = made(folder, TopicOptions::new().acks(Acks::Written))?;
    let time = timed(|| append(&[partition], records, IN_FLIGHT))?;
    log.close().wait()?;
    Ok(time)
}

/// Millions of records a second, read from segments that the operating system has in memory.
pub(super) fn read(folder: &Path, work: Work) -> Result<f64, BoxError> {
    let folder = folder.join("read");
    write(&folder, work.records)?;
    let rate = work.rate(|records| read_all(&folder, records))?;
    fs::remove_dir_all(&folder)?;
    Ok(rate)
}

/// Reads a log that was opened again, so that nothing is left in its own memory.
fn read_all(folder: &Path, records: u64) -> Result<Duration, BoxError> {
    let log = Log::open(folder)?;
    let partition = log.topic("orders")?.partition(0)?;
    let mut seen = 0;
    let time = timed(|| {
        let mut next = 0;
        while next < partition.visible_end() {
            let fetched = partition.fetch(next, 1 << 20).wait()?;
            for record in fetched.records() {
                black_box(record.value);
                seen += 1;
            }
            next = fetched.next;
        }
        Ok(())
    })?;
    log.close().wait()?;
    if seen != records {
        return Err(format!("{seen} of {records} records were read").into());
    }
    Ok(time)
}

/// What many producers come to.
pub(super) struct Shown {
    /// Millions of records a second.
    pub(super) rate: f64,
    /// The median time from an append to its answer.
    pub(super) p50_ms: f64,
}

/// Eight threads that append one record at a time, with 64 waiting for their acknowledgement.
pub(super) fn producers(folder: &Path, seconds: u64) -> Result<Shown, BoxError> {
    const THREADS: usize = 8;
    const WAITING: usize = 64;
    let folder = folder.join("producers");
    let (log, partition) = made(&folder, TopicOptions::new())?;
    let (clock, until) = (SystemClock::new(), Duration::from_secs(seconds));
    let produce = || -> Result<Vec<Duration>, levada_log::Error> {
        let (mut waiting, mut times) = (VecDeque::new(), Vec::new());
        loop {
            let now = clock.elapsed();
            if now >= until {
                break;
            }
            waiting.push_back((now, partition.append(batch(1)?)));
            if waiting.len() == WAITING {
                let (begun, ticket) = waiting.pop_front().expect("it is as long as that");
                ticket.wait()?;
                times.push(clock.elapsed().saturating_sub(begun));
            }
        }
        for (_, ticket) in waiting {
            ticket.wait()?;
        }
        Ok(times)
    };
    let all = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(produce)).collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().expect("it does not panic"));
        joined.collect::<Result<Vec<_>, _>>()
    })?;
    let time = clock.elapsed();
    log.close().wait()?;
    fs::remove_dir_all(&folder)?;
    let mut times = all.concat();
    times.sort_unstable();
    let records = times.len() as u64;
    Ok(Shown {
        rate: rate(records, time),
        p50_ms: times[times.len() / 2].as_secs_f64() * 1e3,
    })
}

/// Millions of records a second over so many partitions in turn, durable.
pub(super) fn spread(folder: &Path, partitions: u32, work: Work) -> Result<f64, BoxError> {
    let folder = folder.join("spread");
    work.rate(|records| {
        let log = Log::open(&folder)?;
        let options = TopicOptions::new().partitions(partitions);
        let topic = log.create_topic("orders", options).wait()?;
        let all = (0..partitions).map(|number| topic.partition(number));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        let time = timed(|| append(&all, records, IN_FLIGHT))?;
        log.close().wait()?;
        fs::remove_dir_all(&folder)?;
        Ok(time)
    })
}

/// Every measure on little input.
pub(super) fn smoke(folder: &PathBuf) -> Result<(), BoxError> {
    let few = Work {
        records: 3 * BATCH,
        least: Duration::from_nanos(1),
    };
    for measure in [durable, written, read] {
        measure(folder, few)?;
    }
    spread(folder, 3, few)?;
    producers(folder, 1)?;
    fs::remove_dir_all(folder)?;
    Ok(())
}

fn made(folder: &Path, options: TopicOptions) -> Result<(Log, Partition), BoxError> {
    let log = Log::open(folder)?;
    let partition = log.create_topic("orders", options).wait()?.partition(0)?;
    Ok((log, partition))
}

/// Appends batches to the partitions in turn, up to so many waiting for their acknowledgement.
fn append(partitions: &[Partition], records: u64, in_flight: usize) -> Result<(), BoxError> {
    let mut waiting: VecDeque<Ticket<Appended>> = VecDeque::new();
    for (_, partition) in (0..records / BATCH).zip(partitions.iter().cycle()) {
        waiting.push_back(partition.append(batch(BATCH)?));
        if waiting.len() == in_flight {
            waiting.pop_front().expect("it is as long as that").wait()?;
        }
    }
    for ticket in waiting {
        ticket.wait()?;
    }
    Ok(())
}

fn batch(records: u64) -> levada_log::Result<Batch> {
    let mut batch = Batch::new();
    for _ in 0..records {
        batch.push(&Record::of(&VALUE))?;
    }
    Ok(batch)
}

fn timed(run: impl FnOnce() -> Result<(), BoxError>) -> Result<Duration, BoxError> {
    let clock = SystemClock::new();
    run()?;
    Ok(clock.elapsed())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is printed with two decimals"
)]
fn rate(records: u64, time: Duration) -> f64 {
    records as f64 / time.as_secs_f64() / 1e6
}
