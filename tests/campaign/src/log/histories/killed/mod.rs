//! Campaign: a process that sends and reads at full speed is killed, again and again, and what it
//! recorded until then is judged.
//!
//! The process records each call before it makes it, straight into a file: a kill takes nothing of
//! that, so a call without an answer is one of unknown result.

mod child;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use levada_core::{Clock, Seed, SystemClock};
use levada_log::Log;
use levada_testkit::{Heard, Victim};
use tempfile::TempDir;

use super::{judge, said};
use crate::{
    campaign::{Campaign, Cases, Extent, Fault, Verdict},
    history::{anomaly::Findings, recorder::Recorder},
    log::require,
};
pub(crate) use child::child;
use child::{CHILD, places, read};

/// The campaign.
pub(crate) const KILLED: Campaign = Campaign {
    name: "history-kills",
    about: "Kills processes that record what they send to a log and read from it, and judges it.",
    full: 100,
    ci: 4,
    weight: 1,
    start: || Ok(Box::new(Killed::default())),
};

/// How often the process of one case is killed.
const KILLS: u64 = 5;

/// What the cases so far have shown.
#[derive(Debug, Default)]
struct Killed {
    cases: u64,
    kills: u64,
    total: Findings,
}

impl Cases for Killed {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        let folder = TempDir::new()?;
        let mut rng = Seed::new(number).rng("history of the killed");
        for cycle in 0..KILLS {
            let span = Duration::from_micros(rng.below(400_000));
            run_and_kill(folder.path(), cycle, span)?;
        }
        let history = history(folder.path());
        let recorder = Arc::new(Mutex::new(Recorder::resume(&history)?));
        let log = options().open(data(folder.path()))?;
        if let Ok(topic) = log.topic("topic") {
            for (place, partition) in places(&topic)? {
                read(&recorder, client(KILLS, 0), place, &partition, 0)?;
            }
        }
        log.close().wait()?;
        let findings = judge(&history)?;
        self.cases += 1;
        self.kills += KILLS;
        self.total.add_counts(&findings);
        if findings.found > 0 {
            let kept = folder.keep();
            let shown = said(&findings).join("\n    ");
            return Err(format!("{shown}\n    all is kept in {}", kept.display()).into());
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let mut lines = said(&self.total);
        lines.push(format!("{} kills", self.kills));
        lines
    }

    fn judge(&self, _: Extent) -> Result<Verdict, Fault> {
        if self.cases < KILLED.ci {
            let (cases, needed) = (self.cases, KILLED.ci);
            let reason = format!("{cases} cases have run, and {needed} are needed");
            return Ok(Verdict::NotJudged(reason));
        }
        let Findings { unknown, read, .. } = self.total;
        require!(
            unknown >= self.kills && read > 1_000,
            "{unknown} calls of unknown result in {} kills, {read} values read",
            self.kills
        );
        self.total.require_transactions()?;
        Ok(Verdict::Shown)
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn history(folder: &Path) -> PathBuf {
    folder.join("history")
}

/// The number of a client: no other life of the log has the same.
fn client(cycle: u64, number: u32) -> u32 {
    u32::try_from(cycle).unwrap_or(u32::MAX) * 16 + number
}

/// How the folder is opened: with files so small that many are begun.
fn options() -> levada_log::Options {
    Log::options()
        .journal_bytes(256 << 10)
        .segment_bytes(128 << 10)
}

/// Starts the process and kills it after some time.
fn run_and_kill(folder: &Path, cycle: u64, span: Duration) -> Result<(), Fault> {
    let victim = Victim::start(Command::new(env::current_exe()?).args([
        CHILD.as_ref(),
        folder.as_os_str(),
        cycle.to_string().as_ref(),
    ]))?;
    let clock = SystemClock::new();
    let deadline = clock.elapsed() + span;
    // It says one thing, if any: why it has stopped of itself.
    let heard = victim.listen(deadline.saturating_sub(clock.elapsed()));
    let unheard = victim.kill()?;
    match (heard, unheard.first()) {
        (Heard::Line(failure), _) => Err(format!("the child says: {failure}").into()),
        (_, Some(failure)) => Err(format!("the child says: {failure}").into()),
        (Heard::End, None) => Err("the child has ended".into()),
        (Heard::Nothing, None) => Ok(()),
    }
}
