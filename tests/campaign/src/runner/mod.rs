//! Drives campaigns against the clock, and says what was reached, what broke and how to go on.

use std::{
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::Duration,
};

use clap::Parser;
use levada_core::Clock;

use crate::{
    campaign::{Campaign, Cases, Extent, Fault, Skipped, Verdict},
    schedule::{Range, Step, share},
};

/// How often a long campaign says how far it is, so that one cut short can be resumed.
const PROGRESS: Duration = Duration::from_secs(10);

/// Runs Levada's campaigns.
#[derive(Debug, Default, Parser)]
#[command(name = "cargo campaign")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct Options {
    /// Lists the campaigns and their counts, and runs none.
    #[arg(long)]
    list: bool,
    /// Runs this campaign alone.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Begins with this case.
    #[arg(long, value_name = "N", default_value_t, requires = "only")]
    from: u64,
    /// Runs this many cases; 1 repeats a failure.
    #[arg(long, value_name = "N", requires = "only", conflicts_with = "full")]
    count: Option<u64>,
    /// Stops after this time, shared among the campaigns by their weights.
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Runs the full counts instead of those of continuous integration.
    #[arg(long)]
    full: bool,
    /// Fails where too few cases have run to judge a campaign as a whole.
    #[arg(long, conflicts_with = "count")]
    judged: bool,
    /// Judges the history that was recorded in this file, and runs no campaign.
    #[arg(long, value_name = "FILE", exclusive = true)]
    pub(crate) judge: Option<PathBuf>,
}

impl Options {
    fn end(&self, campaign: &Campaign) -> u64 {
        match self.count {
            Some(count) => self.from.saturating_add(count),
            None if self.full => campaign.full,
            None => campaign.ci,
        }
    }
}

/// Why nothing could be run, or no more be said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no campaign `{name}`: `cargo campaign --list` names those there are")]
    Unknown { name: String },
    #[error("`{name}` ends before case {end}, so none is left from {from}: `--full` has more")]
    NoCase {
        name: &'static str,
        from: u64,
        end: u64,
    },
    #[error("there is no campaign to run")]
    NoCampaign,
    #[error("the report could not be written: {0}")]
    Report(#[from] io::Error),
}

/// Runs what `options` ask for of `campaigns` and reports on `out`. False when a promise broke.
///
/// # Errors
///
/// See [`Error`].
pub(crate) fn run(
    campaigns: &[Campaign],
    options: &Options,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> Result<bool, Error> {
    let chosen = choose(campaigns, options)?;
    if options.list {
        for campaign in chosen {
            writeln!(out, "{}: {}", campaign.name, campaign.about)?;
            writeln!(
                out,
                "    {} cases in CI, {} in full",
                campaign.ci, campaign.full
            )?;
        }
        return Ok(true);
    }

    let weights: Vec<u32> = chosen.iter().map(|campaign| campaign.weight).collect();
    let stop = options
        .seconds
        .map(|seconds| clock.elapsed() + Duration::from_secs(seconds));
    let mut kept = true;
    for (at, campaign) in chosen.into_iter().enumerate() {
        let now = clock.elapsed();
        let deadline = stop.map(|stop| now + share(stop.saturating_sub(now), &weights[at..]));
        let range = Range {
            from: options.from,
            end: options.end(campaign),
            deadline,
        };
        kept &= run_one(campaign, &range, options, clock, out)?;
    }
    Ok(kept)
}

fn choose<'a>(campaigns: &'a [Campaign], options: &Options) -> Result<Vec<&'a Campaign>, Error> {
    let wanted = |campaign: &&Campaign| options.only.as_ref().is_none_or(|it| campaign.name == it);
    let chosen: Vec<_> = campaigns.iter().filter(wanted).collect();
    match (&options.only, chosen.is_empty()) {
        (Some(name), true) => return Err(Error::Unknown { name: name.clone() }),
        (None, true) => return Err(Error::NoCampaign),
        (_, false) => {}
    }
    for campaign in &chosen {
        let (name, from, end) = (campaign.name, options.from, options.end(campaign));
        if from >= end && !options.list {
            return Err(Error::NoCase { name, from, end });
        }
    }
    Ok(chosen)
}

/// Runs one campaign and reports on it. False when a promise broke.
fn run_one(
    campaign: &Campaign,
    range: &Range,
    options: &Options,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> Result<bool, Error> {
    let name = campaign.name;
    let started = clock.elapsed();
    let (next, outcome) = match (campaign.start)() {
        Err(fault) if fault.is::<Skipped>() => {
            writeln!(out, "{name}: SKIPPED: {fault}")?;
            return Ok(true);
        }
        Err(fault) => (range.from, Err(format!("{name} did not start: {fault}"))),
        Ok(mut cases) => {
            let (next, held) = run_cases(campaign, range, cases.as_mut(), clock, out)?;
            for line in cases.summary() {
                writeln!(out, "{name}: {line}")?;
            }
            let judged = match held {
                Ok(()) => {
                    let extent = extent(campaign, range, next);
                    judge(name, cases.as_ref(), extent, options, out)?
                }
                broken => broken,
            };
            (next, judged)
        }
    };
    let seconds = clock.elapsed().saturating_sub(started).as_secs();
    let reached = progress(campaign, range, next);
    writeln!(out, "{name}: {reached}, {seconds} s")?;
    if let Err(fault) = &outcome {
        writeln!(out, "FAILED {fault}")?;
    }
    Ok(outcome.is_ok())
}

/// Judges a campaign whose cases have held, and says so where it cannot be. What broke.
fn judge(
    name: &str,
    cases: &dyn Cases,
    extent: Extent,
    options: &Options,
    out: &mut dyn Write,
) -> Result<Result<(), String>, Error> {
    // A few cases that were picked by hand are not expected to show everything.
    let verdict = match options.count {
        Some(_) => Ok(Verdict::NotJudged("--count picked its cases".to_owned())),
        None => cases.judge(extent),
    };
    let reason = match verdict {
        Ok(Verdict::Shown) => return Ok(Ok(())),
        Ok(Verdict::NotJudged(reason)) => reason,
        Err(fault) => return Ok(Err(format!("{name}: {fault}"))),
    };
    writeln!(out, "{name}: NOT JUDGED: {reason}")?;
    if options.judged {
        return Ok(Err(format!("{name}: it was to be judged, and {reason}")));
    }
    Ok(Ok(()))
}

/// How much has run of a campaign whose first case that did not is `next`.
fn extent(campaign: &Campaign, range: &Range, next: u64) -> Extent {
    if range.from == 0 && next >= campaign.full {
        Extent::Full
    } else {
        Extent::Part
    }
}

/// Runs the cases of `range`: the first that did not run, and what broke.
fn run_cases(
    campaign: &Campaign,
    range: &Range,
    cases: &mut dyn Cases,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> Result<(u64, Result<(), String>), Error> {
    let name = campaign.name;
    let mut next = range.from;
    let mut said = clock.elapsed();
    while let Step::Run(number) = range.step(next, clock.elapsed()) {
        if let Err(fault) = run_case(cases, number) {
            let again = format!("cargo campaign --only {name} --from {number} --count 1");
            let broken = format!("{name}, case {number}: {fault}\n    again: {again}");
            return Ok((next, Err(broken)));
        }
        next += 1;
        if clock.elapsed().saturating_sub(said) >= PROGRESS {
            said = clock.elapsed();
            writeln!(out, "{name}: {}", progress(campaign, range, next))?;
        }
    }
    Ok((next, Ok(())))
}

/// Runs a case; a panic in it is a failure of that case, not the end of the run.
fn run_case(cases: &mut dyn Cases, number: u64) -> Result<(), Fault> {
    catch_unwind(AssertUnwindSafe(|| cases.run(number))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panicked: {}", text.unwrap_or("without a message")).into())
    })
}

fn progress(campaign: &Campaign, range: &Range, next: u64) -> String {
    let Campaign { name, ci, full, .. } = campaign;
    let ran = next - range.from;
    let start = match range.from {
        0 => String::new(),
        from => format!(" from case {from}"),
    };
    let go_on = format!("next: --only {name} --from {next}");
    format!("reached {ran}{start} of CI count {ci} (full: {full}); {go_on}")
}

#[cfg(test)]
mod tests;
