//! Folders that a test damages.

use std::{
    fs,
    path::{Path, PathBuf},
};

use levada_log::Log;

use crate::support::{batch, copy, in_memory, made, small};

/// Bytes of a batch of one record of 500 bytes.
pub(crate) const BATCH_BYTES: usize = 120 + 506;

/// A closed folder with 40 records of 500 bytes in each of `orders` and `other`, in segments.
pub(crate) fn filled(folder: &Path) {
    let log = small().open(folder).unwrap();
    for name in ["orders", "other"] {
        let partition = made(&log, name);
        for i in 0..40 {
            partition.append(batch(&[&[i; 500]])).wait().unwrap();
        }
    }
    log.close().wait().unwrap();
    drop(log);
    let log = small().open(folder).unwrap();
    log.close().wait().unwrap();
}

/// A crashed folder: one commit creates each of `a` and `b`, then they get three records in turn.
pub(crate) fn crashed(folder: &Path) {
    let running = in_memory();
    let log = Log::open(running.path()).unwrap();
    let (a, b) = (made(&log, "a"), made(&log, "b"));
    for i in 0..3 {
        a.append(batch(&[&[i; 500]])).wait().unwrap();
        b.append(batch(&[&[i; 500]])).wait().unwrap();
    }
    copy(running.path(), folder);
}

/// Flips a bit of a file; what it was before.
pub(crate) fn flip(path: &Path, at: usize) -> Vec<u8> {
    let whole = fs::read(path).unwrap();
    let mut bytes = whole.clone();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
    whole
}

/// The first segment of a topic.
pub(crate) fn first_of(segments: &[PathBuf], topic: &str) -> PathBuf {
    let is_of = |file: &&PathBuf| file.ancestors().nth(2).unwrap().ends_with(topic);
    segments.iter().find(is_of).unwrap().clone()
}

/// The first segment of the first topic of a [`filled`] folder, with two batches swapped, one
/// repeated, and one of another partition in its place: each with how many are good before that.
pub(crate) fn misplaced(segments: &[PathBuf]) -> [(Vec<u8>, usize); 3] {
    let [whole, other] =
        ["00000001", "00000002"].map(|it| fs::read(first_of(segments, it)).unwrap());
    let place = |number: usize| number * BATCH_BYTES..(number + 1) * BATCH_BYTES;
    let rest = &whole[2 * BATCH_BYTES..];
    let swapped = [&whole[place(1)], &whole[place(0)], rest].concat();
    let mut repeated = whole.clone();
    repeated[place(1)].copy_from_slice(&whole[place(2)]);
    let mut misdirected = whole;
    misdirected[place(1)].copy_from_slice(&other[place(1)]);
    [(swapped, 0), (repeated, 1), (misdirected, 1)]
}
