//! Campaign: of each life that was killed, the recovery is killed before each of its calls.
//!
//! A case is a life, which is killed before another call than those of all other cases. The cases
//! are dealt far apart, so that a few of them are from the whole script.
//!
//! All cases kill 115,000 recoveries. A kill takes nothing from the page cache, so a file system in
//! memory shows the same, in 35 minutes; a disk takes hours (2 cores, 2026-11-22):
//!
//! ```text
//! TMPDIR=/dev/shm cargo campaign --only recovery-points --full
//! ```

use tempfile::TempDir;

use super::{
    Script,
    child::RECOVERY,
    look_at_copy,
    traced::{calls, killed, try_tracing},
};
use crate::{
    campaign::{Campaign, Cases, Extent, Fault, Verdict},
    folder,
    log::require,
};

/// Into so many cases the lives are dealt: a few more than there are, so that a case has one.
const CASES: usize = 1_300;
/// How far the life of a case is from that of the case before. Has no factor in common with
/// [`CASES`], so that each life has its turn.
const APART: usize = 709;

/// The campaign.
pub(crate) const RECOVERY_POINTS: Campaign = Campaign {
    name: "recovery-points",
    about: "Kills the recovery of each life of `crash-points` before each of its file syscalls.",
    full: CASES as u64,
    ci: 1,
    weight: 1,
    start: || Ok(Box::new(Recoveries::new()?)),
};

/// What the cases so far have shown.
#[derive(Debug)]
struct Recoveries {
    script: Script,
    lives: usize,
    killed: u64,
}

impl Recoveries {
    fn new() -> Result<Self, Fault> {
        try_tracing(RECOVERY_POINTS.name)?;
        Ok(Self {
            script: Script::lived()?,
            lives: 0,
            killed: 0,
        })
    }

    /// Kills a life before a call, and then the recovery of what it left before each of its calls:
    /// what is seen after that is what is seen after a recovery that was let be.
    fn kill_recoveries(&mut self, call: usize) -> Result<(), Fault> {
        let folder = TempDir::new()?;
        let life = self.script.kill(call, folder.path())?;
        let rests = self.script.rests(&life);
        let seen = look_at_copy(folder.path(), rests)?;
        let copy = || {
            let copy = TempDir::new()?;
            folder::copy(folder.path(), copy.path())?;
            Ok::<_, Fault>(copy)
        };
        let first = copy()?;
        for call in calls(RECOVERY, first.path(), rests)? {
            let copy = copy()?;
            killed(RECOVERY, copy.path(), rests, &call)?;
            self.killed += 1;
            let again = look_at_copy(copy.path(), rests)?;
            require!(
                again == seen,
                "recovery killed before {call:?} converges to something else:\n{again:?}\n{seen:?}"
            );
        }
        self.lives += 1;
        Ok(())
    }
}

/// The lives of a case, by the calls that they are killed before.
fn lives(number: u64, calls: usize) -> Result<impl Iterator<Item = usize>, Fault> {
    let number = usize::try_from(number)?;
    require!(number < CASES, "there are {CASES} cases");
    Ok(((number + 1) * APART % CASES..calls).step_by(CASES))
}

impl Cases for Recoveries {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        for call in lives(number, self.script.calls.len())? {
            let killed = self.kill_recoveries(call);
            killed.map_err(|fault| self.script.killed_before(call, &fault))?;
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let (lives, recoveries, all) = (self.lives, self.killed, self.script.calls.len());
        vec![format!(
            "{recoveries} recoveries killed, of {lives} lives of {all}; each came to the same"
        )]
    }

    fn judge(&self, extent: Extent) -> Result<Verdict, Fault> {
        let (lives, all) = (self.lives, self.script.calls.len());
        require!(self.killed > 0, "no recovery was killed");
        require!(
            extent == Extent::Part || lives == all,
            "the recoveries of {lives} lives were killed, and there are {all}"
        );
        Ok(Verdict::Shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_life_has_its_recovery_killed_in_one_case() {
        for calls in [1, CASES - 100, CASES, CASES + 100] {
            let numbers = 0..CASES as u64;
            let mut dealt: Vec<_> = numbers.flat_map(|it| lives(it, calls).unwrap()).collect();
            dealt.sort_unstable();
            assert_eq!(dealt, (0..calls).collect::<Vec<_>>());
        }
        assert!(lives(CASES as u64, 1).is_err());
    }

    #[test]
    fn full_campaign_has_killed_the_recoveries_of_all_lives() {
        let judge = |lives, extent| {
            let recoveries = Recoveries {
                script: Script::of_calls(3),
                lives,
                killed: 9,
            };
            recoveries.judge(extent).is_ok()
        };
        assert!(judge(2, Extent::Part));
        assert!(!judge(2, Extent::Full));
        assert!(judge(3, Extent::Full));
    }
}
