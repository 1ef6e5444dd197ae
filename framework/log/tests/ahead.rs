//! Whoever goes through a partition is read ahead for, and nobody sees that but by the time.

use std::time::Duration;

use levada_log::{
    Batch, Error, Fetched, Partition, Record, Result, Retention, Status, TopicOptions,
};
use levada_testkit::vfs::{Fault, When};

use crate::machine::Machine;

const HOUR: Duration = Duration::from_hours(1);
/// A batch is a little more than this: so a fetch of so much is one batch.
const BATCH: usize = 1000;

/// A machine, and a partition with batches in segments alone.
fn scene(retention: Retention) -> (Machine, Partition) {
    let machine = Machine::new();
    let options = TopicOptions::new().retention(retention);
    let orders = machine.made("orders", options).remove(0);
    for number in 0..20 {
        machine.append(&orders, &[number; BATCH]);
    }
    machine.flush();
    machine.steps.settle();
    (machine, orders)
}

fn fetch(machine: &Machine, orders: &Partition, from: u64) -> Result<Fetched> {
    machine.wait(orders.fetch(from, BATCH))
}

/// Goes from 0 to 2, and lets the reader do what it does then.
fn go_on(machine: &Machine, orders: &Partition) {
    for from in 0..2 {
        assert_eq!(fetch(machine, orders, from).unwrap().next, from + 1);
    }
    machine.steps.settle();
}

#[test]
fn next_batches_of_whoever_goes_through_are_there_before_they_are_asked_for() {
    let (machine, orders) = scene(Retention::forever());
    go_on(&machine, &orders);
    machine.fs.inject(Fault::ReadError, When::Always);
    let fetched = fetch(&machine, &orders, 2).unwrap();
    assert_eq!(fetched.records().next().unwrap().value, [2; BATCH]);
    // Only for that reader: others, and those who ask for more, are read for when they ask.
    let larger = machine.wait(orders.fetch(3, 2 * BATCH));
    assert!(matches!(larger, Err(Error::Io { .. })), "{larger:?}");
}

#[test]
fn damage_that_is_read_ahead_is_found_by_whoever_gets_there() {
    let (machine, orders) = scene(Retention::forever());
    let file = machine.segments().remove(0);
    let third = 2 * (120 + BATCH) + 500;
    let byte = machine.fs.contents(&file).unwrap()[third];
    machine.fs.rot(&file, third, &[!byte]);
    go_on(&machine, &orders);
    assert_eq!(orders.status(), Status::Healthy);
    let found = fetch(&machine, &orders, 2);
    assert!(matches!(found, Err(Error::Damaged { .. })), "{found:?}");
}

#[test]
fn what_has_expired_is_gone_although_it_was_read_ahead() {
    let (machine, orders) = scene(Retention::forever().age(HOUR));
    go_on(&machine, &orders);
    machine.pass(10 * HOUR);
    assert!(orders.start() > 2, "{}", orders.start());
    let found = fetch(&machine, &orders, 2);
    assert!(matches!(found, Err(Error::OutOfRange { .. })), "{found:?}");
}

#[test]
fn reader_that_was_at_the_end_finds_what_came_since() {
    let (machine, orders) = scene(Retention::forever());
    let end = orders.visible_end();
    for from in 0..end {
        fetch(&machine, &orders, from).unwrap();
    }
    machine.steps.settle();
    let late = machine.append(&orders, b"late").offsets.start;
    machine.flush();
    machine.steps.settle();
    let fetched = fetch(&machine, &orders, late).unwrap();
    assert_eq!(fetched.records().next().unwrap().value, b"late");
}

#[test]
fn what_compaction_took_away_is_not_given_out_although_it_was_read_ahead() {
    let machine = Machine::new();
    let day = 24 * HOUR;
    let options = TopicOptions::new().retention(Retention::forever().tombstones(day));
    let customers = machine.made("customers", options).remove(0);
    let append = |record: &Record<'_>| {
        let mut batch = Batch::new();
        batch.push(record).unwrap();
        machine.wait(customers.append(batch)).unwrap();
    };
    let put = |key| Record {
        key: Some(key),
        ..Record::of(&[7; BATCH])
    };
    for key in [&b"a"[..], b"b", b"gone", b"c"] {
        append(&put(key));
    }
    machine.flush();
    // Somebody reads the first two, and the third is read ahead.
    go_on(&machine, &customers);
    append(&Record::tombstone(b"gone"));
    for _ in 0..20 {
        (0..20).for_each(|_| append(&put(b"other")));
        machine.pass(day);
    }
    // Another reader of the same kind.
    let (mut keys, mut from) = (Vec::new(), 0);
    while from < customers.visible_end() {
        let fetched = fetch(&machine, &customers, from).unwrap();
        keys.extend(fetched.records().map(|it| it.key.unwrap().to_vec()));
        from = fetched.next;
    }
    assert_eq!(keys[..3], [b"a", b"b", b"c"]);
    assert!(!keys.contains(&b"gone".to_vec()));
}

#[test]
fn whoever_only_looks_when_something_was_appended_is_not_read_ahead_for() {
    let (machine, orders) = scene(Retention::forever());
    for from in 0..2 {
        fetch(&machine, &orders, from).unwrap();
        // Where the positions of many groups stand is looked at all the time.
        for offset in (0..20).step_by(2) {
            machine.wait(orders.append_time_at(offset)).unwrap();
        }
    }
    machine.steps.settle();
    machine.fs.inject(Fault::ReadError, When::Always);
    assert_eq!(fetch(&machine, &orders, 2).unwrap().next, 3);
}
