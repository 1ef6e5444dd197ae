//! A program that handles signals itself keeps them: the library hears none unless it is asked to.

#![cfg(target_os = "linux")]

use std::{env, fs};

use levada::{Ended, Levada, prelude::*};

use crate::support::test_alone;

/// Set where the test below is a process of its own: others of this program may have asked.
const ALONE: &str = "LEVADA_TEST_ALONE";

/// Whether this process has a handler for SIGINT or SIGTERM.
fn handles_signals() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
    // The signals are numbers 2 and 15, counted from the lowest bit on.
    caught & (1 << 1 | 1 << 14) != 0
}

fn numbers(levada: &Levada) -> Pipeline {
    let pipeline = levada.pipeline("numbers");
    pipeline.source(iter(0..100_u32)).sink(discard());
    pipeline
}

#[test]
fn a_program_that_waits_for_its_pipelines_itself_keeps_its_signals() {
    if env::var_os(ALONE).is_none() {
        let mut alone = test_alone(
            "own_signals::a_program_that_waits_for_its_pipelines_itself_keeps_its_signals",
        );
        let output = alone.env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        return assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
    }
    let levada = Levada::in_memory();
    for running in levada.start([numbers(&levada)]).unwrap() {
        assert!(!handles_signals(), "while it runs");
        running.wait().unwrap();
    }
    numbers(&levada).start().unwrap().wait().unwrap();
    assert!(!handles_signals(), "after its end");
    // One that leaves the waiting to the library gives them away.
    assert_eq!(levada.run([numbers(&levada)]).unwrap(), Ended::Finished);
    while !handles_signals() {
        std::thread::yield_now();
    }
}
