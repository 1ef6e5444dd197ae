//! A backup holds one moment of a running log, or it is none; restoring verifies every byte.

use std::{
    fmt::Debug,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use levada_log::{
    Error, Log, Partition, TopicOptions, restore,
    vfs::{Open, OsFs, Vfs, VfsFile},
};

use crate::support::{
    Steps, batch, contents, found, made, pass_to_file, pass_to_os, read_all, small, unsynced,
};

/// Record `i` of the tests: its number, and bytes that make a few of them fill a segment.
fn value(i: u64) -> Vec<u8> {
    [i.to_le_bytes(), [7; 8]].concat().repeat(20)
}

/// Appends record `i`, then moves the group behind it.
fn append(log: &Log, orders: &Partition, i: u64) {
    orders.append(batch(&[&value(i)])).wait().unwrap();
    let group = log.group("readers").unwrap();
    group.commit(&[(orders, i + 1)]).wait().unwrap();
}

#[test]
fn each_of_many_backups_under_load_restores_to_one_moment_with_all_that_was_acknowledged() {
    let parent = tempfile::tempdir().unwrap();
    let log = unsynced().open(parent.path().join("data")).unwrap();
    let orders = made(&log, "orders");
    let (acknowledged, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut taken = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut i = 0;
            while !over.load(Ordering::SeqCst) {
                append(&log, &orders, i);
                i += 1;
                acknowledged.store(i, Ordering::SeqCst);
            }
        });
        while acknowledged.load(Ordering::SeqCst) < 100 {
            std::thread::yield_now();
        }
        for number in 0..20 {
            let least = acknowledged.load(Ordering::SeqCst);
            let folder = parent.path().join(format!("backup-{number}"));
            let made = log.backup(&folder).wait();
            taken.push((
                folder,
                made,
                least..=acknowledged.load(Ordering::SeqCst) + 1,
            ));
        }
        over.store(true, Ordering::SeqCst);
    });
    let after = acknowledged.load(Ordering::SeqCst);
    assert_eq!(
        read_all(&orders, 0).len() as u64,
        after,
        "the log is none the worse"
    );

    for (backup, made, expected) in taken {
        assert_eq!(made.unwrap().missing, Vec::<PathBuf>::new());
        let folder = backup.with_extension("restored");
        unsynced().restore(&backup, &folder).unwrap();
        let report = levada_log::check(&folder).unwrap();
        assert!(report.is_sound(), "{report}");
        let log = unsynced().open(&folder).unwrap();
        let orders = found(&log, "orders");
        let all = read_all(&orders, 0);
        let count = all.len() as u64;
        assert!(expected.contains(&count), "{count} {expected:?}");
        assert!((0..count).map(|i| (i, value(i))).eq(all));
        let position = log.group("readers").unwrap().position(&orders).unwrap();
        assert!(
            position == count || position + 1 == count,
            "{position} {count}"
        );
        append(&log, &orders, count);
    }
}

#[test]
fn backup_is_of_the_moment_at_which_it_began_however_far_the_log_goes_on() {
    let parent = tempfile::tempdir().unwrap();
    let steps = Steps::default();
    let options = unsynced().spawner(Arc::new(steps.clone()));
    let log = options.open(parent.path().join("data")).unwrap();
    let orders = steps.wait(log.create_topic("orders", TopicOptions::new()));
    let orders = orders.unwrap().partition(0).unwrap();
    let append = |from: u64, to: u64| {
        for i in from..to {
            steps.wait(orders.append(batch(&[&value(i)]))).unwrap();
        }
    };
    append(0, 600);
    let (folder, target) = (parent.path().join("backup"), parent.path().join("target"));
    let backup = log.backup(&folder);
    steps.step();
    append(600, 900);
    assert_eq!(steps.wait(backup).unwrap().missing, Vec::<PathBuf>::new());
    append(900, 1000);
    unsynced().restore(&folder, &target).unwrap();
    let restored = read_all(&found(&Log::open(&target).unwrap(), "orders"), 0);
    assert!((0..600).map(|i| (i, value(i))).eq(restored));

    // What was held up goes once the backup has ended.
    let journals = fs::read_dir(parent.path().join("data/journal")).unwrap();
    assert!(journals.count() <= 3);
}

#[test]
fn backup_alone_can_be_read_and_checked_where_it_lies() {
    let parent = tempfile::tempdir().unwrap();
    let log = unsynced().open(parent.path().join("data")).unwrap();
    let orders = made(&log, "orders");
    for i in 0..100 {
        append(&log, &orders, i);
    }
    let folder = parent.path().join("backup");
    log.backup(&folder).wait().unwrap();
    let before = contents(&folder);
    let look = Log::options().open_read_only(folder.join("data")).unwrap();
    assert_eq!(
        read_all(&found(look.log(), "orders"), 0),
        read_all(&orders, 0)
    );
    assert!(levada_log::check(folder.join("data")).unwrap().is_sound());
    assert!(contents(&folder) == before);
}

#[test]
fn damaged_backup_is_refused_by_name_and_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let log = unsynced().open(parent.path().join("data")).unwrap();
    let orders = made(&log, "orders");
    for i in 0..60 {
        append(&log, &orders, i);
    }
    let (backup, target) = (parent.path().join("backup"), parent.path().join("target"));
    log.backup(&backup).wait().unwrap();
    let files = contents(&backup);
    assert!(files.len() > 5, "{files:?}");
    for (path, whole) in &files {
        let middle = whole.len() / 2;
        let mut flipped = whole.clone();
        flipped[middle] ^= 1;
        let longer = [&whole[..], b"x"].concat();
        for spoilt in [
            Some(flipped),
            Some(whole[..middle].to_vec()),
            Some(longer),
            None,
        ] {
            match spoilt {
                Some(bytes) => fs::write(path, bytes).unwrap(),
                None => fs::remove_file(path).unwrap(),
            }
            let refused = restore(&backup, &target).unwrap_err();
            assert!(matches!(refused, Error::Unusable { .. }), "{refused}");
            assert!(
                refused.to_string().contains(path.to_str().unwrap()),
                "{refused}"
            );
            assert!(!target.exists(), "nothing is left");
            fs::write(path, whole).unwrap();
        }
    }
    restore(&backup, &target).unwrap();
    assert_eq!(
        read_all(&found(&Log::open(&target).unwrap(), "orders"), 0).len(),
        60
    );
}

#[test]
fn nothing_is_ever_copied_over_something_that_is_there() {
    let parent = tempfile::tempdir().unwrap();
    let options = unsynced().reserve_bytes(0);
    let log = options.open(parent.path().join("data")).unwrap();
    let backup = parent.path().join("backup");
    log.backup(&backup).wait().unwrap();
    let before = contents(parent.path());
    for refused in [
        log.backup(&backup).wait().map(drop).unwrap_err(),
        log.backup(parent.path().join("data"))
            .wait()
            .map(drop)
            .unwrap_err(),
        restore(&backup, parent.path().join("data"))
            .map(drop)
            .unwrap_err(),
        restore(parent.path().join("data"), parent.path().join("new"))
            .map(drop)
            .unwrap_err(),
    ] {
        assert!(matches!(refused, Error::Unusable { .. }), "{refused}");
    }
    assert!(contents(parent.path()) == before);
    fs::create_dir(parent.path().join("empty")).unwrap();
    restore(&backup, parent.path().join("empty")).unwrap();
}

#[test]
fn segment_that_the_log_has_lost_is_named_and_the_rest_is_kept() {
    let parent = tempfile::tempdir().unwrap();
    let log = unsynced().open(parent.path().join("data")).unwrap();
    for name in ["orders", "returns"] {
        let partition = made(&log, name);
        for i in 0..60 {
            append(&log, &partition, i);
        }
    }
    let first = parent
        .path()
        .join("data/topics/00000001/00000000/00000000000000000000");
    fs::remove_file(&first).unwrap();
    let (backup, target) = (parent.path().join("backup"), parent.path().join("target"));
    assert_eq!(log.backup(&backup).wait().unwrap().missing, [first]);
    restore(&backup, &target).unwrap();
    let log = Log::open(&target).unwrap();
    assert!(matches!(
        found(&log, "orders").fetch(0, 1).wait(),
        Err(Error::Damaged { .. })
    ));
    assert_eq!(read_all(&found(&log, "returns"), 0).len(), 60);
}

#[test]
fn log_that_ends_before_its_backup_does_leaves_none() {
    let parent = tempfile::tempdir().unwrap();
    let steps = Steps::default();
    let options = unsynced().spawner(Arc::new(steps.clone()));
    let log = options.open(parent.path().join("data")).unwrap();
    let orders = steps.wait(log.create_topic("orders", TopicOptions::new()));
    let orders = orders.unwrap().partition(0).unwrap();
    for i in 0..200 {
        steps.wait(orders.append(batch(&[&value(i)]))).unwrap();
    }
    let folder = parent.path().join("backup");
    let backup = log.backup(&folder);
    for _ in 0..3 {
        steps.step();
    }
    assert!(folder.join("data").exists(), "it has begun");
    steps.wait(log.close()).unwrap();
    let refused = steps.wait(backup).map(drop).unwrap_err();
    assert!(matches!(refused, Error::Closed), "{refused}");
    assert!(!folder.exists(), "nothing is left");
    let after = steps.wait(log.backup(&folder)).map(drop).unwrap_err();
    assert!(matches!(after, Error::Closed), "{after}");
}

/// Files of which those in a folder called `backup` find the disk full.
#[derive(Clone, Debug)]
struct Full(Arc<AtomicI64>);

#[derive(Debug)]
struct FullFile(Box<dyn VfsFile>, Option<Arc<AtomicI64>>);

impl Vfs for Full {
    pass_to_os!(create_dir_all list rename remove_file remove_dir sync_dir free_space lock);

    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        let is_backup = path.iter().any(|name| name == "backup");
        let room = is_backup.then(|| Arc::clone(&self.0));
        Ok(Box::new(FullFile(OsFs.open(path, open)?, room)))
    }
}

impl VfsFile for FullFile {
    pass_to_file!(0: read_at sync_data set_len len);

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let taken = i64::try_from(buf.len()).unwrap();
        if let Some(room) = &self.1
            && room.fetch_sub(taken, Ordering::SeqCst) < taken
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write_at(buf, offset)
    }
}

#[test]
fn backup_onto_a_full_disk_says_so_leaves_nothing_and_the_log_goes_on() {
    let parent = tempfile::tempdir().unwrap();
    let room = Arc::new(AtomicI64::new(i64::MAX));
    let options = small().vfs(Arc::new(Full(Arc::clone(&room))));
    let log = options.open(parent.path().join("data")).unwrap();
    let orders = made(&log, "orders");
    for i in 0..60 {
        append(&log, &orders, i);
    }
    let folder = parent.path().join("backup");
    let mut bytes = 0;
    loop {
        room.store(bytes, Ordering::SeqCst);
        match log.backup(&folder).wait() {
            Err(error) => assert!(matches!(error, Error::NoSpace { .. }), "{error}"),
            Ok(_) => break,
        }
        assert!(!folder.exists(), "nothing is left");
        bytes += 500;
    }
    assert!(bytes > 20_000, "{bytes}");
    append(&log, &orders, 60);
    restore(&folder, parent.path().join("target")).unwrap();
}
