//! One log at a time has a data folder.

use std::{
    fmt::Debug,
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use levada_log::{
    Error, Log, Partition,
    vfs::{Open, OsFs, Vfs, VfsFile},
};

use crate::support::{batch, found, made, pass_to_os, read_all};

#[test]
fn second_log_is_refused_and_the_first_is_unharmed() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let log = Log::open(&folder).unwrap();
    let orders = made(&log, "orders");
    for _ in 0..1000 {
        assert!(matches!(Log::open(&folder), Err(Error::InUse(_))));
    }
    let sentence = Log::open(&folder).unwrap_err().to_string();
    assert!(
        sentence.contains("is in use by another process"),
        "{sentence}"
    );
    orders.append(batch(&[b"fine"])).wait().unwrap();
    log.close().wait().unwrap();
    assert_eq!(
        read_all(&found(&Log::open(&folder).unwrap(), "orders"), 0).len(),
        1
    );
}

#[cfg(unix)]
#[test]
fn folder_reached_through_a_symbolic_link_is_the_same_folder() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let _log = Log::open(&folder).unwrap();
    let link = parent.path().join("link");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    assert!(matches!(Log::open(&link), Err(Error::InUse(_))));
}

/// Locks vanish on some network file systems; this file system never refuses one.
#[derive(Debug)]
struct NoLocks;

impl Vfs for NoLocks {
    pass_to_os!(open create_dir_all list rename remove_file remove_dir sync_dir free_space);

    fn lock(&self, _path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        Ok(Box::new(()))
    }
}

#[test]
fn log_whose_folder_was_opened_past_the_lock_acknowledges_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        Log::options()
            .vfs(Arc::new(NoLocks))
            .open(folder.path())
            .unwrap()
    };
    let first = open();
    let orders = made(&first, "orders");
    orders.append(batch(&[b"before"])).wait().unwrap();
    let second = open();

    let refused = orders.append(batch(&[b"after"])).wait().unwrap_err();
    let sentence = refused.to_string();
    assert!(matches!(refused, Error::Dead { .. }), "{sentence}");
    assert!(sentence.contains("opened by instance 2"), "{sentence}");
    let group = first.group("readers").unwrap();
    group.commit(&[(&orders, 1)]).wait().unwrap_err();

    let taken = found(&second, "orders");
    taken.append(batch(&[b"other"])).wait().unwrap();
    drop((second, taken));
    let third = open();
    let values = read_all(&found(&third, "orders"), 0);
    let values: Vec<_> = values.into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [b"before".to_vec(), b"other".to_vec()]);
}

/// A file system without locks, through which another log appends when a segment is first opened.
#[derive(Debug)]
struct Meddled(Mutex<Option<Partition>>);

impl Vfs for Meddled {
    pass_to_os!(create_dir_all list rename remove_file remove_dir sync_dir free_space);

    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        let is_segment = path.components().any(|part| part.as_os_str() == "topics");
        if let Some(orders) = self.0.lock().unwrap().take_if(|_| is_segment) {
            orders.append(batch(&[b"meanwhile"])).wait().unwrap();
        }
        OsFs.open(path, open)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        NoLocks.lock(path)
    }
}

#[test]
fn folder_that_is_appended_to_while_it_is_opened_past_the_lock_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = Log::options().vfs(Arc::new(NoLocks));
    let first = first.open(folder.path()).unwrap();
    let orders = made(&first, "orders");
    orders.append(batch(&[b"before"])).wait().unwrap();

    let meddled = Meddled(Mutex::new(Some(orders.clone())));
    let second = Log::options().vfs(Arc::new(meddled)).open(folder.path());
    assert!(matches!(second, Err(Error::InUse(_))), "{second:?}");
    orders.append(batch(&[b"after"])).wait().unwrap();
    first.close().wait().unwrap();
    let log = Log::open(folder.path()).unwrap();
    let values = read_all(&found(&log, "orders"), 0)
        .into_iter()
        .map(|(_, value)| value);
    assert!(values.eq([&b"before"[..], b"meanwhile", b"after"]));
}

/// Names the folder that [`another_process`] opens.
const FOLDER: &str = "LEVADA_LOG_TEST_FOLDER";

/// The other process: this test binary again, with this test alone. By itself it does nothing.
#[test]
fn another_process() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    for _ in 0..1000 {
        let refused = Log::open(&folder).unwrap_err();
        assert!(matches!(refused, Error::InUse(_)), "{refused}");
    }
}

#[cfg(unix)]
#[test]
fn second_process_is_refused_each_time_and_by_any_path() {
    let parent = tempfile::tempdir().unwrap();
    let (folder, link) = (parent.path().join("data"), parent.path().join("link"));
    let log = Log::open(&folder).unwrap();
    let orders = made(&log, "orders");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let others = [&folder, &link].map(|path| {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "one_process::another_process"])
            .env(FOLDER, path)
            .output()
            .unwrap()
    });
    for other in others {
        let said = String::from_utf8_lossy(&other.stdout);
        assert!(
            other.status.success() && said.contains("1 passed"),
            "{said}"
        );
    }
    orders.append(batch(&[b"fine"])).wait().unwrap();
    assert_eq!(log.instance(), 1);
    log.close().wait().unwrap();
    assert_eq!(Log::open(&folder).unwrap().instance(), 2);
}
