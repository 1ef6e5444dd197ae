//! A flush goes one small write at a time, until whoever appends would have to wait for it; and it
//! may be done again.

use std::sync::Arc;

use levada_log::{Options, TopicOptions};

use crate::{machine::Machine, support::batch};

/// Calls of the file system for a flush of 64 batches of a kilobyte, behind which comes a batch of
/// so many bytes.
fn calls_of_a_flush(behind: usize) -> u64 {
    let full = 64 << 10;
    let machine = Machine::with(move |options| options.journal_bytes(full).segment_bytes(1 << 20));
    let orders = machine.made("orders", TopicOptions::new()).remove(0);
    // All in one group commit: it fills the journal.
    let filling: Vec<_> = (0..64)
        .map(|_| orders.append(batch(&[&[7; 1000]])))
        .collect();
    for ticket in filling {
        machine.wait(ticket).unwrap();
    }
    machine.steps.settle();
    assert!(
        machine.segments().is_empty(),
        "it is flushed once another follows"
    );

    let before = machine.fs.calls();
    machine.append(&orders, &vec![7; behind]);
    machine.steps.settle();
    assert!(!machine.segments().is_empty());
    machine.fs.calls() - before
}

#[test]
fn flush_is_in_a_hurry_once_the_next_journal_is_half_full() {
    let (gentle, hurried) = (calls_of_a_flush(1), calls_of_a_flush(40 << 10));
    assert!(2 * hurried < gentle, "{hurried} and {gentle}");
}

/// The longest that a journal gets, of one that is full at 256 KiB, while small group commits go
/// round so many partitions faster than they are flushed.
fn longest_journal(partitions: u32) -> usize {
    let machine = Machine::with(|options| options.journal_bytes(256 << 10).segment_bytes(1 << 20));
    let options = TopicOptions::new().partitions(partitions);
    let orders = machine.made("orders", options);
    let mut turn = orders.iter().cycle();
    let mut longest = 0;
    for _ in 0..300 {
        let partitions = turn.by_ref().take(12);
        let appends = partitions.map(|it| it.append(batch(&[&[7; 100]])));
        for append in appends.collect::<Vec<_>>() {
            machine.wait(append).unwrap();
        }
        let files = machine.fs.files().into_iter();
        let journals = files.filter(|file| file.starts_with("/data/journal"));
        let lens = journals.filter_map(|file| Some(machine.fs.contents(file)?.len()));
        longest = lens.chain([longest]).max().unwrap();
    }
    longest
}

#[test]
fn journal_of_many_partitions_grows_while_the_one_before_is_flushed() {
    let (of_one, of_many) = (longest_journal(1), longest_journal(1000));
    assert_eq!(of_one, 256 << 10);
    assert!((512 << 10..=1 << 20).contains(&of_many), "{of_many}");
}

#[test]
fn what_a_killed_flush_began_is_gone_once_it_was_done_otherwise() {
    let machine = Machine::with(|options| options.segment_bytes(4 << 10));
    let orders = machine.made("orders", TopicOptions::new()).remove(0);
    for _ in 0..30 {
        drop(orders.append(batch(&[&[7; 1000]])));
    }
    machine.steps.settle();
    // The journal is full: with what follows it is flushed.
    drop(orders.append(batch(&[b"next"])));
    let began = (0..100).any(|_| {
        machine.steps.step();
        machine.segments().len() > 2
    });
    assert!(began, "{:?}", machine.segments());

    let larger = |options: Options| options.segment_bytes(1 << 20);
    let machine = Machine::on(machine.fs.kill(), machine.clock, Arc::new(larger)).unwrap();
    let described = machine.log.topic("orders").unwrap().describe();
    assert_eq!((described.segments(), machine.segments().len()), (1, 1));
    assert_eq!(machine.offsets(&machine.found("orders", 0)).len(), 31);
}
