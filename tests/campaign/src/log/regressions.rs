//! Bugs that the campaigns have found, each as the shortest story that shows it.

use std::{sync::Arc, time::Duration};

use levada_core::Seed;
use levada_log::{Acks, Batch, Error, Log, Options, Partition, Record, Retention, TopicOptions};
use levada_testkit::{
    TestClock,
    vfs::{Fault, FaultyFs, Keep, When},
};

use super::{
    scene::{Ending, Plant, Scene},
    steps::{Steps, answered},
};

const FOLDER: &str = "/srv/levada/data";

fn options(fs: &FaultyFs, steps: &Steps) -> Options {
    let (vfs, spawner) = (Arc::new(fs.clone()), Arc::new(steps.clone()));
    let options = Log::options().vfs(vfs).spawner(spawner);
    options.journal_bytes(4096).reserve_bytes(4096)
}

fn steps() -> Steps {
    Steps::new(Seed::new(1).rng("steps"))
}

/// A batch of one value of this many bytes.
fn batch(len: usize) -> Batch {
    let mut batch = Batch::new();
    batch.push(&Record::of(&vec![7; len])).unwrap();
    batch
}

/// An open log with a topic of one partition.
fn opened(fs: &FaultyFs, steps: &Steps) -> (Log, Partition) {
    let log = options(fs, steps).open(FOLDER).unwrap();
    let made = log.create_topic("orders", TopicOptions::new());
    let orders = steps.wait(made).unwrap().unwrap();
    (log, orders.partition(0).unwrap())
}

/// How many records are there when the folder is opened again.
fn reopened(fs: &FaultyFs) -> u64 {
    let steps = steps();
    let log = options(fs, &steps).open(FOLDER).unwrap();
    log.topic("orders")
        .unwrap()
        .partition(0)
        .unwrap()
        .visible_end()
}

#[test]
fn new_folders_above_the_data_folder_are_durable() {
    let (fs, steps) = (FaultyFs::new(Seed::new(1)), steps());
    let (_log, orders) = opened(&fs, &steps);
    steps.wait(orders.append(batch(10))).unwrap().unwrap();
    assert_eq!(reopened(&fs.power_cut(Keep::Nothing)), 1);
}

#[test]
fn append_that_the_full_disk_refused_does_not_come_back() {
    // Full at any byte of the frame, also in the padding after its last entry.
    for room in (0..8192).step_by(32) {
        let (fs, steps) = (FaultyFs::new(Seed::new(1)), steps());
        let options = options(&fs, &steps).journal_bytes(1 << 20);
        let log = options.open(FOLDER).unwrap();
        let made = log.create_topic("orders", TopicOptions::new());
        let orders = steps.wait(made).unwrap().unwrap().partition(0).unwrap();
        fs.set_room(Some(room));
        let refused = steps.wait(orders.append(batch(5000))).unwrap();
        assert!(
            matches!(refused, Err(Error::NoSpace { .. })),
            "{room}: {refused:?}"
        );
        assert_eq!(reopened(&fs.kill()), 0, "{room}");
        assert_eq!(reopened(&fs.power_cut(Keep::Everything)), 0, "{room}");
    }
}

#[test]
fn remains_of_a_frame_that_did_not_fit_are_not_taken_for_a_damaged_head() {
    let (fs, steps) = (FaultyFs::new(Seed::new(1)), steps());
    let (_log, orders) = opened(&fs, &steps);
    // The first append begins a journal, and leaves its file at an odd length.
    fs.set_room(Some(4096 + 19));
    let refused = steps.wait(orders.append(batch(5000))).unwrap();
    assert!(matches!(refused, Err(Error::NoSpace { .. })), "{refused:?}");
    fs.set_room(None);
    for _ in 0..3 {
        let mut ticket = orders.append(batch(10));
        while answered(&mut ticket).is_none() {
            assert!(steps.step());
            reopened(&fs.kill());
        }
    }
}

#[test]
fn new_journal_is_not_durable_before_the_one_that_a_crash_left_behind() {
    for (seed, calls) in (0..20).flat_map(|seed| (0..60).map(move |calls| (seed, calls))) {
        let fs = FaultyFs::new(Seed::new(seed));
        let first = steps();
        let (_log, orders) = opened(&fs, &first);
        // The next append begins a journal, whose name does not become durable.
        fs.inject(Fault::DirSyncFailed, When::After(0));
        first.wait(orders.append(batch(10))).unwrap().unwrap_err();

        let fs = fs.kill();
        fs.inject(Fault::Crash, When::After(calls));
        drop(options(&fs, &steps()).open(FOLDER));
        assert_eq!(reopened(&fs.power_cut(Keep::Any)), 0, "{seed} {calls}");
    }
}

#[test]
fn reader_between_offsets_that_were_left_out_and_an_open_transaction_is_at_the_end() {
    let (fs, first) = (FaultyFs::new(Seed::new(1)), steps());
    let log = options(&fs, &first)
        .segment_bytes(4096)
        .open(FOLDER)
        .unwrap();
    let early = TopicOptions::new().acks(Acks::Written);
    let made = first.wait(log.create_topic("orders", early)).unwrap();
    let appended = made.unwrap().partition(0).unwrap().append(batch(5000));
    first.wait(appended).unwrap().unwrap();

    // What a power cut may have taken keeps its offsets: the next are far away.
    let (fs, steps) = (fs.kill(), steps());
    let log = options(&fs, &steps)
        .segment_bytes(4096)
        .open(FOLDER)
        .unwrap();
    let orders = log.topic("orders").unwrap().partition(0).unwrap();
    let mut producer = steps.wait(log.producer("clerk")).unwrap().unwrap();
    let open = producer.begin().unwrap();
    let is_at_the_end = || {
        let fetched = steps.wait(orders.fetch(1, 1 << 20)).unwrap().unwrap();
        fetched.records().count() == 0 && fetched.next == orders.visible_end()
    };
    // The first is in memory alone for a while.
    for _ in 0..4 {
        let appended = open.append(&orders, batch(5000));
        steps.wait(appended).unwrap().unwrap();
        assert!(is_at_the_end());
    }
    while steps.step() {}
    assert!(is_at_the_end());
}

#[test]
fn journal_of_a_log_whose_folder_was_taken_is_not_used_again() {
    let fs = FaultyFs::new(Seed::new(1));
    let (first, second) = (steps(), steps());
    let open = |steps: &Steps| {
        options(&fs, steps)
            .journal_bytes(64 << 10)
            .open(FOLDER)
            .unwrap()
    };
    let log = open(&first);
    let made = log.create_topic("orders", TopicOptions::new());
    let taken = first.wait(made).unwrap().unwrap().partition(0).unwrap();
    first.wait(taken.append(batch(10))).unwrap().unwrap();

    fs.drop_locks();
    let log = open(&second);
    let orders = log.topic("orders").unwrap().partition(0).unwrap();
    // Eight fill a journal, and the next begin another: in the file that the first log still has?
    for _ in 0..10 {
        second.wait(orders.append(batch(5000))).unwrap().unwrap();
    }
    // Whatever the first log says to this.
    drop(first.wait(taken.append(batch(10))).unwrap());
    assert_eq!(reopened(&fs.kill()), 11);
}

#[test]
fn log_whose_folder_was_taken_leaves_the_new_segments_and_journals_alone() {
    for seed in 0..60 {
        let mut scene = Scene::new(seed, Plant::None).unwrap();
        // A full journal waits to be flushed at most times, or one that is not full has room.
        scene.journal_bytes = [4 << 10, 16 << 10][usize::try_from(seed % 2).unwrap()];
        scene.end(Ending::Kill).unwrap();
        scene.create_topic();
        scene.drain().unwrap();
        for _ in 0..6 {
            for _ in 0..8 {
                scene.append().unwrap();
                scene.work(2).unwrap();
            }
            let taken = scene.takeover();
            taken.unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        }
        scene.finish().unwrap();
    }
}

#[test]
fn append_that_waits_for_a_flush_is_refused_when_the_flush_waits_for_room() {
    const HOUR: Duration = Duration::from_hours(1);
    for seed in 0..60 {
        let (fs, clock) = (FaultyFs::new(Seed::new(1)), TestClock::default());
        let steps = Steps::new(Seed::new(seed).rng("steps"));
        let options = options(&fs, &steps).clock(Arc::new(clock.clone()));
        // Too little for an image.
        let log = options.reserve_bytes(512).open(FOLDER).unwrap();
        let made = |name, options| {
            let topic = steps
                .wait(log.create_topic(name, options))
                .unwrap()
                .unwrap();
            let numbers = 0..topic.partitions();
            let partitions = numbers.map(|number| topic.partition(number).unwrap());
            partitions.collect::<Vec<_>>()
        };
        let expires = Retention::forever().age(HOUR);
        let expires = TopicOptions::new().partitions(40).retention(expires);
        let (orders, filler) = (made("orders", expires), made("filler", TopicOptions::new()));
        // Each fills a journal.
        let fill = || filler[0].append(batch(5000));
        for partition in &orders {
            drop(partition.append(batch(10)));
        }
        for _ in 0..3 {
            steps.wait(fill()).unwrap().unwrap();
        }
        clock.advance(2 * HOUR);
        let mut waits = fill();
        for _ in 0..seed {
            steps.step();
            if answered(&mut waits).is_some() {
                drop(orders[0].append(batch(10)));
                waits = fill();
            }
        }
        fs.set_room(Some(0));
        clock.advance(2 * HOUR);
        let answer = steps.wait(waits);
        let answer = answer.unwrap_or_else(|fault| panic!("{seed}: {fault}"));
        let refused = matches!(answer, Err(Error::NoSpace { .. }));
        assert!(refused || answer.is_ok(), "{answer:?}");
    }
}
