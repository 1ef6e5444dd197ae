//! A process that gets no more memory ends, as if it were killed.

use std::{env, io::Write as _, process::Command};

use crate::support::{batch, found, in_memory, made, read_all, small};

/// Names the folder that [`hungry_process`] opens.
const FOLDER: &str = "LEVADA_LOG_TEST_HUNGRY_PROCESS";
/// Bytes of each of its records.
const RECORD: usize = 100_000;

/// The other process: this test binary again, with this test alone. By itself it does nothing.
#[test]
fn hungry_process() {
    let Some(folder) = env::var_os(FOLDER) else {
        return;
    };
    let log = small().open(&folder).unwrap();
    let orders = made(&log, "orders");
    let mut hoard = Vec::new();
    let mut bytes = 64 << 20;
    for number in 0..10_000_u64 {
        let appended = orders.append(batch(&[&vec![7; RECORD]])).wait().unwrap();
        assert_eq!(appended.offsets.start, number);
        // Past what the harness catches.
        writeln!(std::io::stderr(), "acknowledged {number}").unwrap();
        // Less and less is left, until the log itself meets the end.
        let mut more: Vec<u8> = Vec::new();
        match more.try_reserve_exact(bytes) {
            Ok(()) => hoard.push(more),
            Err(_) => bytes = (bytes / 2).max(1 << 10),
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn process_that_gets_no_more_memory_has_lost_nothing_that_was_acknowledged() {
    let folder = in_memory();
    let other = Command::new("sh")
        .args([
            "-c",
            "ulimit -v 2000000 && ulimit -c 0 && exec \"$0\" \"$@\"",
        ])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "memory::hungry_process", "--test-threads=1"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(
        !other.status.success() && said.contains("memory allocation of"),
        "{said}"
    );
    let acknowledged = said
        .lines()
        .filter(|line| line.starts_with("acknowledged "));
    let acknowledged = acknowledged.count();
    assert!(acknowledged > 10, "{said}");

    let log = small().open(folder.path()).unwrap();
    let all = read_all(&found(&log, "orders"), 0);
    assert!((acknowledged..=acknowledged + 1).contains(&all.len()));
    assert!(all.iter().all(|(_, value)| *value == vec![7; RECORD]));
}
