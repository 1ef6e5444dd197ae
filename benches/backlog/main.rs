//! What a group that stops costs the others: memory, and the time until they have a record.
//!
//! Three groups read a topic of four partitions, to which two producers append 1.25 million durable
//! records of 100 bytes a second. In arm B one group stops after five seconds, until it lags by 20
//! million records; in arm A none does. Then the group goes on, and must get them all, in order.
//! Each arm is a process of its own, on a new log with default options.
//!
//! ```text
//! cargo bench -p levada-benches --bench backlog [-- --check] [-- --smoke]
//! ```
//!
//! | arguments | does |
//! |---|---|
//! | none | 1 round: a look |
//! | `--check` | 9 rounds, about 13 minutes, and a verdict |
//! | `--smoke` | 1 round on little input |
//! | `--rounds N` | how many rounds; with fewer than 9 there is no verdict |
//!
//! A round is four arms: a pair A, B and, as a control, a pair A, A. Who begins changes by round.
//! The p99 is that of the two groups that never stop, from the start of an append to the poll that
//! returned its batch, after the stop. Memory is that which is in use at the stop, and the most
//! since then until all is appended and the others have read it.
//!
//! | a check ends with | means |
//! |---|---|
//! | 0 | memory grew by at most 64 MiB in each B, and the median of B / A is at most 1.10 |
//! | 1 | one of them is not so |
//! | 2 | neither: too noisy, as the median of A / A is not 0.95 to 1.05 |
//!
//! After a 2 `framework/log/tests/stopped_group.rs` decides: it asks the same in virtual time.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its table, and what went wrong"
)]

mod arm;
mod reader;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use levada::BoxError;
use levada_benches::paired::{
    arguments::{Arguments, Mode},
    control::{Controlled, Verdict, median},
    process,
    program::{child, told},
};

use arm::{Kind, ROUND, Shown};

/// Where the logs lie: on the disk of the build.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");
/// Records that the group stops for.
const BACKLOG: u64 = 20_000_000;
/// The same where it is only to be seen that it runs.
const SMOKE: u64 = 100_000;
/// What a verdict needs.
const ROUNDS: usize = 9;
/// How much memory may grow, in MiB.
const MOST_GROWTH: f64 = 64.0;
/// The p99 of the others while a group is stopped may be so many times what it is else.
const MOST_RATIO: f64 = 1.1;

const _: () = assert!(BACKLOG.is_multiple_of(ROUND) && SMOKE.is_multiple_of(ROUND));

/// The arms, as `--run` names them.
const A: &str = "none-stops";
const B: &str = "one-stops";

fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<ExitCode, BoxError> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let (records, rounds) = match arguments.mode {
        Mode::Child { events } => {
            let kind = if arguments.wants(B) { Kind::B } else { Kind::A };
            let shown = arm::run(&folder(), events, kind)?;
            println!("{}", serde_json::to_string(&shown)?);
            return Ok(ExitCode::SUCCESS);
        }
        Mode::Smoke => (SMOKE, 1),
        Mode::Measure { peers: None } => (BACKLOG, 1),
        Mode::Measure { peers: Some(_) } => (BACKLOG, ROUNDS),
    };
    let asked = arguments.number("--rounds")?.map(usize::try_from);
    let rounds = asked.transpose()?.unwrap_or(rounds);
    println!("load before {}\n", process::load());
    println!(
        "| round | p99 ms A, B | B / A | p99 ms A, A | A / A | MiB at the stop A, B | growth A, B \
         | backlog | retention leaves it s | caught up, M records/s |"
    );
    println!("|---|---|---:|---|---:|---|---|---:|---:|---:|");
    let mut sitting = Sitting::default();
    for round in 1..=rounds {
        println!("{}", sitting.round(round, records)?);
    }
    let is_check = matches!(arguments.mode, Mode::Measure { peers: Some(_) });
    let (memory, p99) = sitting.verdicts();
    if !is_check || rounds < ROUNDS {
        println!("\nNo verdict: it takes `--check` and {ROUNDS} rounds.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nMemory: {memory}. p99: {p99}.");
    Ok(memory.and(p99).exit_code())
}

/// What the rounds have shown so far.
#[derive(Default)]
struct Sitting {
    p99: Controlled,
    /// The most that memory grew by in any B, and in any A.
    growths: [f64; 2],
}

impl Sitting {
    /// Runs four arms; returns the line of the table.
    fn round(&mut self, round: usize, records: u64) -> Result<String, BoxError> {
        let (a, b) = pair(round, records, B)?;
        let (control, other) = pair(round, records, A)?;
        if b.backlog != records {
            return Err(format!("the backlog is {} records, not {records}", b.backlog).into());
        }
        let (ratio, of_control) = (b.p99_ms / a.p99_ms, other.p99_ms / control.p99_ms);
        self.p99.asked.push(ratio);
        self.p99.control.push(of_control);
        let [in_b, in_a] = self.growths;
        let in_a = [&a, &control, &other]
            .iter()
            .fold(in_a, |most, it| most.max(it.growth_mb));
        self.growths = [in_b.max(b.growth_mb), in_a];
        Ok(format!(
            "| {round} | {:.2}, {:.2} | {ratio:.2} | {:.2}, {:.2} | {of_control:.2} | {:.0}, {:.0} \
             | {:.0}, {:.0} | {} | {:.0} | {:.1} |",
            a.p99_ms,
            b.p99_ms,
            control.p99_ms,
            other.p99_ms,
            a.before_mb,
            b.before_mb,
            a.growth_mb,
            b.growth_mb,
            b.backlog,
            b.retained_s,
            b.caught_up,
        ))
    }

    /// Prints what it came to; the verdicts on memory and on the p99.
    fn verdicts(&self) -> (Verdict, Verdict) {
        let [growth, control_growth] = self.growths;
        let (asked, control) = (median(&self.p99.asked), median(&self.p99.control));
        println!(
            "\nMemory grew by {growth:.0} MiB in the worst B (must: at most {MOST_GROWTH:.0}), by \
             {control_growth:.0} in the worst A."
        );
        println!(
            "p99 of the others: median of B / A {asked:.2} (must: at most {MOST_RATIO:.2}), of \
             A / A {control:.2}."
        );
        let memory = Verdict::at_most(MOST_GROWTH, growth);
        (memory, self.p99.verdict(MOST_RATIO))
    }
}

/// Runs arm A beside another, in an order that changes by round.
fn pair(round: usize, records: u64, other: &str) -> Result<(Shown, Shown), BoxError> {
    if round.is_multiple_of(2) {
        let other = arm(records, other)?;
        Ok((arm(records, A)?, other))
    } else {
        let a = arm(records, A)?;
        Ok((a, arm(records, other)?))
    }
}

fn arm(records: u64, name: &str) -> Result<Shown, BoxError> {
    let folder = folder();
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let shown = told(name, &mut child(name, records)?)?;
    fs::remove_dir_all(&folder)?;
    Ok(shown)
}

fn folder() -> PathBuf {
    Path::new(SCRATCH).join("backlog")
}
