//! Campaign: a process that appends at full speed is killed, again and again, on real files.
//!
//! A kill loses nothing of what the operating system was given, so this says nothing about syncs;
//! it shows the shipped code on real threads and files, where the simulation shows all the rest.

pub(crate) mod acknowledged;
pub(crate) mod child;
mod tally;

use std::{process::Command, time::Duration};

use levada_core::{Clock, Rng, Seed, SystemClock};
use levada_testkit::{Heard, Victim};
use tempfile::TempDir;

use super::require;
use crate::{
    campaign::{Campaign, Cases, Extent, Fault, Verdict},
    folder,
};
use acknowledged::Acknowledged;
pub(crate) use child::child;
use child::{CHILD, Event};
use tally::{Killed, Tally};

/// The campaign.
pub(crate) const KILLS: Campaign = Campaign {
    name: "kills",
    about: "Kills a process that appends to a log on real files, and looks what is there.",
    full: 10_000,
    ci: 100,
    weight: 4,
    start: || Ok(Box::new(Kills::new()?)),
};

/// Cycles in one folder. Each looks at all that is there, so that more would take ever longer.
const CYCLES_PER_FOLDER: u64 = 20;
/// A child that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// When a child is killed.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// So long after its start.
    After(Duration),
    /// So long after it began to open the folder.
    Opening(Duration),
    /// So long after this many files were begun.
    Rolling(u64, Duration),
}

/// What the cycles so far have shown.
#[derive(Debug)]
struct Kills {
    clock: SystemClock,
    folder: TempDir,
    acknowledged: Acknowledged,
    in_folder: u64,
    tally: Tally,
}

/// How far a child had come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Starting,
    Opening,
    Opened,
}

/// What a child did until it was killed.
#[derive(Debug, Default)]
struct Life {
    stage: Stage,
    records: u64,
    rolls: u64,
    failure: Option<String>,
}

impl Life {
    /// When it ended, in this cycle of its folder: the first finds nothing to recover there.
    fn killed(&self, plan: Plan, cycle: u64) -> Killed {
        match (self.stage, plan) {
            (Stage::Starting, _) => Killed::Before,
            (Stage::Opening, _) if cycle == 0 => Killed::Before,
            (Stage::Opening, _) => Killed::InRecovery,
            (Stage::Opened, Plan::Rolling(rolls, _)) if self.rolls >= rolls => Killed::AtRoll,
            (Stage::Opened, _) => Killed::Appending,
        }
    }
}

impl Kills {
    fn new() -> Result<Self, Fault> {
        Ok(Self {
            clock: SystemClock::new(),
            folder: TempDir::new()?,
            acknowledged: Acknowledged::default(),
            in_folder: 0,
            tally: Tally::default(),
        })
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Starts a child, kills it as planned and takes in what it said.
    fn cycle(&mut self, cycle: u64, plan: Plan) -> Result<Life, Fault> {
        let victim = Victim::start(Command::new(std::env::current_exe()?).args([
            CHILD.as_ref(),
            self.data().as_os_str(),
            cycle.to_string().as_ref(),
        ]))?;
        let mut life = Life::default();
        let waited = self.wait(plan, &victim, &mut life);
        let unheard = victim.kill()?;
        waited?;
        for event in unheard.iter().filter_map(|line| Event::parse(line)) {
            self.take(&event, &mut life)?;
        }
        match life.failure {
            Some(failure) => Err(format!("the child says: {failure}").into()),
            None => Ok(life),
        }
    }

    /// Waits until the planned time, and takes in what the child says meanwhile.
    fn wait(&mut self, plan: Plan, victim: &Victim, life: &mut Life) -> Result<(), Fault> {
        let start = self.clock.elapsed();
        let mut deadline = match plan {
            Plan::After(span) => start + span,
            Plan::Opening(_) | Plan::Rolling(..) => start + PATIENCE,
        };
        loop {
            let left = deadline.saturating_sub(self.clock.elapsed());
            let line = match victim.listen(left) {
                Heard::Line(line) => line,
                Heard::Nothing => break,
                Heard::End => return Ok(()),
            };
            let Some(event) = Event::parse(&line) else {
                continue;
            };
            self.take(&event, life)?;
            let now = self.clock.elapsed();
            match (plan, &event) {
                (Plan::Opening(span), Event::Opening) => deadline = now + span,
                (Plan::Rolling(rolls, span), Event::Rolling) if life.rolls == rolls => {
                    deadline = now + span;
                }
                _ => {}
            }
        }
        let hangs = self.clock.elapsed() >= start + PATIENCE;
        require!(!hangs, "the child hangs");
        Ok(())
    }

    fn take(&mut self, event: &Event, life: &mut Life) -> Result<(), Fault> {
        match event {
            Event::Opening => life.stage = Stage::Opening,
            Event::Opened => life.stage = Stage::Opened,
            // Opening begins files as well.
            Event::Rolling => life.rolls += u64::from(life.stage == Stage::Opened),
            Event::Appended(appended) => {
                life.records += u64::from(appended.count);
                self.acknowledged.add(*appended)?;
            }
            Event::Failed(sentence) => life.failure = Some(sentence.clone()),
        }
        Ok(())
    }

    /// Opens a copy of what the child left, and compares it with what the child said. The next
    /// child recovers the original.
    fn look(&mut self, cycle: u64) -> Result<(), Fault> {
        if !self.data().exists() {
            return Ok(());
        }
        let copy = TempDir::new()?;
        folder::copy(&self.data(), copy.path())?;
        let log = child::options().open(copy.path())?;
        self.tally.torn += u64::from(log.recovery().cut.is_some());
        self.acknowledged.compare(&log, cycle)?;
        log.close().wait()?;
        Ok(())
    }
}

impl Cases for Kills {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        if self.in_folder == CYCLES_PER_FOLDER {
            self.folder = TempDir::new()?;
            self.acknowledged = Acknowledged::default();
            self.in_folder = 0;
        }
        let plan = plan(&mut Seed::new(number).rng("kill"));
        let cycle = self.in_folder;
        self.in_folder += 1;
        let life = self.cycle(cycle, plan)?;
        let looked = self.look(cycle);
        looked.map_err(|fault| format!("{plan:?}, cycle {cycle} in its folder: {fault}"))?;
        self.tally.add(life.records, life.killed(plan, cycle));
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        self.tally.summary()
    }

    fn judge(&self, _: Extent) -> Result<Verdict, Fault> {
        self.tally.judge()
    }
}

fn plan(rng: &mut Rng) -> Plan {
    let mut micros = |most| Duration::from_micros(rng.below(most));
    let (short, long) = (micros(2_000), micros(500_000));
    match rng.below(10) {
        0..2 => Plan::Opening(short),
        2..4 => Plan::Rolling(1 + rng.below(20), short / 2),
        _ => Plan::After(long),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(stage: Stage, rolls: u64) -> Life {
        Life {
            stage,
            rolls,
            ..Life::default()
        }
    }

    #[test]
    fn a_kill_is_in_recovery_only_once_an_old_folder_is_being_opened() {
        let killed = |stage, cycle| life(stage, 0).killed(Plan::After(Duration::ZERO), cycle);
        assert_eq!(killed(Stage::Starting, 1), Killed::Before);
        assert_eq!(killed(Stage::Opening, 1), Killed::InRecovery);
        assert_eq!(killed(Stage::Opening, 0), Killed::Before);
        assert_eq!(killed(Stage::Opened, 1), Killed::Appending);
    }

    #[test]
    fn a_kill_is_at_a_roll_only_once_the_file_was_begun() {
        let plan = Plan::Rolling(2, Duration::ZERO);
        assert_eq!(life(Stage::Opened, 1).killed(plan, 1), Killed::Appending);
        assert_eq!(life(Stage::Opened, 2).killed(plan, 1), Killed::AtRoll);
    }
}
