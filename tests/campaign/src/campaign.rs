//! What a campaign is: numbered cases, how many are named, and what is said of those that ran.

use std::error::Error;

/// A campaign: a row of the table in `main.rs`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Campaign {
    /// What `--only` takes.
    pub(crate) name: &'static str,
    /// What a case does and what is checked of it, for `--list`.
    pub(crate) about: &'static str,
    /// How many cases the full campaign has: the number that the documentation names.
    pub(crate) full: u64,
    /// How many cases continuous integration asks for; the time it has may allow fewer.
    pub(crate) ci: u64,
    /// The share of the time, against the weights of the other campaigns. At least one.
    pub(crate) weight: u32,
    /// Begins the campaign: makes what its cases share.
    pub(crate) start: fn() -> Result<Box<dyn Cases>, Fault>,
}

/// A campaign that has begun: runs cases and remembers what they showed.
pub(crate) trait Cases {
    /// Runs case `number`.
    ///
    /// The number decides every random choice of the case, so that it alone repeats a failure.
    /// A case takes seconds at most: the clock is looked at between cases.
    ///
    /// # Errors
    ///
    /// The promise that did not hold.
    fn run(&mut self, number: u64) -> Result<(), Fault>;

    /// What the cases so far did, a line for each figure, such as how often each fault fired.
    fn summary(&self) -> Vec<String>;

    /// Judges the campaign as a whole, once its last case has run and none has failed: after the
    /// full count of cases by what the documentation promises of it.
    ///
    /// Not asked when `--count` picked the cases.
    ///
    /// # Errors
    ///
    /// A campaign that proves too little, such as one in which a fault never fired.
    fn judge(&self, extent: Extent) -> Result<Verdict, Fault>;
}

/// How much of a campaign has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Part,
    /// All cases of the full count, in one run.
    Full,
}

/// Whether the cases of a campaign show what it is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They do.
    Shown,
    /// Nobody can tell, for this reason: too few have run.
    NotJudged(String),
}

/// Why a case or a campaign failed, in words for a person.
pub(crate) type Fault = Box<dyn Error + Send + Sync>;

/// Why a campaign cannot be run on this machine: said, and not held against it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Skipped(pub(crate) String);
