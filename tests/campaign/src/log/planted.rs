//! Campaign: bugs are planted, and the general campaigns must catch each of them.
//!
//! Two are planted through the file system, here. The others are in the log, where no seam can
//! express them: all in one build of its own, in `target/planted`, which asks the environment which
//! of them is on:
//!
//! ```text
//! RUSTFLAGS='--cfg planted' LEVADA_PLANTED=ack_early cargo run --package levada-campaign \
//!     --target-dir target/planted -- --only power-cuts --count 1000
//! ```

use std::{
    env,
    panic::catch_unwind,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    compaction::COMPACTION,
    histories::HISTORY,
    power_cuts::{POWER_CUTS, play},
    scene::Plant,
};
use crate::campaign::{Campaign, Cases, Fault, Verdict};

/// The campaign.
pub(crate) const PLANTED: Campaign = Campaign {
    name: "planted",
    about: "Plants a bug in each case, and expects another campaign to catch it.",
    full: BUGS.len() as u64,
    ci: BUGS.len() as u64,
    weight: 5,
    start: || Ok(Box::new(Planted::default())),
};

/// Cases in which a bug must be caught.
const MOST_CASES: u64 = 1_000;

/// The bugs, in the order of their cases.
const BUGS: [(&str, Bug); 16] = [
    ("files are not synced", Bug::Seam(Plant::SkipFsync)),
    ("folders are not synced", Bug::Seam(Plant::NoDirSync)),
    (
        "appends are acknowledged early",
        Bug::Log("ack_early", &POWER_CUTS),
    ),
    (
        "damage is taken for a torn end",
        Bug::Log("interior_truncate", &POWER_CUTS),
    ),
    (
        "the fence is not looked at",
        Bug::Log("no_fence", &POWER_CUTS),
    ),
    (
        "the sequences of producers are not in the image",
        Bug::Log("sequences_forgotten", &POWER_CUTS),
    ),
    (
        "a repeat is answered before its original",
        Bug::Log("repeat_early", &POWER_CUTS),
    ),
    (
        "a producer that is fenced may append",
        Bug::Log("zombie_admitted", &POWER_CUTS),
    ),
    (
        "the journal before is not synced",
        Bug::Log("previous_unsynced", &POWER_CUTS),
    ),
    (
        "offsets that were never durable are given again",
        Bug::Log("offsets_reused", &POWER_CUTS),
    ),
    (
        "what has expired is removed before the image says so",
        Bug::Log("expired_removed_first", &POWER_CUTS),
    ),
    (
        "what was compacted is removed before the image says so",
        Bug::Log("inputs_removed_first", &COMPACTION),
    ),
    (
        "a record that was aborted takes the place of one that was not",
        Bug::Log("aborted_supersedes", &COMPACTION),
    ),
    (
        "tombstones go before their time",
        Bug::Log("tombstones_early", &COMPACTION),
    ),
    (
        "what was aborted is not in the image",
        Bug::Log("aborts_forgotten", &COMPACTION),
    ),
    (
        "readers of committed records see open transactions",
        Bug::Log("open_shown", &HISTORY),
    ),
];

/// Where a bug is planted.
#[derive(Clone, Copy, Debug)]
enum Bug {
    /// In the file system.
    Seam(Plant),
    /// In the log, under this name; and the campaign that catches it.
    Log(&'static str, &'static Campaign),
}

/// What was caught, and by what.
#[derive(Debug, Default)]
struct Planted {
    caught: Vec<String>,
    /// The first bug that was not planted yet.
    next: usize,
}

impl Cases for Planted {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        let at = usize::try_from(number)?;
        let (name, bug) = BUGS.get(at).ok_or("there are no more bugs")?;
        let caught = match bug {
            Bug::Seam(plant) => caught_here(*plant),
            Bug::Log(bug, campaign) => caught_by_build(bug, campaign)?,
        };
        match caught {
            Some(caught) => self.caught.push(format!("{name}: caught by {caught}")),
            None => return Err(format!("{name}, and {MOST_CASES} cases did not catch it").into()),
        }
        self.next = at + 1;
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        self.caught.clone()
    }

    /// All bugs must have been planted, from the first that was asked for: one of which nothing is
    /// known is as bad as one that was not caught.
    fn judge(&self) -> Result<Verdict, Fault> {
        let left: Vec<_> = BUGS[self.next..].iter().map(|(name, _)| *name).collect();
        if left.is_empty() {
            return Ok(Verdict::Shown);
        }
        let (left, name, next) = (left.join(", "), PLANTED.name, self.next);
        let sentence = format!("the time was too short to plant: {left}");
        Err(format!("{sentence}; go on with --only {name} --from {next}").into())
    }
}

/// The first case that catches a bug of the file system.
fn caught_here(plant: Plant) -> Option<String> {
    (0..MOST_CASES).find_map(|case| match catch_unwind(|| play(case, plant)) {
        Ok(Ok(_)) => None,
        Ok(Err(fault)) => Some(format!("case {case}: {fault}")),
        Err(_) => Some(format!("case {case}: a panic")),
    })
}

/// What a build with the bug in it says when it catches the bug.
fn caught_by_build(bug: &str, campaign: &Campaign) -> Result<Option<String>, Fault> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root)
        .env("RUSTFLAGS", "--cfg planted")
        .env("LEVADA_PLANTED", bug)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .args([
            "run",
            "--quiet",
            "--package",
            "levada-campaign",
            "--target-dir",
        ])
        .arg(target()?)
        .args(["--", "--only", campaign.name, "--count"])
        .arg(MOST_CASES.to_string())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let caught = said.lines().find_map(|line| line.strip_prefix("FAILED "));
    match (caught, output.status.success()) {
        (Some(caught), _) => Ok(Some(caught.to_owned())),
        (None, true) => Ok(None),
        (None, false) => Err(String::from_utf8_lossy(&output.stderr).into()),
    }
}

/// The folder for builds with bugs in them, beside this build's.
fn target() -> Result<PathBuf, Fault> {
    let program = env::current_exe()?;
    let target = program.ancestors().nth(2);
    Ok(target
        .ok_or("this program is in no folder")?
        .join("planted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bugs_that_were_not_planted_fail_the_campaign_and_are_named() {
        let judged = |next| {
            let planted = Planted {
                next,
                ..Planted::default()
            };
            planted.judge().map_err(|fault| fault.to_string())
        };
        assert_eq!(judged(BUGS.len()), Ok(Verdict::Shown));
        for ran in 1..BUGS.len() {
            let sentence = judged(ran).unwrap_err();
            for (at, (name, _)) in BUGS.iter().enumerate() {
                assert_eq!(sentence.contains(name), at >= ran, "{ran}: {sentence}");
            }
        }
    }

    #[test]
    fn bugs_of_the_file_system_are_caught() {
        for plant in [Plant::SkipFsync, Plant::NoDirSync] {
            caught_here(plant).unwrap();
        }
    }
}
