//! One log at a time has a data folder.

use levada_log::{Error, Log};

use crate::support::{batch, found, made, read_all};

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

impl levada_log::vfs::Vfs for NoLocks {
    crate::support::pass_to_os!();

    fn lock(
        &self,
        _path: &std::path::Path,
    ) -> std::io::Result<Box<dyn std::fmt::Debug + Send + Sync>> {
        Ok(Box::new(()))
    }
}

#[test]
fn log_whose_folder_was_opened_past_the_lock_stops_at_its_next_flush() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let vfs = std::sync::Arc::new(NoLocks);
        Log::options()
            .journal_bytes(16 << 10)
            .vfs(vfs)
            .open(folder.path())
            .unwrap()
    };
    let first = open();
    let orders = made(&first, "orders");
    let _second = open();
    let mut failure = None;
    for _ in 0..1000 {
        if let Err(error) = orders.append(batch(&[&[7; 1000]])).wait() {
            failure = Some(error);
            break;
        }
    }
    let sentence = failure.expect("a fenced log stops").to_string();
    assert!(sentence.contains("opened by instance 2"), "{sentence}");
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
