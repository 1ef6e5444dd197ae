//! Campaign: a process that lives by the script is killed before each of its calls in turn.

use std::path::Path;

use tempfile::TempDir;

use super::{
    Script, look_at_copy,
    script::Act,
    seen::look,
    traced::{Life, try_tracing},
    truth::Truth,
};
use crate::{
    campaign::{Campaign, Cases, Extent, Fault, Verdict},
    log::require,
};

/// Case `n` kills before each call whose number is `n` more than a multiple of this.
const EVERY: u64 = 50;

/// The campaign.
pub(crate) const CRASH_POINTS: Campaign = Campaign {
    name: "crash-points",
    about: "Kills a process before each of its file syscalls, and looks.",
    full: EVERY,
    ci: 1,
    weight: 1,
    start: || Ok(Box::new(Lives::new()?)),
};

/// What the cases so far have shown.
#[derive(Debug)]
struct Lives {
    script: Script,
    killed: usize,
    /// Whether a life was killed in each act.
    killed_in: Vec<bool>,
    backups: u64,
}

impl Lives {
    fn new() -> Result<Self, Fault> {
        try_tracing(CRASH_POINTS.name)?;
        Ok(Self::of(Script::lived()?))
    }

    fn of(script: Script) -> Self {
        Self {
            killed_in: vec![false; script.acts.len()],
            script,
            killed: 0,
            backups: 0,
        }
    }

    /// Kills a life before a call and looks at what is left.
    fn kill(&mut self, call: usize) -> Result<(), Fault> {
        let folder = TempDir::new()?;
        let life = self.script.kill(call, folder.path())?;
        self.killed += 1;
        if let Some(act) = self.killed_in.get_mut(life.done) {
            *act |= life.begun > life.done;
        }
        self.compare(folder.path(), &life)?;
        self.look_at_backup(folder.path(), &life)
    }

    /// Compares what was left with the script. It is opened as a copy.
    fn compare(&self, folder: &Path, life: &Life) -> Result<(), Fault> {
        let (acts, rests) = (&self.script.acts, self.script.rests(life));
        let seen = look_at_copy(folder, rests)?;
        let of = |count: usize| Truth::of(&acts[..count]).compare(&seen, rests);
        if let Err(without) = of(life.done)
            && let Err(with) = of(life.begun)
        {
            let act = acts.get(life.done);
            let sentence = format!("{without}; had {act:?} been done: {with}");
            return Err(sentence.into());
        }
        Ok(())
    }

    /// A backup that was acknowledged holds all that was done before it.
    fn look_at_backup(&mut self, folder: &Path, life: &Life) -> Result<(), Fault> {
        let acts = &self.script.acts;
        let at = acts.iter().position(|act| *act == Act::Backup);
        let Some(at) = at.filter(|at| *at < life.done) else {
            return Ok(());
        };
        let restored = TempDir::new()?;
        let data = restored.path().join("data");
        levada_log::restore(folder.join("backup"), &data)?;
        let truth = Truth::of(&acts[..at]);
        let compared = truth.compare(&look(&data, truth.rests)?, truth.rests);
        compared.map_err(|fault| format!("the backup: {fault}"))?;
        self.backups += 1;
        Ok(())
    }

    /// The acts in which no life was killed, nor in another that is the same: a rest in which
    /// nothing is due makes no call.
    fn spared(&self) -> Vec<Act> {
        let acts = self.script.acts.iter().copied();
        let killed = acts.clone().zip(&self.killed_in);
        let killed: Vec<_> = killed.filter(|(_, killed)| **killed).collect();
        let is_spared = |act: &Act| killed.iter().all(|(other, _)| other != act);
        acts.filter(is_spared).collect()
    }
}

impl Cases for Lives {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        require!(number < EVERY, "there are {EVERY} cases");
        let all = usize::try_from(number)?..self.script.calls.len();
        for call in all.step_by(usize::try_from(EVERY)?) {
            let killed = self.kill(call);
            killed.map_err(|fault| self.script.killed_before(call, &fault))?;
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let (lives, calls, backups) = (self.killed, self.script.calls.len(), self.backups);
        let acts = self.killed_in.iter().filter(|killed| **killed).count();
        let all = self.script.acts.len();
        vec![
            format!("{lives} lives killed, each before another of {calls} calls"),
            format!("in {acts} of {all} acts; {backups} backups restored"),
        ]
    }

    fn judge(&self, extent: Extent) -> Result<Verdict, Fault> {
        let (lives, all) = (self.killed, self.script.calls.len());
        require!(lives > 0, "no life was killed");
        if extent == Extent::Full {
            let spared = self.spared();
            require!(lives == all, "{lives} lives were killed, and not {all}");
            require!(spared.is_empty(), "no life was killed in {spared:?}");
            require!(self.backups > 0, "no backup was restored");
        }
        Ok(Verdict::Shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_campaign_has_killed_a_life_before_each_call_and_in_each_act() {
        let mut lives = Lives::of(Script::of_calls(3));
        (lives.killed, lives.backups) = (3, 1);
        let said = lives.judge(Extent::Full).unwrap_err().to_string();
        assert!(said.contains("no life was killed in [Create("), "{said}");
        assert!(lives.judge(Extent::Part).is_ok());

        for (act, killed) in lives.script.acts.iter().zip(&mut lives.killed_in) {
            *killed = *act != Act::Rest;
        }
        let said = lives.judge(Extent::Full).unwrap_err().to_string();
        assert!(said.contains("in [Rest, "), "{said}");
        let rest = lives.script.acts.iter().position(|act| *act == Act::Rest);
        lives.killed_in[rest.unwrap()] = true;
        assert!(lives.judge(Extent::Full).is_ok());
        lives.killed = 2;
        assert!(lives.judge(Extent::Full).is_err());
        (lives.killed, lives.backups) = (3, 0);
        assert!(lives.judge(Extent::Full).is_err());
    }
}
