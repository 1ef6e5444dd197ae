//! Campaign: several clients use a log on a machine that fails, and what they were told is recorded
//! and judged afterwards.
//!
//! Unlike the campaign of power cuts nothing here knows what the log must hold: the history, in a
//! real file outside of the simulated machine, is judged alone, so the same judgement can be passed
//! on what a process recorded that was killed. `--judge FILE` does so for any file.

mod asked;
mod ending;
pub(crate) mod killed;
mod numbered;
mod stage;
mod topics;
mod transacted;

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    time::Duration,
};

use levada_log::Options;
use levada_testkit::vfs::{Fault as Faulty, FaultyFs, Fired};
use tempfile::NamedTempFile;

use super::{
    require,
    rig::{Rig, Stops},
    scene::Plant,
    steps::Steps,
};
use crate::{
    campaign::{Campaign, Cases, Extent, Fault, Verdict},
    history::{
        anomaly::Findings,
        checker::{Checker, Promise},
        recorder::Recorder,
    },
};
use stage::{Stage, Struck};

/// Things done in one case, beyond its restarts.
const ACTS: u32 = 600;
/// Cases by which the campaign is judged: each fault must have fired in them.
const ENOUGH: u64 = 200;
/// Operations that the full campaign has.
const FULL_OPERATIONS: u64 = 10_000_000;
/// What is said first of a history that is not good.
pub(super) const FLAGGED: &str = "the history is flagged: ";
/// Faults that must have fired.
const EXPECTED: [Faulty; 4] = [
    Faulty::SyncFailed,
    Faulty::DirSyncFailed,
    Faulty::NoSpace,
    Faulty::Crash,
];

/// The campaign.
pub(crate) const HISTORY: Campaign = Campaign {
    name: "history",
    about: "Records what clients of a log on a failing machine were told, and judges it alone.",
    full: 10_000,
    ci: ENOUGH,
    weight: 1,
    start: || Ok(Box::new(Histories::default())),
};

/// What the cases so far have shown.
#[derive(Debug, Default)]
struct Histories {
    cases: u64,
    struck: Struck,
    fired: Fired,
    total: Findings,
}

impl Cases for Histories {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        let file = NamedTempFile::new()?;
        let recorded = record(number, Plant::None, &file);
        let findings = judge(file.path())?;
        if let Some(flagged) = flagged(&findings) {
            let (_, kept) = file.keep()?;
            return Err(format!("{flagged}\n    it is in {}", kept.display()).into());
        }
        let (struck, fired) = recorded?;
        self.cases += 1;
        self.struck += struck;
        self.fired += fired;
        self.total.add_counts(&findings);
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let Struck {
            stops,
            dropped,
            closed,
            takeovers,
            rotten,
            retries,
            zombies,
            expired,
            shrunk,
        } = self.struck;
        let Stops {
            kills,
            power_cuts,
            in_recovery,
        } = stops;
        let fired = EXPECTED.map(|fault| format!("{fault} {}", self.fired[fault]));
        let mut lines = said(&self.total);
        lines.push(format!(
            "{power_cuts} power cuts, {kills} kills, {in_recovery} of these in recovery"
        ));
        lines.push(format!(
            "{dropped} logs dropped, {closed} closed, {takeovers} taken over, {rotten} rotten"
        ));
        lines.push(format!(
            "{retries} sends repeated, {zombies} by fenced producers, {expired} polls before the \
             start, segments became fewer {shrunk} times"
        ));
        lines.push(format!("fired: {}", fired.join(", ")));
        lines
    }

    fn judge(&self, extent: Extent) -> Result<Verdict, Fault> {
        let cases = self.cases;
        if cases < ENOUGH {
            let reason = format!("{cases} cases have run, and {ENOUGH} are needed");
            return Ok(Verdict::NotJudged(reason));
        }
        let operations = self.total.operations;
        require!(
            extent == Extent::Part || operations >= FULL_OPERATIONS,
            "{operations} operations in all cases; {FULL_OPERATIONS} are asked for"
        );
        let silent = EXPECTED.iter().find(|fault| self.fired[**fault] == 0);
        if let Some(fault) = silent {
            return Err(format!("no {fault} in any case").into());
        }
        let Stops {
            kills, power_cuts, ..
        } = self.struck.stops;
        for (count, what) in [
            (self.struck.retries, "repeats"),
            (self.struck.zombies, "sends of fenced producers"),
            (self.struck.expired, "polls of what has expired"),
            (self.struck.shrunk, "passes of compaction"),
        ] {
            require!(count >= cases, "{count} {what} in {cases} cases");
        }
        require!(
            kills >= 100 && power_cuts >= 1_000,
            "{kills} kills and {power_cuts} power cuts; 100 and 1000 are asked for"
        );
        self.total.require_transactions()?;
        Ok(Verdict::Shown)
    }
}

/// What is said of a history that is not good: the first anomaly, then all that it comes to.
fn flagged(findings: &Findings) -> Option<String> {
    let first = findings.anomalies.first()?;
    let all = said(findings).join("\n    ");
    Some(format!("{FLAGGED}{first}\n    {all}"))
}

/// What the history of a case alone shows of a bug in the file system, if anything.
pub(super) fn flagged_with(number: u64, plant: Plant) -> Result<Option<String>, Fault> {
    let file = NamedTempFile::new()?;
    // What else is wrong with such a log ends the case, and its history with it.
    drop(record(number, plant, &file));
    Ok(flagged(&judge(file.path())?))
}

/// What the clients of a case leave behind when they stop in the middle of what they do.
pub(super) struct Left {
    pub(super) rig: Rig,
    sizes: Box<dyn Fn(Options) -> Options>,
}

impl Left {
    /// How the folder is opened on a copy of the files, by a log that cleans once, at its start.
    pub(super) fn options(&self, fs: &FaultyFs, steps: &Steps) -> Options {
        let options = self.rig.options_on(fs, steps);
        (self.sizes)(options).cleaning_interval(Duration::from_hours(1))
    }
}

/// Plays the first acts of a case.
pub(super) fn left_by(number: u64, acts: u32) -> Result<Left, Fault> {
    let out = BufWriter::new(tempfile::tempfile()?);
    let mut stage = Stage::new(number, Plant::None, Recorder::new(out))?;
    for act in 0..acts {
        stage.act().map_err(|fault| format!("act {act}: {fault}"))?;
    }
    stage.let_go();
    Ok(Left {
        sizes: Box::new(stage.sizes()),
        rig: stage.rig,
    })
}

/// Judges the history in a file, and says what it comes to. False when something is wrong with it.
pub(crate) fn judge_file(path: &Path, out: &mut dyn Write) -> Result<bool, Fault> {
    let findings = judge(path)?;
    for line in said(&findings) {
        writeln!(out, "{line}")?;
    }
    Ok(findings.found == 0)
}

/// Plays the case of this number, and records it.
fn record(number: u64, plant: Plant, file: &NamedTempFile) -> Result<(Struck, Fired), Fault> {
    let out = BufWriter::new(file.reopen()?);
    let mut stage = Stage::new(number, plant, Recorder::new(out))?;
    for act in 0..ACTS {
        stage.act().map_err(|fault| format!("act {act}: {fault}"))?;
    }
    let (mut out, struck, fired) = stage.finish()?;
    out.flush()?;
    Ok((struck, fired))
}

fn judge(path: &Path) -> Result<Findings, Fault> {
    Ok(Checker::judge(Promise::ReadCommitted, File::open(path)?)?)
}

impl Findings {
    /// A fifth of all operations must be part of transactions.
    fn require_transactions(&self) -> Result<(), Fault> {
        let Self {
            operations,
            transactional,
            ..
        } = self;
        require!(
            5 * transactional >= *operations,
            "{transactional} of {operations} operations are transactional; a fifth is asked for"
        );
        Ok(())
    }
}

/// What is said of a history, or of many.
fn said(findings: &Findings) -> Vec<String> {
    let Findings {
        operations,
        transactional,
        unknown,
        read,
        restarts,
        found,
        anomalies,
    } = findings;
    let share = 100 * transactional / operations.max(&1);
    let mut lines = vec![
        format!("{operations} operations, {share} % of them transactional, {unknown} unknown"),
        format!("{read} values read, {restarts} restarts, {found} anomalies"),
    ];
    lines.extend(anomalies.iter().map(ToString::to_string));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_campaign_has_ten_million_operations() {
        let said = |operations, extent| {
            let histories = Histories {
                cases: ENOUGH,
                total: Findings {
                    operations,
                    ..Findings::default()
                },
                ..Histories::default()
            };
            histories.judge(extent).unwrap_err().to_string()
        };
        assert!(said(9_999_999, Extent::Full).starts_with("9999999 operations"));
        let of_faults = said(10_000_000, Extent::Full);
        assert_eq!(of_faults, "no failed sync in any case");
        assert_eq!(of_faults, said(9_999_999, Extent::Part));
    }

    #[test]
    fn bug_of_the_file_system_is_seen_in_the_history_alone() {
        let flagged = |number, plant| flagged_with(number, plant).unwrap();
        for number in 0..3 {
            assert_eq!(flagged(number, Plant::None), None);
        }
        for plant in [Plant::SkipFsync, Plant::NoDirSync] {
            assert!((0..400).any(|number| flagged(number, plant).is_some()));
        }
    }

    #[test]
    fn same_seed_gives_the_same_history() {
        let recorded = |number| {
            let file = NamedTempFile::new().unwrap();
            record(number, Plant::None, &file).unwrap();
            std::fs::read(file.path()).unwrap()
        };
        assert_eq!(recorded(3), recorded(3));
        assert_ne!(recorded(3), recorded(4));
    }
}
