//! A check names whatever is damaged, with its place, and changes nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use levada_log::{Error, Finding, Log, Report, check};

use crate::{
    folders::{BATCH_BYTES, crashed, filled, flip, misplaced},
    support::{batch, contents, copy, in_memory, journal, made, segments, small},
};

/// A crashed folder, of which no mark says how much of it was acknowledged.
fn unmarked(folder: &Path) {
    crashed(folder);
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

#[test]
fn sound_folders_are_sound_and_what_they_hold_is_counted() {
    let folder = in_memory();
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

    let folder = in_memory();
    unmarked(folder.path());
    let report = checked(folder.path());
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.partitions[1].offsets, 0..3);
}

#[test]
fn every_byte_of_a_segment_that_is_changed_is_found_where_it_lies() {
    let folder = in_memory();
    filled(folder.path());
    let segment = segments(folder.path())[0].clone();
    for at in (0..fs::metadata(&segment).unwrap().len()).step_by(61) {
        let at = usize::try_from(at).unwrap();
        let whole = flip(&segment, at);
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
    let folder = in_memory();
    filled(folder.path());
    let all = segments(folder.path());
    for (bytes, good) in misplaced(&all) {
        fs::write(&all[0], bytes).unwrap();
        let report = checked(folder.path());
        let at = (good * BATCH_BYTES) as u64;
        assert_eq!(about(&report, &all[0])[0].position, Some(at), "{report}");
    }
}

#[test]
fn segments_that_are_short_or_missing_are_found_with_the_offsets_they_cost() {
    let folder = in_memory();
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
    let folder = in_memory();
    unmarked(folder.path());
    let path = journal(folder.path());
    // A batch with commits behind it; heads, a directory and a change.
    for (at, what) in [
        (4 * 4096 + 400, "a batch of a group commit is damaged"),
        (8, "the head or directory of a group commit is damaged"),
        (16, "the head or directory of a group commit is damaged"),
        (80, "the head or directory of a group commit is damaged"),
        (120, "a metadata change is damaged"),
    ] {
        let whole = flip(&path, at);
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
        let whole = flip(&path, at);
        let report = checked(folder.path());
        assert!(report.is_sound(), "{at}: {report}");
        assert_eq!(report.cut.map(|cut| cut.position), Some(7 * 4096));
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn acknowledged_commit_that_is_torn_or_gone_is_damage_where_the_mark_knows_it() {
    let (running, folder) = (in_memory(), in_memory());
    let log = Log::open(running.path()).unwrap();
    let orders = made(&log, "orders");
    for i in 0..3 {
        orders.append(batch(&[&[i; 500]])).wait().unwrap();
    }
    copy(running.path(), folder.path());
    let path = journal(folder.path());
    let whole = flip(&path, 3 * 4096 + 400);
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
    let folder = in_memory();
    unmarked(folder.path());
    let (image, path) = (folder.path().join("image"), journal(folder.path()));
    let whole = flip(&image, 30);
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
    let folder = in_memory();
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
    let folder = in_memory();
    unmarked(folder.path());
    flip(&journal(folder.path()), 4 * 4096 + 400);
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
    let folder = in_memory();
    let log = Log::open(folder.path()).unwrap();
    made(&log, "orders");
    assert!(matches!(check(folder.path()), Err(Error::InUse(_))));
    log.close().wait().unwrap();
    assert!(check(folder.path()).unwrap().is_sound());
}
