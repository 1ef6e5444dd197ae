//! What was compressed comes back, and lies about it cost no memory.

use std::{fs, path::Path, sync::Arc};

use levada_log::{
    Batch, Compression, Error, Log, MAX_RECORD_BYTES, Options, Partition, Record, TopicOptions,
};

use crate::support::{Steps, batch, found, in_memory, read_all, segments, small};

/// The partition 0 of a topic that is compressed.
fn packed(log: &Log) -> Partition {
    let options = TopicOptions::new().compression(Compression::Lz4);
    let topic = log.create_topic("orders", options).wait().unwrap();
    topic.partition(0).unwrap()
}

/// Bytes that no codec makes smaller.
fn noise(len: usize) -> Vec<u8> {
    let mut next = 1_u64;
    let noise = std::iter::repeat_with(|| {
        next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        next.to_le_bytes()[7]
    });
    noise.take(len).collect()
}

/// Brings batches to the only segment of a log that is then closed.
fn flush(folder: &Path, batches: Vec<Batch>) {
    let log = Log::open(folder).unwrap();
    let orders = packed(&log);
    for batch in batches {
        orders.append(batch).wait().unwrap();
    }
    log.close().wait().unwrap();
    drop(log);
    Log::open(folder).unwrap().close().wait().unwrap();
}

#[test]
fn compressed_batches_come_back_from_memory_from_segments_and_after_a_restart() {
    let folder = in_memory();
    let log = small().open(folder.path()).unwrap();
    let orders = packed(&log);
    let mut expected = Vec::new();
    for i in 0..100_u32 {
        let values = [format!("{i}-").repeat(500).into_bytes(), noise(100)];
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        orders.append(batch(&values)).wait().unwrap();
        expected.extend(values.into_iter().map(<[u8]>::to_vec));
    }
    let values = |orders: &Partition| {
        let all = read_all(orders, 0).into_iter();
        all.map(|(_, value)| value).collect::<Vec<_>>()
    };
    assert_eq!(values(&orders), expected);
    let last = orders.fetch(198, 1).wait().unwrap().batches.remove(0);
    let record = last.records().next().unwrap();
    assert!(
        last.bytes().len() < record.value.len() / 2,
        "it lies packed"
    );
    assert_eq!(last.share(record.value).as_ptr(), record.value.as_ptr());
    log.close().wait().unwrap();

    let log = small().open(folder.path()).unwrap();
    assert_eq!(values(&found(&log, "orders")), expected);
    let stored = segments(folder.path()).into_iter();
    let stored: u64 = stored.map(|path| path.metadata().unwrap().len()).sum();
    let bytes: usize = expected.iter().map(Vec::len).sum();
    assert!(stored * 3 < bytes as u64, "{stored} of {bytes}");
}

#[test]
fn batch_that_does_not_get_smaller_is_stored_as_it_is() {
    let folder = in_memory();
    let log = Log::open(folder.path()).unwrap();
    let orders = packed(&log);
    for value in [&noise(10_000)[..], b"", b"short"] {
        let plain = batch(&[value]);
        let size = plain.size();
        let at = orders.append(plain).wait().unwrap().offsets.start;
        let fetched = orders.fetch(at, 1).wait().unwrap();
        assert_eq!(fetched.batches[0].bytes().len(), size);
        assert_eq!(fetched.records().next().unwrap().value, value);
    }
}

/// Changes the first batch of a segment, and its checksum as if it had always been so.
fn change(segment: &Path, change: impl FnOnce(&mut [u8])) {
    let mut bytes = fs::read(segment).unwrap();
    let batch = &mut bytes[..];
    change(batch);
    let len = u32::from_le_bytes(*batch[12..].first_chunk().unwrap()) as usize + 120;
    let checksum = crc32c::crc32c(&batch[12..len]);
    batch[8..12].copy_from_slice(&checksum.to_le_bytes());
    fs::write(segment, &bytes).unwrap();
}

/// Fetches on this thread: what came, and the most memory it took.
fn fetch(folder: &Path, from: u64, max_bytes: usize) -> (Result<usize, Error>, u64) {
    let mut came = Ok(0);
    let steps = Steps::default();
    let options: Options = Log::options().spawner(Arc::new(steps.clone()));
    let log = options.open(folder).unwrap();
    let orders = found(&log, "orders");
    let measured = allocation_counter::measure(|| {
        let fetched = steps.wait(orders.fetch(from, max_bytes));
        came = fetched.map(|fetched| fetched.records().count());
    });
    steps.wait(log.close()).unwrap();
    (came, measured.bytes_max)
}

#[test]
fn lies_about_the_size_and_broken_blocks_are_damage_and_cost_no_memory() {
    let scene = in_memory();
    flush(scene.path(), vec![batch(&[&[7; 50_000]])]);
    let segment = segments(scene.path()).remove(0);
    let whole = fs::read(&segment).unwrap();
    let true_size = u32::from_le_bytes(*whole[28..].first_chunk().unwrap());
    let check = |what: &str, lie: &dyn Fn(&mut [u8])| {
        fs::write(&segment, &whole).unwrap();
        change(&segment, lie);
        let (came, bytes) = fetch(scene.path(), 0, 1);
        assert!(
            matches!(came, Err(Error::Damaged { .. })),
            "{what}: {came:?}"
        );
        assert!(bytes < 512 << 10, "{what}: {bytes} bytes");
    };
    let hostile = [0, 1, true_size - 1, true_size + 1, 16 << 20, u32::MAX];
    for size in hostile {
        check(&format!("{size} bytes"), &|batch| {
            batch[28..32].copy_from_slice(&size.to_le_bytes());
        });
    }
    let packed = whole.len() - 120;
    for cut in [0, 1, packed / 2, packed - 1] {
        check(&format!("cut after {cut}"), &|batch| {
            batch[12..16].copy_from_slice(&u32::try_from(cut).unwrap().to_le_bytes());
        });
    }
    check("garbage", &|batch| batch[120..].fill(0xff));
    check("no codec", &|batch| batch[24] = 0);
    check("another codec", &|batch| batch[24] = 2);
}

#[test]
fn bomb_costs_the_memory_of_one_batch() {
    let scene = in_memory();
    let zeros = vec![0; MAX_RECORD_BYTES];
    let bomb = || {
        let mut bomb = Batch::new();
        while bomb.push(&Record::of(&zeros)).is_ok() {}
        bomb
    };
    flush(scene.path(), (0..8).map(|_| bomb()).collect());
    let stored = segments(scene.path()).remove(0).metadata().unwrap().len();
    assert!(stored < 1 << 20, "{stored} bytes are a bomb");
    for max_bytes in [1, usize::MAX] {
        let (came, bytes) = fetch(scene.path(), 0, max_bytes);
        assert_eq!(came.unwrap(), 15);
        assert!(bytes < (16 << 20) + (2 << 20), "{bytes} bytes");
    }
}

#[test]
fn batches_that_are_passed_over_are_not_decompressed() {
    let scene = in_memory();
    flush(
        scene.path(),
        vec![batch(&[&[7; 50_000]]), batch(&[b"next"])],
    );
    let segment = segments(scene.path()).remove(0);
    change(&segment, |batch| batch[120..130].fill(0));
    assert_eq!(fetch(scene.path(), 1, 1).0.unwrap(), 1);
    let refused = fetch(scene.path(), 0, 1).0;
    assert!(matches!(refused, Err(Error::Damaged { .. })));
}
