//! What is kept, and what goes.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use levada_core::{Clock as _, Seed};
use levada_log::{Error, Partition, Retention, TopicOptions};
use levada_testkit::{
    TestClock,
    vfs::{Fault, FaultyFs, Keep, When},
};

use crate::{
    machine::{Machine, START},
    support::{batch, warnings},
};

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A machine, and a topic of one partition that keeps so much.
fn scene(retention: Retention) -> (Machine, Partition) {
    let machine = Machine::new();
    let options = TopicOptions::new().retention(retention);
    let orders = machine.made("orders", options).remove(0);
    (machine, orders)
}

/// Appends so many records of a kilobyte, one a batch, with this time before each.
fn append(machine: &Machine, orders: &Partition, count: u32, every: Duration) {
    for _ in 0..count {
        machine.pass(every);
        machine.append(orders, &[7; 1000]);
    }
}

#[test]
fn age_removes_whole_segments_once_their_last_record_is_too_old() {
    let (machine, orders) = scene(Retention::forever().age(HOUR));
    // A record a minute, for forty minutes.
    append(&machine, &orders, 40, MINUTE);
    machine.steps.settle();
    let all: Vec<u64> = (0..40).collect();
    assert_eq!(machine.offsets(&orders), all);
    let mut before = machine.segments().len();
    assert!(before > 3, "{before} segments");

    for minute in 41..=110_u64 {
        machine.pass(MINUTE);
        let (start, end) = (orders.start(), orders.visible_end());
        // The record at offset o was appended in minute o + 1.
        let oldest = minute.saturating_sub(61);
        let late = 8; // An eighth of an hour.
        let range = oldest.saturating_sub(late).min(40)..=oldest.min(40);
        assert!(
            range.contains(&start),
            "{start} in minute {minute}, not {range:?}"
        );
        assert_eq!(machine.offsets(&orders), (start..end).collect::<Vec<_>>());
        assert!(machine.segments().len() <= before);
        before = machine.segments().len();
    }
    assert_eq!(
        (orders.start(), before),
        (40, 0),
        "all is gone, what was in memory too"
    );
    // The next is a new record, not one of the numbers that are gone.
    let appended = machine.wait(orders.append(batch(&[b"new"]))).unwrap();
    assert_eq!(appended.offsets, 40..41);
    machine.wait(machine.log.close()).unwrap();
    let orders = machine.killed().found("orders", 0);
    assert_eq!((orders.start(), orders.visible_end()), (40, 41));
}

#[test]
fn consuming_removes_nothing_and_forever_is_forever() {
    let (machine, orders) = scene(Retention::forever());
    append(&machine, &orders, 60, MINUTE);
    let group = machine.log.group("shipping").unwrap();
    let end = orders.visible_end();
    machine.wait(group.commit(&[(&orders, end)])).unwrap();
    machine.steps.settle();
    let files = machine.segments();
    for _ in 0..10 {
        machine.pass(HOUR * 24 * 365);
        assert_eq!(machine.offsets(&orders), (0..60).collect::<Vec<_>>());
    }
    assert_eq!(machine.segments(), files);
    assert_eq!(orders.retained_for(0), None);
}

#[test]
fn size_keeps_the_latest_bytes_and_hardly_more() {
    let (machine, orders) = scene(Retention::forever().bytes(40 << 10));
    for _ in 0..20 {
        append(&machine, &orders, 10, MINUTE);
        machine.steps.settle();
        let files = machine.segments();
        let bytes = files
            .iter()
            .map(|file| machine.fs.contents(file).unwrap().len());
        let (bytes, start) = (bytes.sum::<usize>(), orders.start());
        assert!(bytes <= 46 << 10, "{bytes} bytes from {start}");
        assert!(
            start == 0 || bytes >= 40 << 10,
            "{bytes} bytes from {start}"
        );
        let there = start..orders.visible_end();
        assert_eq!(machine.offsets(&orders), there.collect::<Vec<_>>());
    }
    assert!(orders.start() > 100, "{}", orders.start());
    let left = orders.retained_for(orders.start()).unwrap();
    let newest = orders.retained_for(orders.visible_end()).unwrap();
    assert!(left < 10 * MINUTE, "{left:?}");
    assert!((30 * MINUTE..60 * MINUTE).contains(&newest), "{newest:?}");
}

#[test]
fn offset_that_is_gone_is_out_of_range_and_a_group_that_missed_it_is_told() {
    let (machine, orders) = scene(Retention::forever().age(HOUR));
    append(&machine, &orders, 40, MINUTE);
    let [slow, done] = ["slow", "done"].map(|name| machine.log.group(name).unwrap());
    machine.wait(slow.commit(&[(&orders, 3)])).unwrap();
    machine.wait(done.commit(&[(&orders, 40)])).unwrap();
    let left = orders.retained_for(3).unwrap();
    assert!((20 * MINUTE..=32 * MINUTE).contains(&left), "{left:?}");
    assert_eq!(slow.missed(&orders), 0);
    machine.pass(2 * HOUR);
    machine.pass(MINUTE);
    assert_eq!(orders.start(), 40);
    let refused = machine.wait(orders.fetch(3, 1000)).unwrap_err();
    assert!(
        matches!(refused, Error::OutOfRange { start: 40, .. }),
        "{refused}"
    );
    assert_eq!((slow.missed(&orders), done.missed(&orders)), (37, 0));
    assert_eq!(slow.position(&orders), Some(3), "nobody moves it");
    assert_eq!(orders.retained_for(3), Some(Duration::ZERO));
}

#[test]
fn the_time_that_is_left_counts_down_to_the_removal_and_not_past_it() {
    const TEN_SECONDS: Duration = Duration::from_secs(10);
    let (machine, orders) = scene(Retention::forever().age(HOUR));
    append(&machine, &orders, 40, MINUTE);
    let begun = machine.clock.elapsed();
    let now = || machine.clock.elapsed().checked_sub(begun).unwrap();
    for offset in [3, 20, 39] {
        let (mut last, mut promised) = (Duration::MAX, Duration::ZERO);
        while orders.start() <= offset {
            let left = orders.retained_for(offset).unwrap();
            assert!(left <= last, "{offset}: {left:?} after {last:?}");
            promised = promised.max(now() + left);
            last = left;
            assert!(machine.offsets(&orders).contains(&offset));
            machine.pass(TEN_SECONDS);
        }
        assert!(now() >= promised, "{offset}: gone before {promised:?}");
        assert!(last <= TEN_SECONDS, "{offset}: gone with {last:?} left");
        assert_eq!(orders.retained_for(offset), Some(Duration::ZERO));
    }
    assert_eq!(orders.start(), 40);
}

#[test]
fn a_group_is_warned_once_before_retention_takes_what_it_has_not_done() {
    let (machine, orders) = scene(Retention::forever().age(HOUR));
    append(&machine, &orders, 40, MINUTE);
    let [slow, done, new] = ["slow", "done", "new"].map(|name| machine.log.group(name).unwrap());
    machine.wait(slow.commit(&[(&orders, 3)])).unwrap();
    machine.wait(done.commit(&[(&orders, 40)])).unwrap();
    assert_eq!(new.position(&orders), None);
    let warned = || {
        let said = warnings(|| machine.pass(MINUTE));
        let soon: Vec<_> = said.lines().filter(|it| it.contains("will soon")).collect();
        soon.join("\n")
    };
    // A tenth of an hour.
    while orders.retained_for(3).unwrap() >= 7 * MINUTE {
        assert_eq!(warned(), "");
    }
    let said = warned();
    for part in [
        "group=slow",
        "topic=orders",
        "partition=0",
        "position=3",
        "set_retention",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let left = orders.retained_for(3).unwrap();
    assert!((4 * MINUTE..6 * MINUTE).contains(&left), "{left:?}");
    assert!(machine.offsets(&orders).contains(&3), "it can be read");
    // It gets away, and falls behind again.
    machine.wait(slow.commit(&[(&orders, 39)])).unwrap();
    while orders.retained_for(39).unwrap() >= 7 * MINUTE {
        assert_eq!(warned(), "");
    }
    assert!(warned().contains("position=39"));
    while orders.start() < 40 {
        assert_eq!(warned(), "", "once");
    }
    assert_eq!((slow.missed(&orders), done.missed(&orders)), (1, 0));
}

#[test]
fn by_size_too_a_group_is_warned_before_and_one_that_keeps_up_never() {
    for kept in (96..104).map(|kib| kib << 10) {
        let (machine, orders) = scene(Retention::forever().bytes(kept));
        let [slow, live] = ["slow", "live"].map(|name| machine.log.group(name).unwrap());
        machine.wait(slow.commit(&[(&orders, 0)])).unwrap();
        let (mut warned, mut promised) = (None, Duration::ZERO);
        while orders.start() == 0 {
            let left = orders.retained_for(0).unwrap_or_default();
            promised = promised.max(machine.clock.elapsed() + left);
            let said = warnings(|| {
                append(&machine, &orders, 1, MINUTE);
                let end = orders.visible_end() - 1; // It is always one behind.
                machine.wait(live.commit(&[(&orders, end)])).unwrap();
                machine.pass(Duration::from_secs(2));
            });
            assert!(!said.contains("group=live"), "{said}");
            if said.contains("will soon") {
                assert_eq!((warned, orders.start()), (None, 0), "once, before");
                warned = Some(orders.visible_end());
            }
        }
        assert!(warned.is_some(), "{kept}");
        let now = machine.clock.elapsed();
        assert!(
            now >= promised,
            "{kept}: gone at {now:?}, not after {promised:?}"
        );
    }
}

#[test]
fn retention_can_be_changed_and_stays_so() {
    let (machine, orders) = scene(Retention::forever());
    append(&machine, &orders, 40, MINUTE);
    machine.pass(HOUR);
    assert_eq!(orders.start(), 0);
    let hour = Retention::forever().age(HOUR);
    let topic = machine.log.topic("orders").unwrap();
    machine.wait(topic.set_retention(hour)).unwrap();
    machine.steps.settle();
    assert!(orders.start() > 10, "{}", orders.start());
    let start = orders.start();
    // Also after a crash, from the journal.
    let machine = machine.power_cut(Keep::Nothing);
    assert_eq!(machine.log.topic("orders").unwrap().retention(), hour);
    assert_eq!(machine.found("orders", 0).start(), start);
}

#[test]
fn clock_that_leaps_a_year_ahead_removes_nothing() {
    let (machine, orders) = scene(Retention::forever().age(48 * HOUR));
    append(&machine, &orders, 40, MINUTE);
    machine.clock.set(START + 365 * 24 * HOUR);
    for _ in 0..23 {
        machine.pass(HOUR);
        assert_eq!(machine.offsets(&orders), (0..40).collect::<Vec<_>>());
    }
    // A year back: everything is from the future, and stays.
    machine.clock.set(START - 365 * 24 * HOUR);
    machine.pass(HOUR);
    assert_eq!(orders.start(), 0);
    // It is right again, and what has expired goes when it should.
    machine.clock.set(START + 25 * HOUR);
    machine.pass(20 * HOUR);
    assert_eq!(orders.start(), 0);
    machine.pass(10 * HOUR);
    assert_eq!(orders.start(), 40);
}

#[test]
fn clock_that_is_a_year_ahead_at_the_opening_removes_nothing_on_its_first_day() {
    let (machine, orders) = scene(Retention::forever().age(HOUR));
    append(&machine, &orders, 40, Duration::ZERO);
    machine.wait(machine.log.close()).unwrap();
    machine.clock.set(START + 365 * 24 * HOUR);
    let machine = machine.killed();
    machine.steps.settle();
    assert_eq!(machine.found("orders", 0).start(), 0);
}

/// Appends, flushes and drops on a machine that stops before the call with this number, if it is
/// said: what it leaves, when, and how many records were acknowledged.
fn stopped_after(calls: Option<u64>) -> (FaultyFs, TestClock, u64) {
    let (fs, clock) = (FaultyFs::new(Seed::new(7)), TestClock::at(START));
    fs.inject(Fault::Crash, calls.map_or(When::Never, When::After));
    let (mut acknowledged, mut start) = (0, 0);
    if let Ok(machine) = Machine::on(fs.clone(), clock.clone(), Arc::new(|options| options)) {
        let hour = TopicOptions::new().retention(Retention::forever().age(HOUR));
        if let Ok(topic) = machine.wait(machine.log.create_topic("orders", hour)) {
            let orders = topic.partition(0).unwrap();
            for _ in 0..20 {
                clock.advance(6 * MINUTE);
                let appended = machine.wait(orders.append(batch(&[&[7; 1000]])));
                acknowledged += u64::from(appended.is_ok());
                (0..10).for_each(|_| machine.steps.step());
                start = orders.start();
            }
        }
    }
    assert!(calls.is_some() || start > 0, "something was dropped");
    (fs, clock, acknowledged)
}

#[test]
fn crash_before_any_call_keeps_all_that_has_not_expired_and_leaves_no_file_behind() {
    let all = stopped_after(None).0.calls();
    assert!(all > 200, "{all} calls");
    for call in 0..all {
        let (fs, clock, acknowledged) = stopped_after(Some(call));
        let machine = Machine::on(fs.kill(), clock, Arc::new(|options| options)).unwrap();
        let Ok(topic) = machine.log.topic("orders") else {
            assert_eq!(acknowledged, 0);
            continue;
        };
        let orders = topic.partition(0).unwrap();
        machine.steps.settle();
        let (start, end) = (orders.start(), orders.visible_end());
        assert!(end >= acknowledged, "call {call}: {end} of {acknowledged}");
        let there: Vec<_> = (start..end).collect();
        assert_eq!(machine.offsets(&orders), there, "call {call}");
        // Two hours have passed, and each record took six minutes.
        assert!(start <= 10, "call {call}: {start}..{end}");
        // Each file that is there holds something that is.
        machine.wait(machine.log.close()).unwrap();
        for file in machine.segments() {
            let base: u64 = file.file_name().unwrap().to_str().unwrap().parse().unwrap();
            assert!(there.contains(&base), "call {call}: {base} is left over");
        }
    }
}

#[test]
fn full_disk_is_made_room_on_only_once_the_image_that_is_found_is_durable() {
    let open = |fs, clock: &TestClock| Machine::on(fs, clock.clone(), Arc::new(|options| options));
    let image = |fs: FaultyFs| fs.contents("/data/image");
    let (mut renamed, mut cuts) = (0, 0);
    for call in 0..stopped_after(None).0.calls() {
        let (fs, clock, acknowledged) = stopped_after(Some(call));
        // Only where it was killed between the renaming of an image and the sync of that.
        let durable = image(fs.power_cut(Keep::Nothing));
        if durable.is_none() || durable == image(fs.kill()) {
            continue;
        }
        renamed += 1;
        // The next opening finds the disk full, and the power is cut before any of its calls.
        for later in 0.. {
            let found = fs.kill();
            found.set_room(Some(0));
            found.inject(Fault::Crash, When::After(later));
            let opened = open(found.clone(), &clock).map(drop);
            let cut = found.power_cut(Keep::Nothing);
            cut.heal();
            // As the clock is set back nothing expires while that is read.
            let machine = open(cut, &TestClock::at(START)).unwrap();
            let Ok(topic) = machine.log.topic("orders") else {
                assert_eq!(acknowledged, 0);
                break;
            };
            let orders = topic.partition(0).unwrap();
            let (start, end) = (orders.start(), orders.visible_end());
            assert!(end >= acknowledged, "call {call}, {later}: {end}");
            let there: Vec<_> = (start..end).collect();
            assert_eq!(machine.offsets(&orders), there, "call {call}, {later}");
            if opened.is_ok() {
                break;
            }
            cuts += 1;
        }
    }
    assert!(renamed > 3 && cuts > 50, "{renamed}, {cuts}");
}

#[test]
fn what_has_expired_goes_also_while_there_is_always_something_to_flush() {
    let machine = Machine::with(|options| options.journal_bytes(64 << 10));
    let kept = Retention::forever().bytes(32 << 10);
    let options = TopicOptions::new().partitions(20).retention(kept);
    let partitions = machine.made("orders", options);
    let (mut waiting, mut most) = (VecDeque::new(), 0);
    for number in 0..4000 {
        waiting.push_back(partitions[number % 20].append(batch(&[&[7; 2000]])));
        if waiting.len() == 64 {
            machine.wait(waiting.pop_front().unwrap()).unwrap();
            machine.clock.advance(Duration::from_millis(5));
        }
        if number % 200 == 0 {
            let lens = machine.segments().into_iter();
            let lens = lens.map(|file| machine.fs.contents(file).unwrap().len());
            most = most.max(lens.sum::<usize>());
        }
    }
    // What is kept, a segment more of each, and what two passes a second apart are behind.
    assert!(most < 20 * (32 << 10) * 4, "{most} bytes");
}
