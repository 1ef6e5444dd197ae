//! The process is told to stop while much is left to do.

use std::{path::Path, time::Duration};

use levada::{Clock as _, SystemClock};

use super::{assert_answers, generated, program::Bus, reference_answers, rows_in_topic};

/// Lines that are all sent at once, so that the groups are far behind.
const LINES: usize = 20_000;

/// A bus whose groups have a backlog of minutes.
fn behind(folder: &Path) -> Bus {
    let records = LINES.to_string();
    let mut bus = Bus::start(
        folder,
        &["--records", &records, "--rate", "0", "--work", "1.0"],
    );
    bus.until_sent(LINES as u64);
    bus
}

/// The next start goes on where the last one was stopped, and answers as if it never had been.
fn assert_goes_on(folder: &Path, told: &str) {
    assert!(
        !folder.join("results/fraud_audit.csv").exists(),
        "{told}: it was done already"
    );
    let rows = rows_in_topic(&folder.join("data"));
    assert_eq!(rows, (0..LINES as u64).collect::<Vec<_>>(), "{told}");
    let records = LINES.to_string();
    let next = Bus::start(
        folder,
        &["--records", &records, "--rate", "0", "--work", "0"],
    );
    next.wait().assert_success();
    let expected = reference_answers(&generated(1, LINES));
    assert_answers(&folder.join("results"), &expected, told);
}

#[test]
fn each_signal_stops_it_in_order_and_in_five_seconds_whatever_is_left_to_do() {
    for signal in ["INT", "TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let bus = behind(folder.path());
        let clock = SystemClock::new();
        bus.signal(signal);
        bus.wait().assert_success();
        let took = clock.elapsed();
        assert!(took < Duration::from_secs(5), "{signal}: it took {took:?}");
        assert_goes_on(folder.path(), signal);
    }
}

#[test]
fn a_second_signal_aborts_it_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bus = behind(folder.path());
    // Both wait until it goes on, so that it cannot have stopped in order in between.
    for signal in ["STOP", "INT", "TERM", "CONT"] {
        bus.signal(signal);
    }
    let ended = bus.wait();
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    assert_goes_on(folder.path(), "aborted");
}
