//! Sizes that were written by somebody else cost neither a panic nor memory, and formats of a newer
//! release are told from damage.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use levada_log::{Batch, Error, Log, Record};

use crate::support::{
    Steps, batch, contents, copy, found, in_memory, journal, made, read_all, segments, small,
};

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
    let running = in_memory();
    let log = Log::open(running.path()).unwrap();
    let orders = made(&log, "orders");
    orders.append(batch(&[b"first"])).wait().unwrap();
    orders.append(batch(&[b"second"])).wait().unwrap();
    let crash = in_memory();
    copy(running.path(), crash.path());
    let whole = fs::read(journal(crash.path())).unwrap();
    // The length of the frame, and its entries.
    for (at, number) in [12, 16]
        .into_iter()
        .flat_map(|at| HOSTILE.map(|number| (at, number)))
    {
        let folder = in_memory();
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

/// Brings a batch to a segment of a log that is then closed: the segment.
fn flushed(folder: &Path, batch: Batch) -> PathBuf {
    let log = small().open(folder).unwrap();
    made(&log, "orders").append(batch).wait().unwrap();
    log.close().wait().unwrap();
    drop(log);
    let log = small().open(folder).unwrap();
    log.close().wait().unwrap();
    segments(folder).remove(0)
}

#[test]
fn hostile_sizes_in_the_head_of_a_batch_bring_nothing_wrong() {
    let folder = in_memory();
    let segment = flushed(folder.path(), batch(&[b"only"]));
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

/// A number as records hold it, in seven bits a byte.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

#[test]
fn hostile_sizes_in_a_record_bring_nothing_wrong() {
    let folder = in_memory();
    let value = &[b'v'; 16];
    let mut only = Batch::new();
    let record = Record {
        key: Some(&[b'k'; 16]),
        headers: &[("named-by-sixteen", &[b'h'; 16])],
        ..Record::of(value)
    };
    only.push(&record).unwrap();
    let segment = flushed(folder.path(), only);
    let whole = fs::read(&segment).unwrap();
    // The offset; the lengths of key and value; the headers, and the lengths of the only one.
    for (at, small) in [(0, 0), (3, 16), (20, 16), (37, 1), (38, 16), (55, 16)] {
        assert_eq!(whole[120 + at], small, "at {at}");
        for number in HOSTILE
            .map(u64::from)
            .into_iter()
            .chain([1 << 63, u64::MAX])
        {
            let (mut spoilt, bytes) = (whole.clone(), varint(number));
            spoilt[120 + at..][..bytes.len()].copy_from_slice(&bytes);
            // The length of the records stays, and the checksum fits again.
            let (end, length) = (spoilt.len(), *whole[12..].first_chunk().unwrap());
            set(&mut spoilt, 12, u32::from_le_bytes(length), end);
            fs::write(&segment, &spoilt).unwrap();
            check(folder.path(), &[value], &format!("{number} at {at}"));
        }
    }
}

#[test]
fn hostile_sizes_in_the_image_bring_nothing_wrong() {
    let folder = in_memory();
    made(&Log::open(folder.path()).unwrap(), "orders");
    let scene = in_memory();
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

#[test]
fn newer_versions_of_image_frame_and_batch_are_refused_by_name_and_left_as_they_are() {
    let flushed_folder = in_memory();
    let segment = flushed(flushed_folder.path(), batch(&[b"only"]));
    let crash = in_memory();
    let running = in_memory();
    let log = Log::open(running.path()).unwrap();
    made(&log, "orders")
        .append(batch(&[b"only"]))
        .wait()
        .unwrap();
    copy(running.path(), crash.path());
    let newer = |path: &Path, at: usize| {
        let mut bytes = fs::read(path).unwrap();
        assert_eq!(bytes[at], 1, "the version");
        bytes[at] = 2;
        fs::write(path, bytes).unwrap();
    };

    newer(&segment, 4);
    let log = Log::open(flushed_folder.path()).unwrap();
    let said = found(&log, "orders").fetch(0, 100).wait().unwrap_err();
    let unknown = "a version that this release does not know";
    assert!(said.to_string().contains(unknown), "{said}");

    for (is_of_the_image, at) in [(false, 4096 + 4), (true, 4)] {
        let folder = in_memory();
        copy(crash.path(), folder.path());
        let path = if is_of_the_image {
            folder.path().join("image")
        } else {
            journal(folder.path())
        };
        newer(&path, at);
        let before = contents(folder.path());
        let said = Log::open(folder.path()).map(drop).unwrap_err();
        assert!(matches!(said, Error::Newer { .. }), "{said}");
        assert_eq!(contents(folder.path()), before);
    }
}

#[test]
fn head_that_was_torn_at_its_version_is_no_newer_one() {
    for torn in [[0, 0], *b"xx"] {
        let running = in_memory();
        let log = Log::open(running.path()).unwrap();
        let orders = made(&log, "orders");
        for value in [b"kept", b"torn"] {
            orders.append(batch(&[value])).wait().unwrap();
        }
        let crash = in_memory();
        copy(running.path(), crash.path());
        let mut bytes = fs::read(journal(crash.path())).unwrap();
        bytes[8192 + 4..8192 + 6].copy_from_slice(&torn);
        fs::write(journal(crash.path()), bytes).unwrap();

        let log = Log::open(crash.path()).unwrap();
        assert!(log.recovery().cut.is_some(), "{torn:?}");
        let read = read_all(&found(&log, "orders"), 0);
        assert_eq!(read, [(0, b"kept".to_vec())], "{torn:?}");
    }
}
