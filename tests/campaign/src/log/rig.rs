//! A simulated machine that stops without having been asked, and how a log on it is opened again.
//!
//! Campaigns that have nothing to say of a stop but that it was one share this; the scene of power
//! cuts, which looks at each opening, has its own.

use std::{ops::AddAssign, sync::Arc, time::Duration};

use levada_core::{Rng, Seed};
use levada_log::{Log, Options};
use levada_testkit::{
    TestClock,
    vfs::{Fault as Faulty, FaultyFs, Keep, When},
};

use super::{scene::Plant, steps::Steps};

/// Where the data folder is.
pub(super) const FOLDER: &str = "/srv/levada/data";
/// How often the opening of a folder may meet faults before it meets none.
const MOST_FAULTS_IN_RECOVERY: u32 = 4;

/// What stops without having been asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// The process.
    Kill,
    /// The machine, with any part of what was not synced.
    PowerCut,
}

/// How often it has stopped.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stops {
    pub(super) kills: u64,
    pub(super) power_cuts: u64,
    /// Those of both while the folder was opened.
    pub(super) in_recovery: u64,
}

/// A machine, and a seed that decides what becomes of it.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) rng: Rng,
    pub(super) seed: Seed,
    plant: Plant,
    pub(super) fs: FaultyFs,
    pub(super) clock: TestClock,
    pub(super) steps: Steps,
    pub(super) stops: Stops,
}

impl Rig {
    /// A machine without any files; `purpose` names the stream of its choices.
    pub(super) fn new(number: u64, purpose: &str, plant: Plant) -> Self {
        let seed = Seed::new(number);
        Self {
            rng: seed.rng(purpose),
            seed,
            plant,
            fs: FaultyFs::new(seed),
            clock: TestClock::default(),
            steps: Steps::new(seed.rng("steps")),
            stops: Stops::default(),
        }
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).expect("it is below a usize")
    }

    /// How a log on this machine is opened.
    pub(super) fn options(&self, steps: &Steps) -> Options {
        self.options_on(&self.fs, steps)
    }

    /// How it is opened on a copy of the files.
    pub(super) fn options_on(&self, fs: &FaultyFs, steps: &Steps) -> Options {
        Log::options()
            .vfs(self.plant.vfs(fs))
            .spawner(Arc::new(steps.clone()))
            .clock(Arc::new(self.clock.clone()))
            .seed(self.seed)
            .reserve_bytes(4 << 10)
            .cleaning_interval(Duration::from_millis(1))
    }

    /// Lets some time pass: a moment, or many of them.
    pub(super) fn pass_time(&mut self, most: Duration) {
        let most = u64::try_from(most.as_millis()).expect("it is not long");
        let most = if self.rng.chance(1, 2) { 7 } else { most };
        let millis = 1 + self.rng.below(most);
        self.clock.advance(Duration::from_millis(millis));
    }

    /// Lets the machine crash within its next calls.
    pub(super) fn crash_soon(&mut self, calls: u64) {
        let calls = self.rng.below(calls);
        self.fs.inject(Faulty::Crash, When::After(calls));
    }

    /// Lets the next sync or read, or one of those after it, fail.
    pub(super) fn fail_soon(&mut self) {
        let fault = [Faulty::SyncFailed, Faulty::DirSyncFailed, Faulty::ReadError];
        let fault = fault[self.below(3)];
        let calls = self.rng.below(8);
        self.fs.inject(fault, When::After(calls));
    }

    pub(super) fn any_stop(&mut self) -> Stop {
        if self.rng.chance(1, 3) {
            Stop::Kill
        } else {
            Stop::PowerCut
        }
    }

    /// Lets the machine or the process stop. The handles of the log must be gone.
    pub(super) fn strike(&mut self, stop: Stop) {
        let (fs, count) = match stop {
            Stop::Kill => (self.fs.kill(), &mut self.stops.kills),
            Stop::PowerCut => (self.fs.power_cut(Keep::Any), &mut self.stops.power_cuts),
        };
        *count += 1;
        self.fs = fs;
        self.steps = Steps::new(Seed::new(self.fs.calls()).rng("steps"));
    }

    /// Opens the folder, with faults and further stops on the way.
    ///
    /// # Errors
    ///
    /// What the log says of a folder when no fault was met.
    pub(super) fn reopen(
        &mut self,
        options: impl Fn(Options) -> Options,
    ) -> levada_log::Result<Log> {
        let mut tries = 0;
        loop {
            if tries < MOST_FAULTS_IN_RECOVERY && self.rng.chance(1, 4) {
                self.trip();
            }
            tries += 1;
            let before = self.fs.fired();
            match options(self.options(&self.steps)).open(FOLDER) {
                // It has crashed in the last calls, whose failure does no harm.
                Ok(_) if self.fs.is_crashed() => {}
                Ok(log) => {
                    self.fs.heal();
                    return Ok(log);
                }
                Err(error) if self.fs.fired() == before => return Err(error),
                Err(_) => {}
            }
            self.stops.in_recovery += 1;
            let stop = self.any_stop();
            self.strike(stop);
        }
    }

    /// Lets something go wrong while the folder is opened.
    fn trip(&mut self) {
        let calls = self.rng.below(60);
        let after = |calls| When::After(calls);
        match self.rng.below(4) {
            0 => self.fs.inject(Faulty::Crash, after(calls)),
            1 => self.fs.inject(Faulty::SyncFailed, after(calls / 6)),
            2 => self.fs.inject(Faulty::DirSyncFailed, after(calls / 6)),
            _ => self.fs.set_room(Some(128 * calls)),
        }
    }
}

impl AddAssign for Stops {
    fn add_assign(&mut self, other: Self) {
        self.kills += other.kills;
        self.power_cuts += other.power_cuts;
        self.in_recovery += other.in_recovery;
    }
}
