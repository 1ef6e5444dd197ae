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
//! | `read` | all of that again, from segments in the page cache, each record looked at |
//! | `producers` | 8 threads, one record per append, 64 in flight each, all durable |
//! | `spread` | batches of 1,000 over 1,000 partitions, beside the same over one |
//!
//! What is written must fit in the page cache, so a side of a round runs as often as it takes for
//! ten seconds, each time on a new log; of reading only the reading counts.

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
    time::Duration,
};

use levada::BoxError;
use levada_benches::{
    ALLOCATOR_NAME,
    paired::{
        arguments::{Arguments, Mode, Scale},
        control::median,
        measure::{Must, Round},
        process,
    },
};

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
    must: Must,
    aim: f64,
    /// What a round comes to, by its number.
    round: fn(&Bench, usize) -> Result<Round, BoxError>,
}

const MEASURES: [Measure; 5] = [
    Measure {
        name: "durable",
        unit: "x by hand, fdatasync each 1,000; and 1 M records/s",
        must: Must {
            rate: 1.0,
            ..Must::of(0.7)
        },
        aim: 0.9,
        round: |bench, number| bench.beside_hand(number, ours::durable, hand::SYNCED),
    },
    Measure {
        name: "written",
        unit: "x by hand, no sync",
        must: Must::of(0.5),
        aim: 0.8,
        round: |bench, number| bench.beside_hand(number, ours::written, hand::UNSYNCED),
    },
    Measure {
        name: "read",
        unit: "x by hand",
        must: Must::of(0.6),
        aim: 0.9,
        round: |bench, number| bench.beside_hand(number, ours::read, hand::READ),
    },
    Measure {
        name: "producers",
        unit: "k/s, with p50 <= 3 ms",
        must: Must {
            latency_ms: 3.0,
            ..Must::of(100.0)
        },
        aim: 250.0,
        round: Bench::producers,
    },
    Measure {
        name: "spread",
        unit: "x one partition (1 / cost per record; bar 1 / 1.5)",
        must: Must::of(1.0 / 1.5),
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
    let (mut reached, mut missed) = (Vec::new(), Vec::new());
    println!("{ALLOCATOR_NAME}, load before {}\n", process::load());
    println!(
        "| measure | M records/s, by round | p50 ms | judged, by round | median | must | aim |"
    );
    println!("|---|---|---|---|---:|---:|---:|");
    for measure in measures {
        let by_result = if bench.measure(measure)? {
            &mut reached
        } else {
            &mut missed
        };
        by_result.push(measure.name);
    }
    fs::remove_dir_all(&bench.folder)?;
    Ok(verdict(&bench, &reached, &missed))
}

/// Says whether the bars were reached, if that can be said.
fn verdict(bench: &Bench, reached: &[&str], missed: &[&str]) -> ExitCode {
    let scale = bench.scale;
    if bench.hand.is_none() || !scale.is_check() {
        println!("\nNo verdict: it takes `--check`, 5 rounds of 10 s.");
        return ExitCode::SUCCESS;
    }
    println!("\nReached: {}.", reached.join(", "));
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("MISSED: {}.", missed.join(", "));
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
        let median_of = |of: fn(&Round) -> f64| median(&rounds.iter().map(of).collect::<Vec<_>>());
        let latency = rounds[0]
            .latency_ms
            .map(|_| median_of(|round| round.latency_ms.unwrap_or(0.0)));
        println!(
            "| {} | {} | {} | {} | {:.2} {} | {:.2} | {:.2} |",
            measure.name,
            list(|round| round.rate),
            latency.map_or_else(String::new, |ms| format!("{ms:.2}")),
            list(|round| round.judged),
            median_of(|round| round.judged),
            measure.unit,
            measure.must.judged,
            measure.aim,
        );
        Ok(measure.must.is_reached(&rounds))
    }

    /// Ours and the one by hand.
    fn beside_hand(
        &self,
        number: usize,
        ours: Ours,
        by_hand: hand::Run,
    ) -> Result<Round, BoxError> {
        let work = by_hand.work(self.scale);
        let ours = || ours(&self.folder, work);
        let Some(hand) = &self.hand else {
            return Ok(Round {
                rate: ours()?,
                judged: f64::NAN,
                latency_ms: None,
            });
        };
        let by_hand = || hand.rate(by_hand, &self.folder, work);
        let (ours, by_hand) = in_turn(number, ours, by_hand)?;
        Ok(Round {
            rate: ours,
            judged: ours / by_hand,
            latency_ms: None,
        })
    }

    fn producers(&self, _number: usize) -> Result<Round, BoxError> {
        let shown = ours::producers(&self.folder, self.scale.seconds)?;
        Ok(Round {
            rate: shown.rate,
            judged: shown.rate * 1e3,
            latency_ms: Some(shown.p50_ms),
        })
    }

    fn spread(&self, number: usize) -> Result<Round, BoxError> {
        let work = Work::new(self.scale, 1_000_000);
        let over = |partitions| move || ours::spread(&self.folder, partitions, work);
        let (one, thousand) = in_turn(number, over(1), over(1000))?;
        Ok(Round {
            rate: thousand,
            judged: thousand / one,
            latency_ms: None,
        })
    }
}

/// A measure of ours: millions of records a second.
type Ours = fn(&Path, Work) -> Result<f64, BoxError>;

/// What one side of a round does: a run of so many records, as often as it takes for so long.
#[derive(Clone, Copy)]
struct Work {
    records: u64,
    least: Duration,
}

impl Work {
    /// Runs of so many records for each second of a round.
    fn new(scale: Scale, per_second: u64) -> Self {
        Self {
            records: per_second * scale.seconds,
            least: Duration::from_secs(scale.seconds),
        }
    }

    /// Millions of records a second, over runs that say how long they took.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate is printed with two decimals"
    )]
    fn rate(self, mut run: impl FnMut(u64) -> Result<Duration, BoxError>) -> Result<f64, BoxError> {
        let (mut records, mut time) = (0, Duration::ZERO);
        while time < self.least {
            time += run(self.records)?;
            records += self.records;
        }
        Ok(records as f64 / time.as_secs_f64() / 1e6)
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
