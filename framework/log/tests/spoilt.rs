//! Damages by seed, and what a repair must make of them: known from where each batch lay before.
//!
//! 1. A batch is left if all its bytes still lie in one of its places, or were moved within that
//!    file. Nothing is looked for behind the last head of a journal that can be read: bytes of what
//!    was refused may lie there.
//! 2. A batch that is lost is named if it lay in a segment, if the directory of its frame can be
//!    read, or if a later batch of its partition is left or named by its directory.
//! 3. Something cannot be told where, and only where, a head or a directory cannot be read. Behind
//!    the last frame there may be heads of an earlier use of the file: what is left of one, if that
//!    is damaged, may be of a group commit that was torn.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use levada_core::Rng;
use levada_log::TopicOptions;

use crate::support::{Steps, batch, contents, copy, in_memory, unsynced};

/// A topic and the number of a partition.
pub(crate) type Key = (String, u32);

/// A batch that was acknowledged.
struct Acknowledged {
    key: Key,
    offsets: Range<u64>,
    values: Vec<Vec<u8>>,
    /// As it lies in files.
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// Where a batch lies.
struct Place {
    file: PathBuf,
    at: usize,
    /// The frame that it lies in, by its place in [`Killed::frames`]; `None` in a segment.
    frame: Option<usize>,
}

/// A frame of a journal.
struct Frame {
    file: PathBuf,
    head: Range<usize>,
    directory: Range<usize>,
    /// All of it.
    bytes: Range<usize>,
}

/// A folder of a log that was killed, with batches in segments and in journals.
pub(crate) struct Killed {
    folder: PathBuf,
    files: BTreeMap<PathBuf, Vec<u8>>,
    batches: Vec<Acknowledged>,
    frames: Vec<Frame>,
}

/// What must be left of a damaged folder.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) records: BTreeMap<Key, Vec<(u64, Vec<u8>)>>,
    /// The offsets that are lost and named.
    pub(crate) named: BTreeMap<Key, Vec<u64>>,
    /// The offsets that are lost and that nothing names.
    pub(crate) unnamed: BTreeSet<(Key, u64)>,
    pub(crate) untold: Untold,
}

/// Whether there is something that cannot be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Untold {
    #[default]
    Nothing,
    /// Nothing; but damage behind the last frame may look like a group commit that was torn.
    Perhaps,
    Something,
}

/// What of a frame's front can be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Front {
    Whole,
    Head,
    Nothing,
}

impl Killed {
    /// Fills a folder. The same seed makes the same: nothing is done that the test does not step.
    pub(crate) fn new(folder: &Path, rng: &mut Rng) -> Self {
        let running = in_memory();
        let steps = Steps::default();
        let log = unsynced().spawner(Arc::new(steps.clone()));
        let log = log.open(running.path()).unwrap();
        for name in ["orders", "returns"] {
            let options = TopicOptions::new().partitions(2);
            steps.wait(log.create_topic(name, options)).unwrap();
        }
        let mut batches = Vec::new();
        for i in 0..90_usize {
            // All of these are in one group commit.
            let mut waiting = Vec::new();
            for n in 0..=below(rng, 3) {
                let name = ["orders", "orders", "returns"][below(rng, 3)];
                let number = u32::from(rng.below(2) == 0);
                let values: Vec<_> = (0..=below(rng, 3))
                    .map(|of| format!("<{i} {n} {of}>").repeat(10 + i).into_bytes())
                    .collect();
                let slices: Vec<_> = values.iter().map(Vec::as_slice).collect();
                let partition = log.topic(name).unwrap().partition(number).unwrap();
                let ticket = partition.append(batch(&slices));
                waiting.push(((name.to_owned(), number), values, partition, ticket));
            }
            for (key, values, partition, ticket) in waiting {
                let offsets = steps.wait(ticket).unwrap().offsets;
                let fetched = steps.wait(partition.fetch(offsets.start, 1)).unwrap();
                batches.push(Acknowledged {
                    key,
                    offsets,
                    values,
                    bytes: fetched.batches[0].bytes().to_vec(),
                    places: Vec::new(),
                });
            }
        }
        steps.settle();
        copy(running.path(), folder);
        let mut killed = Self {
            folder: folder.to_path_buf(),
            files: contents(folder),
            batches,
            frames: Vec::new(),
        };
        killed.find_frames();
        killed.find_places();
        killed
    }

    fn find_frames(&mut self) {
        for (file, bytes) in self.files.iter().filter(|(file, _)| is_journal(file)) {
            let number: u64 = file.file_name().unwrap().to_str().unwrap().parse().unwrap();
            let heads = (0..bytes.len()).step_by(4096);
            // What is left from an earlier use of the file has another number.
            let heads = heads.filter(|at| {
                bytes[*at..].starts_with(b"LVFr") && bytes[at + 40..at + 48] == number.to_le_bytes()
            });
            self.frames.extend(heads.map(|at| {
                let bodies = at + 72 + 32 * u32_at(bytes, at + 16);
                Frame {
                    file: file.clone(),
                    head: at..at + 72,
                    directory: at + 72..bodies,
                    bytes: at..at + u32_at(bytes, at + 12),
                }
            }));
        }
    }

    fn find_places(&mut self) {
        let batches = self.batches.iter().zip(0..);
        let by_bytes: BTreeMap<_, usize> = batches.map(|(it, n)| (it.bytes.clone(), n)).collect();
        for (file, bytes) in &self.files {
            for at in starts(bytes) {
                let batch = bytes.get(at..at + len(bytes, at));
                let Some(&batch) = batch.and_then(|batch| by_bytes.get(batch)) else {
                    continue;
                };
                let around = |it: &Frame| it.file == *file && it.bytes.contains(&at);
                let frame = self.frames.iter().position(around);
                if frame.is_some() || !is_journal(file) {
                    let file = file.clone();
                    self.batches[batch].places.push(Place { file, at, frame });
                }
            }
        }
        assert!(
            self.batches.iter().all(|batch| !batch.places.is_empty()),
            "whatever was acknowledged lies somewhere"
        );
        let is_flushed = |batch: &&Acknowledged| batch.is_flushed();
        let flushed = self.batches.iter().filter(is_flushed).count();
        assert!(
            flushed > 0 && flushed < self.batches.len(),
            "some lie in segments, some do not yet"
        );
    }

    /// Where each partition ends.
    pub(crate) fn ends(&self) -> BTreeMap<Key, u64> {
        let ends = self.batches.iter();
        ends.map(|it| (it.key.clone(), it.offsets.end)).collect()
    }

    /// What must be left if `file`, and no other, is `bytes` now.
    pub(crate) fn left(&self, file: &Path, bytes: &[u8]) -> Left {
        let damaged = Damaged {
            killed: self,
            file: &self.folder.join(file),
            bytes,
        };
        let mut left = Left::default();
        let mut told: BTreeMap<&Key, u64> = BTreeMap::new();
        for batch in &self.batches {
            if damaged.has(batch) || damaged.is_named(batch) {
                told.insert(&batch.key, batch.offsets.end);
            }
        }
        for batch in &self.batches {
            let key = batch.key.clone();
            let records = left.records.entry(key.clone()).or_default();
            let named = left.named.entry(key.clone()).or_default();
            if damaged.has(batch) {
                records.extend(batch.offsets.clone().zip(batch.values.iter().cloned()));
            } else if told.get(&key) >= Some(&batch.offsets.end) {
                named.extend(batch.offsets.clone());
            } else {
                let offsets = batch.offsets.clone().map(|offset| (key.clone(), offset));
                left.unnamed.extend(offsets);
            }
        }
        if self.since_image().any(|n| damaged.front(n) != Front::Whole) {
            left.untold = Untold::Something;
        } else if damaged.is_behind_last_frame() {
            left.untold = Untold::Perhaps;
        }
        left
    }

    /// The frames of the journals that hold what is in no segment.
    fn since_image(&self) -> impl Iterator<Item = usize> {
        let unflushed = self.batches.iter().find(|batch| !batch.is_flushed());
        let frame = unflushed.and_then(|batch| batch.places[0].frame).unwrap();
        let first = &self.frames[frame].file;
        (0..self.frames.len()).filter(move |n| self.frames[*n].file >= *first)
    }
}

impl Acknowledged {
    fn is_flushed(&self) -> bool {
        self.places.iter().any(|place| place.frame.is_none())
    }
}

/// A folder with one file that is not as it was.
struct Damaged<'a> {
    killed: &'a Killed,
    file: &'a Path,
    bytes: &'a [u8],
}

impl Damaged<'_> {
    /// Whether bytes of a file are as they were.
    fn has_same(&self, file: &Path, range: Range<usize>) -> bool {
        file != self.file || self.bytes.get(range.clone()) == Some(&self.killed.files[file][range])
    }

    fn front(&self, frame: usize) -> Front {
        let Frame {
            file,
            head,
            directory,
            ..
        } = &self.killed.frames[frame];
        match self.has_same(file, head.clone()) {
            true if self.has_same(file, directory.clone()) => Front::Whole,
            true => Front::Head,
            false => Front::Nothing,
        }
    }

    fn is_behind_last_frame(&self) -> bool {
        let mut frames = self.killed.frames.iter();
        let last = frames.rfind(|frame| frame.file == self.file);
        last.is_some_and(|last| {
            let behind = last.bytes.end..self.killed.files[self.file].len();
            !self.has_same(self.file, behind)
        })
    }

    /// Whether batches are looked for in a frame.
    fn is_searched(&self, frame: usize) -> bool {
        let frames = &self.killed.frames;
        (frame..frames.len())
            .take_while(|n| frames[*n].file == frames[frame].file)
            .any(|n| self.front(n) != Front::Nothing)
    }

    fn has(&self, batch: &Acknowledged) -> bool {
        let moved = || {
            let starts = starts(self.bytes).into_iter();
            let mut rest = starts.map(|at| &self.bytes[at..]);
            rest.any(|rest| rest.starts_with(&batch.bytes))
        };
        batch.places.iter().any(|Place { file, at, frame }| {
            let is_there = self.has_same(file, *at..at + batch.bytes.len()) || moved();
            is_there && frame.is_none_or(|frame| self.is_searched(frame))
        })
    }

    /// Whether something else than a batch says that it was there.
    fn is_named(&self, batch: &Acknowledged) -> bool {
        let places = &batch.places;
        let mut frames = places.iter().filter_map(|place| place.frame);
        batch.is_flushed() || frames.any(|frame| self.front(frame) == Front::Whole)
    }
}

/// One seeded damage to a segment or a journal.
pub(crate) fn spoil(folder: &Path, rng: &mut Rng) -> (PathBuf, String) {
    let kind = ["journal", "topics"][below(rng, 2)];
    let files = contents(&folder.join(kind)).into_iter();
    let files: Vec<_> = files.filter(|(_, bytes)| !bytes.is_empty()).collect();
    let (path, mut bytes) = files[below(rng, files.len())].clone();
    let at = below(rng, bytes.len());
    let what = match rng.below(5) {
        0 => {
            bytes[at] ^= 1 << rng.below(8);
            "a flipped bit"
        }
        1 => {
            bytes.truncate(at);
            "cut off"
        }
        2 => {
            let end = bytes.len().min(at + 512);
            bytes[at..end].fill(0);
            "a zeroed block"
        }
        3 => {
            swap_two(&mut bytes, rng);
            "swapped or overwritten batches"
        }
        _ => {
            let other = below(rng, bytes.len());
            let len = 300.min(bytes.len() - at.max(other));
            bytes.copy_within(other..other + len, at);
            "bytes of another place"
        }
    };
    fs::write(&path, &bytes).unwrap();
    let path = path.strip_prefix(folder).unwrap().to_path_buf();
    (path, format!("{what} at {at}"))
}

/// Swaps two batches that follow one another, or writes over one.
fn swap_two(bytes: &mut [u8], rng: &mut Rng) {
    let starts = starts(bytes);
    if starts.len() <= 2 {
        return;
    }
    let first = below(rng, starts.len() - 1);
    let (a, b) = (starts[first], starts[first + 1]);
    let swapped = if a + len(bytes, a) == b {
        [&bytes[b..b + len(bytes, b)], &bytes[a..b]].concat()
    } else {
        vec![0xA5; len(bytes, a)]
    };
    bytes[a..a + swapped.len()].copy_from_slice(&swapped);
}

/// Where batches start.
fn starts(bytes: &[u8]) -> Vec<usize> {
    let windows = bytes.windows(4).zip(0..);
    let starts = windows.filter(|(window, _)| *window == b"LVBt");
    starts.map(|(_, at)| at).collect()
}

/// The length of the batch at a place.
fn len(bytes: &[u8], at: usize) -> usize {
    120 + u32_at(bytes, at + 12)
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn is_journal(file: &Path) -> bool {
    file.parent().unwrap().ends_with("journal")
}

/// A number below a length.
fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap()
}
