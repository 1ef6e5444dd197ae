//! What cycles of killing have shown, and whether that is enough.

use crate::{
    campaign::{Fault, Verdict},
    log::require,
};

/// Cycles that the issue of a campaign is judged by: fewer prove too little.
const ENOUGH: usize = 100;
/// Records acknowledged in the median cycle, at least.
const LEAST_MEDIAN: u64 = 1_000;

/// When a process was killed, by what it said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Killed {
    /// Before it began to open the folder, or before anything was in it.
    Before,
    /// While it opened a folder in which an earlier process was killed.
    InRecovery,
    /// Just after it had begun the file that the plan waited for.
    AtRoll,
    /// While it appended.
    Appending,
}

/// What the cycles so far have shown.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Records acknowledged, by cycle.
    records: Vec<u64>,
    killed: Vec<Killed>,
    pub(super) torn: u64,
}

impl Tally {
    /// Takes in a cycle.
    pub(super) fn add(&mut self, records: u64, killed: Killed) {
        self.records.push(records);
        self.killed.push(killed);
    }

    pub(super) fn summary(&self) -> Vec<String> {
        let (cycles, records) = (self.records.len(), self.records.iter().sum::<u64>());
        vec![
            format!(
                "{records} records acknowledged, {} in the median cycle",
                self.median()
            ),
            format!(
                "of {cycles} kills {} in recovery, {} at a roll, {} before anything was opened",
                self.count(Killed::InRecovery),
                self.count(Killed::AtRoll),
                self.count(Killed::Before),
            ),
            format!("{} torn commits", self.torn),
        ]
    }

    pub(super) fn judge(&self) -> Result<Verdict, Fault> {
        let cycles = self.records.len();
        if cycles < ENOUGH {
            let reason = format!("{cycles} cycles have run, and {ENOUGH} are needed");
            return Ok(Verdict::NotJudged(reason));
        }
        let median = self.median();
        require!(
            median >= LEAST_MEDIAN,
            "{median} records in the median cycle; {LEAST_MEDIAN} are asked for"
        );
        let tenth = cycles.div_ceil(10);
        for (killed, place) in [
            (Killed::InRecovery, "in recovery"),
            (Killed::AtRoll, "at a roll"),
        ] {
            let count = self.count(killed);
            require!(
                count >= tenth,
                "{count} of {cycles} kills were {place}; {tenth}, a tenth, are asked for"
            );
        }
        Ok(Verdict::Shown)
    }

    fn count(&self, killed: Killed) -> usize {
        self.killed.iter().filter(|other| **other == killed).count()
    }

    fn median(&self) -> u64 {
        let mut sorted = self.records.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tally of so many cycles of each kind, each with this many records.
    fn tally(kinds: &[(usize, Killed)], records: u64) -> Tally {
        let mut tally = Tally::default();
        for (cycles, killed) in kinds {
            for _ in 0..*cycles {
                tally.add(records, *killed);
            }
        }
        tally
    }

    fn fault(kinds: &[(usize, Killed)], records: u64) -> String {
        tally(kinds, records).judge().unwrap_err().to_string()
    }

    #[test]
    fn a_hundred_cycles_of_all_kinds_are_enough_and_one_less_is_not_judged() {
        use Killed::{Appending, AtRoll, InRecovery};
        let kinds = |appending| [(10, InRecovery), (10, AtRoll), (appending, Appending)];
        assert_eq!(tally(&kinds(80), 1_000).judge().unwrap(), Verdict::Shown);
        let short = tally(&kinds(79), 1_000).judge().unwrap();
        let reason = "99 cycles have run, and 100 are needed".to_owned();
        assert_eq!(short, Verdict::NotJudged(reason));
    }

    #[test]
    fn too_few_records_recoveries_or_rolls_are_a_fault() {
        use Killed::{Appending, AtRoll, Before, InRecovery};
        let sound = [(10, InRecovery), (10, AtRoll), (80, Appending)];
        assert!(fault(&sound, 999).starts_with("999 records in the median cycle"));
        let no_recovery = [(9, InRecovery), (10, AtRoll), (81, Appending)];
        assert!(fault(&no_recovery, 1_000).starts_with("9 of 100 kills were in recovery"));
        let no_roll = [(10, InRecovery), (9, AtRoll), (81, Appending)];
        assert!(fault(&no_roll, 1_000).starts_with("9 of 100 kills were at a roll"));
        let too_early = [(50, Before), (9, InRecovery), (41, AtRoll)];
        assert!(fault(&too_early, 1_000).starts_with("9 of 100 kills were in recovery"));
    }
}
