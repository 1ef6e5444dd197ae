//! The log by itself: how much it appends and reads, beside one that is written by hand.
//!
//! The log by hand is the simplest that keeps a checksum for each record: one file, one thread, one
//! buffer per batch. It has no partitions, no groups, no recovery, and nothing waits for it.
//!
//! ```text
//! cargo bench -p levada-benches --bench log [-- --check [--peers DIR]] [-- --smoke]
//! ```
//!
//! | measure | is |
//! |---|---|
//! | `durable` | one partition, batches of 1,000 records of 100 B, one at a time, each durable |
//! | `written` | the same in a topic that acknowledges what is written, 16 batches in flight |
//! | `read` | all of that again, from segments, each record looked at |
//! | `producers` | 8 threads, one record per append, 64 in flight each, all durable |
//! | `spread` | batches of 1,000 over 1,000 partitions, beside the same over one |

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its table, and what went wrong"
)]

mod hand;
mod ours;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use levada::BoxError;
use levada_benches::paired::arguments::{Arguments, Mode, Scale};

use hand::Hand;

/// Where everything lies while it is measured: on the disk of the build.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is measured, and what it must be.
struct Measure {
    name: &'static str,
    unit: &'static str,
    must: f64,
    aim: f64,
    /// What a round comes to, by its number.
    round: fn(&Bench, usize) -> Result<Round, BoxError>,
}

/// One round of a measure.
#[derive(Clone, Copy)]
struct Round {
    /// Millions of records a second.
    ours: f64,
    /// What the bar is about: a ratio, or a figure in the unit.
    judged: f64,
    /// Another figure that belongs to it: the median time of an append, in milliseconds.
    latency: Option<f64>,
}

const MEASURES: [Measure; 5] = [
    Measure {
        name: "durable",
        unit: "x by hand, fdatasync each 1,000",
        must: 0.7,
        aim: 0.9,
        round: |bench, number| bench.beside_hand(number, ours::durable, hand::SYNCED),
    },
    Measure {
        name: "written",
        unit: "x by hand, no sync",
        must: 0.5,
        aim: 0.8,
        round: |bench, number| bench.beside_hand(number, ours::written, hand::UNSYNCED),
    },
    Measure {
        name: "read",
        unit: "x by hand",
        must: 0.6,
        aim: 0.9,
        round: |bench, number| bench.beside_hand(number, ours::read, hand::READ),
    },
    Measure {
        name: "producers",
        unit: "k/s, with p50 <= 3 ms",
        must: 100.0,
        aim: 250.0,
        round: Bench::producers,
    },
    Measure {
        name: "spread",
        unit: "x one partition (1 / cost per record; bar 1 / 1.5)",
        must: 1.0 / 1.5,
        aim: 1.0,
        round: Bench::spread,
    },
];

/// A sitting.
struct Bench {
    scale: Scale,
    hand: Option<Hand>,
    folder: PathBuf,
}

fn start() -> Result<ExitCode, BoxError> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let folder = Path::new(SCRATCH).join("log");
    let scratch = || -> Result<PathBuf, BoxError> {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder.clone())
    };
    let measures = MEASURES
        .iter()
        .filter(|measure| arguments.wants(measure.name));
    let peers = match &arguments.mode {
        Mode::Child { .. } => return Err("this bench has no programs to run by name".into()),
        Mode::Smoke => {
            ours::smoke(&scratch()?)?;
            println!("log: every measure ran on little input, and read what it had appended");
            return Ok(ExitCode::SUCCESS);
        }
        Mode::Measure { peers } => peers.as_deref(),
    };
    let bench = Bench {
        scale: arguments.scale,
        hand: peers
            .map(|peers| Hand::build(peers, Path::new(SCRATCH)))
            .transpose()?,
        folder: scratch()?,
    };
    let mut missed = Vec::new();
    println!(
        "| measure | M records/s, by round | p50 ms | judged, by round | median | must | aim |"
    );
    println!("|---|---|---|---|---:|---:|---:|");
    for measure in measures {
        if !bench.measure(measure)? {
            missed.push(measure.name);
        }
    }
    fs::remove_dir_all(&bench.folder)?;
    Ok(verdict(&bench, &missed))
}

/// Says whether the bars were reached, if that can be said.
fn verdict(bench: &Bench, missed: &[&str]) -> ExitCode {
    let scale = bench.scale;
    if bench.hand.is_none() || !scale.is_check() {
        println!("\nNo verdict: it takes `--check`, 5 rounds of 10 s.");
        return ExitCode::SUCCESS;
    }
    if missed.is_empty() {
        println!("\nEvery must is reached.");
        return ExitCode::SUCCESS;
    }
    println!("\nMissed: {}.", missed.join(", "));
    ExitCode::FAILURE
}

impl Bench {
    /// Runs all rounds of a measure and prints its line; whether it reached what it must.
    fn measure(&self, measure: &Measure) -> Result<bool, BoxError> {
        let mut rounds = Vec::new();
        for number in 0..self.scale.rounds {
            rounds.push((measure.round)(self, number)?);
        }
        let list = |of: fn(&Round) -> f64| {
            let all: Vec<_> = rounds
                .iter()
                .map(|round| format!("{:.2}", of(round)))
                .collect();
            all.join(" ")
        };
        let median = median(rounds.iter().map(|round| round.judged).collect());
        let latencies: Vec<_> = rounds.iter().filter_map(|round| round.latency).collect();
        let latency = (!latencies.is_empty()).then(|| self::median(latencies));
        println!(
            "| {} | {} | {} | {} | {median:.2} {} | {:.2} | {:.2} |",
            measure.name,
            list(|round| round.ours),
            latency.map_or_else(String::new, |ms| format!("{ms:.2}")),
            list(|round| round.judged),
            measure.unit,
            measure.must,
            measure.aim,
        );
        // Without a peer there is nothing to compare with.
        let latency_holds = latency.is_none_or(|ms| ms <= 3.0);
        Ok(median.is_nan() || (median >= measure.must && latency_holds))
    }

    /// Ours and the one by hand.
    fn beside_hand(
        &self,
        number: usize,
        ours: fn(&Path, u64) -> Result<f64, BoxError>,
        by_hand: hand::Run,
    ) -> Result<Round, BoxError> {
        let records = by_hand.records(self.scale);
        let ours = || ours(&self.folder, records);
        let Some(hand) = &self.hand else {
            return Ok(Round {
                ours: ours()?,
                judged: f64::NAN,
                latency: None,
            });
        };
        let by_hand = || hand.rate(by_hand, &self.folder, records);
        let (ours, by_hand) = in_turn(number, ours, by_hand)?;
        Ok(Round {
            ours,
            judged: ours / by_hand,
            latency: None,
        })
    }

    fn producers(&self, _number: usize) -> Result<Round, BoxError> {
        let shown = ours::producers(&self.folder, self.scale.seconds)?;
        Ok(Round {
            ours: shown.rate,
            judged: shown.rate * 1e3,
            latency: Some(shown.p50_ms),
        })
    }

    fn spread(&self, number: usize) -> Result<Round, BoxError> {
        let records = 1_000_000 * self.scale.seconds;
        let over = |partitions| move || ours::spread(&self.folder, partitions, records);
        let (one, thousand) = in_turn(number, over(1), over(1000))?;
        Ok(Round {
            ours: thousand,
            judged: thousand / one,
            latency: None,
        })
    }
}

/// Both, and each of them first every other time: what a virtual machine writes first it may first
/// have to be given memory for, and then whoever is second has it for nothing.
fn in_turn(
    number: usize,
    a: impl FnOnce() -> Result<f64, BoxError>,
    b: impl FnOnce() -> Result<f64, BoxError>,
) -> Result<(f64, f64), BoxError> {
    if number.is_multiple_of(2) {
        let a = a()?;
        return Ok((a, b()?));
    }
    let b = b()?;
    Ok((a()?, b))
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
