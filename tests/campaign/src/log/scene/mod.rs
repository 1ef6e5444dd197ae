//! A log on a faulty file system, and a seed that decides what is done to both.

mod answers;
mod asked;
mod asking;
mod damage;
mod life;
mod restart;
mod sending;
mod shown;
mod takeover;

use std::{sync::Arc, time::Duration};

use levada_core::{Clock as _, Rng, Seed};
use levada_log::{Log, vfs::Vfs};
use levada_testkit::{
    TestClock,
    vfs::{Fault as Faulty, FaultyFs, NoDirSync, SkipFsync, When},
};

use super::ledger::{Fate, Ledger, TopicLedger};
use crate::campaign::Fault;
use asked::Asked;
use life::Life;
pub(crate) use restart::Ending;
pub(crate) use shown::Shown;

/// Where the data folder is. None of the folders above it is there at first.
const FOLDER: &str = "/srv/levada/data";
/// Calls that may wait at one time.
const MOST_ASKED: usize = 40;
/// Producers that number what they send.
const PRODUCERS: usize = 2;

/// A bug that the file system can plant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Plant {
    /// None.
    #[default]
    None,
    /// Files are not synced.
    SkipFsync,
    /// Folders are not synced.
    NoDirSync,
}

impl Plant {
    /// The file system as the log sees it, with the bug in it.
    pub(in crate::log) fn vfs(self, fs: &FaultyFs) -> Arc<dyn Vfs> {
        match self {
            Self::None => Arc::new(fs.clone()),
            Self::SkipFsync => Arc::new(SkipFsync(fs.clone())),
            Self::NoDirSync => Arc::new(NoDirSync(fs.clone())),
        }
    }
}

/// A log on a faulty file system.
#[derive(Debug)]
pub(crate) struct Scene {
    rng: Rng,
    seed: Seed,
    plant: Plant,
    pub(in crate::log) fs: FaultyFs,
    clock: TestClock,
    pub(in crate::log) journal_bytes: u64,
    segment_bytes: u64,
    ledger: Ledger,
    life: Life,
    shown: Shown,
}

impl Scene {
    /// An empty folder, opened.
    pub(crate) fn new(number: u64, plant: Plant) -> Result<Self, Fault> {
        let seed = Seed::new(number);
        let mut rng = seed.rng("operations");
        let sizes = [4 << 10, 16 << 10, 64 << 10];
        let mut pick = || sizes[below(&mut rng, sizes.len())];
        let (journal_bytes, segment_bytes) = (pick(), pick());
        let mut scene = Self {
            rng,
            seed,
            plant,
            fs: FaultyFs::new(seed),
            clock: TestClock::default(),
            journal_bytes,
            segment_bytes,
            ledger: Ledger::default(),
            life: Life::ended(seed),
            shown: Shown::default(),
        };
        scene.ledger.now = scene.clock.now();
        scene.reopen()?;
        Ok(scene)
    }

    /// Does one thing.
    pub(crate) fn act(&mut self) -> Result<(), Fault> {
        match self.rng.below(200) {
            0..58 => self.append()?,
            58..70 => self.keep_accounts()?,
            70..90 => self.send()?,
            90..110 => self.work(30)?,
            110..120 => self.fetch()?,
            120..132 => self.move_group()?,
            132..140 => self.create_topic(),
            140 => self.seal()?,
            141..150 => {
                let calls = self.rng.below(60);
                self.fs.inject(Faulty::Crash, When::After(calls));
            }
            150..153 => self.end(Ending::Kill)?,
            153..156 => self.end(Ending::PowerCut)?,
            156..160 => self.fail_soon(),
            160..170 => self.hamper(),
            170..176 => self.fs.heal(),
            176..180 => self.close()?,
            180..182 => self.end(Ending::Drop)?,
            182..185 => self.takeover()?,
            185..191 => self.damage()?,
            _ => self.pass_time(),
        }
        let polls = self.rng.below(8);
        self.work(polls)?;
        self.look_at_starts()
    }

    /// Lets some time pass: a moment, or many of them.
    fn pass_time(&mut self) {
        let most = if self.rng.chance(1, 2) { 7 } else { 8_000 };
        let millis = 1 + self.rng.below(most);
        self.clock.advance(Duration::from_millis(millis));
        self.ledger.now = self.clock.now();
    }

    /// Takes in what has expired, before more time passes.
    fn look_at_starts(&mut self) -> Result<(), Fault> {
        let now = self.ledger.now;
        for topic in self
            .topics(|topic| topic.fate == Fate::Acknowledged)
            .collect::<Vec<_>>()
        {
            for partition in 0..self.ledger.topics[topic].partitions.len() {
                let start = self.partition(topic, partition)?.start();
                let ledger = &mut self.ledger.topics[topic];
                let (retention, ledger) = (&ledger.retention, &mut ledger.partitions[partition]);
                let moved = start > ledger.start;
                self.shown.starts_moved += u64::from(moved);
                self.shown.expired += ledger
                    .starts_at(start, retention, now)
                    .map_err(|fault| format!("topic {topic} partition {partition}: {fault}"))?;
            }
        }
        Ok(())
    }

    /// Ends in order and looks once more; what was shown, and the hash of all that happened.
    pub(crate) fn finish(mut self) -> Result<(Shown, u64), Fault> {
        self.fs.heal();
        self.close()?;
        self.shown.fired = self.fs.fired();
        self.shown.compacted = self.ledger.accounts.looked;
        Ok((self.shown, self.fs.trace()))
    }

    /// Lets the next sync, or one of those after it, fail.
    fn fail_soon(&mut self) {
        let fault = [Faulty::SyncFailed, Faulty::DirSyncFailed, Faulty::ReadError];
        let fault = fault[below(&mut self.rng, 3)];
        let calls = self.rng.below(8);
        self.fs.inject(fault, When::After(calls));
    }

    /// Makes something go wrong that a log must cope with.
    fn hamper(&mut self) {
        match self.rng.below(3) {
            0 => {
                let room = self.rng.below(3 * self.journal_bytes);
                self.fs.set_room(Some(room));
            }
            1 => self.fs.inject(Faulty::ShortWrite, When::OneIn(3)),
            _ => self.fs.inject(Faulty::Interrupted, When::OneIn(3)),
        }
    }

    /// A partition of a topic that is there.
    fn pick(&mut self) -> Option<(usize, usize)> {
        let topics = self.ledger.topics.iter().enumerate();
        let there = topics.filter(|(_, topic)| topic.fate == Fate::Acknowledged);
        let there: Vec<usize> = there.map(|(at, _)| at).collect();
        if there.is_empty() {
            self.create_topic();
            return None;
        }
        let topic = there[below(&mut self.rng, there.len())];
        let partitions = self.ledger.topics[topic].partitions.len();
        Some((topic, below(&mut self.rng, partitions)))
    }

    /// The topics of which this holds.
    fn topics(&self, holds: fn(&TopicLedger) -> bool) -> impl Iterator<Item = usize> {
        let topics = self.ledger.topics.iter().enumerate();
        topics
            .filter(move |(_, topic)| holds(topic))
            .map(|(at, _)| at)
    }

    fn partition(&self, topic: usize, partition: usize) -> Result<levada_log::Partition, Fault> {
        let topic = self.life.log().topic(&self.ledger.topics[topic].name)?;
        Ok(topic.partition(u32::try_from(partition)?)?)
    }

    fn options(&self) -> levada_log::Options {
        Log::options()
            .vfs(self.plant.vfs(&self.fs))
            .clock(Arc::new(self.clock.clone()))
            .seed(self.seed)
            .journal_bytes(self.journal_bytes)
            .segment_bytes(self.segment_bytes)
            .reserve_bytes(4 << 10)
            .cleaning_interval(Duration::from_millis(1))
    }
}

fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).expect("it is below a usize")
}
