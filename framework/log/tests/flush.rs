//! A flush goes one small write at a time, until whoever appends would have to wait for it.

use levada_log::TopicOptions;

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
