//! Campaigns: bugs are planted, and each must be caught: by one of the general campaigns, and by
//! the checker of histories alone.
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
    histories::{FLAGGED, HISTORY, flagged_with},
    power_cuts::{POWER_CUTS, play},
    require,
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
    start: || Ok(Box::new(Planted::new(PLANTED.name, |bug| bug.by))),
};

/// The campaign.
pub(crate) const PLANTED_HISTORY: Campaign = Campaign {
    name: "planted-history",
    about: "Plants a bug in each case, and expects the history of a case alone to show it.",
    full: BUGS.len() as u64,
    ci: BUGS.len() as u64,
    weight: 2,
    start: || Ok(Box::new(Planted::new(PLANTED_HISTORY.name, |_| &HISTORY))),
};

/// Cases in which a bug must be caught.
const MOST_CASES: u64 = 1_000;

/// The bugs, in the order of their cases.
const BUGS: [Bug; 16] = [
    Bug {
        what: "files are not synced",
        at: At::Seam(Plant::SkipFsync),
        by: &POWER_CUTS,
    },
    Bug {
        what: "folders are not synced",
        at: At::Seam(Plant::NoDirSync),
        by: &POWER_CUTS,
    },
    Bug {
        what: "appends are acknowledged early",
        at: At::Log("ack_early"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "damage is taken for a torn end",
        at: At::Log("interior_truncate"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "the fence is not looked at",
        at: At::Log("no_fence"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "the sequences of producers are not in the image",
        at: At::Log("sequences_forgotten"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "a repeat is answered before its original",
        at: At::Log("repeat_early"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "a producer that is fenced may append",
        at: At::Log("zombie_admitted"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "the journal before is not synced",
        at: At::Log("previous_unsynced"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "offsets that were never durable are given again",
        at: At::Log("offsets_reused"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "what has expired is removed before the image says so",
        at: At::Log("expired_removed_first"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "what was compacted is removed before the image says so",
        at: At::Log("inputs_removed_first"),
        by: &COMPACTION,
    },
    Bug {
        what: "a record that was aborted takes the place of one that was not",
        at: At::Log("aborted_supersedes"),
        by: &COMPACTION,
    },
    Bug {
        what: "tombstones go before their time",
        at: At::Log("tombstones_early"),
        by: &COMPACTION,
    },
    Bug {
        what: "what was aborted is not in the image",
        at: At::Log("aborts_forgotten"),
        by: &COMPACTION,
    },
    Bug {
        what: "readers of committed records see open transactions",
        at: At::Log("open_shown"),
        by: &HISTORY,
    },
];

/// A bug.
#[derive(Clone, Copy, Debug)]
struct Bug {
    what: &'static str,
    at: At,
    /// The general campaign that catches it.
    by: &'static Campaign,
}

/// Where a bug is planted.
#[derive(Clone, Copy, Debug)]
enum At {
    /// In the file system.
    Seam(Plant),
    /// In the log, under this name.
    Log(&'static str),
}

/// What was caught, and by what.
#[derive(Debug)]
struct Planted {
    name: &'static str,
    /// The campaign that must catch a bug.
    by: fn(&Bug) -> &'static Campaign,
    caught: Vec<String>,
    /// The first bug that was not planted yet.
    next: usize,
}

impl Planted {
    fn new(name: &'static str, by: fn(&Bug) -> &'static Campaign) -> Self {
        Self {
            name,
            by,
            caught: Vec::new(),
            next: 0,
        }
    }
}

impl Cases for Planted {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        let at = usize::try_from(number)?;
        let bug = BUGS.get(at).ok_or("there are no more bugs")?;
        let (what, by) = (bug.what, (self.by)(bug));
        let caught = match bug.at {
            At::Seam(plant) => caught_here(plant, by)?,
            At::Log(bug) => caught_by_build(bug, by)?,
        };
        let caught = caught.ok_or_else(|| {
            let name = by.name;
            format!("{what}, and {MOST_CASES} cases of {name} did not catch it")
        })?;
        // Other things that end a case show nothing of its history.
        require!(
            by.name != HISTORY.name || caught.contains(FLAGGED),
            "{what}, and what caught it is not the history: {caught}"
        );
        let caught = caught.replace(FLAGGED, "");
        self.caught.push(format!("{what:<70} {caught}"));
        self.next = at + 1;
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        self.caught.clone()
    }

    /// All bugs must have been planted, from the first that was asked for: one of which nothing is
    /// known is as bad as one that was not caught.
    fn judge(&self) -> Result<Verdict, Fault> {
        let left: Vec<_> = BUGS[self.next..].iter().map(|bug| bug.what).collect();
        if left.is_empty() {
            return Ok(Verdict::Shown);
        }
        let (left, name, next) = (left.join(", "), self.name, self.next);
        let sentence = format!("the time was too short to plant: {left}");
        Err(format!("{sentence}; go on with --only {name} --from {next}").into())
    }
}

/// The first case of a campaign that catches a bug of the file system.
fn caught_here(plant: Plant, by: &Campaign) -> Result<Option<String>, Fault> {
    for case in 0..MOST_CASES {
        let said = if by.name == HISTORY.name {
            let flagged = flagged_with(case, plant)?;
            flagged.and_then(|all| Some(all.lines().next()?.to_owned()))
        } else {
            match catch_unwind(|| play(case, plant)) {
                Ok(Ok(_)) => None,
                Ok(Err(fault)) => Some(fault.to_string()),
                Err(_) => Some("a panic".to_owned()),
            }
        };
        if let Some(said) = said {
            return Ok(Some(format!("{}, case {case}: {said}", by.name)));
        }
    }
    Ok(None)
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
                ..Planted::new(PLANTED.name, |bug| bug.by)
            };
            planted.judge().map_err(|fault| fault.to_string())
        };
        assert_eq!(judged(BUGS.len()), Ok(Verdict::Shown));
        for ran in 1..BUGS.len() {
            let sentence = judged(ran).unwrap_err();
            for (at, bug) in BUGS.iter().enumerate() {
                assert_eq!(sentence.contains(bug.what), at >= ran, "{ran}: {sentence}");
            }
        }
    }

    #[test]
    fn bugs_of_the_file_system_are_caught() {
        for plant in [Plant::SkipFsync, Plant::NoDirSync] {
            assert!(caught_here(plant, &POWER_CUTS).unwrap().is_some());
        }
    }
}
