//! What readers see in a folder once it was opened.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use levada_core::Seed;
use levada_log::{Log, Options, Partition};
use levada_testkit::TestClock;

use super::script::{REST, START, Told, Topic};
use crate::{
    campaign::Fault,
    log::{require, steps::Steps},
};

/// What readers see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) partitions: BTreeMap<(Topic, u32), SeenPartition>,
    pub(super) positions: BTreeMap<(&'static str, u32), u64>,
    pub(super) sequence: u64,
}

/// What they see in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenPartition {
    pub(super) start: u64,
    pub(super) records: Vec<(u64, Told)>,
    pub(super) is_sealed: bool,
}

/// A log of which everything happens on this thread, in an order that is always the same.
pub(super) struct Single {
    pub(super) clock: TestClock,
    pub(super) steps: Steps,
    pub(super) log: Log,
}

impl Single {
    /// Opens a folder after so many rests.
    pub(super) fn open(folder: &Path, rests: u32) -> Result<Self, Fault> {
        let clock = TestClock::at(START + rests * REST);
        let steps = Steps::new(Seed::new(0).rng("works"));
        let log = options(&clock, &steps).open(folder)?;
        Ok(Self { clock, steps, log })
    }

    /// Closes the log and opens it again.
    pub(super) fn reopen(&mut self, folder: &Path) -> Result<(), Fault> {
        self.steps.wait(self.log.close())??;
        self.settle();
        self.log = options(&self.clock, &self.steps).open(folder)?;
        Ok(())
    }

    /// Runs the works until all of them sleep.
    pub(super) fn settle(&self) {
        while self.steps.step() {}
    }

    /// Time passes, and the works do what is due.
    pub(super) fn rest(&self) {
        for _ in 0..4 {
            self.clock.advance(REST / 4);
            self.settle();
        }
    }

    pub(super) fn partition(&self, topic: Topic, number: u32) -> Result<Partition, Fault> {
        Ok(self.log.topic(topic.name())?.partition(number)?)
    }
}

fn options(clock: &TestClock, steps: &Steps) -> Options {
    Log::options()
        .journal_bytes(32 << 10)
        .segment_bytes(8 << 10)
        .reserve_bytes(8 << 10)
        .cleaning_interval(Duration::from_secs(10))
        .clock(Arc::new(clock.clone()))
        .spawner(Arc::new(steps.clone()))
        .seed(Seed::new(1))
}

/// Opens a folder and reads all that is in it.
pub(super) fn look(folder: &Path, rests: u32) -> Result<Seen, Fault> {
    let single = Single::open(folder, rests)?;
    single.settle();
    let mut seen = Seen::default();
    for topic in Topic::ALL {
        let Ok(found) = single.log.topic(topic.name()) else {
            continue;
        };
        for number in 0..found.partitions() {
            let partition = found.partition(number)?;
            let read = SeenPartition {
                start: partition.start(),
                records: read(&single.steps, &partition)?,
                is_sealed: found.is_sealed(),
            };
            seen.partitions.insert((topic, number), read);
        }
    }
    if let Ok(orders) = single.partition(Topic::Orders, 0) {
        for name in ["clerks", "readers"] {
            let position = single.log.group(name)?.position(&orders);
            seen.positions.extend(position.map(|at| ((name, 0), at)));
        }
        let right = single.partition(Topic::Orders, 1)?;
        let import = single.steps.wait(single.log.producer("import"))??;
        seen.sequence = import.next_sequence(&right);
    }
    single.steps.wait(single.log.close())??;
    Ok(seen)
}

fn read(steps: &Steps, partition: &Partition) -> Result<Vec<(u64, Told)>, Fault> {
    let (mut all, mut from) = (Vec::new(), partition.start());
    while from < partition.visible_end() {
        let fetched = steps.wait(partition.fetch(from, 1 << 20))??;
        for it in fetched.records() {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
            let value = (!it.tombstone).then(|| text(it.value)).transpose()?;
            all.push((it.offset, (it.key.map(text).transpose()?, value)));
        }
        require!(fetched.next > from, "reading stops at {from}");
        from = fetched.next;
    }
    Ok(all)
}
