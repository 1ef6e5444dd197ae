//! Retention does not wait for a transaction that is open: readers who wait for its end then stand
//! at the start.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake},
    time::Duration,
};

use levada_log::{Error, Partition, Retention, Seek, Topic, TopicOptions, Transaction};

use crate::{
    machine::{Machine, START},
    support::batch,
};

/// A topic with a record.
fn scene() -> (Machine, Topic, Partition) {
    let machine = Machine::new();
    let topic = machine.topic("orders", TopicOptions::new());
    let orders = topic.partition(0).unwrap();
    machine.append(&orders, b"before");
    (machine, topic, orders)
}

/// Appends some kilobytes to an open transaction.
fn fill(machine: &Machine, orders: &Partition, open: &Transaction<'_>) {
    for _ in 0..60 {
        let appended = open.append(orders, batch(&[&[7; 1000]]));
        machine.wait(appended).unwrap();
    }
    machine.flush();
}

/// Keeps less than that from now on. The start then.
fn outlive(machine: &Machine, topic: &Topic) -> u64 {
    let less = Retention::forever().bytes(20 << 10);
    machine.wait(topic.set_retention(less)).unwrap();
    machine.pass(Duration::from_secs(10));
    let start = topic.partition(0).unwrap().start();
    assert!(start > 1);
    start
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn readers_of_an_open_transaction_that_retention_takes_from_stand_at_the_start() {
    let (machine, topic, orders) = scene();
    let mut shop = machine.producer("shop");
    let sale = shop.begin().unwrap();
    fill(&machine, &orders, &sale);
    let woken = Arc::new(Woken::default());
    let waker = Arc::clone(&woken).into();
    let context = Context::from_waker(&waker);
    assert_eq!(orders.poll_visible(&context, 1), Poll::Pending);

    let start = outlive(&machine, &topic);
    assert!(woken.0.load(Ordering::SeqCst), "what it waits for is gone");
    assert_eq!(orders.poll_visible(&context, 1), Poll::Ready(start));
    assert_eq!(orders.poll_visible(&context, start), Poll::Pending);
    assert_eq!(topic.describe().partitions[0].visible_end, start);
    let gone = machine.wait(orders.fetch(1, 1000));
    assert!(matches!(gone, Err(Error::OutOfRange { .. })), "{gone:?}");
    let nothing = machine.wait(orders.fetch(start, 1000)).unwrap();
    assert_eq!((nothing.batches.len(), nothing.next), (0, start));

    machine.wait(sale.commit()).unwrap();
    let left: Vec<u64> = (start..61).collect();
    assert_eq!(machine.offsets(&orders), left);
}

#[test]
fn groups_can_be_moved_where_retention_has_overtaken_an_open_transaction() {
    let (machine, topic, orders) = scene();
    let mut shop = machine.producer("shop");
    let sale = shop.begin().unwrap();
    fill(&machine, &orders, &sale);
    let start = outlive(&machine, &topic);
    let group = machine.log.group("shipping").unwrap();
    for seek in [
        Seek::Start,
        Seek::End,
        Seek::Offset(1),
        Seek::By(7),
        Seek::Time(START),
    ] {
        let plan = machine.wait(group.seek(&topic, seek)).unwrap();
        assert_eq!(plan.moves()[0].to, start);
    }
    machine.wait(group.commit(&[(&orders, start)])).unwrap();
    let beyond = machine.wait(group.commit(&[(&orders, start + 1)]));
    assert!(matches!(beyond, Err(Error::BeyondEnd { .. })));
    machine.wait(sale.abort()).unwrap();
    assert_eq!(orders.visible_end(), 61);
}
