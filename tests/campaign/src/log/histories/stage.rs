//! Clients of a log on a faulty file system, and a seed that decides what is done to all of them.

use std::{fs::File, io::BufWriter, ops::AddAssign, sync::Arc, time::Duration};

use levada_core::{Rng, Seed};
use levada_log::{Log, Options, Partition, Producer, TopicOptions};
use levada_testkit::{
    TestClock,
    vfs::{Fault as Faulty, FaultyFs, Fired, When},
};

use super::{
    asked::{Asked, SENDERS},
    transacted::PRODUCERS,
};
use crate::{
    campaign::Fault,
    history::{Place, recorder::Recorder},
    log::{scene::Plant, steps::Steps},
};

/// Where the data folder is.
pub(super) const FOLDER: &str = "/srv/levada/data";
/// How many partitions each topic has.
const TOPICS: [u32; 2] = [2, 1];
/// Clients that go on where they were.
const READERS: usize = 3;
/// Calls that may wait at one time.
const MOST_ASKED: usize = 40;

/// How often what was done to the log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Struck {
    pub(super) kills: u64,
    pub(super) power_cuts: u64,
    pub(super) dropped: u64,
    pub(super) closed: u64,
    pub(super) takeovers: u64,
    /// Kills and power cuts while the folder was opened.
    pub(super) in_recovery: u64,
    pub(super) rotten: u64,
}

/// A log, its clients and its machine.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) rng: Rng,
    pub(super) seed: Seed,
    plant: Plant,
    pub(super) fs: FaultyFs,
    clock: TestClock,
    journal_bytes: u64,
    segment_bytes: u64,
    pub(super) steps: Steps,
    /// `None` between two lives.
    pub(super) log: Option<Log>,
    pub(super) partitions: Vec<(Place, Partition)>,
    pub(super) recorder: Recorder<BufWriter<File>>,
    /// What waits for an answer, in the order of the calls.
    pub(super) asked: Vec<Asked>,
    /// Where each reader is in each partition.
    pub(super) positions: Vec<Vec<u64>>,
    pub(super) next_value: u64,
    pub(super) next_transaction: u64,
    /// Those that were opened in this life and have no transaction.
    pub(super) producers: Vec<Option<Producer>>,
    /// The log has said that it is dead.
    pub(super) is_dead: bool,
    pub(super) struck: Struck,
}

impl Stage {
    /// A new log with its topics.
    pub(super) fn new(
        number: u64,
        plant: Plant,
        recorder: Recorder<BufWriter<File>>,
    ) -> Result<Self, Fault> {
        let seed = Seed::new(number);
        let mut rng = seed.rng("history");
        let mut size = || (4 << 10) << (2 * rng.below(3));
        let (journal_bytes, segment_bytes) = (size(), size());
        let fs = FaultyFs::new(seed);
        let partitions = TOPICS.iter().sum::<u32>() as usize;
        let mut stage = Self {
            rng,
            seed,
            plant,
            fs,
            clock: TestClock::default(),
            journal_bytes,
            segment_bytes,
            steps: Steps::new(seed.rng("steps")),
            log: None,
            partitions: Vec::new(),
            recorder,
            asked: Vec::new(),
            positions: vec![vec![0; partitions]; READERS],
            next_value: 0,
            next_transaction: 0,
            producers: Vec::new(),
            is_dead: false,
            struck: Struck::default(),
        };
        let log = stage.options(&stage.steps).open(FOLDER)?;
        for (topic, partitions) in (0..).zip(TOPICS) {
            let options = TopicOptions::new().partitions(partitions);
            let made = log.create_topic(&name(topic), options);
            stage.steps.wait(made)??;
        }
        stage.begin(log)?;
        Ok(stage)
    }

    /// Does one thing.
    pub(super) fn act(&mut self) -> Result<(), Fault> {
        match self.rng.below(200) {
            0..60 => self.send_some()?,
            60..80 => self.transact()?,
            80..125 => self.poll_some()?,
            125..160 => self.work(30)?,
            160..168 => {
                let calls = self.rng.below(60);
                self.fs.inject(Faulty::Crash, When::After(calls));
            }
            168..172 => self.kill()?,
            172..176 => self.cut_power()?,
            176..180 => {
                let fault = [Faulty::SyncFailed, Faulty::DirSyncFailed, Faulty::ReadError];
                let fault = fault[self.below(3)];
                let calls = self.rng.below(8);
                self.fs.inject(fault, When::After(calls));
            }
            180..184 => {
                let room = self.rng.below(3 * self.journal_bytes);
                self.fs.set_room(Some(room));
            }
            184..186 => self.fs.inject(Faulty::ShortWrite, When::OneIn(3)),
            186..192 => self.fs.heal(),
            192..194 => self.close()?,
            194 => self.drop_log()?,
            195..197 => self.takeover()?,
            _ => self.clock.advance(Duration::from_millis(7)),
        }
        let polls = self.rng.below(8);
        self.work(polls)
    }

    pub(super) fn send_some(&mut self) -> Result<(), Fault> {
        for _ in 0..=self.rng.below(3) {
            let (client, at) = (
                self.below(SENDERS as usize),
                self.below(self.partitions.len()),
            );
            let most = if self.rng.chance(1, 16) { 60 } else { 6 };
            let count = u32::try_from(1 + self.rng.below(most))?;
            self.send(u32::try_from(client)?, at, count)?;
        }
        while self.asked.len() > MOST_ASKED && self.step()? {}
        Ok(())
    }

    pub(super) fn poll_some(&mut self) -> Result<(), Fault> {
        let seat = (self.below(READERS), self.below(self.partitions.len()));
        let max_bytes = self.below(20_000);
        // One that is not patient may be past it.
        let end = self.partitions[seat.1].1.visible_end();
        let sought = self.rng.chance(1, 8).then(|| self.rng.below(end + 1));
        self.poll(seat, sought, max_bytes)
    }

    /// Lets the log's works be polled up to so many times.
    fn work(&mut self, polls: u64) -> Result<(), Fault> {
        for _ in 0..polls {
            if !self.step()? {
                break;
            }
        }
        if self.fs.is_crashed() || self.is_dead {
            return self.crash();
        }
        Ok(())
    }

    /// Polls one work, and records what is answered; `false` if all sleep.
    pub(super) fn step(&mut self) -> Result<bool, Fault> {
        let polled = self.steps.step();
        for asked in std::mem::take(&mut self.asked) {
            let left = self.answer(asked)?;
            self.asked.extend(left);
        }
        Ok(polled)
    }

    /// Takes up a log that was opened.
    pub(super) fn begin(&mut self, log: Log) -> Result<(), Fault> {
        self.partitions.clear();
        for (topic, partitions) in (0..).zip(TOPICS) {
            let found = log.topic(&name(topic))?;
            for partition in 0..partitions {
                let place = Place { topic, partition };
                self.partitions.push((place, found.partition(partition)?));
            }
        }
        self.producers.clear();
        self.producers.resize_with(PRODUCERS, || None);
        self.log = Some(log);
        self.is_dead = false;
        Ok(())
    }

    pub(super) fn options(&self, steps: &Steps) -> Options {
        Log::options()
            .vfs(self.plant.vfs(&self.fs))
            .spawner(Arc::new(steps.clone()))
            .clock(Arc::new(self.clock.clone()))
            .seed(self.seed)
            .journal_bytes(self.journal_bytes)
            .segment_bytes(self.segment_bytes)
    }

    /// Ends in order and reads everything once more, or what is left after some of it has rotted.
    pub(super) fn finish(mut self) -> Result<(BufWriter<File>, Struck, Fired), Fault> {
        self.fs.heal();
        if self.rng.chance(1, 2) {
            self.close()?;
            self.fs.heal();
            self.read_all()?;
        } else {
            self.rot()?;
        }
        let fired = self.fs.fired();
        Ok((self.recorder.into_inner(), self.struck, fired))
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).expect("it is below a usize")
    }
}

fn name(topic: u32) -> String {
    format!("topic-{topic}")
}

impl AddAssign for Struck {
    fn add_assign(&mut self, other: Self) {
        self.kills += other.kills;
        self.power_cuts += other.power_cuts;
        self.dropped += other.dropped;
        self.closed += other.closed;
        self.takeovers += other.takeovers;
        self.in_recovery += other.in_recovery;
        self.rotten += other.rotten;
    }
}
