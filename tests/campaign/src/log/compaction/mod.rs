//! Campaign: a compacted topic equals a map, whatever becomes of the machine.

mod asked;
pub(super) mod model;
mod stage;

use super::{require, rig::Stops};
use crate::campaign::{Campaign, Cases, Extent, Fault, Verdict};
use stage::Stage;

/// Things done in one case, beyond its restarts: about 2,000 operations.
const ACTS: u32 = 350;
/// Cases by which the campaign is judged.
const ENOUGH: u64 = 40;

/// Operations that the full campaign has.
const FULL_OPERATIONS: u64 = 1_000_000;

/// The campaign.
pub(crate) const COMPACTION: Campaign = Campaign {
    name: "compaction",
    about: "A compacted topic equals a map, with aborted transactions, kills and power cuts.",
    full: 600,
    ci: ENOUGH,
    weight: 1,
    start: || Ok(Box::new(Compactions::default())),
};

/// What was done to logs, and what became of it.
#[derive(Clone, Copy, Debug, Default)]
struct Struck {
    operations: u64,
    /// Transactions that were aborted.
    aborted: u64,
    stops: Stops,
    /// Times that a topic had fewer segments than before: compaction came to its end.
    shrunk: u64,
    /// Records that were found to be gone, at each look.
    superseded: u64,
    /// Keys of which not even the tombstone was left, at each look.
    forgotten: u64,
    /// Looks that an open transaction hid something from.
    held_back: u64,
}

/// What the cases so far have shown.
#[derive(Debug, Default)]
struct Compactions {
    cases: u64,
    struck: Struck,
}

impl Cases for Compactions {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        let mut stage = Stage::new(number)?;
        for act in 0..ACTS {
            stage.act().map_err(|fault| format!("act {act}: {fault}"))?;
        }
        let struck = stage.finish()?;
        self.cases += 1;
        self.struck.add(struck);
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let Struck {
            operations,
            aborted,
            stops,
            shrunk,
            superseded,
            forgotten,
            held_back,
        } = self.struck;
        vec![
            format!("{operations} operations, {aborted} transactions aborted"),
            format!(
                "{} kills, {} power cuts, segments became fewer {shrunk} times",
                stops.kills, stops.power_cuts
            ),
            format!("over all looks, {superseded} records had gone and {forgotten} tombstones"),
            format!("{held_back} looks were kept back by an open transaction"),
        ]
    }

    fn judge(&self, extent: Extent) -> Result<Verdict, Fault> {
        let (cases, struck) = (self.cases, self.struck);
        if cases < ENOUGH {
            let reason = format!("{cases} cases have run, and {ENOUGH} are needed");
            return Ok(Verdict::NotJudged(reason));
        }
        for (count, what) in [
            (struck.shrunk, "passes of compaction"),
            (struck.superseded, "records that were compacted away"),
            (struck.forgotten, "tombstones that went"),
            (struck.aborted, "aborted transactions"),
            (struck.stops.kills, "kills"),
            (struck.stops.power_cuts, "power cuts"),
        ] {
            require!(count >= cases, "{count} {what} in {cases} cases");
        }
        let operations = struck.operations;
        require!(
            extent == Extent::Part || operations >= FULL_OPERATIONS,
            "{operations} operations in all cases; {FULL_OPERATIONS} are asked for"
        );
        Ok(Verdict::Shown)
    }
}

impl Struck {
    fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.aborted += other.aborted;
        self.stops += other.stops;
        self.shrunk += other.shrunk;
        self.superseded += other.superseded;
        self.forgotten += other.forgotten;
        self.held_back += other.held_back;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_campaign_has_a_million_operations() {
        let judge = |operations, extent| {
            let struck = Struck {
                operations,
                aborted: ENOUGH,
                stops: Stops {
                    kills: ENOUGH,
                    power_cuts: ENOUGH,
                    in_recovery: 0,
                },
                shrunk: ENOUGH,
                superseded: ENOUGH,
                forgotten: ENOUGH,
                held_back: 0,
            };
            let cases = ENOUGH;
            Compactions { cases, struck }.judge(extent).is_ok()
        };
        assert!(judge(999_999, Extent::Part));
        assert!(!judge(999_999, Extent::Full));
        assert!(judge(1_000_000, Extent::Full));
    }

    #[test]
    fn compacted_topic_equals_a_map_after_any_crash_and_what_was_aborted_stays_away() {
        let mut compactions = Compactions::default();
        for number in 0..4 {
            compactions.run(number).unwrap();
        }
        let struck = compactions.struck;
        assert!(struck.superseded > 0 && struck.forgotten > 0, "{struck:?}");
        assert!(struck.aborted > 0 && struck.shrunk > 0, "{struck:?}");
    }
}
