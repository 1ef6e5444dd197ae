//! Campaign: a recovery that is broken off, one, two and three times, comes to what one comes to
//! that was not.
//!
//! The folder is that of the clients whose histories are recorded: it has topics of every kind,
//! open transactions, aborted ones, and numbered sends.

use std::hash::{DefaultHasher, Hash, Hasher};

use levada_log::{Isolation, Log, Partition};
use levada_testkit::vfs::{Fault as Faulty, FaultyFs, Keep, When};

use super::{
    histories::{Left, left_by},
    require,
    rig::{FOLDER, Stop},
    steps::Steps,
};
use crate::campaign::{Campaign, Cases, Extent, Fault, Verdict};

/// Things done before the stop that is recovered from.
const ACTS: u32 = 120;
/// How often the same recovery is broken off at most.
const DEEPEST: usize = 3;
/// Cases by which the campaign is judged.
const ENOUGH: u64 = 150;

/// The campaign.
pub(crate) const RECOVERIES: Campaign = Campaign {
    name: "recoveries",
    about: "Breaks recoveries off, one, two and three deep, and compares what they come to.",
    full: 5_000,
    ci: ENOUGH,
    weight: 1,
    start: || Ok(Box::new(Recoveries::default())),
};

/// What the cases so far have shown.
#[derive(Debug, Default)]
struct Recoveries {
    cases: u64,
    /// Recoveries that were broken off once, twice and three times, and came to the same.
    broken: [u64; DEEPEST],
    kills: u64,
    power_cuts: u64,
    /// Those broken off after they had written something.
    changed: u64,
}

impl Cases for Recoveries {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        let mut left = left_by(number, ACTS)?;
        let stop = left.rig.any_stop();
        left.rig.strike(stop);
        let expected = state(&left, &left.rig.fs.kill())?;
        for deep in 1..=DEEPEST {
            let mut fs = left.rig.fs.kill();
            for _ in 0..deep {
                fs = self.break_off(&mut left, &fs, stop)?;
            }
            let found = state(&left, &fs)?;
            require!(
                found == expected,
                "a recovery after {stop:?} comes to {expected:x}, and to {found:x} when it was \
                 broken off {deep} times"
            );
            self.broken[deep - 1] += 1;
        }
        self.cases += 1;
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let [once, twice, thrice] = self.broken;
        vec![
            format!(
                "broken off once {once}, twice {twice}, three times {thrice}: each to one hash"
            ),
            format!(
                "by {} kills and {} power cuts, {} after something was written",
                self.kills, self.power_cuts, self.changed
            ),
        ]
    }

    fn judge(&self, _: Extent) -> Result<Verdict, Fault> {
        let cases = self.cases;
        if cases < ENOUGH {
            let reason = format!("{cases} cases have run, and {ENOUGH} are needed");
            return Ok(Verdict::NotJudged(reason));
        }
        for (count, what) in [
            (self.kills, "kills"),
            (self.power_cuts, "power cuts"),
            (self.changed, "recoveries that had written something"),
        ] {
            require!(count >= cases, "{count} {what} in {cases} cases");
        }
        Ok(Verdict::Shown)
    }
}

impl Recoveries {
    /// Opens the folder, and stops in one of the calls that this takes; what that leaves.
    fn break_off(&mut self, left: &mut Left, fs: &FaultyFs, stop: Stop) -> Result<FaultyFs, Fault> {
        let whole = fs.kill();
        let before = whole.calls();
        drop(open(left, &whole)?);
        let calls = whole.calls() - before;

        let fs = fs.kill();
        let files = contents(&fs);
        let call = left.rig.rng.below(calls);
        fs.inject(Faulty::Crash, When::After(call));
        let opened = open(left, &fs);
        require!(
            fs.is_crashed(),
            "call {call} of {calls} was not made: {opened:?}"
        );
        drop(opened);
        self.changed += u64::from(contents(&fs) != files);
        // What a killed process has not synced a power cut may take: then there is less to find.
        let stop = match stop {
            Stop::Kill => Stop::Kill,
            Stop::PowerCut => left.rig.any_stop(),
        };
        Ok(match stop {
            Stop::Kill => {
                self.kills += 1;
                fs.kill()
            }
            Stop::PowerCut => {
                self.power_cuts += 1;
                fs.power_cut(Keep::Any)
            }
        })
    }
}

fn contents(fs: &FaultyFs) -> Vec<Option<Vec<u8>>> {
    fs.files().iter().map(|path| fs.contents(path)).collect()
}

fn open(left: &Left, fs: &FaultyFs) -> levada_log::Result<(Log, Steps)> {
    let steps = Steps::new(left.rig.seed.rng("steps of a recovery"));
    let log = left.options(fs, &steps).open(FOLDER)?;
    Ok((log, steps))
}

/// The hash of all that a folder comes to when it is opened.
fn state(left: &Left, fs: &FaultyFs) -> Result<u64, Fault> {
    let (log, steps) = open(left, fs)?;
    // What has expired goes at once, so that nothing does while it is read.
    while steps.step() {}
    let mut hasher = DefaultHasher::new();
    let mut partitions = Vec::new();
    for topic in log.topics() {
        (topic.name(), topic.is_sealed()).hash(&mut hasher);
        for at in 0..topic.partitions() {
            let partition = topic.partition(at)?;
            for isolation in [Isolation::Committed, Isolation::Uncommitted] {
                hash_records(&partition.clone().isolation(isolation), &steps, &mut hasher)?;
            }
            partitions.push(partition);
        }
    }
    for group in log.groups() {
        group.name().hash(&mut hasher);
        for partition in &partitions {
            group.position(partition).hash(&mut hasher);
        }
    }
    for name in log.producers() {
        let producer = steps.wait(log.producer(&name))??;
        for partition in &partitions {
            (&name, producer.next_sequence(partition)).hash(&mut hasher);
        }
    }
    Ok(hasher.finish())
}

/// Takes in what a reader finds in a partition.
fn hash_records(
    partition: &Partition,
    steps: &Steps,
    hasher: &mut DefaultHasher,
) -> Result<(), Fault> {
    let mut from = partition.start();
    (from, partition.visible_end()).hash(hasher);
    while from < partition.visible_end() {
        let fetched = steps.wait(partition.fetch(from, 1 << 20))??;
        for it in fetched.records() {
            (it.offset, it.key, it.value, it.tombstone).hash(hasher);
        }
        require!(fetched.next > from, "reading stops at {from}");
        from = fetched.next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_that_was_broken_off_three_times_comes_to_the_same() {
        let mut recoveries = Recoveries::default();
        for number in 0..6 {
            recoveries.run(number).unwrap();
        }
        assert_eq!(recoveries.broken, [6; DEEPEST]);
        assert!(recoveries.changed > 0, "{recoveries:?}");
    }

    #[test]
    fn what_expires_when_a_folder_is_opened_has_gone_before_it_is_read() {
        Recoveries::default().run(104).unwrap();
    }
}
