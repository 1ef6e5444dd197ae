//! A backup each second of a log in which everything happens at once.
//!
//! One client appends orders, of which old segments go. Two others take order after order, each by
//! a transaction: it puts or deletes the same key in two partitions that are compacted, and moves
//! the client's position behind the order. Every third is aborted and done again. Meanwhile
//! journals are flushed and segments rolled. The clock is the test's, and a second of it lasts
//! until enough was done.
//!
//! So what a backup holds shows in itself: the position says which transactions are in it, and both
//! partitions must stand for what these have put and deleted.

use std::{
    collections::BTreeMap,
    ops::{Range, RangeInclusive},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use levada_core::{Clock as _, Timestamp};
use levada_log::{Batch, Log, Partition, Record, Retention, TopicOptions, check};
use levada_testkit::TestClock;

use crate::support::{batch, in_memory, read_all, segments, unsynced};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
/// How long orders are kept.
const AGE: Duration = Duration::from_secs(4);
/// How much is acknowledged in a second, at least.
const BUSY: u64 = 300;
/// Those who take orders.
const CLIENTS: [&str; 2] = ["shop", "warehouse"];

/// What a partition of the stock stands for.
type Stock = BTreeMap<Vec<u8>, Vec<u8>>;

/// A log in which everything happens at once, and what its clients were told.
struct Busy {
    log: Log,
    clock: TestClock,
    orders: Partition,
    stock: [Partition; 2],
    /// When each order was appended that is acknowledged.
    ordered: Mutex<Vec<Timestamp>>,
    /// How many orders each client has taken.
    taken: [AtomicU64; 2],
    /// How much was acknowledged, of whatever kind.
    done: AtomicU64,
    is_over: AtomicBool,
}

/// A backup, and what must be in it.
struct Copied {
    backup: PathBuf,
    /// Orders that were acknowledged before it began, and not too old when it ended.
    orders: Range<u64>,
    /// How many orders each client can have taken by then.
    taken: [RangeInclusive<u64>; 2],
}

/// However a thread ends, all others end as well.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Order `number`: a few of them fill a segment.
fn order(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(20)
}

/// What a client does to the stock for order `number`: a put, or a delete.
fn movement(client: &str, number: u64) -> (Vec<u8>, Option<Vec<u8>>) {
    let key = format!("{client} {}", number % 8).into_bytes();
    (key, (number % 5 != 4).then(|| order(number)))
}

/// What the stock is once a client has taken so many orders.
fn stock_after(client: &str, taken: u64) -> Stock {
    let mut stock = Stock::new();
    for (key, value) in (0..taken).map(|number| movement(client, number)) {
        match value {
            Some(value) => stock.insert(key, value),
            None => stock.remove(&key),
        };
    }
    stock
}

/// What a partition of the stock stands for, as far as it is a client's.
fn read_stock(partition: &Partition, client: &str) -> Stock {
    let (mut stock, mut from) = (Stock::new(), 0);
    while from < partition.visible_end() {
        let fetched = partition.fetch(from, 1 << 16).wait().unwrap();
        for record in fetched.records() {
            let key = record.key.unwrap().to_vec();
            if record.tombstone {
                stock.remove(&key);
            } else {
                stock.insert(key, record.value.to_vec());
            }
        }
        from = fetched.next;
    }
    stock.retain(|key, _| key.starts_with(client.as_bytes()));
    stock
}

fn partitions(log: &Log) -> (Partition, [Partition; 2]) {
    let orders = log.topic("orders").unwrap().partition(0).unwrap();
    let stock = log.topic("stock").unwrap();
    (
        orders,
        [0, 1].map(|number| stock.partition(number).unwrap()),
    )
}

impl Busy {
    fn open(folder: &Path) -> Self {
        let clock = TestClock::at(START);
        let options = unsynced().clock(Arc::new(clock.clone()));
        let log = options.open(folder).unwrap();
        let aged = TopicOptions::new().retention(Retention::forever().age(AGE));
        let compacted = Retention::forever().tombstones(SECOND);
        let compacted = TopicOptions::new().partitions(2).retention(compacted);
        for (name, options) in [("orders", aged), ("stock", compacted)] {
            log.create_topic(name, options).wait().unwrap();
        }
        let (orders, stock) = partitions(&log);
        Self {
            log,
            clock,
            orders,
            stock,
            ordered: Mutex::default(),
            taken: Default::default(),
            done: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }

    fn append_orders(&self) {
        let _over = Over(&self.is_over);
        for number in (0..).take_while(|_| self.goes_on()) {
            let ticket = self.orders.append(batch(&[&order(number)]));
            let appended = ticket.wait().unwrap();
            assert_eq!(appended.offsets, number..number + 1);
            self.ordered.lock().unwrap().push(appended.append_time);
            self.done.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn take_orders(&self, client: usize) {
        let _over = Over(&self.is_over);
        let (name, group) = (CLIENTS[client], self.log.group(CLIENTS[client]).unwrap());
        let mut producer = self.log.producer(name).wait().unwrap();
        for round in (0..).take_while(|_| self.goes_on()) {
            let number = self.taken[client].load(Ordering::SeqCst);
            if self.orders.visible_end() <= number {
                thread::yield_now();
                continue;
            }
            let (key, value) = movement(name, number);
            let put = Record::of(value.as_deref().unwrap_or_default());
            let record = match value {
                Some(_) => Record {
                    key: Some(&key),
                    ..put
                },
                None => Record::tombstone(&key),
            };
            let mut movement = Batch::new();
            movement.push(&record).unwrap();
            let transaction = producer.begin().unwrap();
            for partition in &self.stock {
                drop(transaction.append(partition, movement.clone()));
            }
            if round % 3 == 2 {
                transaction.abort().wait().unwrap();
            } else {
                let commit = transaction.commit_with(&group, &[(&self.orders, number + 1)]);
                commit.wait().unwrap();
                self.taken[client].store(number + 1, Ordering::SeqCst);
            }
            self.done.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Lets a second pass, with enough done in it.
    fn second(&self) {
        let before = self.done.load(Ordering::SeqCst);
        while self.done.load(Ordering::SeqCst) < before + BUSY {
            assert!(self.goes_on(), "a client has failed");
            thread::yield_now();
        }
        self.clock.advance(SECOND);
    }

    fn back_up(&self, backup: PathBuf) -> Copied {
        let taken = || [0, 1].map(|client| self.taken[client].load(Ordering::SeqCst));
        let (before, ordered) = (taken(), self.ordered.lock().unwrap().len());
        let made = self.log.backup(&backup).wait().unwrap();
        assert_eq!(made.missing, Vec::<PathBuf>::new());
        let (after, too_old) = (taken(), self.clock.now() - AGE);
        let ordered = &self.ordered.lock().unwrap()[..ordered];
        let gone = ordered.partition_point(|at| *at <= too_old);
        Copied {
            backup,
            orders: gone as u64..ordered.len() as u64,
            // One more may be taken whose client has not been told yet.
            taken: [0, 1].map(|client| before[client]..=after[client] + 1),
        }
    }
}

impl Copied {
    /// Restores it, and finds one moment in it.
    fn check(&self) {
        let folder = self.backup.with_extension("restored");
        unsynced().restore(&self.backup, &folder).unwrap();
        let report = check(&folder).unwrap();
        assert!(report.is_sound(), "{report}");
        let clock = Arc::new(TestClock::at(START));
        let log = unsynced().clock(clock).open(&folder).unwrap();
        let (orders, stock) = partitions(&log);

        let (start, end) = (orders.start(), orders.visible_end());
        let held = read_all(&orders, start);
        assert!((start..end).map(|at| (at, order(at))).eq(held));
        let expected = &self.orders;
        let holds_all = start <= expected.start && expected.end <= end;
        assert!(holds_all, "{start}..{end}, not all of {expected:?}");

        for (client, expected) in CLIENTS.iter().zip(&self.taken) {
            let taken = log.group(client).unwrap().position(&orders);
            let taken = taken.unwrap_or(0);
            assert!(expected.contains(&taken), "{taken}, not {expected:?}");
            assert!(taken <= end, "{taken} orders of {end} were taken");
            for partition in &stock {
                let held = read_stock(partition, client);
                assert!(
                    held == stock_after(client, taken),
                    "{client}: {taken} orders"
                );
            }
        }
        log.close().wait().unwrap();
        for done in [&self.backup, &folder] {
            std::fs::remove_dir_all(done).unwrap();
        }
    }
}

fn back_up_each_second(seconds: u32) {
    let parent = in_memory();
    let busy = Busy::open(&parent.path().join("data"));
    thread::scope(|scope| {
        let _over = Over(&busy.is_over);
        scope.spawn(|| busy.append_orders());
        for client in 0..CLIENTS.len() {
            let busy = &busy;
            scope.spawn(move || busy.take_orders(client));
        }
        let mut meanwhile = 0;
        for second in 0..seconds {
            busy.second();
            let before = busy.done.load(Ordering::SeqCst);
            let copied = busy.back_up(parent.path().join(format!("backup-{second}")));
            meanwhile += busy.done.load(Ordering::SeqCst) - before;
            copied.check();
        }
        assert!(
            meanwhile > u64::from(seconds),
            "{meanwhile} done during backups"
        );
    });
    assert!(busy.orders.start() > 0, "old orders went");
    let files = segments(&parent.path().join("data"));
    let is_compacted = |path: &PathBuf| path.extension().is_some();
    assert!(files.iter().any(is_compacted), "{files:?}");
}

#[test]
fn each_backup_of_a_busy_log_holds_one_moment_with_all_that_was_acknowledged() {
    back_up_each_second(30);
}

#[test]
#[ignore = "ten minutes' worth: cargo test -p levada-log --test promises -- --ignored busy"]
fn each_of_six_hundred_backups_of_a_busy_log_holds_one_moment() {
    back_up_each_second(600);
}
