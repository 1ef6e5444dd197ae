//! Groups are moved by plans: one verb each, nothing by mistake, and new ones join live.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    ops::Range,
    sync::{
        Arc,
        mpsc::{self, TryRecvError},
    },
    thread,
    time::Duration,
};

use futures::executor::block_on;
use levada_core::Timestamp;
use levada_log::{
    Batch, Error, Group, Log, Partition, Record, Seek, SeekPlan, Topic, TopicOptions,
};

use levada_testkit::TestClock;

use crate::support::{Steps, batch, small};

/// A topic of two partitions: one record a second in the first, until 10; the second has two.
struct Scene {
    folder: tempfile::TempDir,
    clock: TestClock,
    log: Log,
    topic: Topic,
    group: Group,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = TestClock::default();
        let log = Log::options().clock(Arc::new(clock.clone()));
        let log = log.open(folder.path()).unwrap();
        let topic = log.create_topic("orders", TopicOptions::new().partitions(2));
        let topic = topic.wait().unwrap();
        for _ in 0..10 {
            clock.advance(Duration::from_secs(1));
            append(&topic, 0);
        }
        append(&topic, 1);
        append(&topic, 1);
        let group = log.group("inventory").unwrap();
        Self {
            folder,
            clock,
            log,
            topic,
            group,
        }
    }

    /// Stands at 5 and 1.
    fn standing() -> Self {
        let scene = Self::new();
        let [first, second] = scene.partitions();
        let moved = scene.group.commit(&[(&first, 5), (&second, 1)]);
        moved.wait().unwrap();
        scene
    }

    fn partitions(&self) -> [Partition; 2] {
        [0, 1].map(|number| self.topic.partition(number).unwrap())
    }

    fn positions(&self) -> [Option<u64>; 2] {
        self.partitions().map(|it| self.group.position(&it))
    }

    fn plan(&self, seek: Seek<'_>) -> SeekPlan {
        self.group.seek(&self.topic, seek).wait().unwrap()
    }

    /// Seeks: nothing moves until the plan is applied, and then all that it says.
    fn check(&self, seek: Seek<'_>, to: [u64; 2], clamped: [bool; 2]) {
        let before = self.positions();
        let plan = self.plan(seek);
        let said: Vec<_> = plan.moves().iter().map(|it| (it.from, it.to)).collect();
        assert_eq!(said, [(before[0], to[0]), (before[1], to[1])]);
        let said: Vec<_> = plan.moves().iter().map(|it| it.is_clamped).collect();
        assert_eq!(said, clamped);
        assert_eq!(self.positions(), before);
        plan.apply().wait().unwrap();
        assert_eq!(self.positions(), to.map(Some));
    }
}

fn append(topic: &Topic, number: u32) {
    let partition = topic.partition(number).unwrap();
    partition.append(batch(&[b"value"])).wait().unwrap();
}

#[test]
fn start_and_end() {
    let scene = Scene::new();
    scene.check(Seek::End, [10, 2], [false; 2]);
    scene.check(Seek::Start, [0, 0], [false; 2]);
}

#[test]
fn offset_is_clamped_to_what_is_there() {
    let scene = Scene::new();
    scene.check(Seek::Offset(1), [1, 1], [false; 2]);
    scene.check(Seek::Offset(7), [7, 2], [false, true]);
    scene.check(Seek::Offset(u64::MAX), [10, 2], [true; 2]);
}

#[test]
fn further_and_back_from_where_it_stands() {
    let scene = Scene::standing();
    scene.check(Seek::By(1), [6, 2], [false; 2]);
    scene.check(Seek::By(-2), [4, 0], [false; 2]);
    scene.check(Seek::By(i64::MIN), [0, 0], [true; 2]);
    scene.check(Seek::By(i64::MAX), [10, 2], [true; 2]);
    let fresh = scene.log.group("fresh").unwrap();
    let plan = fresh.seek(&scene.topic, Seek::By(1)).wait().unwrap();
    assert_eq!((plan.moves()[0].from, plan.moves()[0].to), (None, 1));
}

#[test]
fn time_and_time_ago() {
    let scene = Scene::new();
    let at = |millis| Seek::Time(Timestamp::from_millis(millis));
    scene.check(at(3_000), [2, 0], [false; 2]);
    scene.check(at(3_001), [3, 0], [false; 2]);
    scene.check(at(i64::MAX), [10, 2], [false; 2]);
    scene.check(Seek::Ago(Duration::from_secs(4)), [5, 0], [false; 2]);
    scene.check(Seek::Ago(Duration::MAX), [0, 0], [false; 2]);
    scene.clock.advance(Duration::from_secs(1));
    scene.check(Seek::Ago(Duration::ZERO), [10, 2], [false; 2]);
}

#[test]
fn like_another_group() {
    let scene = Scene::new();
    let other = scene.log.group("other").unwrap();
    let [first, _] = scene.partitions();
    other.commit(&[(&first, 3)]).wait().unwrap();
    let plan = scene.plan(Seek::Like(&other));
    plan.apply().wait().unwrap();
    // Where the other has no position, nothing moves.
    assert_eq!(scene.positions(), [Some(3), None]);
}

#[test]
fn positions_go_to_a_file_and_come_back() {
    let scene = Scene::standing();
    let path = scene.folder.path().join("positions.csv");
    std::fs::write(&path, scene.plan(Seek::By(0)).to_csv()).unwrap();
    scene.check(Seek::End, [10, 2], [false; 2]);
    let csv = std::fs::read_to_string(&path).unwrap();
    assert_eq!(csv, "orders,0,5\norders,1,1\n");
    scene.check(Seek::from_csv(&csv, "orders").unwrap(), [5, 1], [false; 2]);

    let bad = [
        ("orders,0", 1),
        ("orders,0,1\norders,x,1", 2),
        ("orders,0,-1", 1),
        ("orders,0,1\nother,0,1\norders,0,2", 3),
        ("\n", 1),
    ];
    for (csv, at) in bad {
        let refused = Seek::from_csv(csv, "orders").map(drop);
        assert!(
            matches!(refused, Err(Error::BadPositions { line, .. }) if line == at),
            "{csv:?}: {refused:?}"
        );
    }
    let beyond = Seek::Positions(BTreeMap::from([(2, 0)]));
    let refused = scene.group.seek(&scene.topic, beyond).wait();
    assert!(matches!(refused, Err(Error::UnknownPartition { .. })));
}

#[test]
fn plan_is_printed_with_what_was_clamped() {
    let scene = Scene::standing();
    let said = scene.plan(Seek::Offset(7)).to_string();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "group inventory, topic orders");
    let cells = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(cells(lines[2]), ["0", "5", "7"]);
    assert_eq!(cells(lines[3]), ["1", "1", "2", "(clamped)"]);
}

#[test]
fn seek_is_durable() {
    let scene = Scene::new();
    scene.check(Seek::Offset(2), [2, 2], [false; 2]);
    scene.log.close().wait().unwrap();
    let log = Log::open(scene.folder.path()).unwrap();
    let (topic, group) = (
        log.topic("orders").unwrap(),
        log.group("inventory").unwrap(),
    );
    let position = group.position(&topic.partition(0).unwrap());
    assert_eq!(position, Some(2));
}

#[test]
fn active_group_is_not_moved_unless_its_members_are_fenced() {
    let scene = Scene::standing();
    let [first, _] = scene.partitions();
    let (one, two) = (scene.group.join(), scene.group.join());
    let plan = scene.plan(Seek::Start);
    let refused = plan.apply().wait();
    assert!(matches!(
        refused,
        Err(Error::GroupActive { members: 2, .. })
    ));
    drop(one);
    assert!(plan.apply().wait().is_err());
    two.commit(&[(&first, 6)]).wait().unwrap();
    assert_eq!(scene.positions(), [Some(6), Some(1)]);

    // Fenced, it does not matter that the group has moved.
    plan.apply_fenced().wait().unwrap();
    assert_eq!(scene.positions(), [Some(0), Some(0)]);
    let late = two.commit(&[(&first, 7)]).wait();
    assert!(matches!(late, Err(Error::FencedMember { .. })));
    assert_eq!(scene.positions(), [Some(0), Some(0)]);

    // Who joins now is a member, and that the old one leaves does not count.
    let three = scene.group.join();
    drop(two);
    let refused = scene.plan(Seek::End).apply().wait();
    assert!(matches!(
        refused,
        Err(Error::GroupActive { members: 1, .. })
    ));
    three.commit(&[(&first, 1)]).wait().unwrap();
    drop(three);
    scene.plan(Seek::End).apply().wait().unwrap();
}

#[test]
fn plan_for_a_group_that_has_moved_is_refused_and_moves_nothing() {
    let scene = Scene::standing();
    let [first, second] = scene.partitions();
    let plan = scene.plan(Seek::Start);
    scene.group.commit(&[(&second, 2)]).wait().unwrap();
    let refused = plan.apply().wait();
    assert!(matches!(refused, Err(Error::GroupMoved { .. })));
    assert_eq!(scene.positions(), [Some(5), Some(2)]);
    scene
        .group
        .commit(&[(&first, 5), (&second, 1)])
        .wait()
        .unwrap();
    plan.apply().wait().unwrap();
    assert!(matches!(plan.apply().wait(), Err(Error::GroupMoved { .. })));
}

#[test]
fn of_moves_in_one_group_commit_none_slips_past_a_seek() {
    let folder = tempfile::tempdir().unwrap();
    let steps = Steps::default();
    let log = small().spawner(Arc::new(steps.clone()));
    let log = log.open(folder.path()).unwrap();
    let topic = steps
        .wait(log.create_topic("orders", TopicOptions::new()))
        .unwrap();
    let orders = topic.partition(0).unwrap();
    steps
        .wait(orders.append(batch(&[b"a", b"b", b"c"])))
        .unwrap();
    let group = log.group("inventory").unwrap();
    let member = group.join();
    let fences = steps.wait(group.seek(&topic, Seek::Offset(1))).unwrap();
    let end = steps.wait(group.seek(&topic, Seek::End)).unwrap();

    // All of these wait for the same group commit.
    let before = member.commit(&[(&orders, 2)]);
    let seek = fences.apply_fenced();
    let after = member.commit(&[(&orders, 3)]);
    let also = end.apply();
    let joined = group.join();
    steps.wait(before).unwrap();
    steps.wait(seek).unwrap();
    assert!(matches!(steps.wait(after), Err(Error::FencedMember { .. })));
    assert!(steps.wait(also).is_err());
    assert_eq!(group.position(&orders), Some(1));
    // It may have read the position before the seek.
    assert!(joined.is_fenced());
    let late = steps.wait(joined.commit(&[(&orders, 3)]));
    assert!(matches!(late, Err(Error::FencedMember { .. })));

    // Of two plans for the same group the second finds that it has moved.
    let plans = [Seek::Start, Seek::End].map(|seek| steps.wait(group.seek(&topic, seek)).unwrap());
    let [first, second] = plans.map(|plan| plan.apply());
    steps.wait(first).unwrap();
    assert!(matches!(steps.wait(second), Err(Error::GroupMoved { .. })));
    assert_eq!(group.position(&orders), Some(0));
}

#[test]
fn range_is_read_without_a_group() {
    let scene = Scene::new();
    let [first, _] = scene.partitions();
    let mut next = first
        .offset_at(Timestamp::from_millis(3_000))
        .wait()
        .unwrap();
    let mut read = Vec::new();
    while next < 7 {
        let fetched = first.fetch(next, 1).wait().unwrap();
        read.extend(fetched.records().map(|record| record.offset));
        next = fetched.next;
    }
    assert_eq!(read, [2, 3, 4, 5, 6]);
    assert!(scene.log.groups().is_empty());
}

/// Appends these numbers, some at a time.
fn write(orders: &Partition, numbers: Range<u32>) {
    let numbers: Vec<_> = numbers.map(u32::to_le_bytes).collect();
    let mut last = None;
    for some in numbers.chunks(10_000) {
        let mut batch = Batch::new();
        for number in some {
            batch.push(&Record::of(number)).unwrap();
        }
        // The next is on its way before this one is durable.
        if let Some(before) = last.replace(orders.append(batch)) {
            before.wait().unwrap();
        }
    }
    last.unwrap().wait().unwrap();
}

#[test]
fn new_group_reads_all_of_history_and_then_joins_live_with_no_gap_and_nothing_twice() {
    const HISTORY: u32 = 1_000_000;
    const MOST: u32 = 1_400_000;
    let folder = tempfile::tempdir().unwrap();
    let options = || {
        Log::options()
            .journal_bytes(256 << 10)
            .segment_bytes(128 << 10)
    };
    let log = options().open(folder.path()).unwrap();
    let topic = log
        .create_topic("orders", TopicOptions::new())
        .wait()
        .unwrap();
    write(&topic.partition(0).unwrap(), 0..HISTORY);
    log.close().wait().unwrap();
    drop((topic, log));

    let log = options().open(folder.path()).unwrap();
    let topic = log.topic("orders").unwrap();
    let orders = topic.partition(0).unwrap();
    let group = log.group("fraud_audit").unwrap();
    let start = group.seek(&topic, Seek::Start).wait().unwrap();
    start.apply().wait().unwrap();
    let member = group.join();
    thread::scope(|threads| {
        let orders = &orders;
        // Dropped, it ends the writer: also when this reader fails.
        let (goes_on, is_over) = mpsc::sync_channel::<()>(0);
        let writer = threads.spawn(move || {
            let mut some = (HISTORY..MOST).step_by(2);
            let last = some.find(|&next| {
                write(orders, next..next + 2);
                is_over.try_recv() == Err(TryRecvError::Disconnected)
            });
            last.map_or(MOST, |last| last + 2)
        });
        let mut expected = 0_u32;
        let mut read = || {
            let from = group.position(orders).unwrap();
            let is_live = from > u64::from(HISTORY) && from == orders.visible_end();
            block_on(poll_fn(|context| orders.poll_visible(context, from)));
            let fetched = orders.fetch(from, 256 << 10).wait().unwrap();
            for record in fetched.records() {
                assert_eq!(record.value, expected.to_le_bytes());
                expected += 1;
            }
            member.commit(&[(orders, fetched.next)]).wait().unwrap();
            (expected, is_live)
        };
        // It stands at the end, and waits for what comes.
        let mut live = 0;
        while live < 50 {
            let (next, is_live) = read();
            live += u32::from(is_live);
            assert!(next < MOST, "it came to the end {live} times");
        }
        drop(goes_on);
        let end = writer.join().unwrap();
        while group.position(orders) < Some(u64::from(end)) {
            read();
        }
        assert_eq!(orders.visible_end(), u64::from(end));
    });
}
