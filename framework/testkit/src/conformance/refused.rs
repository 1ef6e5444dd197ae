//! What every backend refuses, so that a program that runs on one runs on another.

use std::collections::BTreeMap;

use futures::executor::block_on;
use levada_core::{
    Timestamp,
    backend::{Batch, NewRecord},
};
use levada_log::{MAX_BATCH_BYTES, MAX_HEADERS, MAX_KEY_BYTES, MAX_PARTITIONS, MAX_RECORD_BYTES};

use super::{Make, append, batch_of, one_partition, read_all, spec};

pub(super) fn numbers_of_partitions_that_cannot_be(make: Make<'_>) {
    let backend = make();
    for (partitions, says) in [
        (0, "a topic has at least one partition"),
        (MAX_PARTITIONS + 1, "of 10001 is above the limit of 10000"),
        (u32::MAX, "is above the limit of 10000"),
    ] {
        let refused = backend.create_topic("orders", &spec(partitions)).map(drop);
        let said = refused.expect_err("it cannot be").to_string();
        assert!(said.contains(says), "{said}");
    }
}

pub(super) fn bad_names(make: Make<'_>) {
    let backend = make();
    for name in [
        "",
        ".",
        "..",
        "a/../b",
        "a\0b",
        "%2e%2e",
        "-x",
        "CON",
        "ordërs",
        &"x".repeat(300),
    ] {
        assert!(
            backend.create_topic(name, &spec(1)).is_err(),
            "{name:?} was taken"
        );
    }
}

pub(super) fn records_above_a_limit(make: Make<'_>) {
    let (_backend, partition) = one_partition(make);
    let bytes = vec![b'x'; MAX_RECORD_BYTES + 1];
    let headers = vec![("h", &b""[..]); MAX_HEADERS + 1];
    let record = NewRecord {
        key: None,
        value: b"",
        event_time: Timestamp::MIN,
        headers: &[],
    };
    let of_value = |len| NewRecord {
        value: &bytes[..len],
        ..record
    };
    let of_key = |len| NewRecord {
        key: Some(&bytes[..len]),
        ..record
    };
    let of_headers = |count| NewRecord {
        headers: &headers[..count],
        ..record
    };
    for (taken, (at_limit, above, says)) in [
        (
            of_value(MAX_RECORD_BYTES),
            of_value(MAX_RECORD_BYTES + 1),
            "record size of 1048577 is above the limit of 1048576",
        ),
        (
            of_key(MAX_KEY_BYTES),
            of_key(MAX_KEY_BYTES + 1),
            "key size of 65537 is above the limit of 65536",
        ),
        (
            of_headers(MAX_HEADERS),
            of_headers(MAX_HEADERS + 1),
            "number of headers of 257 is above the limit of 256",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut batch = batch_of(&["before"]);
        batch.push(above);
        let refused = block_on(partition.append(batch)).expect_err("it is above the limit");
        assert_eq!(refused.to_string(), says);
        assert_eq!(
            read_all(&*partition, 0).len(),
            taken,
            "a batch is refused whole"
        );

        let mut batch = Batch::default();
        batch.push(at_limit);
        append(&*partition, batch);
    }
}

pub(super) fn batches_above_their_limit(make: Make<'_>) {
    let (_backend, partition) = one_partition(make);
    let value = "x".repeat(MAX_RECORD_BYTES);
    let batch = batch_of(&vec![&*value; MAX_BATCH_BYTES / MAX_RECORD_BYTES]);
    let refused = block_on(partition.append(batch)).expect_err("records are not all of a batch");
    let said = refused.to_string();
    assert!(said.starts_with("batch size of ") && said.ends_with(" above the limit of 16777216"));
    assert!(read_all(&*partition, 0).is_empty());
}

pub(super) fn positions_that_name_no_record(make: Make<'_>) {
    let (backend, partition) = one_partition(make);
    append(&*partition, batch_of(&["a", "b", "c"]));
    let end = partition.ends().visible;
    let at = |topic: &str, partition, offset| (topic.to_owned(), partition, offset);
    let good = at("orders", 0, end);
    for (bad, says) in [
        (
            at("absent", 0, 0),
            "there is no topic `absent`: create it first",
        ),
        (
            at("orders", 1, 0),
            "topic `orders` has no partition 1: it has 1",
        ),
        (at("orders", 0, end + 1), "group `readers` cannot stand at "),
    ] {
        let refused = block_on(backend.commit("readers", vec![good.clone(), bad]));
        let said = refused.expect_err("one of them is not there").to_string();
        assert!(said.starts_with(says), "{said}");
    }
    let many = vec![good.clone(); MAX_PARTITIONS as usize + 1];
    let refused = block_on(backend.commit("readers", many)).expect_err("they are too many");
    let says = "number of positions of 10001 is above the limit of 10000";
    assert_eq!(refused.to_string(), says);

    let positions = |topic| backend.positions("readers", topic);
    assert_eq!(positions("orders").expect("it is there"), BTreeMap::new());
    assert!(
        positions("absent").is_err(),
        "no group has positions in no topic"
    );
    block_on(backend.commit("readers", vec![good])).expect("all was read");
    assert_eq!(
        positions("orders").expect("it is there"),
        BTreeMap::from([(0, end)])
    );
}
