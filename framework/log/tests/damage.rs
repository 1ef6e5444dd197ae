//! Damage that is not a torn end stops its partition, or the log, and changes nothing.

use std::fs;

use levada_log::{Error, Log, Status, TopicOptions};

use crate::{
    folders::{BATCH_BYTES, crashed, filled, first_of, flip, misplaced},
    support::{batch, contents, copy, found, in_memory, journal, read_all, segments, small},
};

/// Reads until something is refused; how many records came before.
fn read_until_refused(log: &Log, name: &str) -> (u64, Error) {
    let partition = found(log, name);
    let mut from = 0;
    loop {
        match partition.fetch(from, 600).wait() {
            Ok(fetched) => {
                for record in fetched.records() {
                    assert_eq!(record.value, [u8::try_from(record.offset).unwrap(); 500]);
                }
                assert!(fetched.next > from, "damage shows before the end");
                from = fetched.next;
            }
            Err(error) => return (from, error),
        }
    }
}

#[test]
fn flipped_byte_in_a_segment_stops_its_partition_and_no_other() {
    let folder = in_memory();
    filled(folder.path());
    let segment = &segments(folder.path())[1];
    flip(segment, 3 * BATCH_BYTES + 300);
    let before = contents(&folder.path().join("topics"));

    let log = small().open(folder.path()).unwrap();
    let (read, error) = read_until_refused(&log, "orders");
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!((13..20).contains(&read), "{read}");
    let orders = found(&log, "orders");
    assert!(matches!(orders.status(), Status::Failed { .. }));
    assert!(matches!(
        orders.append(batch(&[b"x"])).wait(),
        Err(Error::Damaged { .. })
    ));
    assert_eq!(read_all(&found(&log, "other"), 0).len(), 40);
    found(&log, "other")
        .append(batch(&[b"goes on"]))
        .wait()
        .unwrap();
    assert_eq!(contents(&folder.path().join("topics")), before);
}

#[test]
fn every_byte_of_a_segment_that_is_changed_is_noticed() {
    let folder = in_memory();
    filled(folder.path());
    let segment = segments(folder.path())[0].clone();
    let len = fs::read(&segment).unwrap().len();
    for at in (0..len).step_by(17) {
        let whole = flip(&segment, at);
        let log = small().open(folder.path()).unwrap();
        let (_, error) = read_until_refused(&log, "orders");
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        log.close().wait().unwrap();
        fs::write(&segment, whole).unwrap();
    }
}

#[test]
fn batches_that_were_swapped_repeated_or_misdirected_are_noticed() {
    let folder = in_memory();
    filled(folder.path());
    let all = segments(folder.path());
    for (bytes, good) in misplaced(&all) {
        fs::write(&all[0], bytes).unwrap();
        let log = small().open(folder.path()).unwrap();
        let (read, error) = read_until_refused(&log, "orders");
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert_eq!(read, good as u64);
        log.close().wait().unwrap();
    }
}

#[test]
fn whole_batches_before_the_end_of_a_segment_that_was_cut_are_read() {
    let folder = in_memory();
    filled(folder.path());
    let first = segments(folder.path()).remove(0);
    let file = fs::OpenOptions::new().write(true).open(first).unwrap();
    for (len, good) in [(3 * BATCH_BYTES, 3), (3 * BATCH_BYTES - 1, 2), (1, 0)] {
        file.set_len(len as u64).unwrap();
        let log = small().open(folder.path()).unwrap();
        let (read, error) = read_until_refused(&log, "orders");
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert_eq!(read, good);
        log.close().wait().unwrap();
    }
}

#[test]
fn segment_that_is_short_or_missing_stops_its_partition() {
    let folder = in_memory();
    filled(folder.path());
    let all = segments(folder.path());
    let other = first_of(&all, "00000002");
    let last = all.iter().rfind(|file| **file < other).unwrap();
    let last = fs::OpenOptions::new().write(true).open(last).unwrap();
    last.set_len(last.metadata().unwrap().len() - 1).unwrap();
    fs::remove_file(other).unwrap();

    let log = small().open(folder.path()).unwrap();
    assert!(matches!(
        found(&log, "orders").status(),
        Status::Failed { .. }
    ));
    let (read, error) = read_until_refused(&log, "other");
    assert!(
        read == 0 && error.to_string().contains("is missing"),
        "{read} {error}"
    );
}

#[test]
fn damaged_batch_with_a_later_commit_behind_it_is_never_cut() {
    let folder = in_memory();
    crashed(folder.path());
    let path = journal(folder.path());
    flip(&path, 4 * 4096 + 400); // The second record of `a`.
    let bytes = fs::read(&path).unwrap();

    for _ in 0..2 {
        let log = small().open(folder.path()).unwrap();
        assert_eq!(log.recovery().cut, None);
        let (a, b) = (found(&log, "a"), found(&log, "b"));
        assert!(matches!(a.status(), Status::Failed { .. }));
        assert_eq!(read_all(&a, 0).len(), 1);
        assert!(matches!(a.fetch(1, 100).wait(), Err(Error::Damaged { .. })));
        assert_eq!(
            read_all(&b, 0)[..3],
            [0, 1, 2].map(|i| (u64::from(i), vec![i; 500]))
        );
        for _ in 0..40 {
            b.append(batch(&[&[7; 1000]])).wait().unwrap();
        }
        log.close().wait().unwrap();
    }
    assert_eq!(
        fs::read(&path).unwrap(),
        bytes,
        "the damaged journal is kept"
    );
}

#[test]
fn damaged_head_or_change_with_a_later_commit_behind_it_is_refused_and_nothing_changes() {
    for at in [8, 16, 80, 120] {
        let folder = in_memory();
        crashed(folder.path());
        flip(&journal(folder.path()), at);
        let before = contents(folder.path());
        let refused = Log::open(folder.path()).unwrap_err();
        assert!(matches!(refused, Error::Unusable { .. }), "{at}: {refused}");
        assert!(refused.to_string().contains("journal/0000"), "{refused}");
        assert_eq!(contents(folder.path()), before);
    }
}

#[test]
fn damaged_short_or_missing_image_is_refused_by_name() {
    let folder = in_memory();
    filled(folder.path());
    let image = folder.path().join("image");
    let whole = fs::read(&image).unwrap();
    let mut spoilt: Vec<Vec<u8>> = (0..whole.len())
        .map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            bytes
        })
        .collect();
    spoilt.extend([
        vec![],
        whole[..10].to_vec(),
        whole[..whole.len() - 1].to_vec(),
    ]);
    for bytes in spoilt {
        fs::write(&image, bytes).unwrap();
        let refused = Log::open(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("image"), "{refused}");
    }
    fs::remove_file(&image).unwrap();
    assert!(matches!(
        Log::open(folder.path()),
        Err(Error::Unusable { .. })
    ));
    fs::write(&image, whole).unwrap();
    Log::open(folder.path()).unwrap();
}

#[test]
fn missing_journal_is_refused() {
    let folder = in_memory();
    crashed(folder.path());
    fs::remove_file(journal(folder.path())).unwrap();
    assert!(matches!(
        Log::open(folder.path()),
        Err(Error::Unusable { .. })
    ));
}

#[cfg(unix)]
#[test]
fn links_are_refused_and_foreign_files_left_alone() {
    use std::os::unix::fs::symlink;

    let folder = in_memory();
    filled(folder.path());
    for name in ["notes.txt", "journal/notes.txt", "topics/notes.txt"] {
        fs::write(folder.path().join(name), "mine").unwrap();
    }
    let log = Log::open(folder.path()).unwrap();
    log.create_topic("more", TopicOptions::new())
        .wait()
        .unwrap();
    log.close().wait().unwrap();
    for name in ["notes.txt", "journal/notes.txt", "topics/notes.txt"] {
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"mine");
    }
    for name in ["image", "lock", "journal", "topics"] {
        let elsewhere = in_memory();
        let (path, target) = (folder.path().join(name), elsewhere.path().join(name));
        fs::rename(&path, &target).unwrap();
        symlink(&target, &path).unwrap();
        assert!(
            matches!(Log::open(folder.path()), Err(Error::Unusable { .. })),
            "{name}"
        );
        fs::remove_file(&path).unwrap();
        if target.is_dir() {
            copy(&target, &path);
        } else {
            fs::copy(&target, &path).unwrap();
        }
    }
    Log::open(folder.path()).unwrap();
}
