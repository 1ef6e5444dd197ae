//! No more is appended than a quota allows, and no less.

use std::{sync::Arc, task::Poll, time::Duration};

use levada_core::Clock;
use levada_log::{Error, Log, Topic, TopicOptions};

use levada_testkit::TestClock;

use crate::support::{answer, batch, made};

const MINUTE: Duration = Duration::from_mins(1);

/// Appends batches of a record of so many bytes to all partitions in turn, as fast as the log lets:
/// how many bytes in a minute.
fn in_a_minute(topic: &Topic, clock: &TestClock, size: usize) -> u64 {
    let (mut bytes, mut waiting) = (0, Vec::new());
    let one = batch(&[&vec![7; size]]);
    for number in (0..topic.partitions()).cycle() {
        let partition = topic.partition(number).unwrap();
        loop {
            let mut ticket = partition.append(one.clone());
            match answer(&mut ticket) {
                Poll::Ready(Err(Error::Throttled { wait, .. })) => clock.advance(wait),
                Poll::Ready(Err(Error::Busy { .. })) => {
                    // What waits to be written is not what is measured.
                    for ticket in waiting.drain(..) {
                        wait_for(ticket);
                    }
                }
                Poll::Ready(answer) => {
                    answer.unwrap();
                    break;
                }
                Poll::Pending => {
                    waiting.push(ticket);
                    break;
                }
            }
        }
        if clock.elapsed() >= MINUTE {
            break;
        }
        bytes += one.size() as u64;
    }
    waiting.into_iter().for_each(wait_for);
    bytes
}

fn wait_for<T>(ticket: levada_log::Ticket<T>) {
    drop(ticket.wait().unwrap());
}

#[test]
fn budget_of_all_holds_over_a_minute_whatever_the_sizes() {
    for (size, rate) in [(100, 32 << 10), (4_000, 64 << 10), (1 << 20, 1 << 20)] {
        let folder = tempfile::tempdir().unwrap();
        let clock = TestClock::default();
        let log = Log::options().clock(Arc::new(clock.clone()));
        let log = log.append_bytes_per_second(rate).open(folder.path());
        let topic = log
            .unwrap()
            .create_topic("orders", TopicOptions::new().partitions(3));
        let bytes = in_a_minute(&topic.wait().unwrap(), &clock, size);
        let off = bytes.abs_diff(60 * rate);
        assert!(
            off * 20 < 60 * rate,
            "{size} at {rate}: {bytes}, off by {off}"
        );
    }
}

#[test]
fn throttled_append_leaves_nothing_behind_and_says_when_to_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::default();
    let log = Log::options().clock(Arc::new(clock.clone()));
    let log = log.append_bytes_per_second(1_000).open(folder.path());
    let log = log.unwrap();
    let orders = made(&log, "orders");
    orders.append(batch(&[&[7; 500]])).wait().unwrap();
    let refused = orders.append(batch(&[&[8; 500]])).wait();
    let Err(Error::Throttled { wait, producer, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(producer, None);
    let said = Error::Throttled {
        producer,
        limit: 1_000,
        wait: Duration::from_millis(250),
    };
    let said = said.to_string();
    let sentence = "all producers together append more than 1000 bytes a second: append again in";
    assert_eq!(said, format!("{sentence} 250ms"));

    clock.advance(wait.checked_sub(Duration::from_nanos(1)).unwrap());
    assert!(orders.append(batch(&[&[8; 500]])).wait().is_err());
    clock.advance(Duration::from_nanos(1));
    let at = orders.append(batch(&[&[8; 500]])).wait().unwrap();
    assert_eq!((at.offsets, orders.visible_end()), (1..2, 2));
}

#[test]
fn append_that_is_refused_otherwise_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::options().clock(Arc::new(TestClock::default()));
    let log = log.append_bytes_per_second(1_000).open(folder.path());
    let log = log.unwrap();
    let (orders, sealed) = (made(&log, "orders"), made(&log, "sealed"));
    log.topic("sealed").unwrap().seal().wait().unwrap();
    for _ in 0..100 {
        let refused = sealed.append(batch(&[&[7; 700]])).wait();
        assert!(matches!(refused, Err(Error::Sealed { .. })));
    }
    orders.append(batch(&[&[7; 700]])).wait().unwrap();
}

#[test]
fn quota_of_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for options in [
        Log::options().append_bytes_per_second(0),
        Log::options().producer_bytes_per_second(0),
    ] {
        let refused = options.open(folder.path());
        assert!(matches!(refused, Err(Error::BadOption { .. })));
    }
    let log = Log::open(folder.path()).unwrap();
    assert!(matches!(
        log.set_quota("../x", Some(1)),
        Err(Error::BadName { .. })
    ));
}
