//! A partition can be read from a time on.

use std::{
    fmt::Debug,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use levada_core::{Clock as _, Timestamp};
use levada_log::{
    Batch, Compression, Error, Log, Partition, Record, Retention, TopicOptions,
    vfs::{Open, OsFs, Vfs, VfsFile},
};

use levada_testkit::{TestClock, vfs::Keep};

use crate::{
    machine::{Machine, START},
    support::{batch, found, made, pass_to_file, pass_to_os, segments, small},
};

/// What is appended at each of these times: some have many batches, some gaps have none.
fn append(clock: &TestClock, orders: &Partition) -> Vec<(u64, i64)> {
    let mut appended = Vec::new();
    for i in 0..100_u64 {
        clock.advance(Duration::from_millis(i % 7 * i % 5));
        let at = orders
            .append(batch(&[&[7; 300], b"second"]))
            .wait()
            .unwrap();
        let millis = at.append_time.as_millis();
        appended.extend(at.offsets.map(|offset| (offset, millis)));
    }
    appended
}

/// Compares every time, and those around them, with what was appended.
fn check(orders: &Partition, appended: &[(u64, i64)]) {
    let last = appended.last().unwrap().1;
    for millis in [i64::MIN, -1]
        .into_iter()
        .chain(0..=last + 1)
        .chain([i64::MAX])
    {
        let expected = appended.iter().find(|(_, at)| *at >= millis);
        let expected = expected.map_or(orders.visible_end(), |(offset, _)| *offset);
        let time = Timestamp::from_millis(millis);
        assert_eq!(orders.offset_at(time).wait().unwrap(), expected, "{millis}");
    }
}

#[test]
fn every_time_finds_the_first_offset_appended_at_or_after_it() {
    // All in memory; or the last ones there, and the others in segments.
    for options in [Log::options(), small()] {
        let folder = tempfile::tempdir().unwrap();
        let clock = TestClock::default();
        let log = options.clock(Arc::new(clock.clone()));
        let log = log.open(folder.path()).unwrap();
        let orders = made(&log, "orders");
        let empty = orders.offset_at(Timestamp::from_millis(0)).wait().unwrap();
        assert_eq!(empty, 0);
        let appended = append(&clock, &orders);
        check(&orders, &appended);
        log.close().wait().unwrap();
        // All in segments.
        let log = small().open(folder.path()).unwrap();
        assert!(segments(folder.path()).len() > 4);
        check(&found(&log, "orders"), &appended);
    }
}

#[test]
fn event_times_of_any_size_come_back_and_nothing_is_found_or_removed_by_them() {
    let extremes = [i64::MAX, 0, i64::MIN, -1, i64::MAX - 1, 1 << 62].map(Timestamp::from_millis);
    let hour = Duration::from_hours(1);
    let machine = Machine::new();
    let kept = Retention::forever().age(100 * hour);
    let plain = TopicOptions::new().retention(kept);
    let compacted = TopicOptions::new().retention(Retention::forever().compacted());
    let packed = plain.clone().compression(Compression::Lz4);
    for (name, options) in [
        ("plain", plain),
        ("compacted", compacted),
        ("packed", packed),
    ] {
        let partition = machine.made(name, options).remove(0);
        for (number, event_time) in (0_u8..).zip(extremes) {
            let mut both = Batch::new();
            for (at, event_time) in [event_time, extremes[0]].into_iter().enumerate() {
                let key = [number, u8::from(at > 0)];
                let record = Record {
                    key: Some(&key),
                    event_time,
                    ..Record::of(&[7; 500])
                };
                both.push(&record).unwrap();
            }
            machine.wait(partition.append(both)).unwrap();
        }
    }
    let check = |machine: &Machine| {
        for name in ["plain", "compacted", "packed"] {
            let partition = machine.found(name, 0);
            let mut times = Vec::new();
            while times.len() < 2 * extremes.len() {
                let from = times.len() as u64;
                let fetched = machine.wait(partition.fetch(from, 1)).unwrap();
                let before = times.len();
                times.extend(fetched.records().map(|it| it.event_time));
                assert!(times.len() > before, "{name} from {from}");
            }
            let expected = extremes.into_iter().flat_map(|it| [it, extremes[0]]);
            assert!(times.into_iter().eq(expected), "{name}");
            let since = |time| machine.wait(partition.offset_at(time)).unwrap();
            assert_eq!([START, START + hour].map(since), [0, 12], "{name}");
        }
    };
    check(&machine);
    machine.flush();
    // Each segment is looked at, by what cleans and by what compacts.
    (0..5).for_each(|_| machine.pass(2 * hour));
    check(&machine);
    check(&machine.power_cut(Keep::Nothing));
}

#[test]
fn seek_into_damage_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::default();
    let log = Log::options().clock(Arc::new(clock.clone()));
    let log = log.open(folder.path()).unwrap();
    append(&clock, &made(&log, "orders"));
    log.close().wait().unwrap();
    drop(log);
    Log::open(folder.path()).unwrap().close().wait().unwrap();

    let segment = segments(folder.path()).remove(0);
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let log = Log::open(folder.path()).unwrap();
    let refused = found(&log, "orders").offset_at(clock.now()).wait();
    assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
}

/// Counts the bytes that are read.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<AtomicUsize>);

#[derive(Debug)]
struct CountingFile(Box<dyn VfsFile>, Counting);

impl VfsFile for CountingFile {
    pass_to_file!(0: write_at sync_data set_len len);

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.0.read_at(buf, offset)?;
        self.1.0.fetch_add(read, Ordering::SeqCst);
        Ok(read)
    }
}

impl Vfs for Counting {
    pass_to_os!(create_dir_all list rename remove_file remove_dir sync_dir free_space lock);

    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(CountingFile(OsFs.open(path, open)?, self.clone())))
    }
}

#[test]
fn second_seek_reads_a_block_or_two_and_not_the_segment() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::default();
    let log = Log::options().clock(Arc::new(clock.clone()));
    let log = log.open(folder.path()).unwrap();
    let orders = made(&log, "orders");
    for i in 0..100 {
        clock.advance(Duration::from_millis(if i % 4 == 0 { 10 } else { 0 }));
        orders.append(batch(&[&vec![7; 40_000]])).wait().unwrap();
    }
    log.close().wait().unwrap();
    drop(log);

    let vfs = Counting::default();
    let log = Log::options().vfs(Arc::new(vfs.clone()));
    let orders = found(&log.open(folder.path()).unwrap(), "orders");
    let read = |millis, expected| {
        let before = vfs.0.load(Ordering::SeqCst);
        let time = Timestamp::from_millis(millis);
        assert_eq!(orders.offset_at(time).wait().unwrap(), expected);
        vfs.0.load(Ordering::SeqCst) - before
    };
    assert!(read(241, 96) > 3_000_000, "the first seek walks");
    assert!(read(130, 48) < 300_000);
    assert!(read(231, 92) < 300_000);
    // Between segments, or past the end, nothing is read.
    assert_eq!((read(0, 0), read(251, 100)), (0, 0));
}
