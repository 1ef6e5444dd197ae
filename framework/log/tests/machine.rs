//! A machine of the test's own: its disk, its clock, and the log's works one step at a time.

use std::{path::Path, sync::Arc};

use levada_core::Seed;
use levada_log::{Isolation, Log, Options, Partition, Ticket, TopicOptions};
use levada_testkit::{
    TestClock,
    vfs::{FaultyFs, Keep},
};

use crate::support::{Steps, batch};

/// The data folder.
const FOLDER: &str = "/data";

/// A machine, and the log that runs on it.
pub(crate) struct Machine {
    pub(crate) fs: FaultyFs,
    pub(crate) clock: TestClock,
    pub(crate) steps: Steps,
    pub(crate) log: Log,
    options: fn(Options) -> Options,
}

impl Machine {
    /// A new machine with a new log.
    pub(crate) fn new() -> Self {
        Self::with(|options| options)
    }

    /// A new machine with a new log that has these options.
    pub(crate) fn with(options: fn(Options) -> Options) -> Self {
        let fs = FaultyFs::new(Seed::new(7));
        Self::on(fs, TestClock::default(), options)
    }

    fn on(fs: FaultyFs, clock: TestClock, options: fn(Options) -> Options) -> Self {
        let steps = Steps::default();
        let seams = Log::options()
            .vfs(Arc::new(fs.clone()))
            .clock(Arc::new(clock.clone()))
            .spawner(Arc::new(steps.clone()))
            .seed(Seed::new(7))
            .journal_bytes(16 << 10)
            .segment_bytes(8 << 10);
        let log = options(seams).open(Path::new(FOLDER)).unwrap();
        Self {
            fs,
            clock,
            steps,
            log,
            options,
        }
    }

    /// The machine after its power was cut: of what was not synced, this is kept.
    pub(crate) fn power_cut(&self, keep: Keep) -> Self {
        Self::on(self.fs.power_cut(keep), self.clock.clone(), self.options)
    }

    /// The machine after the process was killed and started again.
    pub(crate) fn killed(&self) -> Self {
        Self::on(self.fs.kill(), self.clock.clone(), self.options)
    }

    /// Runs the works until a ticket is answered.
    pub(crate) fn wait<T>(&self, ticket: Ticket<T>) -> levada_log::Result<T> {
        self.steps.wait(ticket)
    }

    /// Runs the works until they have nothing to do.
    pub(crate) fn rest(&self) {
        (0..100).for_each(|_| self.steps.step());
    }

    /// The partitions of a new topic.
    pub(crate) fn made(&self, name: &str, options: TopicOptions) -> Vec<Partition> {
        let topic = self.wait(self.log.create_topic(name, options)).unwrap();
        (0..topic.partitions())
            .map(|number| topic.partition(number).unwrap())
            .collect()
    }

    /// A partition that exists.
    pub(crate) fn found(&self, name: &str, number: u32) -> Partition {
        self.log.topic(name).unwrap().partition(number).unwrap()
    }

    /// The offsets and values that a reader of committed records finds.
    pub(crate) fn committed(&self, partition: &Partition) -> Vec<(u64, String)> {
        let all = self.steps.read_all(partition).into_iter();
        all.map(|(offset, value)| (offset, String::from_utf8(value).unwrap()))
            .collect()
    }

    /// The values that a reader of uncommitted records finds.
    pub(crate) fn uncommitted(&self, partition: &Partition) -> Vec<String> {
        let partition = partition.clone().isolation(Isolation::Uncommitted);
        self.committed(&partition)
            .into_iter()
            .map(|(_, value)| value)
            .collect()
    }

    /// Appends enough to another topic that the journal is flushed to segments.
    pub(crate) fn flush(&self) {
        let filler = self.log.topic("filler").map_or_else(
            |_| self.made("filler", TopicOptions::new()).remove(0),
            |topic| topic.partition(0).unwrap(),
        );
        for _ in 0..3 {
            self.wait(filler.append(batch(&[&[b'x'; 10 << 10]])))
                .unwrap();
            self.rest();
        }
    }
}
