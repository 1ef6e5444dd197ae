//! A compacted topic on a faulty machine, and a seed that decides what is done to both.

use std::time::Duration;

use levada_core::Clock as _;
use levada_log::{Compression, Log, Options, Partition, Producer, Retention, TopicOptions};

use super::{
    Struck,
    asked::Asked,
    model::{Model, read},
};
use crate::{
    campaign::Fault,
    log::{
        ledger::Fate,
        require,
        rig::{FOLDER, Rig, Stop},
        scene::Plant,
    },
};

pub(super) const TOPIC: &str = "accounts";
pub(super) const PARTITIONS: usize = 2;
pub(super) const PRODUCERS: usize = 2;
/// How long tombstones stay.
const TOMBSTONES: Duration = Duration::from_secs(8);

/// A log with a compacted topic, and its machine.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) rig: Rig,
    journal_bytes: u64,
    compaction_bytes: usize,
    /// `None` between two lives.
    pub(super) log: Option<Log>,
    pub(super) partitions: Vec<Partition>,
    pub(super) producers: [Option<Producer>; PRODUCERS],
    pub(super) asked: Vec<Asked>,
    /// The log has said that it is dead.
    pub(super) is_dead: bool,
    pub(super) model: Model,
    /// How much those readers ask for that meet in the same places: about a batch.
    pace: usize,
    segments: usize,
    struck: Struck,
}

impl Stage {
    /// A new log with its topic.
    pub(super) fn new(number: u64) -> Result<Self, Fault> {
        let mut rig = Rig::new(number, "compaction", Plant::None);
        let mut stage = Self {
            journal_bytes: (4 << 10) << (2 * rig.rng.below(2)),
            // Of the first the keys take more than fits.
            compaction_bytes: [1 << 10, 1 << 20][usize::from(rig.rng.chance(2, 3))],
            pace: 1 + rig.below(400),
            rig,
            log: None,
            partitions: Vec::new(),
            producers: [const { None }; PRODUCERS],
            asked: Vec::new(),
            is_dead: false,
            model: Model::default(),
            segments: 0,
            struck: Struck::default(),
        };
        let options = stage.rig.options(&stage.rig.steps);
        let options = sized(options, stage.journal_bytes, stage.compaction_bytes);
        let log = options.open(FOLDER)?;
        let compression = [Compression::None, Compression::Lz4][stage.rig.below(2)];
        let options = TopicOptions::new()
            .partitions(u32::try_from(PARTITIONS)?)
            .compression(compression)
            .retention(Retention::forever().tombstones(TOMBSTONES));
        stage.rig.steps.wait(log.create_topic(TOPIC, options))??;
        stage.begin(log)?;
        Ok(stage)
    }

    /// Does one thing.
    pub(super) fn act(&mut self) -> Result<(), Fault> {
        match self.rig.rng.below(200) {
            0..110 => self.append(None)?,
            110..150 => self.transact()?,
            150..165 => self.rig.pass_time(Duration::from_secs(4)),
            165..173 => self.rig.crash_soon(80),
            173..176 => self.crash(Some(Stop::Kill))?,
            176..179 => self.crash(Some(Stop::PowerCut))?,
            179..182 => self.rig.fail_soon(),
            182..185 => {
                let room = self.rig.rng.below(3 * self.journal_bytes);
                self.rig.fs.set_room(Some(room));
            }
            185..189 => self.rig.fs.heal(),
            189..192 => self.look_while_open()?,
            _ => self.work(40)?,
        }
        let polls = self.rig.rng.below(10);
        self.work(polls)
    }

    /// Ends as after a crash, lets compaction come to its end, and looks once more.
    pub(super) fn finish(mut self) -> Result<Struck, Fault> {
        self.rig.fs.heal();
        self.crash(None)?;
        for _ in 0..4 {
            self.rig.clock.advance(TOMBSTONES);
            self.look_while_open()?;
        }
        self.struck.operations = self.model.operations.len() as u64;
        let aborted = self.model.transactions.iter();
        self.struck.aborted = aborted.filter(|fate| **fate == Fate::Refused).count() as u64;
        self.struck.stops = self.rig.stops;
        Ok(self.struck)
    }

    /// Lets the log's works be polled up to so many times.
    fn work(&mut self, polls: u64) -> Result<(), Fault> {
        for _ in 0..polls {
            if !self.step()? {
                break;
            }
        }
        if self.rig.fs.is_crashed() || self.is_dead {
            return self.crash(None);
        }
        Ok(())
    }

    /// Polls one work, and takes in what is answered; `false` if all sleep.
    pub(super) fn step(&mut self) -> Result<bool, Fault> {
        let polled = self.rig.steps.step();
        for asked in std::mem::take(&mut self.asked) {
            let left = self.answer(asked)?;
            self.asked.extend(left);
        }
        let segments = self.partitions.first().map_or(0, |_| self.count_segments());
        self.struck.shrunk += u64::from(segments < self.segments);
        self.segments = segments;
        Ok(polled)
    }

    fn count_segments(&self) -> usize {
        let topic = self.log.as_ref().and_then(|log| log.topic(TOPIC).ok());
        topic.map_or(0, |topic| topic.describe().segments())
    }

    /// Stops the process or the machine, whichever is said, and opens the folder again.
    fn crash(&mut self, stop: Option<Stop>) -> Result<(), Fault> {
        let stop = stop.unwrap_or_else(|| self.rig.any_stop());
        self.partitions.clear();
        self.producers = [const { None }; PRODUCERS];
        self.asked.clear();
        self.log = None;
        self.segments = 0;
        self.rig.strike(stop);
        let (journal_bytes, compaction_bytes) = (self.journal_bytes, self.compaction_bytes);
        let sized = |options: Options| sized(options, journal_bytes, compaction_bytes);
        let opened = self.rig.reopen(sized);
        let log = opened.map_err(|error| format!("a healthy folder was refused: {error}"))?;
        self.begin(log)?;
        self.look()?;
        self.model.settle();
        Ok(())
    }

    /// Takes up a log that was opened.
    fn begin(&mut self, log: Log) -> Result<(), Fault> {
        let topic = log.topic(TOPIC)?;
        let partitions = (0..topic.partitions()).map(|at| topic.partition(at));
        self.partitions = partitions.collect::<Result<_, _>>()?;
        self.log = Some(log);
        self.is_dead = false;
        Ok(())
    }

    /// Lets the log do all it was asked, and looks at what is there.
    fn look_while_open(&mut self) -> Result<(), Fault> {
        self.rig.fs.heal();
        // Transactions whose end a full disk has refused are aborted after a second.
        for _ in 0..2 {
            while self.step()? {}
            self.rig.clock.advance(Duration::from_secs(2));
        }
        while self.step()? {}
        if self.rig.fs.is_crashed() || self.is_dead {
            return self.crash(None);
        }
        require!(
            self.asked.is_empty(),
            "the log sleeps while {:?} wait",
            self.asked
        );
        self.look()?;
        self.walk_on()
    }

    /// Somebody goes a part of the way through each partition, as others do from its start once
    /// compaction has passed: who must not be given what was read ahead before.
    fn walk_on(&mut self) -> Result<(), Fault> {
        for partition in self.partitions.clone() {
            let mut from = partition.start();
            for _ in 0..=self.rig.below(12) {
                let fetched = partition.fetch(from, self.pace);
                from = self.rig.steps.wait(fetched)??.next;
            }
        }
        while self.step()? {}
        Ok(())
    }

    /// Compares all that is there with the model.
    fn look(&mut self) -> Result<(), Fault> {
        // A pass that ended while this reads would show it the old and the new.
        while self.step()? {}
        for at in 0..PARTITIONS {
            let partition = self.partitions[at].clone();
            // A producer that was let go in the middle of a transaction has it open for a minute.
            if let Some(open) = self.held_back(&partition)? {
                self.struck.held_back += open;
                continue;
            }
            let is_new = self.rig.rng.chance(1, 3);
            let max_bytes = if is_new {
                self.rig.below(20_000)
            } else {
                self.pace
            };
            let found = read(&partition, &self.rig.steps, max_bytes)?;
            let times = (self.rig.clock.now(), TOMBSTONES);
            let looked = self.model.compare(at, &found, times)?;
            self.struck.superseded += looked.superseded;
            self.struck.forgotten += looked.forgotten;
        }
        Ok(())
    }

    /// One if an open transaction hides a part of the partition.
    fn held_back(&self, partition: &Partition) -> Result<Option<u64>, Fault> {
        let topic = self.log.as_ref().ok_or("no log is open")?.topic(TOPIC)?;
        let ends = topic.describe().partitions;
        let mine = ends.iter().find(|it| it.number == partition.number());
        let mine = mine.ok_or("a partition is not described")?;
        Ok((mine.visible_end < mine.end).then_some(1))
    }
}

/// Files so small that they fill, and room for so many bytes of keys.
fn sized(options: Options, journal_bytes: u64, compaction_bytes: usize) -> Options {
    let options = options.journal_bytes(journal_bytes).segment_bytes(4 << 10);
    options.compaction_bytes(compaction_bytes)
}
