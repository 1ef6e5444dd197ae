//! A folder is read beside the log that writes it, and nothing of it is changed.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    fs,
    future::poll_fn,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::SystemTime,
};

use futures::executor::block_on;
use levada_log::{
    Error, Log, Partition, Status, TopicOptions,
    vfs::{Open, OsFs, Vfs, VfsFile},
};

use crate::support::{
    Steps, batch, contents, copy, found, journal, made, pass_to_os, read_all, unsynced,
};

/// When each file and folder below a folder was changed.
fn changed(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.insert(path.clone(), path.metadata().unwrap().modified().unwrap());
        if path.is_dir() {
            all.extend(changed(&path));
        }
    }
    all
}

#[test]
fn reader_beside_an_idle_log_sees_all_that_was_acknowledged_and_changes_nothing() {
    let (folder, steps) = (tempfile::tempdir().unwrap(), Steps::default());
    let options = unsynced().spawner(Arc::new(steps.clone()));
    let log = options.open(folder.path()).unwrap();
    let made = steps.wait(log.create_topic("orders", TopicOptions::new()));
    let orders = made.unwrap().partition(0).unwrap();
    let look = Log::options().open_read_only(folder.path()).unwrap();
    let seen = found(look.log(), "orders");
    for i in 0..200_u64 {
        steps
            .wait(orders.append(batch(&[&i.to_le_bytes()])))
            .unwrap();
        let before = (contents(folder.path()), changed(folder.path()));
        look.refresh().unwrap();
        assert_eq!(seen.visible_end(), i + 1);
        let first = i.saturating_sub(3);
        let last: Vec<_> = (first..=i).map(|i| (i, i.to_le_bytes().to_vec())).collect();
        assert_eq!(read_all(&seen, first), last);
        assert!(before == (contents(folder.path()), changed(folder.path())));
    }
    let all = steps.read_all(&orders);
    steps.wait(log.close()).unwrap();
    look.refresh().unwrap();
    assert_eq!(read_all(&seen, 0), all);
}

#[test]
fn reader_beside_a_busy_log_sees_what_was_acknowledged_before_and_never_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let log = unsynced().open(folder.path()).unwrap();
    let orders = made(&log, "orders");
    let (acknowledged, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let look = Log::options().open_read_only(folder.path()).unwrap();
    let seen = found(look.log(), "orders");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..3000_u64 {
                let value = [i.to_le_bytes(), [7; 8]].concat().repeat(20);
                orders.append(batch(&[&value])).wait().unwrap();
                acknowledged.store(i + 1, Ordering::SeqCst);
            }
            over.store(true, Ordering::SeqCst);
        });
        let (mut end, mut looks) = (0, 0_u64);
        while !over.load(Ordering::SeqCst) {
            let least = acknowledged.load(Ordering::SeqCst);
            look.refresh().unwrap();
            let now = seen.visible_end();
            assert!(now >= least && now >= end, "{end} {least} {now}");
            // One more may be durable than its caller knows of.
            assert!(now <= acknowledged.load(Ordering::SeqCst) + 1);
            for (offset, value) in read_all(&seen, end.saturating_sub(20)) {
                assert_eq!(value[..8], offset.to_le_bytes());
            }
            (end, looks) = (now, looks + 1);
        }
        assert!(looks > 3);
    });
    look.refresh().unwrap();
    assert_eq!(read_all(&seen, 0), read_all(&orders, 0));
}

#[test]
fn producers_are_those_that_the_log_knew() {
    let folder = tempfile::tempdir().unwrap();
    let log = unsynced().open(folder.path()).unwrap();
    drop(log.producer("import").wait().unwrap());
    let look = Log::options().open_read_only(folder.path()).unwrap();
    assert_eq!(look.log().producers(), ["import".into()]);
    for name in ["import", "astray"] {
        let refused = look.log().producer(name).wait();
        assert!(matches!(refused, Err(Error::ReadOnly { .. })));
    }
    assert_eq!(look.log().producers(), ["import".into()]);

    drop(log.producer("shop").wait().unwrap());
    look.refresh().unwrap();
    assert_eq!(look.log().producers(), ["import".into(), "shop".into()]);
    let refused = look.log().forget_producer("shop").wait();
    assert!(matches!(refused, Err(Error::ReadOnly { .. })));
    log.forget_producer("import").wait().unwrap();
    look.refresh().unwrap();
    assert_eq!(look.log().producers(), ["shop".into()]);
}

#[test]
fn new_topics_positions_and_seals_are_seen_and_waiters_are_woken() {
    let folder = tempfile::tempdir().unwrap();
    let log = unsynced().open(folder.path()).unwrap();
    let orders = made(&log, "orders");
    let look = Log::options().open_read_only(folder.path()).unwrap();
    let seen = found(look.log(), "orders");
    let context = Context::from_waker(Waker::noop());
    assert_eq!(seen.poll_visible(&context, 0), Poll::Pending);

    orders.append(batch(&[b"tea"])).wait().unwrap();
    log.group("g")
        .unwrap()
        .commit(&[(&orders, 1)])
        .wait()
        .unwrap();
    made(&log, "returns");
    log.topic("orders").unwrap().seal().wait().unwrap();
    let group = look.log().group("g").unwrap();
    assert_eq!(group.position(&seen), None);
    look.refresh().unwrap();
    assert_eq!(
        block_on(poll_fn(|context| seen.poll_visible(context, 0))),
        1
    );
    assert_eq!(group.position(&seen), Some(1));
    assert_eq!(seen.sealed_at(), Some(1));
    assert_eq!(found(look.log(), "returns").visible_end(), 0);
}

#[test]
fn whatever_would_change_the_folder_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let log = unsynced().reserve_bytes(0).open(folder.path()).unwrap();
    made(&log, "orders");
    let look = Log::options().open_read_only(folder.path()).unwrap();
    let seen = found(look.log(), "orders");
    let before = contents(folder.path());
    let refused = [
        seen.append(batch(&[b"x"])).wait().map(drop).unwrap_err(),
        look.log()
            .create_topic("b", TopicOptions::new())
            .wait()
            .map(drop)
            .unwrap_err(),
        look.log()
            .group("g")
            .unwrap()
            .commit(&[(&seen, 0)])
            .wait()
            .unwrap_err(),
        look.log()
            .topic("orders")
            .unwrap()
            .seal()
            .wait()
            .unwrap_err(),
        look.log().close().wait().unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    }
    assert!(contents(folder.path()) == before);
}

#[test]
fn folder_of_a_killed_log_shows_what_is_known_to_be_acknowledged() {
    let (running, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // On the test's thread: nothing is written while the folder is copied.
    let steps = Steps::default();
    let options = unsynced().spawner(Arc::new(steps.clone()));
    let log = options.open(running.path()).unwrap();
    let topic = steps.wait(log.create_topic("orders", TopicOptions::new()));
    let orders = topic.unwrap().partition(0).unwrap();
    for i in 0..60_u8 {
        steps.wait(orders.append(batch(&[&[i; 300]]))).unwrap();
    }
    copy(running.path(), folder.path());
    let shown = || {
        let look = Log::options().open_read_only(folder.path()).unwrap();
        read_all(&found(look.log(), "orders"), 0)
    };
    assert_eq!(shown(), steps.read_all(&orders));

    // A power cut may take the mark; then the last group commit is known by nothing.
    fs::write(folder.path().join("acknowledged"), [0; 24]).unwrap();
    assert_eq!(shown().len(), 59);
    fs::remove_file(folder.path().join("acknowledged")).unwrap();
    assert_eq!(shown().len(), 59);
}

#[test]
fn torn_last_commit_is_not_shown_and_damage_before_it_is_named() {
    let (running, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = Log::open(running.path()).unwrap();
    let (a, b) = (made(&log, "a"), made(&log, "b"));
    for i in 0..3 {
        a.append(batch(&[&[i; 500]])).wait().unwrap();
        b.append(batch(&[&[i; 500]])).wait().unwrap();
    }
    copy(running.path(), folder.path());
    let path = journal(folder.path());
    let whole = fs::read(&path).unwrap();
    let with_flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        Log::options().open_read_only(folder.path())
    };
    // Two topics, then a and b in turn: the last commit is the third batch of `b`.
    let torn = with_flipped(7 * 4096 + 400).unwrap();
    let b = found(torn.log(), "b");
    assert_eq!((read_all(&b, 0).len(), b.status()), (2, Status::Healthy));

    let damaged = with_flipped(4 * 4096 + 400).unwrap();
    let a = found(damaged.log(), "a");
    assert_eq!(read_all(&a, 0).len(), 1);
    assert!(matches!(a.fetch(1, 100).wait(), Err(Error::Damaged { .. })));
    assert_eq!(read_all(&found(damaged.log(), "b"), 0).len(), 3);

    let refused = with_flipped(4 * 4096 + 10).map(drop).unwrap_err();
    assert!(matches!(refused, Error::Unusable { .. }), "{refused}");
}

#[test]
fn folder_without_a_log_is_refused_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Log::options()
        .open_read_only(folder.path())
        .map(drop)
        .unwrap_err();
    assert!(
        refused.to_string().contains("is no data folder"),
        "{refused}"
    );
    assert!(contents(folder.path()).is_empty());
}

#[test]
fn log_can_be_opened_while_its_folder_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    unsynced()
        .open(folder.path())
        .unwrap()
        .close()
        .wait()
        .unwrap();
    let look = Log::options().open_read_only(folder.path()).unwrap();
    let log = unsynced().open(folder.path()).unwrap();
    made(&log, "orders");
    look.refresh().unwrap();
    look.log().topic("orders").unwrap();
}

/// Files through which a log goes on for many journals when a journal is first opened.
#[derive(Debug)]
struct Meddled(Mutex<Option<Partition>>);

impl Vfs for Meddled {
    pass_to_os!(create_dir_all list rename remove_file remove_dir sync_dir free_space);

    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        let is_journal = path
            .parent()
            .is_some_and(|folder| folder.ends_with("journal"));
        let file = OsFs.open(path, open)?;
        if let Some(orders) = self.0.lock().unwrap().take_if(|_| is_journal) {
            for i in 60..300_u64 {
                let value = [i.to_le_bytes(); 40].concat();
                orders.append(batch(&[&value])).wait().unwrap();
            }
        }
        Ok(file)
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        panic!("a reader takes no lock");
    }
}

#[test]
fn journal_that_is_used_again_while_it_is_read_costs_the_reader_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = unsynced().open(folder.path()).unwrap();
    let orders = made(&log, "orders");
    for i in 0..60_u64 {
        let value = [i.to_le_bytes(); 40].concat();
        orders.append(batch(&[&value])).wait().unwrap();
    }
    let vfs = Arc::new(Meddled(Mutex::new(Some(orders))));
    let look = Log::options()
        .vfs(vfs)
        .open_read_only(folder.path())
        .unwrap();
    let all = read_all(&found(look.log(), "orders"), 0);
    assert!(all.len() >= 60, "{}", all.len());
    for (offset, value) in all {
        assert_eq!(value, [offset.to_le_bytes(); 40].concat());
    }
}
