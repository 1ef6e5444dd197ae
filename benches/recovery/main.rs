//! How long a log that was killed under load takes until it answers again, and what it reads.
//!
//! A child process fills 100 partitions, batches of 64 records of 100 to 1,024 bytes, all durable,
//! and goes on. It is killed (`SIGKILL`) once between 1 and 128 MiB more have been acknowledged, so
//! that the journals, which hold up to 64 MiB, are met in all states. This process then opens the
//! log, and measures from the call until each partition has answered a read and an append. The next
//! child goes on where the last was killed.
//!
//! ```text
//! cargo bench -p levada-benches --bench recovery [-- --check] [-- --smoke]
//! ```
//!
//! | arguments | does |
//! |---|---|
//! | none | 1 GiB and 5 kills: a look |
//! | `--check` | 10 GiB and 20 kills, and ends with 1 where a bar is missed |
//! | `--smoke` | 64 MiB and 2 kills |
//! | `--gib N`, `--kills N` | another size; with less than a check has there is no verdict |
//! | `--warm` | leaves in memory what the operating system has there |
//!
//! Without `--warm` the operating system is asked, before each opening, to let go of what it has of
//! the log's files in memory, as after a power cut; the column *MiB from disk* shows that it did.
//! It keeps their names and lengths: to drop those as well takes root, and hits all who share the
//! machine.
//!
//! Recovery is to read what follows the recovery point: the image and the journals that it names.
//! Bytes are counted by a `Vfs` around that of the operating system. The bar is that before the log
//! is open no byte of a segment is read, and none of the journals more than twice. (The last is
//! read twice where it has room left: whoever still writes it, past the lock, must be found.)
//!
//! After each opening all that was acknowledged to this process must lie before the ends, and the
//! last such batch of ten partitions, in turn, must be there byte for byte. The last column is what
//! that read took for one partition: the first in a segment walks over it up to there.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its table, and what went wrong"
)]

mod appender;
mod counted;
mod opening;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{ChildStdout, ExitCode, Stdio},
    time::Duration,
};

use levada::{BoxError, Seed};
use levada_benches::paired::{
    arguments::{Arguments, Mode},
    control::Verdict,
    process,
    program::child,
};

use appender::Said;
use opening::{Last, Opening};

/// Where the log lies: on the disk of the build.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");
/// The child, as `--run` names it.
const CHILD: &str = "append";
/// How long an opening may take.
const MOST: Duration = Duration::from_secs(2);
/// A child is killed before it has been acknowledged so much more: twice what journals hold.
const LOAD: u64 = 128 << 20;

fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How much is run.
#[derive(Clone, Copy)]
struct Size {
    bytes: u64,
    kills: u64,
}

const CHECK: Size = Size {
    bytes: 10 << 30,
    kills: 20,
};
const LOOK: Size = Size {
    bytes: 1 << 30,
    kills: 5,
};
const SMOKE: Size = Size {
    bytes: 64 << 20,
    kills: 2,
};

fn start() -> Result<ExitCode, BoxError> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let folder = Path::new(SCRATCH).join("recovery");
    let mut size = match &arguments.mode {
        Mode::Child { events } => match appender::run(&folder, *events)? {},
        Mode::Smoke => SMOKE,
        Mode::Measure { peers: None } => LOOK,
        Mode::Measure { peers: Some(_) } => CHECK,
    };
    if let Some(gib) = arguments.number("--gib")? {
        size.bytes = gib << 30;
    }
    size.kills = arguments.number("--kills")?.unwrap_or(size.kills);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let pages = if arguments.has("--warm") {
        Pages::Kept
    } else {
        Pages::LetGo
    };
    let mut sitting = Sitting {
        folder,
        size,
        pages,
    };
    let openings = sitting.run()?;
    fs::remove_dir_all(&sitting.folder)?;
    println!("\nPage cache: {}.", sitting.pages.said());
    let verdict = verdict(&openings);
    let is_check = matches!(arguments.mode, Mode::Measure { peers: Some(_) });
    if !is_check || size.bytes < CHECK.bytes || size.kills < CHECK.kills {
        println!("\nNo verdict: it takes `--check`, 10 GiB and 20 kills.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nVerdict: {verdict}.");
    Ok(verdict.exit_code())
}

/// A log, and how often it is killed.
struct Sitting {
    folder: PathBuf,
    size: Size,
    pages: Pages,
}

/// What became of the log's pages in memory before each opening.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pages {
    Kept,
    LetGo,
    /// The operating system could not be asked.
    Stuck,
}

impl Pages {
    fn said(self) -> &'static str {
        match self {
            Self::Kept => "warm, as the kill left it",
            Self::LetGo => "cold, the log's pages were let go of before each opening",
            Self::Stuck => "warm, as it cannot be asked to let go of pages",
        }
    }
}

impl Sitting {
    fn run(&mut self) -> Result<Vec<Opening>, BoxError> {
        println!("load before {}\n", process::load());
        println!(
            "| kill after MiB | log GiB | journals MiB | batches moved | MiB read of journals, \
             segments, others | MiB from disk | open ms | all answer ms | first read at an end ms |"
        );
        println!("|---:|---:|---:|---:|---|---:|---:|---:|---:|");
        let mut moments = Seed::new(4).rng("moments of kills");
        let (mut last, mut openings) = (Last::new(), Vec::new());
        for turn in 0..self.size.kills {
            let load = (1 << 20) + moments.below(LOAD - (1 << 20));
            self.kill(load, &mut last)?;
            if self.pages == Pages::LetGo && !opening::let_go_of_pages(&self.folder)? {
                self.pages = Pages::Stuck;
            }
            let opening = opening::open(&self.folder, turn, &mut last)?;
            println!("{}", row(load, &opening));
            openings.push(opening);
        }
        Ok(openings)
    }

    /// Runs a child until so much was acknowledged under load, and kills it.
    fn kill(&self, load: u64, last: &mut Last) -> Result<(), BoxError> {
        let mut child = child(CHILD, self.size.bytes)?
            .stdout(Stdio::piped())
            .spawn()?;
        let said = child.stdout.take().expect("it is piped");
        let mut said = BufReader::new(said);
        let (mut is_full, mut acknowledged) = (false, 0);
        while acknowledged < load {
            match next(&mut said)? {
                None => return Err(format!("the child ended by itself: {}", child.wait()?).into()),
                Some(Said::Full) => is_full = true,
                Some(Said::Acknowledged(batch)) => {
                    acknowledged += if is_full { batch.bytes } else { 0 };
                    last.insert(batch.partition, batch);
                }
            }
        }
        child.kill()?;
        while let Some(said) = next(&mut said)? {
            if let Said::Acknowledged(batch) = said {
                last.insert(batch.partition, batch);
            }
        }
        child.wait()?;
        Ok(())
    }
}

/// The next line of a child; `None` at its end, also where the kill cut a line.
fn next(said: &mut BufReader<ChildStdout>) -> Result<Option<Said>, BoxError> {
    let mut line = String::new();
    said.read_line(&mut line)?;
    let whole = line.strip_suffix('\n').map(serde_json::from_str);
    Ok(whole.transpose()?)
}

fn row(load: u64, opening: &Opening) -> String {
    let Opening { read, .. } = opening;
    let (journals, segments, others) = (mib(read.journals), mib(read.segments), mib(read.others));
    format!(
        "| {:.0} | {:.2} | {:.1} | {} | {journals:.1}, {segments:.1}, {others:.2} | {:.1} | {:.0} \
         | {:.0} | {:.0} |",
        mib(load),
        mib(opening.segments) / 1024.0,
        mib(opening.journals),
        opening.moved,
        mib(opening.from_disk),
        millis(opening.open),
        millis(opening.answered),
        millis(opening.last_read),
    )
}

/// Says what the openings came to, and whether the bars were reached.
fn verdict(openings: &[Opening]) -> Verdict {
    let answered = openings.iter().map(|opening| opening.answered);
    let worst = answered.max().unwrap_or_default();
    let segments: u64 = openings.iter().map(|opening| opening.read.segments).sum();
    println!(
        "{worst:.2?} until all partitions answered, the worst of {} (must: at most {MOST:.0?}).",
        openings.len()
    );
    println!("{segments} bytes of segments were read before the log was open (must: none).");
    let journals = |opening: &Opening| mib(opening.read.journals) / mib(opening.journals);
    let journals = openings.iter().map(journals).fold(0.0, f64::max);
    println!("Journals were read {journals:.2} times at most (must: at most 2).");
    println!("All that was acknowledged and looked for was there.");
    if worst <= MOST && segments == 0 && journals <= 2.0 {
        Verdict::Met
    } else {
        Verdict::Missed
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "it is printed with few decimals"
)]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
