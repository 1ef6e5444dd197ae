//! What was appended comes back.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use levada_core::Timestamp;
use levada_log::{Batch, Error, Log, MAX_RECORD_BYTES, Record, Ticket, TopicOptions};
use levada_testkit::TestClock;

use crate::support::{Steps, batch, found, made, read_all, small};

#[test]
fn records_come_back_across_many_segments_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..3_u64 {
        let log = small().open(folder.path()).unwrap();
        let orders = if round == 0 {
            made(&log, "orders")
        } else {
            found(&log, "orders")
        };
        let tickets: Vec<Ticket<_>> = (0..200_u64)
            .map(|i| {
                let value = vec![u8::try_from(i).unwrap(); 300];
                expected.push((round * 200 + i, value.clone()));
                orders.append(batch(&[&value]))
            })
            .collect();
        for (ticket, (offset, _)) in tickets.into_iter().zip(&expected[expected.len() - 200..]) {
            assert_eq!(ticket.wait().unwrap().offsets, *offset..*offset + 1);
        }
        assert_eq!(read_all(&orders, 0), expected);
        assert_eq!(read_all(&orders, 123), expected[123..]);
        assert_eq!(log.instance(), round + 1);
        log.close().wait().unwrap();
    }
    let log = small().open(folder.path()).unwrap();
    assert!(log.recovery().clean);
    assert_eq!(read_all(&found(&log, "orders"), 0), expected);
    assert!(crate::support::segments(folder.path()).len() > 10);
}

#[test]
fn log_that_is_dropped_without_closing_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let steps = Steps::default();
    let log = Log::options()
        .spawner(Arc::new(steps.clone()))
        .open(folder.path());
    let log = log.unwrap();
    let topic = steps
        .wait(log.create_topic("orders", TopicOptions::new()))
        .unwrap();
    let orders = topic.partition(0).unwrap();
    steps.wait(orders.append(batch(&[b"kept"]))).unwrap();
    let group = log.group("inventory").unwrap();
    steps.wait(group.commit(&[(&orders, 1)])).unwrap();
    let lost = orders.append(batch(&[b"never acknowledged"]));
    drop((log, topic, orders, group));
    steps.step();
    assert!(matches!(lost.wait(), Err(Error::Closed)));

    let log = Log::open(folder.path()).unwrap();
    assert!(!log.recovery().clean);
    assert_eq!(log.recovery().cut, None);
    assert_eq!(read_all(&found(&log, "orders"), 0), [(0, b"kept".to_vec())]);
}

#[test]
fn all_parts_of_a_record_come_back_from_memory_and_from_a_segment() {
    let folder = tempfile::tempdir().unwrap();
    let check = |orders: &levada_log::Partition| {
        let fetched = orders.fetch(0, 1 << 20).wait().unwrap();
        let record = fetched.records().next().unwrap();
        assert_eq!((record.key, record.value), (Some(&b"k"[..]), &b""[..]));
        assert_eq!(record.event_time, Timestamp::from_millis(-3));
        assert_eq!(record.headers.get("row"), Some(&b"17"[..]));
        assert_eq!(record.headers.get("other"), None);
        assert_eq!(
            orders.append_time_at(0).wait().unwrap(),
            Some(record.append_time)
        );
        assert_eq!(orders.append_time_at(1).wait().unwrap(), None);
    };
    let log = Log::open(folder.path()).unwrap();
    let orders = made(&log, "orders");
    let mut batch = Batch::new();
    let headers: &[(&str, &[u8])] = &[("row", b"17")];
    let event_time = Timestamp::from_millis(-3);
    batch
        .push(&Record {
            key: Some(b"k"),
            value: b"",
            headers,
            event_time,
            ..Record::default()
        })
        .unwrap();
    orders.append(batch).wait().unwrap();
    check(&orders);
    log.close().wait().unwrap();
    check(&found(&Log::open(folder.path()).unwrap(), "orders"));
}

#[test]
fn tombstone_comes_back_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    let customers = made(&log, "customers");
    let mut batch = Batch::new();
    let key = Some(&b"c7"[..]);
    batch
        .push(&Record {
            key,
            ..Record::of(b"")
        })
        .unwrap();
    batch.push(&Record::tombstone(b"c7")).unwrap();
    let keyless = Record {
        key: None,
        ..Record::tombstone(b"")
    };
    let refused = batch.push(&keyless);
    assert!(matches!(refused, Err(Error::BadTombstone { .. })));
    customers.append(batch).wait().unwrap();
    log.close().wait().unwrap();

    let log = Log::open(folder.path()).unwrap();
    let fetched = found(&log, "customers").fetch(0, 1 << 20).wait().unwrap();
    let seen: Vec<_> = fetched.records().map(|r| (r.key, r.tombstone)).collect();
    assert_eq!(seen, [(key, false), (key, true)]);
}

#[test]
fn nothing_is_visible_before_it_is_durable_and_waiting_readers_are_woken() {
    let folder = tempfile::tempdir().unwrap();
    let steps = Steps::default();
    let log = small()
        .spawner(Arc::new(steps.clone()))
        .open(folder.path())
        .unwrap();
    let topic = steps
        .wait(log.create_topic("orders", TopicOptions::new()))
        .unwrap();
    let orders = topic.partition(0).unwrap();
    let context = Context::from_waker(Waker::noop());

    let ticket = orders.append(batch(&[b"a", b"b"]));
    assert_eq!(orders.visible_end(), 0);
    assert_eq!(orders.poll_visible(&context, 0), Poll::Pending);
    assert!(orders.fetch(0, 100).wait().unwrap().batches.is_empty());
    steps.wait(ticket).unwrap();
    assert_eq!(orders.poll_visible(&context, 0), Poll::Ready(2));
    assert_eq!(orders.poll_visible(&context, 2), Poll::Pending);
    assert_eq!(orders.fetch(1, 100).wait().unwrap().next, 2);
}

#[test]
fn tasks_that_have_given_up_waiting_are_not_kept_for_good() {
    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    let orders = made(&log, "orders");
    let waiting: Vec<_> = (0..5000).map(|_| Arc::new(Woken::default())).collect();
    for woken in &waiting {
        for _ in 0..3 {
            let waker = Arc::clone(woken).into();
            let context = Context::from_waker(&waker);
            assert_eq!(orders.poll_visible(&context, 0), Poll::Pending);
        }
    }
    let is_kept = |woken: &&Arc<Woken>| Arc::strong_count(woken) > 1;
    let kept = waiting.iter().filter(is_kept).count();
    assert_eq!(kept, 1024);
    // Who goes on waiting is woken, to ask again.
    let is_woken = |woken: &Arc<Woken>| woken.0.load(Ordering::SeqCst);
    assert!(waiting[..5000 - kept].iter().all(is_woken));
    assert!(!waiting[5000 - kept..].iter().any(is_woken));
    orders.append(batch(&[b"tea"])).wait().unwrap();
    assert!(waiting.iter().all(is_woken));
}

#[test]
fn record_at_its_limit_is_taken_and_one_byte_more_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    let orders = made(&log, "orders");
    for (size, fits) in [
        (0, true),
        (1, true),
        (MAX_RECORD_BYTES, true),
        (MAX_RECORD_BYTES + 1, false),
    ] {
        let mut batch = Batch::new();
        let value = vec![7; size];
        assert_eq!(batch.push(&Record::of(&value)).is_ok(), fits, "{size}");
        orders.append(batch).wait().unwrap();
    }
    let mut batch = Batch::new();
    let many = vec![("h", &b""[..]); 1_000_000];
    assert!(matches!(
        batch.push(&Record {
            headers: &many,
            ..Record::of(b"")
        }),
        Err(Error::TooLarge { .. })
    ));
    let full = vec![0; MAX_RECORD_BYTES];
    let pushed = (0..100)
        .take_while(|_| batch.push(&Record::of(&full)).is_ok())
        .count();
    assert_eq!(
        pushed, 15,
        "a batch holds what fits into 16 MiB with its header"
    );
    assert_eq!(orders.append(batch).wait().unwrap().offsets, 3..18);
    assert_eq!(read_all(&orders, 0).len(), 18);
}

#[test]
fn queue_has_a_bound_and_says_when_there_is_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let steps = Steps::default();
    let log = Log::options()
        .queue_bytes(16 << 20)
        .spawner(Arc::new(steps.clone()));
    let log = log.open(folder.path()).unwrap();
    let topic = steps
        .wait(log.create_topic("orders", TopicOptions::new()))
        .unwrap();
    let orders = topic.partition(0).unwrap();
    let context = Context::from_waker(Waker::noop());
    let value = vec![0; 1 << 20];

    let mut tickets = Vec::new();
    let refused = loop {
        let mut ticket = orders.append(batch(&[&value]));
        match std::pin::Pin::new(&mut ticket).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => tickets.push(ticket),
            Poll::Ready(answer) => break answer,
        }
    };
    assert!(matches!(refused, Err(Error::Busy { .. })));
    assert_eq!(tickets.len(), 15);
    assert_eq!(orders.poll_room(&context), Poll::Pending);
    for ticket in tickets {
        steps.wait(ticket).unwrap();
    }
    assert_eq!(orders.poll_room(&context), Poll::Ready(()));
    assert_eq!(
        steps.wait(orders.append(batch(&[b"x"]))).unwrap().offsets,
        15..16
    );
}

#[test]
fn append_time_never_goes_back_though_the_clock_does() {
    let (folder, mut last) = (tempfile::tempdir().unwrap(), Timestamp::MIN);
    for _ in 0..2 {
        let clock = TestClock::at(Timestamp::from_millis(1000));
        let log = Log::options().clock(Arc::new(clock.clone()));
        let log = log.open(folder.path()).unwrap();
        let orders = log
            .topic("orders")
            .map_or_else(|_| made(&log, "orders"), |t| t.partition(0).unwrap());
        for millis in [3, 2, 1] {
            clock.set(Timestamp::from_millis(millis));
            let appended = orders.append(batch(&[b"x"])).wait().unwrap();
            assert!(appended.append_time >= last);
            last = appended.append_time;
        }
        log.close().wait().unwrap();
    }
}
