//! A compacted topic on a faulty machine, and a seed that decides what is done to both.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use levada_core::{Clock as _, Rng, Seed};
use levada_log::{
    Appended, Batch, Compression, Error, Log, Options, Partition, Producer, Record, Retention,
    Ticket, TopicOptions,
};
use levada_testkit::{
    TestClock,
    vfs::{Fault as Faulty, FaultyFs, Keep, When},
};

use super::{
    Struck,
    model::{Append, Found, Key, Model, Operation},
};
use crate::{
    campaign::Fault,
    log::{
        ledger::Fate,
        require,
        steps::{Steps, answered},
    },
};

const FOLDER: &str = "/srv/levada/data";
const TOPIC: &str = "accounts";
const PARTITIONS: usize = 2;
const PRODUCERS: usize = 2;
const KEYS: u64 = 40;
/// How long tombstones stay.
const TOMBSTONES: Duration = Duration::from_secs(8);
/// How often the opening of a folder may meet faults before it meets none.
const MOST_FAULTS_IN_RECOVERY: u32 = 4;
/// The header in which a record says its number.
const NUMBER: &str = "number";

/// What stops without having been asked.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// The process.
    Kill,
    /// The machine, with any part of what was not synced.
    PowerCut,
}

/// A call that waits for an answer.
#[derive(Debug)]
enum Asked {
    Append(usize, Ticket<Appended>),
    Commit(usize, Ticket<()>),
    Abort(Ticket<()>),
}

/// A log with a compacted topic, and its machine.
#[derive(Debug)]
pub(super) struct Stage {
    rng: Rng,
    seed: Seed,
    fs: FaultyFs,
    clock: TestClock,
    journal_bytes: u64,
    compaction_bytes: usize,
    steps: Steps,
    /// `None` between two lives.
    log: Option<Log>,
    partitions: Vec<Partition>,
    producers: [Option<Producer>; PRODUCERS],
    asked: Vec<Asked>,
    /// The log has said that it is dead.
    is_dead: bool,
    model: Model,
    segments: usize,
    struck: Struck,
}

impl Stage {
    /// A new log with its topic.
    pub(super) fn new(number: u64) -> Result<Self, Fault> {
        let seed = Seed::new(number);
        let mut rng = seed.rng("compaction");
        let mut stage = Self {
            journal_bytes: (4 << 10) << (2 * rng.below(2)),
            // Of the first the keys take more than fits.
            compaction_bytes: [1 << 10, 1 << 20][usize::from(rng.chance(2, 3))],
            rng,
            seed,
            fs: FaultyFs::new(seed),
            clock: TestClock::default(),
            steps: Steps::new(seed.rng("steps")),
            log: None,
            partitions: Vec::new(),
            producers: [const { None }; PRODUCERS],
            asked: Vec::new(),
            is_dead: false,
            model: Model::default(),
            segments: 0,
            struck: Struck::default(),
        };
        let log = stage.options().open(FOLDER)?;
        let compression = [Compression::None, Compression::Lz4][stage.below(2)];
        let options = TopicOptions::new()
            .partitions(u32::try_from(PARTITIONS)?)
            .compression(compression)
            .retention(Retention::forever().tombstones(TOMBSTONES));
        stage.steps.wait(log.create_topic(TOPIC, options))??;
        stage.begin(log)?;
        Ok(stage)
    }

    /// Does one thing.
    pub(super) fn act(&mut self) -> Result<(), Fault> {
        match self.rng.below(200) {
            0..110 => self.append(None)?,
            110..150 => self.transact()?,
            150..165 => {
                let most = if self.rng.chance(1, 2) { 7 } else { 4_000 };
                let millis = 1 + self.rng.below(most);
                self.clock.advance(Duration::from_millis(millis));
            }
            165..173 => {
                let calls = self.rng.below(80);
                self.fs.inject(Faulty::Crash, When::After(calls));
            }
            173..176 => self.crash(Some(Stop::Kill))?,
            176..179 => self.crash(Some(Stop::PowerCut))?,
            179..182 => {
                let fault = [Faulty::SyncFailed, Faulty::DirSyncFailed, Faulty::ReadError];
                let fault = fault[self.below(3)];
                let calls = self.rng.below(8);
                self.fs.inject(fault, When::After(calls));
            }
            182..185 => {
                let room = self.rng.below(3 * self.journal_bytes);
                self.fs.set_room(Some(room));
            }
            185..189 => self.fs.heal(),
            189..192 => self.look_while_open()?,
            _ => self.work(40)?,
        }
        let polls = self.rng.below(10);
        self.work(polls)
    }

    /// Ends as after a crash, lets compaction come to its end, and looks once more.
    pub(super) fn finish(mut self) -> Result<Struck, Fault> {
        self.fs.heal();
        self.crash(None)?;
        for _ in 0..4 {
            self.clock.advance(TOMBSTONES);
            self.look_while_open()?;
        }
        self.struck.operations = self.model.operations.len() as u64;
        let aborted = self.model.transactions.iter();
        self.struck.aborted = aborted.filter(|fate| **fate == Fate::Refused).count() as u64;
        Ok(self.struck)
    }

    /// Appends some puts and tombstones, in a transaction if one is said: its number and producer.
    fn append(
        &mut self,
        within: Option<(usize, &levada_log::Transaction<'_>)>,
    ) -> Result<(), Fault> {
        let partition = self.below(PARTITIONS);
        let (append, first) = (self.model.appends.len(), self.model.operations.len());
        let mut batch = Batch::new();
        for number in first..=first + self.below(8) {
            // A few keys are seldom named again.
            let keys = if self.rng.chance(1, 8) {
                KEYS
            } else {
                KEYS / 4
            };
            let key = Key::try_from(self.rng.below(keys))?;
            let is_tombstone = self.rng.chance(1, 3);
            let bytes = (number as u64).to_le_bytes();
            let value = if is_tombstone {
                Vec::new()
            } else {
                value(number)
            };
            batch.push(&Record {
                key: Some(&[key]),
                value: &value,
                headers: &[(NUMBER, &bytes)],
                tombstone: is_tombstone,
                ..Record::default()
            })?;
            self.model.operations.push(Operation {
                partition,
                key,
                is_tombstone,
                append,
            });
        }
        self.model.appends.push(Append {
            first,
            fate: Fate::Unknown,
            base: None,
            transaction: within.map(|(transaction, _)| transaction),
            time: self.clock.now(),
        });
        let place = &self.partitions[partition];
        let ticket = match within {
            Some((_, transaction)) => transaction.append(place, batch),
            None => place.append(batch),
        };
        self.asked.push(Asked::Append(append, ticket));
        Ok(())
    }

    /// Lets a producer have a transaction, with other appends beside it.
    fn transact(&mut self) -> Result<(), Fault> {
        let at = self.below(PRODUCERS);
        let producer = if let Some(producer) = self.producers[at].take() {
            Ok(producer)
        } else {
            let log = self.log.as_ref().ok_or("no log is open")?;
            self.steps.wait(log.producer(&format!("producer-{at}")))?
        };
        let Ok(mut producer) = producer else {
            return Ok(());
        };
        let Ok(transaction) = producer.begin() else {
            return Ok(());
        };
        let number = self.model.transactions.len();
        // Until somebody asks for its commit nobody can know of one.
        self.model.transactions.push(Fate::Refused);
        for _ in 0..=self.below(6) {
            self.append(Some((number, &transaction)))?;
            if self.rng.chance(1, 3) {
                self.append(None)?;
            }
            for _ in 0..self.rng.below(6) {
                self.step()?;
            }
            if self.fs.is_crashed() || self.is_dead {
                return Ok(());
            }
        }
        if self.rng.chance(1, 3) {
            self.asked.push(Asked::Abort(transaction.abort()));
        } else {
            self.model.transactions[number] = Fate::Unknown;
            self.asked.push(Asked::Commit(number, transaction.commit()));
        }
        self.producers[at] = Some(producer);
        Ok(())
    }

    /// Lets the log's works be polled up to so many times.
    fn work(&mut self, polls: u64) -> Result<(), Fault> {
        for _ in 0..polls {
            if !self.step()? {
                break;
            }
        }
        if self.fs.is_crashed() || self.is_dead {
            return self.crash(None);
        }
        Ok(())
    }

    /// Polls one work, and takes in what is answered; `false` if all sleep.
    fn step(&mut self) -> Result<bool, Fault> {
        let polled = self.steps.step();
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

    /// Takes in the answer to a call, or gives the call back if there is none yet.
    fn answer(&mut self, mut asked: Asked) -> Result<Option<Asked>, Fault> {
        match &mut asked {
            Asked::Append(number, ticket) => match answered(ticket) {
                None => return Ok(Some(asked)),
                Some(Ok(appended)) => {
                    let append = &mut self.model.appends[*number];
                    append.fate = Fate::Acknowledged;
                    append.base = Some(appended.offsets.start);
                }
                Some(Err(error)) => self.model.appends[*number].fate = self.refused(&error)?,
            },
            Asked::Commit(number, ticket) => match answered(ticket) {
                None => return Ok(Some(asked)),
                Some(Ok(())) => self.model.transactions[*number] = Fate::Acknowledged,
                Some(Err(error)) => self.model.transactions[*number] = self.refused(&error)?,
            },
            Asked::Abort(ticket) => match answered(ticket) {
                None => return Ok(Some(asked)),
                Some(Ok(())) => {}
                Some(Err(error)) => drop(self.refused(&error)?),
            },
        }
        Ok(None)
    }

    fn refused(&mut self, error: &Error) -> Result<Fate, Fault> {
        match error {
            Error::Dead { .. } => {
                self.is_dead = true;
                Ok(Fate::Unknown)
            }
            Error::NoSpace { .. }
            | Error::TransactionFailed { .. }
            | Error::TransactionOver { .. } => Ok(Fate::Refused),
            error => Err(format!("a call was refused: {error}").into()),
        }
    }

    /// Stops the process or the machine, whichever is said, and opens the folder again.
    fn crash(&mut self, stop: Option<Stop>) -> Result<(), Fault> {
        let stop = stop.unwrap_or_else(|| self.any_stop());
        self.strike(stop);
        for tries in 0.. {
            if tries < MOST_FAULTS_IN_RECOVERY && self.rng.chance(1, 4) {
                self.trip();
            }
            let before = self.fs.fired();
            match self.options().open(FOLDER) {
                Ok(_) if self.fs.is_crashed() => {}
                Ok(log) => {
                    self.fs.heal();
                    self.begin(log)?;
                    break;
                }
                Err(error) => {
                    let is_met = self.fs.fired() != before;
                    require!(is_met, "a healthy folder was refused: {error}");
                }
            }
            let stop = self.any_stop();
            self.strike(stop);
        }
        self.look()?;
        self.model.settle();
        Ok(())
    }

    fn any_stop(&mut self) -> Stop {
        if self.rng.chance(1, 3) {
            Stop::Kill
        } else {
            Stop::PowerCut
        }
    }

    fn strike(&mut self, stop: Stop) {
        self.partitions.clear();
        self.producers = [const { None }; PRODUCERS];
        self.asked.clear();
        self.log = None;
        let (fs, count) = match stop {
            Stop::Kill => (self.fs.kill(), &mut self.struck.kills),
            Stop::PowerCut => (self.fs.power_cut(Keep::Any), &mut self.struck.power_cuts),
        };
        *count += 1;
        self.fs = fs;
        self.steps = Steps::new(Seed::new(self.fs.calls()).rng("steps"));
        self.segments = 0;
    }

    /// Lets something go wrong while the folder is opened.
    fn trip(&mut self) {
        let calls = self.rng.below(60);
        match self.rng.below(4) {
            0 => self.fs.inject(Faulty::Crash, When::After(calls)),
            1 => self.fs.inject(Faulty::SyncFailed, When::After(calls / 6)),
            2 => self
                .fs
                .inject(Faulty::DirSyncFailed, When::After(calls / 6)),
            _ => self.fs.set_room(Some(128 * calls)),
        }
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
        self.fs.heal();
        // Transactions whose end a full disk has refused are aborted after a second.
        for _ in 0..2 {
            while self.step()? {}
            self.clock.advance(Duration::from_secs(2));
        }
        while self.step()? {}
        if self.fs.is_crashed() || self.is_dead {
            return self.crash(None);
        }
        require!(
            self.asked.is_empty(),
            "the log sleeps while {:?} wait",
            self.asked
        );
        self.look()
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
            let found = self.read(&partition)?;
            let times = (self.clock.now(), TOMBSTONES);
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

    /// Reads a partition from its start to its end.
    fn read(&mut self, partition: &Partition) -> Result<Vec<Found>, Fault> {
        let (mut from, mut all, mut seen) = (0, Vec::new(), BTreeSet::new());
        loop {
            let max_bytes = self.below(20_000);
            let fetched = self.steps.wait(partition.fetch(from, max_bytes))??;
            for record in fetched.records() {
                let number = record.headers.get(NUMBER).and_then(|it| it.first_chunk());
                let number = number.ok_or("bytes of nobody were fetched")?;
                let number = usize::try_from(u64::from_le_bytes(*number))?;
                let is_right = record.tombstone || record.value == value(number);
                require!(is_right, "record {number} has another value");
                require!(seen.insert(number), "record {number} is there twice");
                all.push(Found {
                    offset: record.offset,
                    number,
                    key: *record.key.and_then(|key| key.first()).ok_or("no key")?,
                    is_tombstone: record.tombstone,
                });
            }
            if fetched.next == from {
                return Ok(all);
            }
            from = fetched.next;
        }
    }

    fn options(&self) -> Options {
        Log::options()
            .vfs(Arc::new(self.fs.clone()))
            .spawner(Arc::new(self.steps.clone()))
            .clock(Arc::new(self.clock.clone()))
            .seed(self.seed)
            .journal_bytes(self.journal_bytes)
            .segment_bytes(4 << 10)
            .reserve_bytes(4 << 10)
            .compaction_bytes(self.compaction_bytes)
            .cleaning_interval(Duration::from_millis(1))
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).expect("it is below a usize")
    }
}

/// The value of a record: some of them are repeated bytes, some are not.
fn value(number: usize) -> Vec<u8> {
    let mut rng = Seed::new(number as u64).rng("value");
    let len = usize::try_from(rng.below(96)).expect("it is below a usize");
    let repeats = rng.chance(1, 2).then(|| rng.next_u64());
    (0..len / 8)
        .flat_map(|_| repeats.unwrap_or_else(|| rng.next_u64()).to_le_bytes())
        .collect()
}
