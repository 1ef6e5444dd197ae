//! The process is killed or told to stop: nothing is lost, nothing comes twice, answers stay true.

use std::time::Duration;

use ::order_bus::Group;
use levada::{Clock as _, SystemClock};

use super::{
    ROWS, assert_answers, generated, golden_answers, program::Bus, reference_answers, rows_in_topic,
};
use crate::orders::real_data;

#[test]
fn killed_at_each_quarter_it_goes_on_and_every_row_is_there_once() {
    let Some(data) = real_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let input = data.join("online_retail_2010-12.csv.gz");
    let input = input.to_str().unwrap();
    let args = ["--input", input, "--rate", "4000", "--work", "0"];
    for quarter in 1..=3 {
        let mut bus = Bus::start(folder.path(), &args);
        bus.until_sent(u64::from(ROWS) * quarter / 4);
        bus.kill();
    }
    let ended = Bus::start(folder.path(), &args).wait();
    ended.assert_success();
    for group in Group::ALL {
        let said = format!("pipeline `{group}` reads topic `orders` from offset 0");
        assert!(ended.has_said(&said), "{ended:#?}");
    }
    assert_eq!(
        rows_in_topic(&folder.path().join("data")),
        (0..u64::from(ROWS)).collect::<Vec<_>>()
    );
    assert_answers(
        &folder.path().join("results"),
        &golden_answers(&data),
        "killed",
    );
}

#[test]
fn told_to_stop_it_ends_in_five_seconds_and_the_next_start_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--records", "6000", "--rate", "1000"];
    let mut bus = Bus::start(folder.path(), &args);
    bus.until_sent(1_500);
    let clock = SystemClock::new();
    bus.terminate();
    bus.wait().assert_success();
    let took = clock.elapsed();
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    assert!(!folder.path().join("results/fraud_audit.csv").exists());

    let held = rows_in_topic(&folder.path().join("data"));
    assert!((1_500..6_000).contains(&held.len()), "{} rows", held.len());
    Bus::start(
        folder.path(),
        &["--records", "6000", "--rate", "0", "--work", "0"],
    )
    .wait()
    .assert_success();
    let rows = rows_in_topic(&folder.path().join("data"));
    assert_eq!(rows, (0..6_000).collect::<Vec<_>>());
    let expected = reference_answers(&generated(1, 6_000));
    assert_answers(&folder.path().join("results"), &expected, "stopped");
}

#[test]
fn finished_input_gives_its_results_again() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--records", "2000", "--rate", "0", "--work", "0"];
    let expected = reference_answers(&generated(1, 2_000));
    for told in ["first", "again"] {
        Bus::start(folder.path(), &args).wait().assert_success();
        let results = folder.path().join("results");
        assert_answers(&results, &expected, told);
        std::fs::remove_dir_all(results).unwrap();
    }
    assert_eq!(rows_in_topic(&folder.path().join("data")).len(), 2_000);
}
