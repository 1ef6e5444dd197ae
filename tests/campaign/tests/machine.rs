//! On the real kernel: a process that is killed before any call, a disk whose power is cut, and one
//! that fails a sync.

use std::{
    io::{self, Write as _},
    process::Command,
};

/// Runs the first case of a campaign, and says on standard error itself where it is skipped.
fn run(name: &str, shows: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_levada-campaign"))
        .args(["--only", name, "--count", "1"])
        .output()
        .expect("the program was built with this test");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    if let Some((_, reason)) = said.split_once("SKIPPED: ") {
        let line = format!("SKIPPED: {name}: {}\n", reason.trim());
        let told = io::stderr().write_all(line.as_bytes());
        return told.expect("somebody listens");
    }
    assert!(said.contains(&format!("{name}: reached 1 ")), "{said}");
    assert!(said.contains(shows), "{said}");
}

#[test]
fn process_that_is_killed_before_a_syscall_keeps_what_it_acknowledged() {
    run("crash-points", "lives killed, each before another of");
}

#[test]
fn recovery_that_is_killed_before_a_syscall_comes_to_the_same() {
    run("recovery-points", "of 1 lives of");
}

#[test]
fn ext4_whose_power_is_cut_keeps_what_was_acknowledged() {
    run("ext4", "of 2 power cuts");
}

#[test]
fn log_whose_disk_fails_a_sync_is_dead_and_keeps_what_it_acknowledged() {
    run("failed-sync", "1 syncs failed");
}
