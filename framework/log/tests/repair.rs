//! A repair loses exactly what it names; what it keeps is byte for byte what was appended.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use levada_core::{Rng, Seed};
use levada_log::{Batch, Error, Log, Record, TopicOptions, check};

use crate::support::{
    Steps, batch, contents, copy, found, in_memory, made, read_all, segments, unsynced,
};

/// What was appended: by topic and partition, each batch with its offsets and its values.
type Appended = BTreeMap<(String, u32), Vec<(Range<u64>, Vec<Vec<u8>>)>>;

/// A folder that was killed with batches in segments and in journals; nothing in it is asked later
/// what it holds.
fn filled(folder: &Path, rng: &mut Rng) -> Appended {
    let running = in_memory();
    let log = unsynced().open(running.path()).unwrap();
    let mut all = Appended::new();
    for name in ["orders", "returns"] {
        log.create_topic(name, TopicOptions::new().partitions(2))
            .wait()
            .unwrap();
    }
    for i in 0..160_u64 {
        let name = if rng.below(3) == 0 {
            "returns"
        } else {
            "orders"
        };
        let number = u32::try_from(rng.below(2)).unwrap();
        let values: Vec<_> = (0..=rng.below(3))
            .map(|n| {
                [i.to_le_bytes(), n.to_le_bytes()]
                    .concat()
                    .repeat(5 + usize::try_from(i % 30).unwrap())
            })
            .collect();
        let slices: Vec<_> = values.iter().map(Vec::as_slice).collect();
        let partition = log.topic(name).unwrap().partition(number).unwrap();
        let appended = partition.append(batch(&slices)).wait().unwrap();
        let batches = all.entry((name.to_owned(), number)).or_default();
        batches.push((appended.offsets, values));
    }
    // Quiet, so that a copy is of one moment.
    let backup = in_memory();
    let target = backup.path().join("b");
    log.backup(&target).wait().unwrap();
    unsynced().restore(&target, folder).unwrap();
    all
}

/// A number below a length.
fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap()
}

/// One seeded damage to a segment or a journal.
fn spoil(folder: &Path, rng: &mut Rng) -> (PathBuf, String) {
    let files: Vec<_> = contents(folder)
        .into_iter()
        .filter(|(path, bytes)| {
            let name = path.parent().unwrap();
            !bytes.is_empty() && name != folder
        })
        .collect();
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
            let is_start = |at: &usize| bytes[*at..].starts_with(b"LVBt");
            let starts: Vec<_> = (0..bytes.len()).filter(is_start).collect();
            let len = |at: usize| {
                120 + u32::from_le_bytes(bytes[at + 12..at + 16].try_into().unwrap()) as usize
            };
            if starts.len() > 2 {
                let first = below(rng, starts.len() - 1);
                let (a, b) = (starts[first], starts[first + 1]);
                let swapped = if a + len(a) == b {
                    [&bytes[b..b + len(b)], &bytes[a..a + len(a)]].concat()
                } else {
                    vec![0xA5; len(a)]
                };
                bytes[a..a + swapped.len()].copy_from_slice(&swapped);
            }
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
    (path, format!("{what} at {at}"))
}

/// What a repaired folder has of a partition.
fn kept(log: &Log, name: &str, number: u32) -> Vec<(u64, Vec<u8>)> {
    read_all(&log.topic(name).unwrap().partition(number).unwrap(), 0)
}

#[test]
fn hundred_seeded_damages_lose_exactly_the_batches_that_are_named() {
    let (mut lossless, mut untold) = (0, 0);
    let parent = in_memory();
    let mut whole = PathBuf::new();
    let mut appended = Appended::new();
    for seed in 0..100 {
        let mut rng = Seed::new(seed).rng("damage");
        if seed % 25 == 0 {
            whole = parent.path().join(format!("whole-{seed}"));
            appended = filled(&whole, &mut rng);
        }
        let parent = in_memory();
        let (folder, target) = (parent.path().join("data"), parent.path().join("repaired"));
        copy(&whole, &folder);
        let spoilt = spoil(&folder, &mut rng);
        let damaged = contents(&folder);
        let case = format!("seed {seed}: {spoilt:?}");

        let repaired = unsynced().repair(&folder, &target).unwrap();
        assert!(
            contents(&folder) == damaged,
            "{case}: it was changed in place"
        );
        let report = check(&target).unwrap();
        assert!(report.is_sound(), "{case}: {report}");
        let found_damage = !check(&folder).unwrap().is_sound();
        let log = unsynced().open(&target).unwrap();
        let mut lost_any = false;
        for of in &repaired.partitions {
            let key = (of.kept.topic.clone(), of.kept.partition);
            let left: BTreeMap<_, _> = kept(&log, &key.0, key.1).into_iter().collect();
            let mut named: BTreeSet<u64> = of.lost.iter().cloned().flatten().collect();
            for (offsets, values) in appended.get(&key).into_iter().flatten() {
                let is_lost = named.contains(&offsets.start);
                for (offset, value) in offsets.clone().zip(values) {
                    assert_eq!(named.remove(&offset), is_lost, "{case}: {key:?} {offset}");
                    match left.get(&offset) {
                        Some(found) => assert!(!is_lost && found == value, "{case}"),
                        // Only of the last group commit may there be nothing that names it.
                        None => assert!(
                            is_lost || !repaired.untold.is_empty(),
                            "{case}: {key:?} {offset} is lost and not named: {repaired:?}"
                        ),
                    }
                    lost_any |= !left.contains_key(&offset);
                }
            }
            assert!(
                named.is_empty(),
                "{case}: {key:?} names what was never there: {named:?}"
            );
            let all: usize = appended[&key].iter().map(|(_, values)| values.len()).sum();
            assert!(left.len() <= all, "{case}");
        }
        untold += usize::from(!repaired.untold.is_empty());
        lossless += usize::from(!lost_any);
        let cut = check(&folder).unwrap().cut.is_some();
        assert!(
            !lost_any || found_damage || cut,
            "{case}: lost, and the check said nothing"
        );

        // It goes on where it was, and gives no offset again.
        for ((name, number), batches) in &appended {
            let partition = log.topic(name).unwrap().partition(*number).unwrap();
            let next = partition
                .append(batch(&[b"next"]))
                .wait()
                .unwrap()
                .offsets
                .start;
            let end = batches.last().unwrap().0.end;
            assert!(
                next >= end || !repaired.untold.is_empty(),
                "{case}: {next} {end}"
            );
        }
    }
    assert!(untold < 20 && lossless < 60, "{untold} {lossless}");
}

#[test]
fn damaged_image_is_refused_and_nothing_is_made() {
    let parent = in_memory();
    let (folder, target) = (parent.path().join("data"), parent.path().join("repaired"));
    filled(&folder, &mut Seed::new(1).rng("x"));
    let image = folder.join("image");
    let mut bytes = fs::read(&image).unwrap();
    bytes[100] ^= 1;
    fs::write(&image, bytes).unwrap();
    let refused = unsynced().repair(&folder, &target).unwrap_err();
    assert!(matches!(refused, Error::Unusable { .. }), "{refused}");
    assert!(
        refused.to_string().ends_with("restore a backup"),
        "{refused}"
    );
    assert!(!target.exists());
    assert!(
        check(&folder).unwrap().findings[0]
            .to_string()
            .contains("image")
    );
}

#[test]
fn open_folder_and_target_that_is_there_are_refused() {
    let parent = in_memory();
    let (folder, target) = (parent.path().join("data"), parent.path().join("repaired"));
    let log = unsynced().open(&folder).unwrap();
    assert!(matches!(
        unsynced().repair(&folder, &target),
        Err(Error::InUse(_))
    ));
    log.close().wait().unwrap();
    fs::create_dir(&target).unwrap();
    fs::write(target.join("notes"), "mine").unwrap();
    assert!(matches!(
        unsynced().repair(&folder, &target),
        Err(Error::Unusable { .. })
    ));
    fs::remove_file(target.join("notes")).unwrap();
    unsynced().repair(&folder, &target).unwrap();
    unsynced().open(&target).unwrap();
}

/// Where bytes lie that look like a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forged {
    /// They are a record's value.
    AsValue,
    /// They are a header's value: the last bytes of the batch around them.
    AsLastBytes,
}

/// A folder with 40 records in segments, one of which carries bytes that would be a batch in its
/// own place. Also these bytes.
fn with_forged_batch(folder: &Path, place: Forged) -> Vec<u8> {
    let inner = in_memory();
    let other = unsynced().open(inner.path()).unwrap();
    let orders = made(&other, "orders");
    for i in 0..4 {
        orders.append(batch(&[&[i; 50]])).wait().unwrap();
    }
    let forged = orders.fetch(3, 1).wait().unwrap().batches.remove(0);
    let log = unsynced().open(folder).unwrap();
    let orders = made(&log, "orders");
    for i in 0..40 {
        let mut new = Batch::new();
        let value = vec![i; 500];
        let record = match (i, place) {
            (3, Forged::AsValue) => Record::of(forged.bytes()),
            (3, Forged::AsLastBytes) => Record {
                headers: &[("forged", forged.bytes())],
                ..Record::of(&value)
            },
            _ => Record::of(&value),
        };
        new.push(&record).unwrap();
        orders.append(new).wait().unwrap();
    }
    log.close().wait().unwrap();
    drop(log);
    unsynced().open(folder).unwrap().close().wait().unwrap();
    forged.bytes().to_vec()
}

#[test]
fn bytes_of_a_record_that_look_like_a_batch_are_not_taken_for_one() {
    for place in [Forged::AsValue, Forged::AsLastBytes] {
        let parent = in_memory();
        let (folder, target) = (parent.path().join("data"), parent.path().join("repaired"));
        let forged = with_forged_batch(&folder, place);
        let segment = &segments(&folder)[0];
        let whole = fs::read(segment).unwrap();
        // The fourth batch, in its magic, its checksum, its count and its records.
        let start = 3 * 626;
        assert_eq!(&whole[start..start + 4], b"LVBt");
        let inside = whole
            .windows(forged.len())
            .position(|bytes| bytes == forged);
        let mut places = vec![start, start + 9, start + 61, inside.unwrap() - 1];
        // In its length: then only what lies behind tells.
        places.extend((place == Forged::AsValue).then_some(start + 12));
        for at in places {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(segment, bytes).unwrap();
            let repaired = unsynced().repair(&folder, &target).unwrap();
            let lost = vec![Range { start: 3, end: 4 }];
            assert_eq!(repaired.partitions[0].lost, lost, "{at} {place:?}");
            let log = unsynced().open(&target).unwrap();
            let all = read_all(&found(&log, "orders"), 0);
            assert_eq!(all.len(), 39);
            for (offset, value) in all {
                assert_eq!(value, [u8::try_from(offset).unwrap(); 500]);
            }
            log.close().wait().unwrap();
            fs::remove_dir_all(&target).unwrap();
        }
    }
}

#[test]
fn batches_of_a_partition_that_had_stopped_come_back_from_the_kept_journal() {
    let parent = in_memory();
    let (running, folder) = (parent.path().join("running"), parent.path().join("data"));
    let log = Log::open(&running).unwrap();
    let (a, b) = (made(&log, "a"), made(&log, "b"));
    for i in 0..5 {
        a.append(batch(&[&[i; 500]])).wait().unwrap();
        b.append(batch(&[&[i; 500]])).wait().unwrap();
    }
    copy(&running, &folder);
    let path = crate::support::journal(&folder);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4 * 4096 + 400] ^= 1; // The second record of `a`.
    fs::write(&path, &bytes).unwrap();
    let log = unsynced().open(&folder).unwrap();
    assert_eq!(read_all(&found(&log, "a"), 0).len(), 1, "it has stopped");
    for i in 5..60 {
        found(&log, "b").append(batch(&[&[i; 500]])).wait().unwrap();
    }
    log.close().wait().unwrap();
    drop(log);

    let target = parent.path().join("repaired");
    let repaired = unsynced().repair(&folder, &target).unwrap();
    assert_eq!(
        repaired.partitions[0].lost,
        vec![Range { start: 1, end: 2 }]
    );
    assert!(repaired.partitions[1].lost.is_empty() && repaired.untold.is_empty());
    let log = unsynced().open(&target).unwrap();
    let left: Vec<_> = read_all(&found(&log, "a"), 0)
        .into_iter()
        .map(|(at, _)| at)
        .collect();
    assert_eq!(left, [0, 2, 3, 4]);
    assert_eq!(read_all(&found(&log, "b"), 0).len(), 60);
    assert_eq!(
        found(&log, "a")
            .append(batch(&[b"x"]))
            .wait()
            .unwrap()
            .offsets
            .start,
        5
    );
}

#[test]
fn batches_behind_damage_are_kept_also_when_they_lie_in_the_next_journal() {
    let parent = in_memory();
    let (running, folder) = (parent.path().join("running"), parent.path().join("data"));
    let steps = Steps::default();
    let log = unsynced()
        .spawner(Arc::new(steps.clone()))
        .open(&running)
        .unwrap();
    let orders = steps.wait(log.create_topic("orders", TopicOptions::new()));
    let orders = orders.unwrap().partition(0).unwrap();
    let first = crate::support::journal(&running);
    // Until the first journal is full and the next has a batch, and no image says so yet.
    let mut count = 0;
    while crate::support::journal(&running) == first {
        steps.wait(orders.append(batch(&[&[7; 500]]))).unwrap();
        count += 1;
    }
    copy(&running, &folder);
    let path = folder.join("journal").join(first.file_name().unwrap());
    let mut bytes = fs::read(&path).unwrap();
    bytes[2 * 4096 + 400] ^= 1; // The topic, then the records.
    fs::write(&path, &bytes).unwrap();
    unsynced().open(&folder).unwrap().close().wait().unwrap();

    let target = parent.path().join("repaired");
    let repaired = unsynced().repair(&folder, &target).unwrap();
    assert_eq!(
        repaired.partitions[0].lost,
        vec![Range { start: 1, end: 2 }]
    );
    assert_eq!(repaired.partitions[0].kept.records, count - 1);
}

#[test]
fn offsets_of_a_group_commit_that_nobody_can_read_are_not_given_again() {
    let parent = in_memory();
    let (running, folder) = (parent.path().join("running"), parent.path().join("data"));
    let log = Log::open(&running).unwrap();
    let orders = made(&log, "orders");
    for i in 0..3 {
        orders.append(batch(&[&[i; 500]])).wait().unwrap();
    }
    copy(&running, &folder);
    let path = crate::support::journal(&folder);
    let mut bytes = fs::read(&path).unwrap();
    bytes[3 * 4096 + 20] ^= 1; // The topic, then the records.
    fs::write(&path, &bytes).unwrap();

    let target = parent.path().join("repaired");
    let repaired = unsynced().repair(&folder, &target).unwrap();
    assert!(repaired.partitions[0].lost.is_empty() && !repaired.untold.is_empty());
    let log = unsynced().open(&target).unwrap();
    let orders = found(&log, "orders");
    assert_eq!(read_all(&orders, 0).len(), 2);
    let next = orders.append(batch(&[b"next"])).wait().unwrap();
    assert!(next.offsets.start >= 3, "{next:?}");
    let behind = read_all(&orders, next.offsets.start);
    assert_eq!(behind, [(next.offsets.start, b"next".to_vec())]);
}
