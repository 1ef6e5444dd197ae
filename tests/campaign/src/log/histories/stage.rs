//! Clients of a log on a faulty file system, and a seed that decides what is done to all of them.

use std::{fs::File, io::BufWriter, ops::AddAssign};

use levada_core::Clock as _;
use levada_log::{Log, Options, Partition, Producer};
use levada_testkit::vfs::{Fault as Faulty, Fired, When};

use super::{
    asked::{Asked, SENDERS},
    numbered::Numbered,
    topics::{AGE, PARTITIONS, TOPICS, name},
    transacted::PRODUCERS,
};
use crate::{
    campaign::Fault,
    history::{Keeps, Place, recorder::Recorder},
    log::{
        rig::{FOLDER, Rig, Stops},
        scene::Plant,
    },
};

/// Clients that go on where they were.
const READERS: usize = 3;
/// Calls that may wait at one time.
const MOST_ASKED: usize = 40;

/// How often what was done to the log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Struck {
    pub(super) stops: Stops,
    pub(super) dropped: u64,
    pub(super) closed: u64,
    pub(super) takeovers: u64,
    pub(super) rotten: u64,
    /// Batches that were sent once more under their sequence.
    pub(super) retries: u64,
    /// Batches of producers that were fenced.
    pub(super) zombies: u64,
    /// Polls of what had expired.
    pub(super) expired: u64,
    /// Times that a compacted topic had fewer segments than before.
    pub(super) shrunk: u64,
}

/// A log, its clients and its machine.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) rig: Rig,
    journal_bytes: u64,
    segment_bytes: u64,
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
    /// Those that number what they send.
    pub(super) numbered: Numbered,
    /// The log has said that it is dead.
    pub(super) is_dead: bool,
    segments: usize,
    pub(super) struck: Struck,
}

impl Stage {
    /// A new log with its topics.
    pub(super) fn new(
        number: u64,
        plant: Plant,
        recorder: Recorder<BufWriter<File>>,
    ) -> Result<Self, Fault> {
        let mut rig = Rig::new(number, "history", plant);
        let mut size = || (4 << 10) << (2 * rig.rng.below(3));
        let (journal_bytes, segment_bytes) = (size(), size());
        let mut stage = Self {
            rig,
            journal_bytes,
            segment_bytes,
            log: None,
            partitions: Vec::new(),
            recorder,
            asked: Vec::new(),
            positions: vec![vec![0; PARTITIONS]; READERS],
            next_value: 0,
            next_transaction: 0,
            producers: Vec::new(),
            numbered: Numbered::default(),
            is_dead: false,
            segments: 0,
            struck: Struck::default(),
        };
        let options = stage.rig.options(&stage.rig.steps);
        let log = stage.sizes()(options).open(FOLDER)?;
        for (topic, about) in (0..).zip(TOPICS) {
            for partition in 0..about.partitions {
                let place = Place { topic, partition };
                stage.recorder.declared(place, about.keeps)?;
            }
            let made = log.create_topic(&name(topic), about.options());
            stage.rig.steps.wait(made)??;
        }
        stage.begin(log)?;
        Ok(stage)
    }

    /// Does one thing.
    pub(super) fn act(&mut self) -> Result<(), Fault> {
        match self.rig.rng.below(200) {
            0..45 => self.send_some()?,
            45..60 => self.send_numbered()?,
            60..80 => self.transact()?,
            80..125 => self.poll_some()?,
            125..155 => self.work(30)?,
            155..163 => self.rig.crash_soon(60),
            163..166 => self.kill()?,
            166..172 => self.cut_power()?,
            172..176 => self.rig.fail_soon(),
            176..180 => {
                let room = self.rig.rng.below(3 * self.journal_bytes);
                self.rig.fs.set_room(Some(room));
            }
            180..182 => self.rig.fs.inject(Faulty::ShortWrite, When::OneIn(3)),
            182..188 => self.rig.fs.heal(),
            188..190 => self.close()?,
            190 => self.drop_log()?,
            191..193 => self.takeover()?,
            _ => self.pass_time()?,
        }
        let polls = self.rig.rng.below(8);
        self.work(polls)
    }

    /// Lets some time pass, and perhaps the machine crash in what it is time for then.
    fn pass_time(&mut self) -> Result<(), Fault> {
        self.rig.pass_time(AGE);
        if self.rig.rng.chance(1, 4) {
            self.rig.crash_soon(20);
        }
        let millis = u64::try_from(self.rig.clock.now().as_millis())?;
        Ok(self.recorder.clock(millis)?)
    }

    pub(super) fn send_some(&mut self) -> Result<(), Fault> {
        for _ in 0..=self.rig.rng.below(3) {
            let client = self.rig.below(SENDERS as usize);
            let at = self.rig.below(PARTITIONS);
            let most = if self.rig.rng.chance(1, 16) { 60 } else { 6 };
            let count = u32::try_from(1 + self.rig.rng.below(most))?;
            self.send(u32::try_from(client)?, at, count)?;
        }
        while self.asked.len() > MOST_ASKED && self.step()? {}
        Ok(())
    }

    pub(super) fn poll_some(&mut self) -> Result<(), Fault> {
        let seat = (self.rig.below(READERS), self.rig.below(PARTITIONS));
        let max_bytes = self.rig.below(20_000);
        // One that is not patient may be past it.
        let end = self.partitions[seat.1].1.visible_end();
        let sought = self.rig.rng.chance(1, 8);
        let sought = sought.then(|| self.rig.rng.below(end + 1));
        self.poll(seat, sought, max_bytes)
    }

    /// Lets the log's works be polled up to so many times.
    fn work(&mut self, polls: u64) -> Result<(), Fault> {
        for _ in 0..polls {
            if !self.step()? {
                break;
            }
        }
        if self.rig.fs.is_crashed() || self.is_dead {
            return self.crash();
        }
        Ok(())
    }

    /// Polls one work, and records what is answered; `false` if all sleep.
    pub(super) fn step(&mut self) -> Result<bool, Fault> {
        let polled = self.rig.steps.step();
        for asked in std::mem::take(&mut self.asked) {
            let left = self.answer(asked)?;
            self.asked.extend(left);
        }
        let segments = self.segments_of_compacted();
        self.struck.shrunk += u64::from(segments < self.segments);
        self.segments = segments;
        Ok(polled)
    }

    fn segments_of_compacted(&self) -> usize {
        let compacts = |keeps| matches!(keeps, Keeps::LastOfKey { .. });
        let topic = TOPICS.iter().position(|about| compacts(about.keeps));
        let name = topic.and_then(|topic| u32::try_from(topic).ok()).map(name);
        let topic = self.log.as_ref().zip(name);
        let topic = topic.and_then(|(log, name)| log.topic(&name).ok());
        topic.map_or(0, |topic| topic.describe().segments())
    }

    /// Lets go of all handles of the log, as it ends.
    pub(super) fn let_go(&mut self) {
        self.partitions.clear();
        self.producers.clear();
        self.numbered.let_go();
        self.log = None;
        self.segments = 0;
    }

    /// Takes up a log that was opened.
    pub(super) fn begin(&mut self, log: Log) -> Result<(), Fault> {
        self.let_go();
        for (topic, about) in (0..).zip(TOPICS) {
            let found = log.topic(&name(topic))?;
            for partition in 0..about.partitions {
                let place = Place { topic, partition };
                self.partitions.push((place, found.partition(partition)?));
            }
        }
        self.producers.resize_with(PRODUCERS, || None);
        self.log = Some(log);
        self.is_dead = false;
        Ok(())
    }

    /// How big the files of this log are.
    pub(super) fn sizes(&self) -> impl Fn(Options) -> Options + use<> {
        let (journal_bytes, segment_bytes) = (self.journal_bytes, self.segment_bytes);
        move |options| {
            let options = options.journal_bytes(journal_bytes);
            options.segment_bytes(segment_bytes)
        }
    }

    /// Ends in order and reads everything once more, or what is left after some of it has rotted.
    pub(super) fn finish(mut self) -> Result<(BufWriter<File>, Struck, Fired), Fault> {
        self.rig.fs.heal();
        if self.rig.rng.chance(1, 2) {
            self.close()?;
            self.rig.fs.heal();
            self.read_all()?;
        } else {
            self.rot()?;
        }
        let fired = self.rig.fs.fired();
        self.struck.stops = self.rig.stops;
        Ok((self.recorder.into_inner(), self.struck, fired))
    }
}

impl AddAssign for Struck {
    fn add_assign(&mut self, other: Self) {
        self.stops += other.stops;
        self.dropped += other.dropped;
        self.closed += other.closed;
        self.takeovers += other.takeovers;
        self.rotten += other.rotten;
        self.retries += other.retries;
        self.zombies += other.zombies;
        self.expired += other.expired;
        self.shrunk += other.shrunk;
    }
}
