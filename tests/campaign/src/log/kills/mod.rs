//! Campaign: a process that appends at full speed is killed, again and again, on real files.
//!
//! A kill loses nothing of what the operating system was given, so this says nothing about syncs;
//! it shows the shipped code on real threads and files, where the simulation shows all the rest.

mod acknowledged;
mod child;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::Duration,
};

use levada_core::{Clock, Rng, Seed, Spawner, SystemClock, Threads};
use tempfile::TempDir;

use super::require;
use crate::campaign::{Campaign, Cases, Fault};
use acknowledged::Acknowledged;
pub(crate) use child::child;
use child::{CHILD, Event};

/// The campaign.
pub(crate) const KILLS: Campaign = Campaign {
    name: "kills",
    about: "Kills a process that appends to a log on real files, and looks what is there.",
    full: 10_000,
    ci: 100,
    weight: 2,
    start: || Ok(Box::new(Kills::new()?)),
};

/// Cycles in one folder. Each looks at all that is there, so that more would take ever longer.
const CYCLES_PER_FOLDER: u64 = 20;
/// Cycles after which the shares of the kinds of kills are judged.
const ENOUGH: usize = 50;
/// Records acknowledged in the median cycle, at least.
const LEAST_MEDIAN: u64 = 1_000;
/// A child that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_mins(1);
/// Lines of a child that may wait to be read: it blocks when there are more.
const LINES: usize = 1 << 16;

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
    /// Records acknowledged, by cycle.
    records: Vec<u64>,
    in_recovery: usize,
    at_rolls: usize,
    torn: u64,
}

/// What a child did until it was killed.
#[derive(Debug, Default)]
struct Life {
    has_opened: bool,
    records: u64,
    rolls: u64,
    failure: Option<String>,
}

impl Kills {
    fn new() -> Result<Self, Fault> {
        Ok(Self {
            clock: SystemClock::new(),
            folder: TempDir::new()?,
            acknowledged: Acknowledged::default(),
            in_folder: 0,
            records: Vec::new(),
            in_recovery: 0,
            at_rolls: 0,
            torn: 0,
        })
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Starts a child, kills it as planned and takes in what it said.
    fn cycle(&mut self, cycle: u64, plan: Plan) -> Result<Life, Fault> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([
                CHILD.as_ref(),
                self.data().as_os_str(),
                cycle.to_string().as_ref(),
            ])
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = lines(&mut child)?;
        let mut life = Life::default();
        let waited = self.wait(plan, &lines, &mut life);
        child.kill()?;
        child.wait()?;
        waited?;
        for event in lines {
            self.take(&event, &mut life)?;
        }
        match life.failure {
            Some(failure) => Err(format!("the child says: {failure}").into()),
            None => Ok(life),
        }
    }

    /// Waits until the planned time, and takes in what the child says meanwhile.
    fn wait(&mut self, plan: Plan, lines: &Receiver<Event>, life: &mut Life) -> Result<(), Fault> {
        let start = self.clock.elapsed();
        let mut deadline = match plan {
            Plan::After(span) => start + span,
            Plan::Opening(_) | Plan::Rolling(..) => start + PATIENCE,
        };
        loop {
            let left = deadline.saturating_sub(self.clock.elapsed());
            let event = match lines.recv_timeout(left) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
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
            Event::Opening => {}
            Event::Opened => life.has_opened = true,
            // Opening begins files as well.
            Event::Rolling => life.rolls += u64::from(life.has_opened),
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
        copy_folder(&self.data(), copy.path())?;
        let log = child::options().open(copy.path())?;
        self.torn += u64::from(log.recovery().cut.is_some());
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
        self.records.push(life.records);
        self.in_recovery += usize::from(!life.has_opened && cycle > 0);
        self.at_rolls += usize::from(matches!(plan, Plan::Rolling(..)) && life.has_opened);
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let (cycles, records) = (self.records.len(), self.records.iter().sum::<u64>());
        let median = median(&self.records);
        vec![
            format!("{records} records acknowledged, {median} in the median cycle"),
            format!(
                "of {cycles} kills {} in recovery, {} at a roll",
                self.in_recovery, self.at_rolls
            ),
            format!("{} torn commits", self.torn),
        ]
    }

    fn judge(&self) -> Result<(), Fault> {
        let cycles = self.records.len();
        if cycles < ENOUGH {
            return Ok(());
        }
        let median = median(&self.records);
        require!(
            median >= LEAST_MEDIAN,
            "{median} records in the median cycle; {LEAST_MEDIAN} are asked for"
        );
        let tenth = cycles.div_ceil(10);
        require!(
            self.in_recovery >= tenth && self.at_rolls >= tenth,
            "a tenth of the kills, {tenth}, is asked for in recovery and at a roll"
        );
        Ok(())
    }
}

/// What a child says, as it says it.
fn lines(child: &mut Child) -> Result<Receiver<Event>, Fault> {
    let (sender, receiver) = sync_channel(LINES);
    let output = child.stdout.take().ok_or("the child has no output")?;
    let read = async move {
        let mut lines = BufReader::new(output).lines();
        // The last line may be cut short: then nobody has read it.
        while let Some(Ok(line)) = lines.next() {
            if let Some(event) = Event::parse(&line)
                && sender.send(event).is_err()
            {
                return;
            }
        }
    };
    Threads.spawn("lines of a child", Box::pin(read))?;
    Ok(receiver)
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

fn median(numbers: &[u64]) -> u64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Fault> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
