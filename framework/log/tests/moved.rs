//! A folder that is moved, replaced or copied back, or whose process stood still meanwhile.

use std::{fs, path::Path, time::Duration};

use levada_core::Seed;
use levada_log::{Error, Log, TopicOptions};
use levada_testkit::{TestClock, vfs::FaultyFs};

use crate::{
    machine::{Machine, START},
    support::{batch, copy, found, made, read_all, reopened, small},
};

/// What becomes of a folder while its log runs: given a place aside, and the folder.
type Event = fn(&Path, &Path);

fn moved(to: &Path, folder: &Path) {
    fs::rename(folder, to).unwrap();
}

/// A log in this folder, of one record.
fn begun(folder: &Path) -> Log {
    let log = small().open(folder).unwrap();
    made(&log, "orders")
        .append(batch(&[b"here"]))
        .wait()
        .unwrap();
    log
}

#[test]
fn log_whose_folder_was_moved_removed_or_replaced_acknowledges_nothing_more() {
    let events: [(&str, Event); 4] = [
        ("moved", moved),
        ("removed", |_, folder| fs::remove_dir_all(folder).unwrap()),
        ("replaced by another", |aside, folder| {
            moved(aside, folder);
            begun(folder).close().wait().unwrap();
        }),
        ("replaced by a copy that was opened", |aside, folder| {
            moved(aside, folder);
            copy(aside, folder);
            small().open(folder).unwrap().close().wait().unwrap();
        }),
    ];
    for (what, event) in events {
        let parent = tempfile::tempdir().unwrap();
        let (folder, aside) = (parent.path().join("data"), parent.path().join("aside"));
        let log = begun(&folder);
        let orders = found(&log, "orders");
        event(&aside, &folder);
        for _ in 0..2 {
            let refused = orders.append(batch(&[b"gone"])).wait().unwrap_err();
            assert!(matches!(refused, Error::Dead { .. }), "{what}: {refused}");
        }
        drop((log, orders));
        // Whatever is there now is as it was.
        if folder.exists() {
            let log = reopened(small, &folder);
            let all = read_all(&found(&log, "orders"), 0);
            assert_eq!(all, [(0, b"here".to_vec())], "{what}");
        }
    }
}

#[test]
fn process_that_stood_still_while_another_took_its_folder_changes_nothing_that_anyone_sees() {
    let options = || std::sync::Arc::new(|options| options);
    for steps in 0..12 {
        let (fs, clock) = (FaultyFs::new(Seed::new(7)), TestClock::at(START));
        let frozen = Machine::on(fs.clone(), clock.clone(), options()).unwrap();
        let theirs = frozen.made("orders", TopicOptions::new()).remove(0);
        frozen.append(&theirs, b"before");
        let mut import = frozen.producer("import");
        let sale = import.begin().unwrap();
        let in_sale = sale.append(&theirs, batch(&[b"in a transaction"]));
        frozen.wait(in_sale).unwrap();
        let last = theirs.append(batch(&[b"in flight"]));
        (0..steps).for_each(|_| frozen.steps.step());

        // It stands still for ten minutes, and locks do not hold for so long here.
        clock.advance(Duration::from_mins(10));
        fs.drop_locks();
        let machine = Machine::on(fs.clone(), clock.clone(), options()).unwrap();
        let orders = machine.found("orders", 0);
        machine.append(&orders, b"after");
        machine.rest();
        let visible = |fs: &FaultyFs| {
            let files = fs.files().into_iter();
            files.map(|it| (fs.contents(&it), it)).collect::<Vec<_>>()
        };
        let before = visible(&fs);

        // It goes on where it stood.
        let answer = frozen.wait(last);
        let late = frozen.wait(theirs.append(batch(&[b"late"])));
        assert!(matches!(late, Err(Error::Dead { .. })), "{late:?}");
        frozen.wait(sale.commit()).unwrap_err();
        assert!(visible(&fs) == before, "after {steps} steps");

        let values = machine.values(&orders);
        let was_in_flight = values.iter().filter(|value| *value == "in flight").count();
        let mut expected = vec!["before"];
        expected.extend(vec!["in flight"; was_in_flight]);
        expected.push("after");
        assert_eq!(values, expected);
        assert!(was_in_flight == 1 || answer.is_err(), "it was acknowledged");
        let killed = Machine::on(fs.kill(), clock, options()).unwrap();
        assert_eq!(killed.values(&killed.found("orders", 0)), expected);
    }
}

#[test]
fn older_copy_has_the_positions_of_its_time_and_refuses_a_producer_that_is_ahead_of_it() {
    let machine = Machine::new();
    let orders = machine.made("orders", TopicOptions::new()).remove(0);
    let (import, group) = (
        machine.producer("import"),
        machine.log.group("sink").unwrap(),
    );
    let append = |sequence| machine.wait(import.append(&orders, sequence, batch(&[b"x"])));
    (0..5).for_each(|n| assert_eq!(append(n).unwrap().offsets.start, n));
    machine.wait(group.commit(&[(&orders, 3)])).unwrap();
    let old = machine.fs.kill();
    (5..10).for_each(|n| assert_eq!(append(n).unwrap().offsets.start, n));
    machine.wait(group.commit(&[(&orders, 9)])).unwrap();

    // Whoever worked with the newer one goes on where it stood.
    let machine = machine.started(old).unwrap();
    let orders = machine.found("orders", 0);
    let group = machine.log.group("sink").unwrap();
    assert_eq!(group.position(&orders), Some(3), "nobody moves it");
    let import = machine.producer("import");
    let gap = machine.wait(import.append(&orders, 10, batch(&[b"x"])));
    assert!(
        matches!(gap, Err(Error::OutOfSequence { expected: 5, .. })),
        "{gap:?}"
    );
}
