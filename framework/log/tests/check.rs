//! A check names whatever is damaged, with its place, and changes nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use levada_log::{Error, Finding, Log, Report, check};

use crate::support::{batch, contents, copy, journal, made, segments, small};

/// A closed folder with 40 records of 500 bytes in each of `orders` and `other`, in segments.
fn filled(folder: &Path) {
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

/// Each of `a` and `b` has three records, in turn, behind the commits of the topics.
fn crashed(folder: &Path) {
    let running = tempfile::tempdir().unwrap();
    let log = Log::open(running.path()).unwrap();
    let (a, b) = (made(&log, "a"), made(&log, "b"));
    for i in 0..3 {
        a.append(batch(&[&[i; 500]])).wait().unwrap();
        b.append(batch(&[&[i; 500]])).wait().unwrap();
    }
    copy(running.path(), folder);
    fs::remove_file(folder.join("acknowledged")).unwrap();
}

/// Checks a folder, and that nothing in it changed.
fn checked(folder: &Path) -> Report {
    let before = contents(folder);
    let report = check(folder).unwrap();
    assert!(contents(folder) == before, "a check changes nothing");
    report
}

/// The findings about one file.
fn about<'a>(report: &'a Report, path: &Path) -> Vec<&'a Finding> {
    report
        .findings
        .iter()
        .filter(|finding| finding.path == path)
        .collect()
}

fn with_flipped(path: &Path, at: usize) -> Vec<u8> {
    let whole = fs::read(path).unwrap();
    let mut bytes = whole.clone();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
    whole
}

#[test]
fn sound_folders_are_sound_and_what_they_hold_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let report = checked(folder.path());
    assert!(report.is_sound() && report.stray.is_empty(), "{report}");
    let counted: Vec<_> = report
        .partitions
        .iter()
        .map(|it| {
            (
                it.topic.as_str(),
                it.partition,
                it.offsets.clone(),
                it.batches,
                it.records,
            )
        })
        .collect();
    assert_eq!(
        counted,
        [("orders", 0, 0..40, 40, 40), ("other", 0, 0..40, 40, 40)]
    );
    assert_eq!(report.partitions[0].bytes, 40 * (120 + 506));

    let folder = tempfile::tempdir().unwrap();
    crashed(folder.path());
    let report = checked(folder.path());
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.partitions[1].offsets, 0..3);
}

#[test]
fn every_byte_of_a_segment_that_is_changed_is_found_where_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let segment = segments(folder.path())[0].clone();
    for at in (0..fs::metadata(&segment).unwrap().len()).step_by(61) {
        let at = usize::try_from(at).unwrap();
        let whole = with_flipped(&segment, at);
        let report = checked(folder.path());
        let batch = at as u64 / 626;
        let [finding] = about(&report, &segment)[..] else {
            panic!("one finding at {at}: {report}");
        };
        assert_eq!(finding.position, Some(batch * 626), "{finding}");
        assert_eq!(finding.offsets, batch..batch + 1, "{finding}");
        assert_eq!(finding.partition, Some(("orders".to_owned(), 0)));
        assert_eq!(report.findings.len(), 1);
        fs::write(&segment, whole).unwrap();
    }
}

#[test]
fn batches_that_were_swapped_repeated_or_misdirected_are_found() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let all = segments(folder.path());
    let whole = fs::read(&all[0]).unwrap();
    let other = fs::read(&all[all.len() - 1]).unwrap();
    let place = |number: usize| number * 626..(number + 1) * 626;
    let swapped = [&whole[place(1)], &whole[place(0)], &whole[2 * 626..]].concat();
    let mut repeated = whole.clone();
    repeated[place(1)].copy_from_slice(&whole[place(2)]);
    let mut misdirected = whole;
    misdirected[place(1)].copy_from_slice(&other[place(0)]);
    for (bytes, at) in [(swapped, 0), (repeated, 626), (misdirected, 626)] {
        fs::write(&all[0], bytes).unwrap();
        let report = checked(folder.path());
        assert_eq!(about(&report, &all[0])[0].position, Some(at), "{report}");
    }
}

#[test]
fn segments_that_are_short_or_missing_are_found_with_the_offsets_they_cost() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let all = segments(folder.path());
    let file = fs::OpenOptions::new().write(true).open(&all[0]).unwrap();
    file.set_len(626 * 5 + 7).unwrap();
    fs::remove_file(&all[1]).unwrap();
    let report = checked(folder.path());
    let short = about(&report, &all[0])[0];
    let missing = about(&report, &all[1])[0];
    assert_eq!(short.offsets, 5..missing.offsets.start, "{short}");
    assert!(
        missing
            .to_string()
            .contains("missing; topic `orders` partition 0, offsets 1")
    );
    assert_eq!(report.findings.len(), 2);
}

#[test]
fn damage_in_a_journal_is_told_from_a_torn_end() {
    let folder = tempfile::tempdir().unwrap();
    crashed(folder.path());
    let path = journal(folder.path());
    // A batch with commits behind it; heads, a directory and a change.
    for (at, what) in [
        (4 * 4096 + 400, "a batch of a group commit is damaged"),
        (8, "the head or directory of a group commit is damaged"),
        (16, "the head or directory of a group commit is damaged"),
        (80, "the head or directory of a group commit is damaged"),
        (120, "a metadata change is damaged"),
    ] {
        let whole = with_flipped(&path, at);
        let report = checked(folder.path());
        let said: Vec<_> = about(&report, &path)
            .iter()
            .map(|it| it.what.clone())
            .collect();
        assert!(said.contains(&what.to_owned()), "{at}: {report}");
        assert_eq!(report.cut, None);
        fs::write(&path, whole).unwrap();
    }
    // The last commit: nobody knows.
    for at in [7 * 4096 + 400, 7 * 4096 + 20, 7 * 4096 + 80] {
        let whole = with_flipped(&path, at);
        let report = checked(folder.path());
        assert!(report.is_sound(), "{at}: {report}");
        assert_eq!(report.cut.map(|cut| cut.position), Some(7 * 4096));
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn acknowledged_commit_that_is_torn_or_gone_is_damage_where_the_mark_knows_it() {
    let (running, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = Log::open(running.path()).unwrap();
    let orders = made(&log, "orders");
    for i in 0..3 {
        orders.append(batch(&[&[i; 500]])).wait().unwrap();
    }
    copy(running.path(), folder.path());
    let path = journal(folder.path());
    let whole = with_flipped(&path, 3 * 4096 + 400);
    let report = checked(folder.path());
    assert_eq!(
        report.findings[0].what,
        "a batch of a group commit is damaged"
    );
    assert_eq!(report.findings[1].offsets, 2..3);
    fs::write(&path, &whole[..3 * 4096]).unwrap();
    let report = checked(folder.path());
    let said = report.findings[0].to_string();
    assert!(
        said.ends_with("group commits 4 to 4 were durable and are not there"),
        "{said}"
    );
}

#[test]
fn damaged_or_missing_images_and_journals_are_named() {
    let folder = tempfile::tempdir().unwrap();
    crashed(folder.path());
    let (image, path) = (folder.path().join("image"), journal(folder.path()));
    let whole = with_flipped(&image, 30);
    let report = checked(folder.path());
    assert!(!about(&report, &image).is_empty(), "{report}");
    fs::remove_file(&image).unwrap();
    assert!(!about(&checked(folder.path()), &image).is_empty());
    fs::write(&image, whole).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(!about(&checked(folder.path()), &path).is_empty());
}

#[test]
fn files_that_nothing_names_are_listed_and_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let mine: Vec<PathBuf> = ["journal/notes", "notes", "topics/00000001/00000000/notes"]
        .iter()
        .map(|name| folder.path().join(name))
        .collect();
    for path in &mine {
        fs::write(path, "mine").unwrap();
    }
    let report = checked(folder.path());
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.stray, mine);
    assert!(
        report.to_string().contains("not a file of the log: "),
        "{report}"
    );
}

#[test]
fn stopped_partition_is_named_also_when_its_damage_lies_in_a_journal_that_is_done() {
    let folder = tempfile::tempdir().unwrap();
    crashed(folder.path());
    with_flipped(&journal(folder.path()), 4 * 4096 + 400);
    let log = small().open(folder.path()).unwrap();
    log.close().wait().unwrap();
    drop(log);
    let report = checked(folder.path());
    assert_eq!(report.findings.len(), 1, "{report}");
    assert_eq!(report.findings[0].partition, Some(("a".to_owned(), 0)));
    assert!(
        report.findings[0]
            .what
            .starts_with("the partition has stopped: ")
    );
}

#[test]
fn folder_that_is_open_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    made(&log, "orders");
    assert!(matches!(check(folder.path()), Err(Error::InUse(_))));
    log.close().wait().unwrap();
    assert!(check(folder.path()).unwrap().is_sound());
}
