//! When appends are answered, and what a power cut takes then.

use levada_log::{Acks, Log, TopicOptions};
use levada_testkit::vfs::{Fault, Keep, When};

use crate::{machine::Machine, support::batch};

fn topic(acks: Acks) -> TopicOptions {
    TopicOptions::new().acks(acks)
}

/// A machine whose journal does not come to its end, where it is synced.
fn long_journal() -> Machine {
    Machine::with(|options| options.journal_bytes(1 << 20))
}

#[test]
fn what_is_only_written_survives_a_kill_but_not_a_power_cut() {
    let machine = Machine::new();
    let clicks = machine.made("clicks", topic(Acks::Written)).remove(0);
    machine.append(&clicks, b"first");
    assert_eq!(
        machine.values(&clicks),
        ["first"],
        "it is visible once it is acknowledged"
    );

    let killed = machine.killed();
    assert_eq!(killed.values(&killed.found("clicks", 0)), ["first"]);
    let cut = machine.power_cut(Keep::Nothing);
    assert!(cut.values(&cut.found("clicks", 0)).is_empty());
}

#[test]
fn durable_append_makes_durable_what_was_written_before_it() {
    let machine = Machine::new();
    let clicks = machine.made("clicks", topic(Acks::Written)).remove(0);
    let orders = machine.made("orders", topic(Acks::Durable)).remove(0);
    machine.append(&clicks, b"first");
    machine.append(&orders, b"tea");
    machine.append(&clicks, b"second");

    let cut = machine.power_cut(Keep::Nothing);
    assert_eq!(cut.values(&cut.found("orders", 0)), ["tea"]);
    assert_eq!(cut.values(&cut.found("clicks", 0)), ["first"]);
}

#[test]
fn offsets_that_a_power_cut_took_are_not_given_again() {
    for acks in [Acks::Written, Acks::None] {
        let machine = long_journal();
        let clicks = machine.made("clicks", topic(acks)).remove(0);
        let appended: Vec<_> = (0..10)
            .map(|n| machine.append(&clicks, format!("before {n}").as_bytes()))
            .collect();
        let last = &appended[9].offsets;
        machine.rest();
        assert_eq!(machine.values(&clicks).len(), 10, "somebody read them all");

        let cut = machine.power_cut(Keep::Nothing);
        let clicks = cut.found("clicks", 0);
        let after = cut.append(&clicks, b"after");
        assert!(after.offsets.start >= last.end, "{after:?}");
        cut.rest();
        assert_eq!(cut.values(&clicks), ["after"]);
    }
}

#[test]
fn after_any_power_cut_a_prefix_is_left_of_what_was_only_written() {
    let keeps = [
        Keep::Any,
        Keep::Everything,
        Keep::LastWrites,
        Keep::Zeros,
        Keep::Garbage,
    ];
    for (keep, rounds) in keeps
        .into_iter()
        .flat_map(|keep| (1..6).map(move |n| (keep, n)))
    {
        let machine = Machine::new();
        let clicks = machine.made("clicks", topic(Acks::Written)).remove(0);
        let orders = machine.made("orders", topic(Acks::Durable)).remove(0);
        machine.append(&orders, b"tea");
        let sent: Vec<_> = (0..rounds).map(|n| format!("click {n}")).collect();
        for value in &sent {
            machine.append(&clicks, value.as_bytes());
        }
        let cut = machine.power_cut(keep);
        let left = cut.values(&cut.found("clicks", 0));
        assert!(sent.starts_with(&left), "{keep:?}: {left:?}");
        assert_eq!(cut.values(&cut.found("orders", 0)), ["tea"], "{keep:?}");
    }
}

#[test]
fn damage_to_what_a_later_sync_made_durable_is_not_cut() {
    let machine = long_journal();
    let clicks = machine.made("clicks", topic(Acks::Written)).remove(0);
    let orders = machine.made("orders", topic(Acks::Durable)).remove(0);
    machine.append(&clicks, b"a click");
    machine.append(&orders, b"tea");
    machine.append(&orders, b"jam");
    let journal = machine
        .fs
        .files()
        .into_iter()
        .find(|file| file.starts_with("/data/journal"));
    let journal = journal.unwrap();
    let bytes = machine.fs.contents(&journal).unwrap();
    let at = bytes
        .windows(7)
        .position(|window| window == b"a click")
        .unwrap();
    machine.fs.rot(&journal, at, b"A");

    let killed = machine.killed();
    let clicks = killed.found("clicks", 0);
    assert!(matches!(clicks.status(), levada_log::Status::Failed { .. }));
    assert_eq!(killed.values(&killed.found("orders", 0)), ["tea", "jam"]);
}

#[test]
fn none_is_answered_before_it_is_written_and_read_after() {
    let machine = Machine::new();
    let logs = machine.made("logs", topic(Acks::None)).remove(0);
    let appended = logs.append(batch(&[b"line"])).wait().unwrap();
    assert_eq!((appended.offsets, logs.visible_end()), (0..1, 0));
    machine.rest();
    assert_eq!(machine.values(&logs), ["line"]);

    // It fails after it was answered: nobody is told, and the log has stopped.
    logs.append(batch(&[b"lost"])).wait().unwrap();
    machine.fs.inject(Fault::SyncFailed, When::Always);
    let orders = machine.log.create_topic("orders", TopicOptions::new());
    machine.wait(orders).map(drop).unwrap_err();
    assert_eq!(logs.visible_end(), 1);
}

#[test]
fn only_what_is_durable_costs_a_sync() {
    let machine = long_journal();
    let clicks = machine.made("clicks", topic(Acks::Written)).remove(0);
    machine.rest();
    // Whatever syncs from here on kills the log.
    machine.fs.inject(Fault::SyncFailed, When::Always);
    for n in 0..5 {
        machine.append(&clicks, n.to_string().as_bytes());
    }
    assert_eq!(machine.values(&clicks).len(), 5);
    machine
        .wait(
            machine
                .log
                .group("readers")
                .unwrap()
                .commit(&[(&clicks, 5)]),
        )
        .unwrap_err();
}

#[test]
fn clean_stop_leaves_no_gap_and_no_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    let clicks = log
        .create_topic("clicks", topic(Acks::Written))
        .wait()
        .unwrap();
    clicks
        .partition(0)
        .unwrap()
        .append(batch(&[b"first"]))
        .wait()
        .unwrap();
    log.close().wait().unwrap();

    let log = Log::open(folder.path()).unwrap();
    let clicks = log.topic("clicks").unwrap().partition(0).unwrap();
    assert_eq!(
        clicks.append(batch(&[b"second"])).wait().unwrap().offsets,
        1..2
    );
}
