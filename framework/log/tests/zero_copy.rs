//! A fetched record lies in the fetched buffer, and reading one costs no allocation.

use levada_log::Log;

use crate::support::{batch, found, made};

#[test]
fn records_point_into_the_fetched_buffer() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    let orders = made(&log, "orders");
    for _ in 0..3 {
        orders
            .append(batch(&[b"some value", b"other value"]))
            .wait()
            .unwrap();
    }
    let check = |orders: &levada_log::Partition| {
        let fetched = orders.fetch(0, 1 << 20).wait().unwrap();
        assert_eq!(fetched.batches.len(), 3);
        for batch in &fetched.batches {
            let inside = batch.bytes().as_ptr_range();
            for record in batch.records() {
                let value = record.value.as_ptr_range();
                assert!(inside.start <= value.start && value.end <= inside.end);
                assert_eq!(batch.share(record.value).as_ptr(), record.value.as_ptr());
            }
        }
    };
    check(&orders);
    log.close().wait().unwrap();
    check(&found(&Log::open(folder.path()).unwrap(), "orders"));
}

#[test]
fn allocations_of_a_fetch_do_not_grow_with_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    let (few, many) = (made(&log, "few"), made(&log, "many"));
    few.append(batch(&[b"value".as_slice(); 10]))
        .wait()
        .unwrap();
    many.append(batch(&vec![&b"value"[..]; 10_000]))
        .wait()
        .unwrap();

    let allocations = |partition: &levada_log::Partition, records: usize| {
        let measured = allocation_counter::measure(|| {
            let fetched = partition.fetch(0, 1 << 20).wait().unwrap();
            assert_eq!(
                fetched
                    .records()
                    .filter(|record| record.value == b"value")
                    .count(),
                records
            );
        });
        measured.count_total
    };
    assert_eq!(allocations(&few, 10), allocations(&many, 10_000));
}
