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

mod bugs;

use std::{
    env,
    panic::catch_unwind,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    histories::{FLAGGED, HISTORY, flagged_with},
    power_cuts::play,
    require,
    scene::Plant,
};
use crate::campaign::{Campaign, Cases, Extent, Fault, Verdict};
use bugs::{At, BUGS, Bug, SHOWN, SOON};

/// The campaign.
pub(crate) const PLANTED: Campaign = Campaign {
    name: "planted",
    about: "Plants a bug in each case, and expects another campaign to catch it.",
    full: BUGS.len() as u64,
    ci: BUGS.len() as u64,
    weight: 5,
    start: || Ok(Box::new(Planted::new(&PLANTED, |bug| bug.by))),
};

/// The campaign.
pub(crate) const PLANTED_HISTORY: Campaign = Campaign {
    name: "planted-history",
    about: "Plants a bug in each case, and expects the history of a case alone to show it.",
    full: SHOWN as u64,
    ci: SOON as u64,
    weight: 1,
    start: || Ok(Box::new(Planted::new(&PLANTED_HISTORY, |_| &HISTORY))),
};

/// Cases in which a bug must be caught.
const MOST_CASES: u64 = 1_000;

/// What was caught, and by what.
#[derive(Debug)]
struct Planted {
    campaign: &'static Campaign,
    /// The campaign that must catch a bug.
    by: fn(&Bug) -> &'static Campaign,
    caught: Vec<String>,
    /// The first bug that was not planted yet.
    next: usize,
}

impl Planted {
    fn new(campaign: &'static Campaign, by: fn(&Bug) -> &'static Campaign) -> Self {
        Self {
            campaign,
            by,
            caught: Vec::new(),
            next: 0,
        }
    }

    /// What was not planted of the first `count` bugs.
    fn left(&self, count: u64) -> String {
        let left = BUGS.iter().zip(0..count).skip(self.next);
        left.map(|(bug, _)| bug.what).collect::<Vec<_>>().join(", ")
    }
}

impl Cases for Planted {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        let at = usize::try_from(number)?;
        require!(number < self.campaign.full, "there are no more bugs");
        let bug = &BUGS[at];
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
        let mut lines = self.caught.clone();
        let left = self.left(self.campaign.full);
        if !left.is_empty() {
            lines.push(format!("not planted, for `--full` to catch: {left}"));
        }
        lines
    }

    /// All bugs must have been planted that continuous integration asks for, from the first that
    /// was asked for: one of which nothing is known is as bad as one that was not caught.
    fn judge(&self, _: Extent) -> Result<Verdict, Fault> {
        let left = self.left(self.campaign.ci);
        if left.is_empty() {
            return Ok(Verdict::Shown);
        }
        let (name, next) = (self.campaign.name, self.next);
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
    use crate::log::power_cuts::POWER_CUTS;

    #[test]
    fn bugs_that_were_not_planted_are_named_and_fail_the_campaign_that_asks_for_them() {
        for campaign in [&PLANTED, &PLANTED_HISTORY] {
            let count = |cases| usize::try_from(cases).unwrap();
            let (asked, all) = (count(campaign.ci), count(campaign.full));
            for ran in 1..=all {
                let planted = Planted {
                    next: ran,
                    ..Planted::new(campaign, |bug| bug.by)
                };
                let said = planted.summary().concat();
                let judged = planted
                    .judge(Extent::Part)
                    .map_err(|fault| fault.to_string());
                assert_eq!(judged.is_ok(), ran >= asked, "{ran}: {judged:?}");
                for (at, bug) in BUGS.iter().enumerate() {
                    let fails = |sentence: &String| sentence.contains(bug.what);
                    let is_asked_for = (ran..asked).contains(&at);
                    assert_eq!(judged.as_ref().is_err_and(fails), is_asked_for, "{ran}");
                    let is_left = (ran..all).contains(&at);
                    assert_eq!(said.contains(bug.what), is_left, "{ran}: {said}");
                }
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
