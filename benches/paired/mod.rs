//! Pairs our programs with their peers: one run of each in turn, several times over.
//!
//! Machines differ and shared ones change by the minute, so only figures of one sitting are
//! compared, and of those the ratios within one round. Every program is a process of its own, ours
//! too (this program calls itself with `--run`), so that memory and CPU time are its own.
//!
//! | arguments | does |
//! |---|---|
//! | none | runs our programs alone, 3 rounds of about 3 s |
//! | `--check` | builds the peers, runs 5 rounds of at least 10 s, and fails on a missed bar |
//! | `--smoke` | runs our programs on little input against a plain loop |
//! | `--only NAME` | leaves out all workloads but one |
//! | `--seconds S`, `--rounds N` | how long and how often; less than a check has no verdict |
//! | `--peers DIR` | where the peers are; a relative path starts at the root of the workspace |
//!
//! Without `--bench`, which cargo passes when it measures, a bench is a test and runs as a smoke.

pub mod arguments;
pub mod control;
mod figure;
pub mod measure;
pub mod process;
pub mod program;
mod report;

use std::{path::Path, process::ExitCode};

use levada::{BoxError, prelude::Error};

use self::{
    arguments::{Arguments, Mode},
    figure::Figure,
    program::{Program, Programs, Scale},
    report::{Report, Row},
};
use crate::ALLOCATOR_NAME;

/// A question of a bench: our program, the truth, the peers, and how we want to compare.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Its name, as in `w2m`.
    pub name: &'static str,
    /// Makes what the program reads; not measured.
    pub prepare: fn(),
    /// Our program: takes so many events and returns the check sum.
    pub run: fn(u64) -> Result<u64, Error>,
    /// The check sum of so many events, by a plain loop.
    pub truth: fn(u64) -> u64,
    /// How the check sums of all programs relate.
    pub sums: Sums,
    /// Programs that do the same.
    pub peers: &'static [Peer],
    /// What is compared with which peers.
    pub bars: &'static [Bar],
}

/// How the check sums of all programs relate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sums {
    /// The result does not depend on the order in which splits are read.
    Equal,
    /// It does: of our result and the truth by at most this part, of ours and a peer's by at most
    /// that. A peer whose readers are held back by nobody may be further off.
    Within {
        /// Of the truth.
        truth: f64,
        /// Of a peer's.
        peers: f64,
    },
}

impl Sums {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a part of a sum is compared, not a digit"
    )]
    fn is_within(part: f64, one: u64, other: u64) -> bool {
        one.abs_diff(other) as f64 <= part * one.max(other) as f64
    }

    /// True if our check sum is that of a plain loop.
    fn is_true(self, ours: u64, truth: u64) -> bool {
        match self {
            Self::Equal => ours == truth,
            Self::Within { truth: part, .. } => Self::is_within(part, ours, truth),
        }
    }

    /// True if a peer has done the same work.
    fn agree(self, ours: u64, peer: u64) -> bool {
        match self {
            Self::Equal => ours == peer,
            Self::Within { peers, .. } => Self::is_within(peers, ours, peer),
        }
    }
}

/// A program of another engine.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// What the table calls it.
    pub label: &'static str,
    /// Its package, which its program is named after.
    pub package: &'static str,
    before: &'static [&'static str],
    after: Option<&'static str>,
}

impl Peer {
    /// A peer that takes these arguments and then the number of events.
    pub const fn new(
        label: &'static str,
        package: &'static str,
        before: &'static [&'static str],
    ) -> Self {
        Self {
            label,
            package,
            before,
            after: None,
        }
    }

    /// The same with one more argument behind the number of events.
    #[must_use]
    pub const fn with(self, after: &'static str) -> Self {
        Self {
            after: Some(after),
            ..self
        }
    }
}

/// How fast we must be, as a part of the best of some peers.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// Their labels.
    pub against: &'static [&'static str],
    /// Below this the check fails.
    pub must: f64,
    /// What we are out for.
    pub aim: f64,
}

/// Runs what the arguments of the process ask for; `scratch` is a folder for what is built.
///
/// Fails when a program fails, check sums differ, or a bar is missed in a check.
#[expect(clippy::print_stderr, reason = "a bench says what went wrong")]
pub fn main(scratch: &str, workloads: &[Workload]) -> ExitCode {
    match start(Path::new(scratch), workloads) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(scratch: &Path, workloads: &[Workload]) -> Result<ExitCode, BoxError> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let mut chosen = workloads
        .iter()
        .filter(|workload| arguments.wants(workload.name));
    match &arguments.mode {
        Mode::Child { events } => {
            chosen.try_for_each(|workload| child(workload, *events))?;
            Ok(ExitCode::SUCCESS)
        }
        Mode::Smoke => {
            chosen.try_for_each(smoke)?;
            Ok(ExitCode::SUCCESS)
        }
        Mode::Measure { peers } => {
            let peers = peers.as_deref();
            let programs = Programs::build(peers, scratch, workloads)?;
            let mut code = ExitCode::SUCCESS;
            for workload in chosen {
                let report = rounds(workload, &programs, arguments.scale)?;
                if peers.is_some() && !report.holds() {
                    code = ExitCode::FAILURE;
                }
            }
            Ok(code)
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the figure is for the process that started this one"
)]
fn child(workload: &Workload, events: u64) -> Result<(), BoxError> {
    println!(
        "{}",
        serde_json::to_string(&figure::measure(workload, events)?)?
    );
    Ok(())
}

/// Events of a smoke run: a few chunks on each edge.
const SMOKE_EVENTS: u64 = 200_000;

#[expect(clippy::print_stdout, reason = "a bench prints what it has done")]
fn smoke(workload: &Workload) -> Result<(), BoxError> {
    let (sum, truth) = (
        (workload.run)(SMOKE_EVENTS)?,
        (workload.truth)(SMOKE_EVENTS),
    );
    let name = workload.name;
    if !workload.sums.is_true(sum, truth) {
        return Err(format!("{name}: the check sum is {sum}, a plain loop has {truth}").into());
    }
    println!("{name}: {SMOKE_EVENTS} events, check sum {sum}, as by a plain loop");
    Ok(())
}

/// Finds how many events last long enough, then runs every program in each round.
#[expect(clippy::print_stdout, reason = "a bench prints its table")]
fn rounds(workload: &Workload, programs: &Programs, scale: Scale) -> Result<Report, BoxError> {
    println!(
        "\n{}, {ALLOCATOR_NAME}, load before {}",
        workload.name,
        process::load()
    );
    let programs = programs.of(workload);
    let mut fastest: f64 = 0.0;
    for program in &programs {
        fastest = fastest.max(program.run(scale.pilot)?.rate());
    }
    let rows = loop {
        match all_rounds(&programs, scale.events(fastest), scale)? {
            Rounds::All(rows) => break rows,
            // The machine was busier when the number of events was found.
            Rounds::TooShort { rate } => fastest = rate,
        }
    };
    let report = Report::new(workload, scale, rows);
    println!("{report}");
    if !scale.is_check() {
        println!("This is a look: a verdict needs 5 rounds of 10 s.\n");
    }
    Ok(report)
}

/// What came of running every program in each round.
enum Rounds {
    All(Vec<Row>),
    /// A program at this rate was done too soon.
    TooShort {
        rate: f64,
    },
}

/// Runs every program in each round, until one is done too soon.
fn all_rounds(programs: &[Program], events: u64, scale: Scale) -> Result<Rounds, BoxError> {
    let row = |program: &Program| Row {
        label: program.label,
        figures: Vec::new(),
    };
    let mut rows: Vec<Row> = programs.iter().map(row).collect();
    for round in 0..scale.rounds {
        for turn in 0..programs.len() {
            // They take turns at beginning a round, so that none is always behind the same other.
            let next = (round + turn) % programs.len();
            let figure = programs[next].run(events)?;
            if !scale.lasted(&figure) {
                let rate = figure.rate();
                return Ok(Rounds::TooShort { rate });
            }
            rows[next].figures.push(figure);
        }
    }
    Ok(Rounds::All(rows))
}
