//! Runs the campaigns: long searches for broken promises, a share of which each commit pays for.
//!
//! `cargo campaign` runs the count that continuous integration asks for, `--seconds` as much of it
//! as fits, `--full` the count that the documentation names. Every case has a number, so that
//! `--only NAME --from N` goes on where a run stopped and `--count 1` repeats a single failure.
//! `--judge FILE` judges a history that any run has recorded.

mod campaign;
mod folder;
mod history;
mod log;
mod machine;
mod runner;
mod schedule;

use std::{io, process::ExitCode};

use clap::Parser;
use levada_core::SystemClock;

use crate::{campaign::Campaign, runner::Options};

/// All campaigns, in the order in which they run.
const CAMPAIGNS: &[Campaign] = &[
    log::power_cuts::POWER_CUTS,
    log::compaction::COMPACTION,
    log::recoveries::RECOVERIES,
    log::histories::HISTORY,
    log::histories::killed::KILLED,
    log::flips::FLIPS,
    log::kills::KILLS,
    log::planted::PLANTED,
    log::planted::PLANTED_HISTORY,
    machine::points::CRASH_POINTS,
    machine::points::RECOVERY_POINTS,
    machine::ext4::EXT4,
    machine::failed_sync::FAILED_SYNC,
];

#[expect(
    clippy::print_stderr,
    reason = "a command says on stderr why it did not run"
)]
fn main() -> ExitCode {
    let child = log::kills::child()
        .or_else(log::histories::killed::child)
        .or_else(machine::points::child)
        .or_else(machine::failed_sync::child);
    if let Some(code) = child {
        return code;
    }
    let options = Options::parse();
    let mut out = io::stdout();
    let kept = match &options.judge {
        Some(history) => log::histories::judge_file(history, &mut out),
        None => runner::run(CAMPAIGNS, &options, &SystemClock::new(), &mut out)
            .map_err(campaign::Fault::from),
    };
    match kept {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
