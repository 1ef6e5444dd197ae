//! What every backend must do, as checks that a backend's tests call.
//!
//! Each check takes a way to make an empty backend, and panics where the backend breaks a promise
//! of `levada_core::backend`.
//!
//! # Examples
//!
//! ```
//! use std::sync::Arc;
//!
//! use levada_core::backend::Backend;
//! use levada_engine::backend::MemoryBackend;
//! use levada_testkit::{TestClock, conformance};
//!
//! let make = || -> Arc<dyn Backend> {
//!     Arc::new(MemoryBackend::new(Arc::new(TestClock::at(levada_core::Timestamp::default()))))
//! };
//! conformance::check(&make);
//!
//! // Or one by one, for a test each.
//! let (name, check) = conformance::CHECKS[0];
//! assert_eq!(name, "records_come_back_as_they_were_appended");
//! check(&make);
//! ```

mod ends;
mod refused;

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures::executor::block_on;
use levada_core::{
    Timestamp,
    backend::{Backend, BackendError, Batch, NewRecord, Partition, Position, TopicSpec},
    key::{Slots, murmur2},
};

/// A way to make an empty backend.
pub type Make<'a> = &'a dyn Fn() -> Arc<dyn Backend>;

/// One promise of a backend.
pub type Check = fn(Make<'_>);

/// Every check, by name.
pub const CHECKS: &[(&str, Check)] = &[
    (
        "records_come_back_as_they_were_appended",
        records_come_back_as_they_were_appended,
    ),
    (
        "batches_keep_the_order_of_their_appends",
        batches_keep_the_order_of_their_appends,
    ),
    (
        "an_empty_batch_changes_nothing",
        an_empty_batch_changes_nothing,
    ),
    (
        "a_fetch_stops_near_its_limit_and_says_where_to_go_on",
        a_fetch_stops_near_its_limit,
    ),
    ("append_times_never_go_back", append_times_never_go_back),
    (
        "waiting_readers_are_woken_by_an_append",
        ends::waiting_readers_are_woken,
    ),
    (
        "waiting_readers_are_woken_by_a_seal",
        ends::waiting_readers_are_woken_by_a_seal,
    ),
    (
        "a_sealed_topic_takes_no_more",
        ends::a_sealed_topic_takes_no_more,
    ),
    ("stopped_is_not_ended", ends::stopped_is_not_ended),
    (
        "who_waits_for_room_is_never_refused_for_it",
        ends::who_waits_for_room_is_never_refused_for_it,
    ),
    (
        "positions_belong_to_their_group",
        positions_belong_to_their_group,
    ),
    (
        "a_topic_is_opened_as_it_was_made",
        a_topic_is_opened_as_it_was_made,
    ),
    (
        "numbers_of_partitions_that_cannot_be_are_refused",
        refused::numbers_of_partitions_that_cannot_be,
    ),
    ("bad_names_are_refused", refused::bad_names),
    (
        "records_above_a_limit_are_refused_and_those_at_it_are_not",
        refused::records_above_a_limit,
    ),
    (
        "batches_above_their_limit_are_refused",
        refused::batches_above_their_limit,
    ),
    (
        "positions_that_name_no_record_are_refused_whole",
        refused::positions_that_name_no_record,
    ),
    (
        "keys_lie_where_kafka_puts_them",
        keys_lie_where_kafka_puts_them,
    ),
];

/// Runs every check.
///
/// # Panics
///
/// Where the backend breaks a promise.
pub fn check(make: Make<'_>) {
    for (_, run) in CHECKS {
        run(make);
    }
}

type Seen = (u64, Timestamp, Option<Vec<u8>>, Vec<u8>, Option<Vec<u8>>);

fn spec(partitions: u32) -> TopicSpec {
    TopicSpec {
        partitions,
        codec: "raw/1".to_owned(),
    }
}

fn one_partition(make: Make<'_>) -> (Arc<dyn Backend>, Arc<dyn Partition>) {
    let backend = make();
    let topic = backend
        .create_topic("orders", &spec(1))
        .expect("an empty backend takes a topic");
    let partition = topic.partition(0);
    (backend, partition)
}

fn batch_of(values: &[&str]) -> Batch {
    let mut batch = Batch::default();
    for value in values {
        let (key, event_time) = (None, Timestamp::MIN);
        batch.push(NewRecord {
            key,
            value: value.as_bytes(),
            event_time,
            headers: &[],
        });
    }
    batch
}

fn append(partition: &dyn Partition, batch: Batch) -> u64 {
    block_on(partition.append(batch)).expect("it is open and has room")
}

fn read_all(partition: &dyn Partition, from: u64) -> Vec<Seen> {
    let (mut seen, mut next) = (Vec::new(), from);
    while next < partition.ends().visible {
        let fetched = block_on(partition.fetch(next, 1 << 20)).expect("it is there");
        for batch in &fetched.batches {
            batch.each_from(next, &mut |record| {
                seen.push((
                    record.offset,
                    record.event_time,
                    record.key.map(<[u8]>::to_vec),
                    record.value.to_vec(),
                    record.headers.get("row").map(<[u8]>::to_vec),
                ));
                ControlFlow::Continue(())
            });
        }
        assert!(
            fetched.next > next,
            "a fetch below the visible end comes further"
        );
        next = fetched.next;
    }
    seen
}

fn records_come_back_as_they_were_appended(make: Make<'_>) {
    let (_backend, partition) = one_partition(make);
    let mut batch = Batch::default();
    let at = Timestamp::from_millis(-5);
    let headers: &[(&str, &[u8])] = &[("other", b"x"), ("row", b"17")];
    batch.push(NewRecord {
        key: Some(b"k"),
        value: b"v",
        event_time: at,
        headers,
    });
    batch.push(NewRecord {
        key: Some(b""),
        value: b"",
        event_time: Timestamp::MAX,
        headers: &[],
    });
    batch.push(NewRecord {
        key: None,
        value: b"w",
        event_time: Timestamp::MIN,
        headers: &[],
    });
    let first = append(&*partition, batch);
    let want = [
        (
            first,
            at,
            Some(b"k".to_vec()),
            b"v".to_vec(),
            Some(b"17".to_vec()),
        ),
        (
            first + 1,
            Timestamp::MAX,
            Some(Vec::new()),
            Vec::new(),
            None,
        ),
        (first + 2, Timestamp::MIN, None, b"w".to_vec(), None),
    ];
    assert_eq!(read_all(&*partition, 0), want);
    assert_eq!(read_all(&*partition, first + 1), want[1..]);
}

fn batches_keep_the_order_of_their_appends(make: Make<'_>) {
    let (_backend, partition) = one_partition(make);
    let tickets: Vec<_> = (0..100)
        .map(|n: u32| partition.append(batch_of(&[&n.to_string(), "-"])))
        .collect();
    let firsts: Vec<u64> = tickets
        .into_iter()
        .map(|t| block_on(t).expect("has room"))
        .collect();
    assert!(firsts.windows(2).all(|pair| pair[1] >= pair[0] + 2));
    let values: Vec<_> = read_all(&*partition, 0)
        .into_iter()
        .map(|seen| seen.3)
        .collect();
    let want: Vec<_> = (0..100)
        .flat_map(|n: u32| [n.to_string().into_bytes(), b"-".to_vec()])
        .collect();
    assert_eq!(values, want);
}

fn an_empty_batch_changes_nothing(make: Make<'_>) {
    let (_backend, partition) = one_partition(make);
    let first = append(&*partition, batch_of(&["a"]));
    let before = partition.ends();
    assert_eq!(append(&*partition, Batch::default()), before.visible);
    assert_eq!(partition.ends(), before);
    assert_eq!(read_all(&*partition, first).len(), 1);
}

fn a_fetch_stops_near_its_limit(make: Make<'_>) {
    let (_backend, partition) = one_partition(make);
    let large = "x".repeat(1000);
    for _ in 0..10 {
        append(&*partition, batch_of(&[&large]));
    }
    let fetched = block_on(partition.fetch(0, 1)).expect("it is there");
    assert_eq!(
        fetched.batches.len(),
        1,
        "at least one batch, and no more than asked for"
    );
    assert_eq!(fetched.next, fetched.batches[0].next_offset());
    let end = partition.ends().visible;
    let beyond = block_on(partition.fetch(end, 1 << 20)).expect("the end can be asked for");
    assert!(beyond.batches.is_empty() && beyond.next == end);
}

fn append_times_never_go_back(make: Make<'_>) {
    let (_backend, partition) = one_partition(make);
    for _ in 0..20 {
        append(&*partition, batch_of(&["x"]));
    }
    let fetched = block_on(partition.fetch(0, 1 << 20)).expect("it is there");
    let times: Vec<_> = fetched
        .batches
        .iter()
        .map(|batch| batch.append_time())
        .collect();
    assert!(times.is_sorted() && times[0] > Timestamp::MIN);
}

fn positions_belong_to_their_group(make: Make<'_>) {
    let (backend, partition) = one_partition(make);
    append(&*partition, batch_of(&["a", "b", "c"]));
    let positions = |group| backend.positions(group, "orders").expect("it can tell");
    assert_eq!(positions("fast"), BTreeMap::new());
    let commit = |group, at| block_on(backend.commit(group, vec![("orders".to_owned(), 0, at)]));
    commit("fast", 3).expect("the topic is there");
    commit("slow", 1).expect("the topic is there");
    assert_eq!(positions("fast"), BTreeMap::from([(0, 3)]));
    assert_eq!(positions("slow"), BTreeMap::from([(0, 1)]));
    let mut all = backend.all_positions();
    all.sort_unstable();
    let standing = [("fast", 3), ("slow", 1)].map(|(group, offset)| Position {
        group: group.to_owned(),
        topic: "orders".to_owned(),
        partition: 0,
        offset,
    });
    assert_eq!(all, standing);
}

fn a_topic_is_opened_as_it_was_made(make: Make<'_>) {
    let backend = make();
    let unknown = backend.topic("orders").map(drop);
    assert!(matches!(unknown, Err(BackendError::UnknownTopic { .. })));
    backend.create_topic("orders", &spec(4)).expect("it is new");
    let again = backend
        .create_topic("orders", &spec(4))
        .expect("it is the same");
    assert_eq!(again.spec(), spec(4));
    let other = backend.create_topic("orders", &spec(8)).map(drop);
    let said = other.expect_err("it has 4 partitions").to_string();
    assert!(
        said.contains("4 partitions") && said.contains("8 partitions"),
        "{said}"
    );
}

fn keys_lie_where_kafka_puts_them(make: Make<'_>) {
    let backend = make();
    let topic = backend
        .create_topic("orders", &spec(12))
        .expect("it is new");
    assert_eq!(topic.slots(), Slots::for_partitions(12));
    for n in 0..1000_u32 {
        let hash = murmur2(&n.to_be_bytes());
        assert_eq!(topic.slots().partition(hash), (hash & 0x7fff_ffff) % 12);
    }
    let pending = topic
        .partition(11)
        .poll_visible(0, &mut Context::from_waker(Waker::noop()));
    assert!(matches!(pending, Poll::Pending));
}
