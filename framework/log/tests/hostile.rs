//! Sizes that were written by somebody else cost neither a panic nor memory.

use std::{fs, path::Path, sync::Arc};

use levada_log::{Error, Log};

use crate::support::{Steps, batch, copy, found, journal, made, segments, small};

/// What a size could be set to.
const HOSTILE: [u32; 7] = [0, 1, 4096, 1 << 24, i32::MAX as u32, 1 << 31, u32::MAX];
/// More than a frame, a batch and what is kept of both.
const ENOUGH_BYTES: u64 = 64 << 20;

/// Opens a folder and reads its topic. Neither takes much memory, and what is not refused is what
/// was appended, or the front of it.
///
/// All of the log's works run here, since only what this thread allocates is counted.
fn check(folder: &Path, appended: &[&[u8]], what: &str) {
    let measured = allocation_counter::measure(|| {
        let steps = Steps::default();
        let options = Log::options().spawner(Arc::new(steps.clone()));
        let log = match options.open(folder) {
            Ok(log) => log,
            Err(error) => {
                return assert!(matches!(error, Error::Unusable { .. }), "{what}: {error}");
            }
        };
        match steps.wait(found(&log, "orders").fetch(0, usize::MAX)) {
            Ok(fetched) => {
                let values: Vec<_> = fetched.records().map(|record| record.value).collect();
                assert!(appended.starts_with(&values), "{what}: {values:?}");
            }
            Err(error) => assert!(matches!(error, Error::Damaged { .. }), "{what}: {error}"),
        }
        steps.wait(log.close()).unwrap();
    });
    assert!(measured.bytes_max < ENOUGH_BYTES, "{what}: {measured:?}");
}

/// Puts a number where a size is, with a checksum as if it had always been there.
fn set(bytes: &mut [u8], at: usize, number: u32, end: usize) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[12..end]);
    bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn hostile_sizes_in_the_head_of_a_frame_bring_nothing_wrong() {
    let running = tempfile::tempdir().unwrap();
    let log = Log::open(running.path()).unwrap();
    let orders = made(&log, "orders");
    orders.append(batch(&[b"first"])).wait().unwrap();
    orders.append(batch(&[b"second"])).wait().unwrap();
    let crash = tempfile::tempdir().unwrap();
    copy(running.path(), crash.path());
    let whole = fs::read(journal(crash.path())).unwrap();
    // The length of the frame, and its entries.
    for (at, number) in [12, 16]
        .into_iter()
        .flat_map(|at| HOSTILE.map(|number| (at, number)))
    {
        let folder = tempfile::tempdir().unwrap();
        copy(crash.path(), folder.path());
        let mut spoilt = whole.clone();
        set(&mut spoilt[4096..], at, number, 72);
        fs::write(journal(folder.path()), &spoilt).unwrap();
        check(
            folder.path(),
            &[b"first", b"second"],
            &format!("{number} at {at}"),
        );
    }
}

#[test]
fn hostile_sizes_in_the_head_of_a_batch_bring_nothing_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let log = small().open(folder.path()).unwrap();
    made(&log, "orders")
        .append(batch(&[b"only"]))
        .wait()
        .unwrap();
    log.close().wait().unwrap();
    drop(log);
    let log = small().open(folder.path()).unwrap();
    log.close().wait().unwrap();
    let segment = segments(folder.path()).remove(0);
    let whole = fs::read(&segment).unwrap();
    // The length of the records, the last offset, and the number of records.
    for (at, number) in [12, 56, 60]
        .into_iter()
        .flat_map(|at| HOSTILE.map(|number| (at, number)))
    {
        let mut spoilt = whole.clone();
        let end = spoilt.len();
        set(&mut spoilt, at, number, end);
        fs::write(&segment, &spoilt).unwrap();
        check(folder.path(), &[b"only"], &format!("{number} at {at}"));
    }
}

#[test]
fn hostile_sizes_in_the_image_bring_nothing_wrong() {
    let folder = tempfile::tempdir().unwrap();
    made(&Log::open(folder.path()).unwrap(), "orders");
    let scene = tempfile::tempdir().unwrap();
    copy(folder.path(), scene.path());
    let image = scene.path().join("image");
    let whole = fs::read(&image).unwrap();
    // Both halves of the length of the body.
    for (at, number) in [16, 20]
        .into_iter()
        .flat_map(|at| HOSTILE.map(|number| (at, number)))
    {
        let mut spoilt = whole.clone();
        let end = spoilt.len();
        set(&mut spoilt, at, number, end);
        if spoilt != whole {
            fs::write(&image, &spoilt).unwrap();
            check(scene.path(), &[], &format!("{number} at {at}"));
        }
    }
}
