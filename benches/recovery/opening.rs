//! One opening after a kill: how long it takes, what it reads, and whether all is there.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use levada::{BoxError, Clock, SystemClock};
use levada_benches::paired::process;
use levada_log::{Log, Partition};

use crate::{
    appender::{self, Acknowledged, Name, PARTITIONS, RECORDS, TOPIC},
    counted::{Counted, Read},
};

/// The last batch of each partition that was acknowledged.
pub(super) type Last = BTreeMap<u32, Acknowledged>;

/// What an opening has shown.
pub(super) struct Opening {
    /// Bytes of the log's segments before it, and of its journals.
    pub(super) segments: u64,
    pub(super) journals: u64,
    /// Batches that it moved from journals to segments.
    pub(super) moved: u64,
    /// What it read until it was open.
    pub(super) read: Read,
    /// How much of that, and of what was read for the first answers, came from the disk.
    pub(super) from_disk: u64,
    /// Until the log was open.
    pub(super) open: Duration,
    /// Until each partition had answered a read and an append.
    pub(super) answered: Duration,
    /// What it took to read the last acknowledged batch of a partition, on average: the first read
    /// in a segment walks over it.
    pub(super) last_read: Duration,
}

/// Partitions whose last batch is read after an opening. The others have their turn later.
const COMPARED: u32 = PARTITIONS / 10;

/// Opens the log after a kill, asks each partition, and compares it with what was acknowledged;
/// then closes the log.
pub(super) fn open(folder: &Path, turn: u64, last: &mut Last) -> Result<Opening, BoxError> {
    let segments = bytes(&folder.join("topics"))?;
    let journals = bytes(&folder.join("journal"))?;
    let from_disk = process::bytes_from_disk();
    let files = Arc::new(Counted::default());
    let clock = SystemClock::new();
    let log = Log::options().vfs(Arc::clone(&files) as _).open(folder)?;
    let (open, read) = (clock.elapsed(), files.read());
    let all = appender::partitions(&log.topic(TOPIC)?)?;
    let ends: Vec<_> = all.iter().map(Partition::visible_end).collect();
    let appended = ask(&log, &all)?;
    let answered = clock.elapsed();
    let from_disk = process::bytes_from_disk() - from_disk;
    for (batch, end) in last
        .values()
        .map(|batch| (batch, ends[batch.partition as usize]))
    {
        if end < batch.offset + RECORDS {
            return Err(format!("the log ends at {end}, before {batch:?}").into());
        }
    }
    let begun = clock.elapsed();
    let of_turn = |batch: &&Acknowledged| u64::from(batch.partition / COMPARED) == turn % 10;
    for batch in last.values().filter(of_turn) {
        compare(&all[batch.partition as usize], batch)?;
    }
    let last_read = clock.elapsed().saturating_sub(begun) / COMPARED;
    last.extend(appended.into_iter().map(|batch| (batch.partition, batch)));
    let recovery = log.recovery();
    if recovery.clean {
        return Err("the log was closed in order, and not killed".into());
    }
    let moved = recovery.batches;
    log.close().wait()?;
    Ok(Opening {
        segments,
        journals,
        moved,
        read,
        from_disk,
        open,
        answered,
        last_read,
    })
}

/// Reads what each partition begins with and appends a batch to it, all at once; returns what was
/// appended.
fn ask(log: &Log, all: &[Partition]) -> Result<Vec<Acknowledged>, BoxError> {
    let life = log.instance();
    let asked = (0..).zip(all).map(|(number, partition)| {
        let name = Name { life, number };
        let batch = appender::batch(name)?;
        let bytes = batch.size() as u64;
        let read = partition.fetch(partition.start(), 1);
        Ok((name, bytes, partition, read, partition.append(batch)))
    });
    let asked: Vec<_> = asked.collect::<Result<_, BoxError>>()?;
    let answers = asked
        .into_iter()
        .map(|(name, bytes, partition, read, append)| {
            if read.wait()?.batches.is_empty() {
                return Err(format!("partition {} has nothing to read", partition.number()).into());
            }
            Ok(Acknowledged {
                partition: partition.number(),
                offset: append.wait()?.offsets.start,
                bytes,
                name,
            })
        });
    answers.collect()
}

/// Whether a batch is where it was acknowledged, byte for byte.
fn compare(partition: &Partition, batch: &Acknowledged) -> Result<(), BoxError> {
    let fetched = partition.fetch(batch.offset, 1).wait()?;
    let mut value = Vec::new();
    let mut records = fetched.records();
    for (offset, index) in (batch.offset..).zip(0..RECORDS) {
        appender::fill(&mut value, batch.name, index);
        let is_there = |it: &levada_log::RecordView<'_>| it.offset == offset && it.value == value;
        if !records.next().as_ref().is_some_and(is_there) {
            return Err(format!("record {index} of {batch:?} is not there").into());
        }
    }
    Ok(())
}

/// Has the operating system let go of what it has of the folder's files in memory, if it can. Names
/// and lengths stay there.
pub(super) fn let_go_of_pages(folder: &Path) -> io::Result<bool> {
    let mut could = true;
    for path in files(folder)? {
        let file = File::open(path)?;
        // Pages that are not written yet are not let go of.
        file.sync_all()?;
        could &= let_go(&file);
    }
    Ok(could)
}

#[cfg(target_os = "linux")]
fn let_go(file: &File) -> bool {
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn let_go(_: &File) -> bool {
    false
}

fn bytes(folder: &Path) -> io::Result<u64> {
    let lens = files(folder)?.into_iter().map(|path| path.metadata());
    lens.map(|file| file.map(|file| file.len())).sum()
}

/// All files below a folder.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    Ok(found)
}
