//! A repair loses exactly what it names; what it keeps is byte for byte what was appended.

use std::{fs, ops::Range, path::Path, sync::Arc};

use levada_core::Seed;
use levada_log::{Batch, Error, Log, Record, TopicOptions, check};

use crate::{
    spoilt::{Killed, Untold, spoil},
    support::{Steps, batch, contents, copy, found, in_memory, made, read_all, segments, unsynced},
};

#[test]
fn hundred_seeded_damages_lose_exactly_the_batches_that_are_named() {
    const MOST: u64 = 400;
    let parent = in_memory();
    let mut killed = None;
    let (mut losses, mut unnamed, mut seeds) = (0, 0, 0);
    while losses < 100 {
        let seed = seeds;
        seeds += 1;
        assert!(seeds < MOST, "{losses} damages of {MOST} lost something");
        let mut rng = Seed::new(seed).rng("damage");
        let whole = parent.path().join(format!("whole-{}", seed / 25));
        if seed % 25 == 0 {
            killed = Some(Killed::new(&whole, &mut rng));
        }
        let killed = killed.as_ref().unwrap();
        let parent = in_memory();
        let (folder, target) = (parent.path().join("data"), parent.path().join("repaired"));
        copy(&whole, &folder);
        let (path, what) = spoil(&folder, &mut rng);
        let left = killed.left(&path, &fs::read(folder.join(&path)).unwrap());
        let case = format!("seed {seed}: {what} of {}", path.display());
        let damaged = contents(&folder);
        let report = check(&folder).unwrap();

        let repaired = unsynced().repair(&folder, &target).unwrap();
        assert!(
            contents(&folder) == damaged,
            "{case}: it was changed in place"
        );
        assert!(check(&target).unwrap().is_sound(), "{case}");
        let log = unsynced().open(&target).unwrap();
        for of in &repaired.partitions {
            let key = (of.kept.topic.clone(), of.kept.partition);
            let partition = log.topic(&key.0).unwrap().partition(key.1).unwrap();
            let kept = read_all(&partition, 0);
            assert!(kept == left.records[&key], "{case}: {key:?}");
            let named: Vec<_> = of.lost.iter().cloned().flatten().collect();
            assert_eq!(named, left.named[&key], "{case}: {key:?}");
            // It goes on where it was, and gives no offset again.
            let next = partition.append(batch(&[b"next"])).wait().unwrap();
            assert!(
                next.offsets.start >= killed.ends()[&key],
                "{case}: {key:?} gives {next:?} again"
            );
        }
        assert_eq!(repaired.partitions.len(), left.records.len(), "{case}");
        let fits = match left.untold {
            Untold::Nothing => repaired.untold.is_empty(),
            Untold::Perhaps => true,
            Untold::Something => !repaired.untold.is_empty(),
        };
        assert!(fits, "{case}: {:?}", repaired.untold);
        let lost_any = !left.unnamed.is_empty() || left.named.values().any(|it| !it.is_empty());
        assert!(
            !lost_any || !report.is_sound(),
            "{case}: lost, and the check said nothing"
        );
        let is_unnamed = !left.unnamed.is_empty();
        assert!(!is_unnamed || left.untold == Untold::Something, "{case}");
        losses += u32::from(lost_any);
        unnamed += u32::from(is_unnamed);
    }
    assert!(unnamed > 0, "some take what nothing names");
}

#[test]
fn damaged_image_is_refused_and_nothing_is_made() {
    let parent = in_memory();
    let (folder, target) = (parent.path().join("data"), parent.path().join("repaired"));
    Killed::new(&folder, &mut Seed::new(1).rng("x"));
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
