//! No room is left for the log: it is named, and what was acknowledged is kept.

use std::{fs, path::Path, process::Command};

use super::{
    program::{Bus, Ended, no_process_begins, program},
    rows_in_topic,
};
use crate::support::skip;

/// More lines than three megabytes hold.
const ARGS: [&str; 6] = ["--rate", "0", "--work", "0", "--records", "40000"];

/// Runs the bus by a shell that first does this.
fn run_after(first: &str, mut shell: Command, folder: &Path) -> Ended {
    shell.current_dir(folder).arg("sh").arg("-c");
    shell
        .arg(format!("{first} && exec \"$0\" \"$@\""))
        .arg(program());
    Bus::spawn(shell, folder, &ARGS).wait()
}

fn assert_full(ended: &Ended) {
    let parts = ["no space left for", "data/log", "free some"];
    ended.assert_refused(1, &parts);
}

/// A limit on the size of files refuses what a full disk refuses, and needs no rights.
#[test]
#[cfg(unix)]
fn a_file_that_may_not_grow_is_named_and_the_next_start_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // In blocks of 512 bytes. Unless it is ignored, the signal ends the process instead.
    let limit = "trap '' XFSZ && ulimit -f 6144";
    let ended = run_after(limit, Command::new("env"), folder.path());
    assert_full(&ended);
    let kept = rows_in_topic(&folder.path().join("data"));
    assert!((1..40_000).contains(&kept.len()), "{} rows", kept.len());

    let next = Bus::start(folder.path(), &ARGS).wait();
    next.assert_success();
    let rows = rows_in_topic(&folder.path().join("data"));
    assert_eq!(rows, (0..40_000).collect::<Vec<_>>());
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let mount = "mount -t tmpfs -o size=3m none data";
    // The superuser may mount; others may in a world of their own, where the kernel lets them.
    let ways = [&["--mount"][..], &["--mount", "--map-root-user"]];
    let unshare = |way: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(way);
        unshare
    };
    let can_mount = |way: &&[&str]| {
        let _beginning = no_process_begins();
        let mut tried = unshare(way);
        tried.current_dir(&folder).args(["sh", "-c", mount]);
        tried.output().is_ok_and(|output| output.status.success())
    };
    let Some(way) = ways.into_iter().find(can_mount) else {
        return skip("small-disk", "no small disk can be mounted here");
    };
    let ended = run_after(mount, unshare(way), folder.path());
    assert_full(&ended);
    let alarm = ended.first_line();
    assert!(alarm.contains("there is little room left"), "{alarm}");
}
