//! Transactions: all or nothing, for readers of committed records.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Wake, Waker},
    time::Duration,
};

use levada_log::{Acks, Error, Partition, Ticket, TopicOptions, Transaction};
use levada_testkit::vfs::{Fault, Keep, When};

use crate::{machine::Machine, support::batch};

const TIMEOUT: Duration = Duration::from_mins(1);

/// A machine, and the two partitions of a topic.
fn scene() -> (Machine, [Partition; 2]) {
    let machine = Machine::new();
    let partitions = orders(&machine);
    (machine, partitions)
}

fn orders(machine: &Machine) -> [Partition; 2] {
    let topic = TopicOptions::new().partitions(2);
    machine.made("orders", topic).try_into().unwrap()
}

/// Appends a record to an open transaction.
fn add(machine: &Machine, open: &Transaction<'_>, partition: &Partition, value: &[u8]) {
    machine
        .wait(open.append(partition, batch(&[value])))
        .unwrap();
}

#[test]
fn committed_transaction_is_seen_in_all_partitions_and_after_a_power_cut() {
    for acks in [Acks::Durable, Acks::Written, Acks::None] {
        let machine = Machine::new();
        let options = TopicOptions::new().partitions(2).acks(acks);
        let [left, right] = machine.made("orders", options).try_into().unwrap();
        let mut shop = machine.producer("shop");
        let sale = shop.begin().unwrap();
        drop(sale.append(&left, batch(&[b"tea"])));
        drop(sale.append(&right, batch(&[b"jam"])));
        machine.rest();
        assert_eq!((left.visible_end(), right.visible_end()), (0, 0));
        assert_eq!(machine.uncommitted(&left), ["tea"]);
        machine.wait(sale.commit()).unwrap();
        assert_eq!((left.visible_end(), right.visible_end()), (1, 1));

        let machine = machine.power_cut(Keep::Nothing);
        for (number, value) in [(0, "tea"), (1, "jam")] {
            assert_eq!(
                machine.values(&machine.found("orders", number)),
                [value],
                "{acks:?}"
            );
        }
    }
}

#[test]
fn aborted_records_are_never_seen_in_memory_in_segments_or_after_a_restart() {
    let (machine, [left, _]) = scene();
    let mut shop = machine.producer("shop");
    for round in 0..6 {
        let transaction = shop.begin().unwrap();
        add(&machine, &transaction, &left, format!("{round}").as_bytes());
        machine.append(&left, b"outside");
        add(&machine, &transaction, &left, b"and more");
        if round % 2 == 0 {
            machine.wait(transaction.commit()).unwrap();
        } else {
            machine.wait(transaction.abort()).unwrap();
        }
    }
    let committed = machine.values(&left);
    let of = |round: &str| [round, "outside", "and more"].map(str::to_owned);
    let lone = || ["outside".to_owned()];
    let expected = [&of("0")[..], &lone(), &of("2"), &lone(), &of("4"), &lone()].concat();
    assert_eq!(committed, expected);
    assert_eq!(machine.uncommitted(&left).len(), 18);
    machine.flush();
    assert_eq!(machine.values(&left), expected, "from segments");
    let machine = machine.power_cut(Keep::Nothing);
    let left = machine.found("orders", 0);
    assert_eq!(machine.values(&left), expected);
    assert_eq!(machine.uncommitted(&left).len(), 18);
}

#[test]
fn whole_segments_of_aborted_records_are_passed_over() {
    let (machine, [left, _]) = scene();
    let mut shop = machine.producer("shop");
    let transaction = shop.begin().unwrap();
    for _ in 0..8 {
        add(&machine, &transaction, &left, &[b'x'; 5 << 10]);
    }
    machine.wait(transaction.abort()).unwrap();
    machine.append(&left, b"behind");
    machine.flush();
    assert_eq!(machine.committed(&left), [(8, "behind".to_owned())]);

    let nothing = machine.wait(left.fetch(9, 1000)).unwrap();
    assert_eq!((nothing.batches.len(), nothing.next), (0, 9));
}

#[test]
fn open_transaction_holds_back_what_is_behind_it_and_nothing_before() {
    let (machine, [left, right]) = scene();
    machine.append(&left, b"before");
    let (mut one, mut other) = (machine.producer("one"), machine.producer("other"));
    let (first, second) = (one.begin().unwrap(), other.begin().unwrap());
    add(&machine, &first, &left, b"first");
    add(&machine, &second, &left, b"second");
    machine.append(&left, b"behind");
    assert_eq!(machine.values(&left), ["before"]);
    machine.flush();
    assert_eq!(machine.values(&left), ["before"], "also in segments");
    machine.wait(second.commit()).unwrap();
    assert_eq!(machine.values(&left), ["before"], "the first is open still");
    machine.wait(first.commit()).unwrap();
    assert_eq!(
        machine.values(&left),
        ["before", "first", "second", "behind"]
    );
    assert!(machine.values(&right).is_empty());
}

#[test]
fn transaction_that_is_open_at_a_crash_is_aborted() {
    for flushed in [false, true] {
        let (machine, [left, right]) = scene();
        let mut shop = machine.producer("shop");
        let sale = shop.begin().unwrap();
        add(&machine, &sale, &left, b"tea");
        if flushed {
            machine.flush();
        }
        add(&machine, &sale, &right, b"jam");
        machine.append(&left, b"behind");

        // Twice: the first start writes down that it is aborted.
        let machine = machine.power_cut(Keep::Everything).power_cut(Keep::Nothing);
        assert_eq!(machine.values(&machine.found("orders", 0)), ["behind"]);
        let right = machine.found("orders", 1);
        assert!(machine.values(&right).is_empty());
        assert_eq!(machine.uncommitted(&right), ["jam"]);
        let mut shop = machine.producer("shop");
        let sale = shop.begin().unwrap();
        add(&machine, &sale, &right, b"oil");
        machine.wait(sale.commit()).unwrap();
        assert_eq!(machine.values(&right), ["oil"]);
    }
}

#[test]
fn transaction_that_is_open_for_too_long_is_aborted() {
    let machine = Machine::with(|options| options.transaction_timeout(TIMEOUT));
    let [left, _] = orders(&machine);
    let mut shop = machine.producer("shop");
    let sale = shop.begin().unwrap();
    add(&machine, &sale, &left, b"tea");
    machine.append(&left, b"behind");
    machine.clock.advance(Duration::from_millis(59_999));
    machine.rest();
    assert_eq!(left.visible_end(), 0);
    machine.clock.advance(Duration::from_millis(1));
    machine.rest();
    assert_eq!(machine.values(&left), ["behind"]);
    let late = machine.wait(sale.append(&left, batch(&[b"late"])));
    assert!(matches!(late, Err(Error::TransactionFailed { .. })));
    let said = machine.wait(sale.commit()).unwrap_err().to_string();
    assert!(said.contains("it was open for 60s"), "{said}");
    let next = shop.begin().unwrap();
    add(&machine, &next, &left, b"again");
    machine.wait(next.commit()).unwrap();
    assert_eq!(machine.values(&left), ["behind", "again"]);
}

#[test]
fn zombie_cannot_touch_the_next_transaction_of_its_name() {
    let (machine, [left, _]) = scene();
    let mut zombie = machine.producer("shop");
    let old = zombie.begin().unwrap();
    add(&machine, &old, &left, b"old");
    let mut shop = machine.producer("shop");
    let new = shop.begin().unwrap();
    add(&machine, &new, &left, b"new");
    let late = machine.wait(old.append(&left, batch(&[b"late"])));
    assert!(matches!(late, Err(Error::ProducerFenced { .. })));
    assert!(matches!(
        machine.wait(old.commit()),
        Err(Error::ProducerFenced { .. })
    ));
    assert_eq!(
        left.visible_end(),
        1,
        "the old one is aborted, the new one open"
    );
    machine.wait(new.commit()).unwrap();
    assert_eq!(machine.values(&left), ["new"]);
    assert_eq!(machine.uncommitted(&left), ["old", "new"]);
}

#[test]
fn dropped_transaction_is_aborted() {
    let (machine, [left, _]) = scene();
    let mut shop = machine.producer("shop");
    let sale = shop.begin().unwrap();
    add(&machine, &sale, &left, b"tea");
    drop(sale);
    machine.rest();
    assert_eq!((left.visible_end(), machine.values(&left).len()), (1, 0));
}

#[test]
fn transaction_that_lost_an_append_cannot_be_committed() {
    let (machine, [left, right]) = scene();
    let mut shop = machine.producer("shop");
    let sale = shop.begin().unwrap();
    add(&machine, &sale, &left, b"tea");
    machine.rest();
    machine.fs.set_room(Some(0));
    let refused = machine.wait(sale.append(&right, batch(&[&[b'x'; 9 << 10]])));
    assert!(matches!(refused, Err(Error::NoSpace { .. })));
    machine.fs.set_room(None);
    let said = machine.wait(sale.commit()).unwrap_err();
    assert!(matches!(said, Error::TransactionFailed { .. }), "{said}");
    machine.rest();
    assert_eq!((left.visible_end(), machine.values(&left).len()), (1, 0));
}

/// Commits a transaction when it is first woken: in the middle of whatever the log is doing then.
struct CommitsWhenWoken {
    open: Mutex<Option<Transaction<'static>>>,
    committed: Mutex<Option<Ticket<()>>>,
}

impl Wake for CommitsWhenWoken {
    fn wake(self: Arc<Self>) {
        if let Some(open) = self.open.lock().unwrap().take() {
            *self.committed.lock().unwrap() = Some(open.commit());
        }
    }
}

#[test]
fn commit_in_the_middle_of_refusals_is_told_that_an_append_was_lost() {
    let (machine, [left, right]) = scene();
    let shop = Box::leak(Box::new(machine.producer("shop")));
    let sale = shop.begin().unwrap();
    add(&machine, &sale, &left, b"tea");
    machine.rest();
    machine.fs.set_room(Some(0));
    let mut filler = left.append(batch(&[&[b'x'; 9 << 10]]));
    let lost = sale.append(&right, batch(&[b"jam"]));
    let commits = Arc::new(CommitsWhenWoken {
        open: Mutex::new(Some(sale)),
        committed: Mutex::default(),
    });
    let waker = Waker::from(Arc::clone(&commits));
    let polled = Pin::new(&mut filler).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    // The filler is refused, and wakes; then the append is.
    assert!(matches!(machine.wait(lost), Err(Error::NoSpace { .. })));
    machine.fs.set_room(None);
    let commit = commits.committed.lock().unwrap().take();
    let said = machine.wait(commit.expect("it was woken")).unwrap_err();
    assert!(matches!(said, Error::TransactionFailed { .. }), "{said}");
    assert_eq!((left.visible_end(), machine.values(&left).len()), (1, 0));
}

#[test]
fn end_that_a_full_disk_refused_is_an_abort_once_there_is_room() {
    let (machine, [left, _]) = scene();
    let mut shop = machine.producer("shop");
    let sale = shop.begin().unwrap();
    add(&machine, &sale, &left, b"tea");
    machine.rest();
    machine.fs.set_room(Some(0));
    // Another append fills what the journal's file has left.
    let filler = left.append(batch(&[&[b'x'; 9 << 10]]));
    let commit = sale.commit();
    assert!(matches!(machine.wait(filler), Err(Error::NoSpace { .. })));
    assert!(matches!(machine.wait(commit), Err(Error::NoSpace { .. })));
    assert_eq!(
        left.visible_end(),
        0,
        "it is open, and nobody can commit it"
    );
    for _ in 0..3 {
        machine.clock.advance(Duration::from_secs(1));
        machine.rest();
    }
    machine.fs.set_room(None);
    machine.clock.advance(Duration::from_secs(1));
    machine.rest();
    assert_eq!((left.visible_end(), machine.values(&left).len()), (1, 0));
}

#[test]
fn next_transaction_does_not_overtake_an_abort_that_a_full_disk_refused() {
    for reopened in [false, true] {
        let (machine, [left, _]) = scene();
        let mut shop = machine.producer("shop");
        let sale = shop.begin().unwrap();
        add(&machine, &sale, &left, b"tea");
        machine.rest();
        machine.fs.set_room(Some(0));
        let filler = left.append(batch(&[&[b'x'; 9 << 10]]));
        let abort = sale.abort();
        machine.wait(filler).unwrap_err();
        machine.wait(abort).unwrap_err();
        machine.fs.set_room(None);
        if reopened {
            shop = machine.producer("shop");
        }
        let next = shop.begin().unwrap();
        add(&machine, &next, &left, b"jam");
        machine.wait(next.commit()).unwrap();
        assert_eq!(machine.values(&left), ["jam"]);
        let machine = machine.power_cut(Keep::Nothing);
        assert_eq!(machine.values(&machine.found("orders", 0)), ["jam"]);
    }
}

#[test]
fn positions_move_with_a_commit_and_with_nothing_else() {
    let (machine, [left, right]) = scene();
    machine.wait(left.append(batch(&[b"tea", b"jam"]))).unwrap();
    let group = machine.log.group("shop").unwrap();
    let mut shop = machine.producer("shop");
    let beyond = shop.begin().unwrap().commit_with(&group, &[(&left, 3)]);
    assert!(matches!(machine.wait(beyond), Err(Error::BeyondEnd { .. })));
    let sale = shop.begin().unwrap();
    add(&machine, &sale, &right, b"TEA");
    assert_eq!(group.position(&left), None);
    machine
        .wait(sale.commit_with(&group, &[(&left, 1)]))
        .unwrap();
    assert_eq!(group.position(&left), Some(1));

    let machine = machine.power_cut(Keep::Nothing);
    let (left, right) = (machine.found("orders", 0), machine.found("orders", 1));
    assert_eq!(machine.log.group("shop").unwrap().position(&left), Some(1));
    assert_eq!(machine.values(&right), ["TEA"]);
}

#[test]
fn end_of_a_transaction_is_there_whole_or_not_at_all_wherever_the_power_is_cut() {
    let mut times = [0; 2];
    for calls in 0.. {
        let (machine, [left, right]) = scene();
        let group = machine.log.group("shop").unwrap();
        let mut shop = machine.producer("shop");
        let sale = shop.begin().unwrap();
        add(&machine, &sale, &left, b"tea");
        add(&machine, &sale, &right, b"jam");
        machine.append(&right, b"next");
        machine.fs.inject(Fault::Crash, When::After(calls));
        let ended = machine.wait(sale.commit_with(&group, &[(&left, 0)]));
        let is_shown = group.position(&left).is_some() || right.visible_end() > 0;
        for keep in [Keep::Nothing, Keep::Everything] {
            let machine = machine.power_cut(keep);
            let [left, right] = [0, 1].map(|it| machine.found("orders", it));
            let group = machine.log.group("shop").unwrap();
            let found = [left.clone(), right].map(|it| machine.values(&it).join(", "));
            let found = found.join("; ");
            let is_there = group.position(&left).is_some();
            let expected = if is_there { "tea; jam, next" } else { "; next" };
            assert_eq!(found, expected, "after {calls} calls, {keep:?}");
            assert!(
                is_there || !is_shown && ended.is_err(),
                "after {calls} calls"
            );
            times[usize::from(is_there)] += 1;
        }
        if ended.is_ok() {
            break;
        }
    }
    assert!(times.iter().all(|times| *times > 2), "{times:?}");
}

#[test]
fn sealed_topic_ends_when_its_last_transaction_has() {
    let machine = Machine::new();
    let topic = machine
        .wait(machine.log.create_topic("orders", TopicOptions::new()))
        .unwrap();
    let orders = topic.partition(0).unwrap();
    let mut shop = machine.producer("shop");
    let sale = shop.begin().unwrap();
    add(&machine, &sale, &orders, b"tea");
    machine.wait(topic.seal()).unwrap();
    assert_eq!((orders.sealed_at(), orders.visible_end()), (None, 0));
    machine.wait(sale.commit()).unwrap();
    assert_eq!((orders.sealed_at(), orders.visible_end()), (Some(1), 1));
}

#[test]
fn hundreds_of_transactions_across_flushes_and_restarts_end_as_they_were_ended() {
    let (mut machine, _) = scene();
    let mut expected = Vec::new();
    for life in 0..4 {
        let mut producers: Vec<_> = ["a", "b", "c"].map(|name| machine.producer(name)).into();
        let (left, right) = (machine.found("orders", 0), machine.found("orders", 1));
        for round in 0..40 {
            let open: Vec<_> = producers.iter_mut().map(|p| p.begin().unwrap()).collect();
            for (number, transaction) in open.iter().enumerate() {
                let value = format!("{life}.{round}.{number} {}", "x".repeat(200));
                for partition in [&left, &right] {
                    add(&machine, transaction, partition, value.as_bytes());
                }
            }
            for (number, transaction) in open.into_iter().enumerate() {
                if (round + number) % 3 == 0 {
                    machine.wait(transaction.commit()).unwrap();
                    expected.push(format!("{life}.{round}.{number}"));
                } else {
                    machine.wait(transaction.abort()).unwrap();
                }
            }
        }
        drop(producers);
        machine = machine.power_cut(Keep::Any);
        for number in 0..2 {
            let found = machine.values(&machine.found("orders", number));
            let found: Vec<_> = found.iter().map(|v| v.split(' ').next().unwrap()).collect();
            assert_eq!(found, expected, "{life}");
        }
    }
}
