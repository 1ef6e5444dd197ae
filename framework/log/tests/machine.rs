//! A machine of the test's own: its disk, its clock, and the log's works one step at a time.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use levada_core::{Seed, Timestamp};
use levada_log::{
    Appended, Isolation, Log, Options, Partition, Producer, Result, Ticket, Topic, TopicOptions,
};
use levada_testkit::{
    TestClock,
    vfs::{FaultyFs, Keep},
};

use crate::support::{Steps, batch};

/// When its clock begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// The data folder.
const FOLDER: &str = "/data";

/// What the log of a machine has besides its seams.
pub(crate) type With = dyn Fn(Options) -> Options;

/// A machine, and the log that runs on it.
pub(crate) struct Machine {
    pub(crate) fs: FaultyFs,
    pub(crate) clock: TestClock,
    pub(crate) steps: Steps,
    pub(crate) log: Log,
    with: Arc<With>,
}

impl Machine {
    /// A new machine with a new log.
    pub(crate) fn new() -> Self {
        Self::with(|options| options)
    }

    /// A new machine with a new log that has these options.
    pub(crate) fn with(with: impl Fn(Options) -> Options + 'static) -> Self {
        let fs = FaultyFs::new(Seed::new(7));
        Self::on(fs, TestClock::at(START), Arc::new(with)).unwrap()
    }

    /// A machine with this disk and clock, unless its log cannot be opened.
    pub(crate) fn on(fs: FaultyFs, clock: TestClock, with: Arc<With>) -> Result<Self> {
        let steps = Steps::default();
        let seams = Log::options()
            .vfs(Arc::new(fs.clone()))
            .clock(Arc::new(clock.clone()))
            .spawner(Arc::new(steps.clone()))
            .seed(Seed::new(7))
            .journal_bytes(16 << 10)
            .segment_bytes(8 << 10)
            .reserve_bytes(8 << 10);
        let log = with(seams).open(Path::new(FOLDER))?;
        Ok(Self {
            fs,
            clock,
            steps,
            log,
            with,
        })
    }

    /// The machine after its power was cut: of what was not synced, this is kept.
    pub(crate) fn power_cut(&self, keep: Keep) -> Self {
        self.started(self.fs.power_cut(keep)).unwrap()
    }

    /// The machine after the process was killed and started again.
    pub(crate) fn killed(&self) -> Self {
        self.started(self.fs.kill()).unwrap()
    }

    /// A machine as this one, with another disk, unless its log cannot be opened.
    pub(crate) fn started(&self, fs: FaultyFs) -> Result<Self> {
        Self::on(fs, self.clock.clone(), Arc::clone(&self.with))
    }

    /// Runs the works until a ticket is answered.
    pub(crate) fn wait<T>(&self, ticket: Ticket<T>) -> Result<T> {
        self.steps.wait(ticket)
    }

    /// Runs the works until they have nothing to do.
    pub(crate) fn rest(&self) {
        (0..100).for_each(|_| self.steps.step());
    }

    /// Lets time pass, and the works do what is due then.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.steps.settle();
    }

    /// A new topic.
    pub(crate) fn topic(&self, name: &str, options: TopicOptions) -> Topic {
        self.wait(self.log.create_topic(name, options)).unwrap()
    }

    /// The partitions of a new topic.
    pub(crate) fn made(&self, name: &str, options: TopicOptions) -> Vec<Partition> {
        let topic = self.topic(name, options);
        let numbers = 0..topic.partitions();
        numbers.map(|it| topic.partition(it).unwrap()).collect()
    }

    /// A partition that exists.
    pub(crate) fn found(&self, name: &str, number: u32) -> Partition {
        self.log.topic(name).unwrap().partition(number).unwrap()
    }

    /// Whoever has this name from now on.
    pub(crate) fn producer(&self, name: &str) -> Producer {
        self.wait(self.log.producer(name)).unwrap()
    }

    /// Appends a batch of one record.
    pub(crate) fn append(&self, partition: &Partition, value: &[u8]) -> Appended {
        self.wait(partition.append(batch(&[value]))).unwrap()
    }

    /// Appends enough to another topic that the journal is flushed to segments.
    pub(crate) fn flush(&self) {
        let filler = self.log.topic("filler").map_or_else(
            |_| self.made("filler", TopicOptions::new()).remove(0),
            |topic| topic.partition(0).unwrap(),
        );
        for _ in 0..3 {
            self.append(&filler, &[b'x'; 10 << 10]);
            self.rest();
        }
    }

    /// The offsets and values that a reader of committed records finds.
    pub(crate) fn committed(&self, partition: &Partition) -> Vec<(u64, String)> {
        let all = self.steps.read_all(partition).into_iter();
        all.map(|(offset, value)| (offset, String::from_utf8(value).unwrap()))
            .collect()
    }

    /// The values among them.
    pub(crate) fn values(&self, partition: &Partition) -> Vec<String> {
        let committed = self.committed(partition).into_iter();
        committed.map(|(_, value)| value).collect()
    }

    /// The values that a reader of uncommitted records finds.
    pub(crate) fn uncommitted(&self, partition: &Partition) -> Vec<String> {
        self.values(&partition.clone().isolation(Isolation::Uncommitted))
    }

    /// The offsets that can be read.
    pub(crate) fn offsets(&self, partition: &Partition) -> Vec<u64> {
        let all = self.steps.read_all(partition).into_iter();
        all.map(|(offset, _)| offset).collect()
    }

    /// The files that are segments, in order.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let mut files = self.fs.files();
        files.retain(|file| file.starts_with("/data/topics"));
        files
    }
}
