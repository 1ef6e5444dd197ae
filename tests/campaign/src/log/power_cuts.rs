//! Campaign: a simulated machine crashes, and the log on it keeps its promises.

use levada_testkit::vfs::{Fault as Faulty, Fired};

use super::{
    compaction::model::Looked,
    require,
    scene::{Plant, Scene, Shown},
};
use crate::campaign::{Campaign, Cases, Extent, Fault, Verdict};

/// Things done in one case, beyond its restarts.
const ACTS: u32 = 250;
/// Cases by which the campaign is judged: each fault must have fired in them.
const ENOUGH: u64 = 500;

/// The campaign.
pub(crate) const POWER_CUTS: Campaign = Campaign {
    name: "power-cuts",
    about: "Crashes, power cuts, full disks, failed syncs and rot under a log, simulated.",
    full: 100_000,
    ci: ENOUGH,
    weight: 3,
    start: || Ok(Box::new(PowerCuts::default())),
};

/// What the cases so far have shown.
#[derive(Debug, Default)]
struct PowerCuts {
    cases: u64,
    shown: Shown,
}

impl Cases for PowerCuts {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        let (shown, _) = play(number, Plant::None)?;
        self.cases += 1;
        self.shown += shown;
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let Shown {
            fired,
            acknowledged,
            repeats,
            zombies,
            expired,
            starts_moved,
            compacted,
            restarts,
            crashes_in_recovery,
            torn_commits,
            dead_logs,
            takeovers,
            damages,
            damages_noticed,
        } = &self.shown;
        vec![
            format!("{acknowledged} records acknowledged, {repeats} repeats, {restarts} restarts"),
            format!("{expired} batches expired in {starts_moved} moves, {zombies} zombies refused"),
            format!(
                "over all looks, {} records of accounts had gone and {} tombstones",
                compacted.superseded, compacted.forgotten
            ),
            format!("{crashes_in_recovery} recoveries broken off, {torn_commits} torn commits"),
            format!("{dead_logs} logs dead after a failure, {takeovers} folders taken over"),
            format!("{damages} places damaged, of which {damages_noticed} were found"),
            format!("fired: {}", counts(*fired)),
        ]
    }

    fn judge(&self, _: Extent) -> Result<Verdict, Fault> {
        let cases = self.cases;
        if cases < ENOUGH {
            let reason = format!("{cases} cases have run, and {ENOUGH} are needed");
            return Ok(Verdict::NotJudged(reason));
        }
        let fired = self.shown.fired;
        if let Some(fault) = Faulty::ALL.iter().find(|fault| fired[**fault] == 0) {
            return Err(format!("no {fault} in any case").into());
        }
        let Looked {
            superseded,
            forgotten,
        } = self.shown.compacted;
        for (count, what) in [
            (self.shown.starts_moved, "start that moved"),
            (superseded, "record that was compacted away"),
            (forgotten, "tombstone that went"),
        ] {
            require!(count > 0, "no {what} in any case");
        }
        Ok(Verdict::Shown)
    }
}

/// Plays the scene of a seed to its end; what was shown, and the hash of all that happened.
pub(crate) fn play(seed: u64, plant: Plant) -> Result<(Shown, u64), Fault> {
    let mut scene = Scene::new(seed, plant)?;
    for act in 0..ACTS {
        scene.act().map_err(|fault| format!("act {act}: {fault}"))?;
    }
    scene.finish()
}

fn counts(fired: Fired) -> String {
    let count = |fault: &Faulty| format!("{fault} {}", fired[*fault]);
    Faulty::ALL.iter().map(count).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_the_same_trace() {
        for seed in 0..5 {
            let trace = |seed| play(seed, Plant::None).map(|(_, trace)| trace);
            let first = trace(seed).unwrap();
            assert_eq!(trace(seed).unwrap(), first, "seed {seed}");
            assert_ne!(trace(seed + 1).unwrap(), first, "seed {seed}");
        }
    }

    #[test]
    fn what_expires_is_old_enough_and_whole_whatever_becomes_of_the_machine() {
        let shown = (0..8).map(|seed| play(seed, Plant::None).unwrap().0);
        assert!(shown.map(|shown| shown.expired).sum::<u64>() > 0);
    }
}
