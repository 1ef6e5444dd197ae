//! What a group that stops costs the others: no time, and no memory.
//!
//! The question of `benches/backlog`, on a machine where nothing is noise: time is counted in steps
//! of the log's works, and in calls of its file system. One run has a group that stops, the other
//! has none; all else is the same.

use std::{task::Poll, time::Duration};

use allocation_counter::measure;
use levada_log::{Fetched, Group, Partition, Ticket, TopicOptions};

use crate::{
    machine::Machine,
    support::{answer, batch},
};

const PARTITIONS: usize = 4;
/// Rounds in which all groups read; and those after, in which one may have stopped.
const BEFORE: u64 = 200;
const AFTER: u64 = 3000;
/// Records of a batch, and their bytes.
const RECORDS: u64 = 10;
const VALUE: usize = 100;
/// A group commits where it stands so often, in rounds.
const COMMIT: u64 = 20;
/// The group that may stop.
const LAST: usize = 2;
/// What a group that has stopped may take, of a backlog of 3 MB: less than one journal.
const GROWTH_BYTES: i64 = 12 << 10;

/// What lies between the append of a batch and the poll that returns it.
#[derive(Clone, Copy)]
struct Cost {
    steps: u64,
    calls: u64,
}

/// A machine, its readers, and where it stands.
struct Run {
    machine: Machine,
    partitions: Vec<Partition>,
    readers: Vec<Reader>,
    steps: u64,
    /// When the append of each batch began, in the order of their numbers.
    begun: Vec<Cost>,
}

/// A group, by one reader.
struct Reader {
    group: Group,
    next: [u64; PARTITIONS],
    fetching: [Option<Ticket<Fetched>>; PARTITIONS],
    costs: Vec<Cost>,
}

/// Room for one of each batch, so that what a run notes takes no more memory as it goes on.
fn room() -> Vec<Cost> {
    Vec::with_capacity(usize::try_from(BEFORE + AFTER).unwrap())
}

impl Reader {
    fn new(group: Group) -> Self {
        Self {
            group,
            next: [0; PARTITIONS],
            fetching: [const { None }; PARTITIONS],
            costs: room(),
        }
    }

    /// Takes what there is, and asks for what came.
    fn poll(&mut self, partitions: &[Partition], begun: &[Cost], now: Cost) {
        for (index, partition) in partitions.iter().enumerate() {
            let fetching = &mut self.fetching[index];
            if fetching.is_none() && partition.visible_end() > self.next[index] {
                *fetching = Some(partition.fetch(self.next[index], 1 << 16));
            }
            let Some(Poll::Ready(fetched)) = fetching.as_mut().map(answer) else {
                continue;
            };
            *fetching = None;
            let fetched = fetched.unwrap();
            assert_eq!(fetched.records().next().unwrap().offset, self.next[index]);
            self.next[index] = fetched.next;
            for batch in &fetched.batches {
                let first = batch.records().next().unwrap();
                let number = u64::from_le_bytes(first.value[..8].try_into().unwrap());
                let begun = begun[usize::try_from(number).unwrap()];
                self.costs.push(Cost {
                    steps: now.steps - begun.steps,
                    calls: now.calls - begun.calls,
                });
            }
        }
    }

    fn commit(&self, partitions: &[Partition]) -> Ticket<()> {
        let positions: Vec<_> = partitions.iter().zip(self.next).collect();
        self.group.commit(&positions)
    }
}

impl Run {
    fn new() -> Self {
        let machine = Machine::new();
        let options = TopicOptions::new().partitions(4);
        let partitions = machine.made("events", options);
        let groups = ["inventory", "shipping", "billing"].map(|it| machine.log.group(it).unwrap());
        Self {
            readers: groups.map(Reader::new).into(),
            partitions,
            steps: 0,
            begun: room(),
            machine,
        }
    }

    fn now(&self) -> Cost {
        let calls = self.machine.fs.calls();
        Cost {
            steps: self.steps,
            calls,
        }
    }

    /// A producer appends a batch, the works do a step, and the groups below `awake` poll.
    fn round(&mut self, number: u64, awake: usize) {
        let value = [&number.to_le_bytes()[..], &[7; VALUE - 8]].concat();
        self.begun.push(self.now());
        let index = usize::try_from(number).unwrap() % PARTITIONS;
        let values = vec![&*value; usize::try_from(RECORDS).unwrap()];
        let mut appended = self.partitions[index].append(batch(&values));
        self.step(awake);
        if let Poll::Ready(refused) = answer(&mut appended) {
            refused.unwrap();
        }
        if number.is_multiple_of(COMMIT) {
            for reader in &self.readers[..awake] {
                drop(reader.commit(&self.partitions));
            }
        }
    }

    fn step(&mut self, awake: usize) {
        self.machine.clock.advance(Duration::from_millis(1));
        self.machine.steps.step();
        self.steps += 1;
        let now = self.now();
        for reader in &mut self.readers[..awake] {
            reader.poll(&self.partitions, &self.begun, now);
        }
    }

    /// Goes on until the groups below `awake` have read all.
    fn catch_up(&mut self, awake: usize) {
        for _ in 0..100_000 {
            let ends = || self.partitions.iter().map(Partition::visible_end);
            let is_there = |reader: &Reader| ends().eq(reader.next);
            if self.readers[..awake].iter().all(is_there) && ends().sum::<u64>() == self.appended()
            {
                return;
            }
            self.step(awake);
        }
        panic!("groups catch up in bounded steps");
    }

    fn appended(&self) -> u64 {
        self.begun.len() as u64 * RECORDS
    }
}

/// What a run has shown after the stop: the 99th percentile of the costs of the groups that never
/// stop, and how much more memory it holds.
#[derive(Debug)]
struct Shown {
    steps: u64,
    calls: u64,
    bytes: i64,
}

/// A run in which only the groups below `awake` go on.
fn shown(awake: usize) -> (Run, Shown) {
    let mut run = Run::new();
    let all = run.readers.len();
    (0..BEFORE).for_each(|number| run.round(number, all));
    run.catch_up(all);
    run.readers.iter_mut().for_each(|it| it.costs.clear());
    let measured = measure(|| {
        (BEFORE..BEFORE + AFTER).for_each(|number| run.round(number, awake));
        run.catch_up(awake);
    });
    let others = || run.readers[..LAST].iter().flat_map(|it| &it.costs);
    assert_eq!(others().count() as u64, LAST as u64 * AFTER);
    let shown = Shown {
        steps: p99(others().map(|it| it.steps).collect()),
        calls: p99(others().map(|it| it.calls).collect()),
        bytes: measured.bytes_current,
    };
    (run, shown)
}

fn p99(mut costs: Vec<u64>) -> u64 {
    costs.sort_unstable();
    costs[costs.len() * 99 / 100]
}

#[test]
fn a_group_that_stops_costs_the_others_nothing_and_takes_no_memory() {
    let (_, none_stops) = shown(LAST + 1);
    let (mut run, one_stops) = shown(LAST);
    let what = format!("{none_stops:?}, {one_stops:?}");
    let backlog = run.appended() - run.readers[LAST].next.iter().sum::<u64>();
    assert_eq!(backlog, AFTER * RECORDS);
    // At most a tenth more.
    assert!(one_stops.steps * 10 <= none_stops.steps * 11, "{what}");
    assert!(one_stops.calls * 10 <= none_stops.calls * 11, "{what}");
    assert!(one_stops.bytes - none_stops.bytes <= GROWTH_BYTES, "{what}");
    // The backlog is there, in order, for when the group goes on.
    run.catch_up(LAST + 1);
}
