//! Where a partition ends, and where it only stops; and who waits for that, or for room.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
};

use futures::{FutureExt as _, executor::block_on};
use levada_core::backend::{BackendError, Ends, Partition};

use super::{Make, append, batch_of, one_partition, read_all};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What is said of what lies beyond `past`, without waiting.
fn look(partition: &dyn Partition, past: u64) -> Result<Ends, BackendError> {
    let looked = poll_fn(|cx| partition.poll_visible(past, cx)).now_or_never();
    looked.expect("a reader would wait on")
}

/// Registers for what comes beyond the end, lets `act` happen, and looks again.
fn woken_by(partition: &dyn Partition, act: impl FnOnce()) -> Result<Ends, BackendError> {
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let end = partition.ends().visible;
    let waits = partition.poll_visible(end, &mut Context::from_waker(&waker));
    assert!(waits.is_pending(), "nothing is there to wait for");
    act();
    let ends = look(partition, end);
    assert!(
        count.0.load(Ordering::SeqCst) > 0,
        "a reader that waited was not woken"
    );
    ends
}

pub(super) fn waiting_readers_are_woken(make: Make<'_>) {
    let (_backend, partition) = one_partition(make);
    let ends = woken_by(&*partition, || {
        append(&*partition, batch_of(&["x"]));
    });
    let ends = ends.expect("it is sound");
    assert!(ends.visible > 0 && !ends.sealed);
}

pub(super) fn waiting_readers_are_woken_by_a_seal(make: Make<'_>) {
    let (backend, partition) = one_partition(make);
    let topic = backend.topic("orders").expect("it was just made");
    let ends = woken_by(&*partition, || {
        block_on(topic.seal()).expect("it can be sealed");
    });
    assert!(ends.expect("it is sound").sealed);
}

pub(super) fn a_sealed_topic_takes_no_more(make: Make<'_>) {
    let (backend, partition) = one_partition(make);
    append(&*partition, batch_of(&["last"]));
    let topic = backend.topic("orders").expect("it was just made");
    block_on(topic.seal()).expect("it can be sealed");
    let end = partition.ends();
    assert!(end.sealed);
    let refused = block_on(partition.append(batch_of(&["late"])));
    assert!(matches!(refused, Err(BackendError::Sealed { .. })));
    assert_eq!(partition.ends(), end);
    assert_eq!(read_all(&*partition, 0).len(), 1);
    block_on(topic.seal()).expect("sealing again changes nothing");
}

pub(super) fn stopped_is_not_ended(make: Make<'_>) {
    let (backend, partition) = one_partition(make);
    append(&*partition, batch_of(&["a"]));
    let ended = backend.create_topic("ended", &super::spec(1));
    let ended = ended.expect("it is new");
    block_on(ended.seal()).expect("it can be sealed");

    let stopped = woken_by(&*partition, || backend.close());
    let said = stopped.expect_err("it was not sealed").to_string();
    assert!(said.starts_with("partition 0 of topic `orders` has stopped before its end"));
    assert!(!partition.ends().sealed);

    let visible = partition.ends().visible;
    let held = look(&*partition, visible - 1).expect("what is visible stays so");
    assert_eq!(held.visible, visible);
    let ends = look(&*ended.partition(0), 0).expect("it ended before");
    assert!(ends.sealed);

    let room = partition.poll_room(&mut Context::from_waker(Waker::noop()));
    assert!(
        room.is_ready(),
        "who waits for room is told that there is none"
    );
    assert!(block_on(partition.append(batch_of(&["late"]))).is_err());
}

/// More than any backend has on its way at once.
const MANY_BYTES: usize = 48 << 20;

pub(super) fn who_waits_for_room_is_never_refused_for_it(make: Make<'_>) {
    let (_backend, partition) = one_partition(make);
    let value = "x".repeat(256 << 10);
    let tickets: Vec<_> = (0..MANY_BYTES / value.len())
        .map(|_| {
            block_on(poll_fn(|cx| partition.poll_room(cx)));
            partition.append(batch_of(&[&value]))
        })
        .collect();
    for ticket in tickets {
        block_on(ticket).expect("there was room");
    }
}
