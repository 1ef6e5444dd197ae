//! A torn last group commit is cut, wherever it was torn, and reported.

use std::{fs, path::Path};

use levada_log::{
    TopicOptions,
    vfs::{Open, Vfs as _},
};

use crate::{
    machine::Machine,
    support::{batch, copy, found, in_memory, journal, made, read_all, reopened, small},
};

/// A folder whose log stopped in the middle of its life, with `commits` group commits of one
/// record.
fn crashed(folder: &Path, commits: u8) {
    let running = in_memory();
    let log = small().open(running.path()).unwrap();
    let orders = made(&log, "orders");
    for i in 0..commits {
        orders.append(batch(&[&[i; 100]])).wait().unwrap();
    }
    copy(running.path(), folder);
}

/// Opens a crashed folder and checks that the first `kept` of its commits are there, that a cut is
/// reported if that is not all, and that no offset is given twice.
fn check(folder: &Path, commits: u8, kept: u8) {
    let log = small().open(folder).unwrap();
    let orders = found(&log, "orders");
    let expected: Vec<_> = (0..kept).map(|i| (u64::from(i), vec![i; 100])).collect();
    assert_eq!(read_all(&orders, 0), expected);
    assert_eq!(log.recovery().cut.is_some(), kept < commits);
    assert!(!log.recovery().clean);
    let next = orders
        .append(batch(&[b"next"]))
        .wait()
        .unwrap()
        .offsets
        .start;
    assert!(next >= u64::from(commits), "offset {next} was given before");
}

#[test]
fn journal_cut_short_at_any_byte_of_the_last_commit_keeps_all_before_it() {
    let crash = in_memory();
    crashed(crash.path(), 3);
    let whole = fs::read(journal(crash.path())).unwrap();
    // The frame of the topic and those of the first two batches take a page each.
    let (start, len) = (3 * 4096, 72 + 32 + 120 + 105);
    assert_eq!(whole.len(), start + 4096);
    assert!(whole[start + len..].iter().all(|byte| *byte == 0));
    assert_ne!(whole[start + len - 2], 0);
    for cut in 1..len {
        let folder = in_memory();
        copy(crash.path(), folder.path());
        fs::write(journal(folder.path()), &whole[..start + cut]).unwrap();
        check(folder.path(), 3, 2);
    }
    check(crash.path(), 3, 3);
}

#[test]
fn zeros_or_garbage_over_part_of_the_last_commit_cut_it() {
    let crash = in_memory();
    crashed(crash.path(), 3);
    let whole = fs::read(journal(crash.path())).unwrap();
    for from in (3 * 4096 + 4..3 * 4096 + 300).step_by(7) {
        for fill in [0x00, 0xff, 0x5a] {
            let folder = in_memory();
            copy(crash.path(), folder.path());
            let mut spoilt = whole.clone();
            spoilt[from..].fill(fill);
            fs::write(journal(folder.path()), &spoilt).unwrap();
            check(folder.path(), 3, 2);
        }
    }
}

#[test]
fn torn_commit_is_cut_also_after_a_recovery_that_left_an_empty_journal() {
    let folder = in_memory();
    crashed(folder.path(), 3);
    let path = journal(folder.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[3 * 4096 + 200] ^= 1;
    fs::write(&path, &bytes).unwrap();
    fs::write(path.with_file_name(format!("{:020}", 2)), b"").unwrap();
    check(folder.path(), 3, 2);
}

#[test]
fn recovery_that_crashed_and_ran_again_comes_to_the_same() {
    let crash = in_memory();
    crashed(crash.path(), 5);
    for _ in 0..3 {
        // The log goes without being closed: the next opening recovers again.
        let log = reopened(small, crash.path());
        assert!(!log.recovery().clean);
        assert_eq!(read_all(&found(&log, "orders"), 0).len(), 5);
    }
}

#[test]
fn commit_torn_at_any_sector_over_what_the_file_held_before_is_not_mixed_with_it() {
    const COUNT: u64 = 43;
    let machine = Machine::with(|options| options.journal_bytes(64 << 10));
    let orders = machine.made("orders", TopicOptions::new()).remove(0);
    let value = |number: u64| format!("{number:05}").repeat(1500).into_bytes();
    let append = |number| machine.append(&orders, &value(number));
    // As long as each journal takes the file of an older one, whose frames lie where its own will.
    (0..COUNT).for_each(|number| assert_eq!(append(number).offsets.start, number));
    machine.rest();
    let files = machine.fs.files();
    let journal = files.iter().rfind(|it| it.starts_with("/data/journal"));
    let journal = journal.unwrap();
    let before = machine.fs.contents(journal).unwrap();
    append(COUNT);
    let after = machine.fs.contents(journal).unwrap();
    assert_eq!(before.len(), after.len(), "the file was there");
    let differs = |at: &usize| before[*at] != after[*at];
    let first = (0..after.len()).find(differs).unwrap() / 4096 * 4096;
    let last = (0..after.len()).rfind(differs).unwrap();
    assert_eq!(before[first..first + 4], *b"LVFr", "a frame of before");

    for cut in (first..=last + 512).step_by(512) {
        let new_old = [&after[..cut], &before[cut..]].concat();
        let old_new = [&before[..cut], &after[cut..]].concat();
        for (torn, is_whole) in [(new_old, cut > last), (old_new, cut == first)] {
            let fs = machine.fs.kill();
            let file = fs.open(journal, Open::Write).unwrap();
            file.write_all_at(&torn, 0).unwrap();
            let machine = machine.started(fs).unwrap();
            let all = machine.steps.read_all(&machine.found("orders", 0));
            let expected = (0..COUNT + u64::from(is_whole)).map(|number| (number, value(number)));
            assert!(all.into_iter().eq(expected), "cut at {cut} from {first}");
        }
    }
}
