//! Folders to damage, and what is known of them from outside: which bytes are acknowledged, and
//! which records lie in them.
//!
//! Where a group commit or a batch begins and ends is read from the undamaged file by the tables of
//! the book; how many there are must agree with how many were asked for.

use std::{ops::Range, path::PathBuf, sync::Arc};

use levada_core::Seed;
use levada_log::{Batch, Log, Options, Partition, Record, TopicOptions};

use super::{
    extents::{batches, commits},
    memory::{Files, Memory},
};
use crate::{
    campaign::Fault,
    log::{require, steps::Steps},
};

pub(super) const FOLDER: &str = "/data";
/// The length of the segment, and of the journals.
pub(super) const BYTES: usize = 64 << 10;
/// Group commits start at multiples of this.
pub(super) const PAGE: usize = 4096;

/// How a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// The last group commit was acknowledged, and then the process was killed.
    Acknowledged,
    /// Its sync has failed, so it was not.
    Unacknowledged,
    /// The log was closed.
    Stopped,
}

/// Which file is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first segment of the first partition.
    Segment,
    Journal(Last),
}

/// A batch that was sent: where it lies, and its values.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) partition: u32,
    pub(super) base: u64,
    pub(super) values: Vec<Vec<u8>>,
    /// The extent that it lies in; none if that is in another file.
    pub(super) extent: Option<usize>,
    /// Nobody can tell of the others whether they are there.
    pub(super) is_acknowledged: bool,
}

/// A folder, and what is known of it.
#[derive(Debug)]
pub(super) struct Specimen {
    pub(super) kind: Kind,
    pub(super) files: Files,
    /// The file that is to be damaged.
    pub(super) path: PathBuf,
    /// The bytes of each batch, or of each group commit, in the file; others mean nothing.
    pub(super) extents: Vec<Range<usize>>,
    /// In the order of the calls.
    pub(super) written: Vec<Written>,
    /// Other files with batches in them: of the same partition and of another.
    pub(super) strangers: Vec<Vec<u8>>,
}

/// How the folder is opened.
pub(super) fn options(memory: &Memory, steps: &Steps) -> Options {
    Log::options()
        .vfs(Arc::new(memory.clone()))
        .spawner(Arc::new(steps.clone()))
        .seed(Seed::new(7))
        .segment_bytes(BYTES as u64)
        .journal_bytes(1 << 20)
        .reserve_bytes(4 << 10)
}

/// A log that is being filled.
struct Filling {
    memory: Memory,
    steps: Steps,
    log: Log,
    partitions: Vec<Partition>,
    written: Vec<Written>,
}

impl Specimen {
    /// A segment of 64 KiB behind which another begins, and one of another partition.
    pub(super) fn segment() -> Result<Self, Fault> {
        let mut last = BYTES;
        loop {
            let mut filling = Filling::new()?;
            let mut number = 0;
            for lens in std::iter::repeat(SIZES).flatten().take(40) {
                filling.append(&[(0, lens)])?;
                number += 1;
            }
            filling.append(&[(0, &[last])])?;
            for lens in &SIZES[..4] {
                filling.append(&[(1, lens), (0, lens)])?;
            }
            let Filling {
                memory,
                steps,
                log,
                partitions,
                mut written,
            } = filling;
            drop((log, partitions));
            while steps.step() {}
            // The journal goes to the segments.
            let log = options(&memory, &steps).open(FOLDER)?;
            steps.wait(log.close())??;
            let files = memory.files();
            let segment = |partition, base| {
                PathBuf::from(format!(
                    "{FOLDER}/topics/00000001/{partition:08}/{base:020}"
                ))
            };
            let path = segment(0, 0);
            let content = files.get(&path).ok_or("there is no segment")?;
            let extents = batches(content);
            // The last batch is made to end where the segment is full.
            let end = extents.get(number).map(|extent| extent.end);
            if end != Some(BYTES) || content.len() != BYTES {
                last = end.map_or(last / 2, |end| last + BYTES - end);
                continue;
            }
            let second = written[number + 1..].iter().find(|it| it.partition == 0);
            let second = second.ok_or("there is no second segment")?.base;
            let strangers = [segment(0, second), segment(1, 0)];
            let strangers = strangers.iter().filter_map(|path| files.get(path).cloned());
            let strangers: Vec<_> = strangers.collect();
            require!(strangers.len() == 2, "there are no other segments");
            for (at, batch) in written.iter_mut().enumerate() {
                batch.extent = (at <= number).then_some(at);
            }
            return Ok(Self {
                kind: Kind::Segment,
                path,
                extents,
                written,
                strangers,
                files,
            });
        }
    }

    /// A journal of 64 KiB, whose segments are not written yet.
    pub(super) fn journal(last: Last) -> Result<Self, Fault> {
        let mut filling = Filling::new()?;
        let path = PathBuf::from(format!("{FOLDER}/journal/{:020}", 1));
        let mut made = 1;
        // The group commits take a page or two each; the last ones are held back.
        while filling.memory.files()[&path].len() < BYTES - 4 * PAGE {
            let sizes = [SIZES[made % SIZES.len()], SIZES[(made + 3) % SIZES.len()]];
            let batches = [(0, sizes[0]), (1, sizes[1]), (0, sizes[1])];
            filling.append(&batches[..=made % 3])?;
            made += 1;
        }
        match last {
            Last::Acknowledged => filling.append(&[(0, &[1500, 20]), (1, &[90])])?,
            Last::Unacknowledged => {
                filling.memory.fail_to_sync();
                filling.append_in_vain()?;
            }
            Last::Stopped => filling.steps.wait(filling.log.close())??,
        }
        made += 1;
        let files = filling.memory.files();
        let extents = commits(&files[&path]);
        require!(
            extents.len() == made,
            "{} group commits were found, and {made} made",
            extents.len()
        );
        let written = std::mem::take(&mut filling.written);
        Ok(Self {
            kind: Kind::Journal(last),
            path,
            extents,
            written,
            strangers: Vec::new(),
            files,
        })
    }

    /// The file as it was written.
    pub(super) fn content(&self) -> &[u8] {
        &self.files[&self.path]
    }
}

/// The lengths of the values of batches.
const SIZES: [&[usize]; 7] = [
    &[1],
    &[0, 3, 10],
    &[700],
    &[20; 30],
    &[100, 2000, 5],
    &[1],
    &[3000],
];

impl Filling {
    /// A new log, whose topic is the first group commit.
    fn new() -> Result<Self, Fault> {
        let (memory, steps) = (Memory::default(), Steps::new(Seed::new(7).rng("steps")));
        let log = options(&memory, &steps).open(FOLDER)?;
        let made = log.create_topic("orders", TopicOptions::new().partitions(2));
        let orders = steps.wait(made)??;
        Ok(Self {
            memory,
            steps,
            log,
            partitions: vec![orders.partition(0)?, orders.partition(1)?],
            written: Vec::new(),
        })
    }

    /// Appends batches of values of these lengths to these partitions, in one group commit.
    fn append(&mut self, batches: &[(u32, &[usize])]) -> Result<(), Fault> {
        let extent = self
            .written
            .last()
            .map_or(1, |last| last.extent.unwrap_or(0) + 1);
        let mut tickets = Vec::new();
        for (partition, lens) in batches {
            let values = self.values(lens);
            tickets.push(self.partitions[*partition as usize].append(batch(&values)?));
            self.written.push(Written {
                partition: *partition,
                base: 0,
                values,
                extent: Some(extent),
                is_acknowledged: true,
            });
        }
        let first = self.written.len() - tickets.len();
        for (written, ticket) in self.written[first..].iter_mut().zip(tickets) {
            written.base = self.steps.wait(ticket)??.offsets.start;
        }
        Ok(())
    }

    /// Appends a batch whose sync fails.
    fn append_in_vain(&mut self) -> Result<(), Fault> {
        let values = self.values(&[1500, 20]);
        let last = self.written.last();
        let extent = last.and_then(|last| last.extent).map(|extent| extent + 1);
        let base = self.partitions[0].visible_end();
        let answer = self
            .steps
            .wait(self.partitions[0].append(batch(&values)?))?;
        require!(answer.is_err(), "acknowledged without a sync");
        self.written.push(Written {
            partition: 0,
            base,
            values,
            extent,
            is_acknowledged: false,
        });
        Ok(())
    }

    /// Values of these lengths, which no other batch has.
    fn values(&self, lens: &[usize]) -> Vec<Vec<u8>> {
        let mut rng = Seed::new(self.written.len() as u64).rng("values");
        let mut value = |len: &usize| {
            let bytes = std::iter::repeat_with(|| rng.next_u64().to_le_bytes()).flatten();
            bytes.take(*len).collect()
        };
        lens.iter().map(&mut value).collect()
    }
}

fn batch(values: &[Vec<u8>]) -> Result<Batch, Fault> {
    let mut batch = Batch::new();
    for value in values {
        batch.push(&Record::of(value))?;
    }
    Ok(batch)
}
