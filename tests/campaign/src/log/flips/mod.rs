//! Campaign: every bit of a file is flipped, and the file is cut short at every byte.
//!
//! A segment of 64 KiB, and journals of 56 KiB that end in three ways. Of each change the class is
//! derived from what was acknowledged, never asked of the log, and the log must answer to it: see
//! [`Class`]. No change may let a wrong byte through.
//!
//! A case is every sixty-fourth change, by its number: one in continuous integration, all of them
//! with `--full`.

mod blocks;
mod extents;
mod look;
mod memory;
mod specimen;

use std::collections::BTreeMap;

use super::require;
use crate::campaign::{Campaign, Cases, Extent, Fault, Verdict};
use look::Class;
use specimen::{Kind, Last, Specimen};

/// Into so many cases all changes are dealt.
const CASES: u64 = 64;

/// The campaign.
pub(crate) const FLIPS: Campaign = Campaign {
    name: "flips",
    about: "Flips every bit of a segment and of journals, cuts them at every byte, mixes blocks.",
    full: CASES,
    ci: 1,
    weight: 1,
    start: || Ok(Box::new(Flips::new()?)),
};

/// What the cases so far have shown.
#[derive(Debug)]
struct Flips {
    specimens: Vec<(Specimen, Vec<Vec<u8>>)>,
    counts: Counts,
}

/// How many changes there were: of which file, what was done to it, and what it came to.
type Counts = BTreeMap<(&'static str, &'static str, Class), u64>;

impl Flips {
    fn new() -> Result<Self, Fault> {
        let segment = Specimen::segment()?;
        let misplaced = blocks::misplaced(&segment);
        let mut specimens = vec![(segment, misplaced)];
        for last in [Last::Acknowledged, Last::Unacknowledged, Last::Stopped] {
            specimens.push((Specimen::journal(last)?, Vec::new()));
        }
        Ok(Self {
            specimens,
            counts: BTreeMap::new(),
        })
    }
}

impl Cases for Flips {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        if number >= CASES {
            return Err(format!("there are {CASES} cases").into());
        }
        for (specimen, misplaced) in &self.specimens {
            for change in changes(specimen, misplaced, number) {
                let (what, content) = change.made(specimen, misplaced);
                let class = specimen.look(content);
                let class = class
                    .map_err(|fault| format!("{}, {change:?}: {fault}", specimen.kind.name()))?;
                *self
                    .counts
                    .entry((specimen.kind.name(), what, class))
                    .or_default() += 1;
            }
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let mut lines = BTreeMap::new();
        for (&(name, what, class), count) in &self.counts {
            let line: &mut String = lines.entry((name, what)).or_default();
            *line = format!("{line}, {class:?} {count}");
        }
        let lines = lines.into_iter();
        let total = self.counts.values().sum::<u64>();
        let all = format!("{total} changes, 0 wrong bytes");
        let lines = lines.map(|((name, what), line)| format!("{name}, {what}{line}"));
        std::iter::once(all).chain(lines).collect()
    }

    fn judge(&self, extent: Extent) -> Result<Verdict, Fault> {
        let files = self.specimens.iter();
        let files = files.map(|(it, _)| (it.kind.name(), it.content().len() as u64));
        judge(&self.counts, &files.collect::<Vec<_>>(), extent)
    }
}

/// The name of a file that is damaged, and its length in bytes.
type Damaged = (&'static str, u64);

fn judge(counts: &Counts, files: &[Damaged], extent: Extent) -> Result<Verdict, Fault> {
    let all = [
        Class::Nothing,
        Class::Damage,
        Class::PossiblyAcknowledged,
        Class::Torn,
        Class::Stop,
    ];
    for class in all {
        let is_shown = counts.keys().any(|(_, _, other)| *other == class);
        require!(is_shown, "no change was {class:?}");
    }
    let of = |name: &str, what: &str| {
        let mine = counts
            .iter()
            .filter(|((a, b, _), _)| (*a, *b) == (name, what));
        mine.map(|(_, count)| *count).sum::<u64>()
    };
    for (name, what, asked) in files.iter().flat_map(|file| full(*file)) {
        let count = of(name, what);
        require!(
            extent == Extent::Part || count == asked,
            "{name}, {what} {count} times; {asked} are asked for"
        );
    }
    Ok(Verdict::Shown)
}

/// How often a file is flipped and cut short in all cases.
fn full((name, bytes): Damaged) -> [(&'static str, &'static str, u64); 2] {
    [(name, "flipped", 8 * bytes), (name, "truncated", bytes)]
}

/// A change of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Change {
    Flip { byte: usize, bit: u8 },
    Truncate { len: usize },
    Misplace { number: usize },
}

impl Change {
    /// What it is called, and the content of the file then.
    fn made(self, specimen: &Specimen, misplaced: &[Vec<u8>]) -> (&'static str, Vec<u8>) {
        let mut content = specimen.content().to_vec();
        match self {
            Self::Flip { byte, bit } => {
                content[byte] ^= 1 << bit;
                ("flipped", content)
            }
            Self::Truncate { len } => {
                content.truncate(len);
                ("truncated", content)
            }
            Self::Misplace { number } => ("misplaced", misplaced[number].clone()),
        }
    }
}

/// The changes of a case: of each run of as many as there are cases one, at another place in each,
/// so that no case has the same bit of every byte.
fn changes(specimen: &Specimen, misplaced: &[Vec<u8>], case: u64) -> impl Iterator<Item = Change> {
    let bytes = specimen.content().len();
    let (bits, cases) = (8 * bytes, usize::try_from(CASES).unwrap_or(usize::MAX));
    let (all, case) = (
        bits + bytes + misplaced.len(),
        usize::try_from(case).unwrap_or(0),
    );
    let numbers = (0..all.div_ceil(cases)).map(move |run| run * cases + (case + 29 * run) % cases);
    numbers
        .filter(move |number| *number < all)
        .map(move |number| {
            if number < bits {
                let bit = u8::try_from(number % 8).unwrap_or(0);
                let byte = number / 8;
                Change::Flip { byte, bit }
            } else if number < bits + bytes {
                Change::Truncate { len: number - bits }
            } else {
                let number = number - bits - bytes;
                Change::Misplace { number }
            }
        })
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Journal(Last::Acknowledged) => "journal of a killed process",
            Self::Journal(Last::Unacknowledged) => "journal with a torn end",
            Self::Journal(Last::Stopped) => "journal of a closed log",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at every so many of the changes of a file, and counts them by their class.
    fn looked(specimen: &Specimen, numbers: impl Iterator<Item = Change>) -> Vec<(Class, usize)> {
        let mut counts = BTreeMap::new();
        for change in numbers {
            let (_, content) = change.made(specimen, &[]);
            let class = specimen.look(content);
            let class = class.unwrap_or_else(|fault| panic!("{change:?}: {fault}"));
            *counts.entry(class).or_default() += 1;
        }
        counts.into_iter().collect()
    }

    fn flips(specimen: &Specimen) -> impl Iterator<Item = Change> {
        let bits = 0..8 * specimen.content().len();
        bits.step_by(2039).map(|number| Change::Flip {
            byte: number / 8,
            bit: u8::try_from(number % 8).unwrap(),
        })
    }

    fn cuts(specimen: &Specimen) -> impl Iterator<Item = Change> {
        let lens = (0..specimen.content().len()).step_by(251);
        lens.map(|len| Change::Truncate { len })
    }

    fn journals() -> impl Iterator<Item = Specimen> {
        let lasts = [Last::Acknowledged, Last::Unacknowledged, Last::Stopped];
        lasts
            .into_iter()
            .map(|last| Specimen::journal(last).unwrap())
    }

    #[test]
    fn full_campaign_flips_each_bit_and_cuts_at_each_byte_of_each_file() {
        let files = [("segment", 65_536), ("journal", 57_344)];
        let mut counts = Counts::new();
        for class in [
            Class::Nothing,
            Class::PossiblyAcknowledged,
            Class::Torn,
            Class::Stop,
        ] {
            counts.insert(("segment", "misplaced", class), 1);
        }
        for (name, what, asked) in files.iter().flat_map(|file| full(*file)) {
            counts.insert((name, what, Class::Damage), asked);
        }
        let of_segment = |what| counts[&("segment", what, Class::Damage)];
        assert_eq!(
            (of_segment("flipped"), of_segment("truncated")),
            (524_288, 65_536)
        );
        assert!(judge(&counts, &files, Extent::Full).is_ok());
        for (name, what, asked) in files.iter().flat_map(|file| full(*file)) {
            let mut short = counts.clone();
            short.insert((name, what, Class::Damage), asked - 1);
            assert!(
                judge(&short, &files, Extent::Full).is_err(),
                "{name}, {what}"
            );
            assert!(
                judge(&short, &files, Extent::Part).is_ok(),
                "{name}, {what}"
            );
        }
    }

    #[test]
    fn flipped_bits_of_a_segment_are_damage_and_none_is_read() {
        let segment = Specimen::segment().unwrap();
        assert_eq!(segment.content().len(), 64 << 10);
        let counts = looked(&segment, flips(&segment));
        assert_eq!(counts, [(Class::Damage, 258)]);
    }

    #[test]
    fn flipped_bits_of_a_journal_are_damage_but_in_its_last_commit() {
        for (journal, last) in
            journals().zip([Class::PossiblyAcknowledged, Class::Torn, Class::Stop])
        {
            // The sample may miss the last commit of all, which is short.
            let extent = journal.extents.last().unwrap();
            let end = extent.clone().map(|byte| Change::Flip { byte, bit: 5 });
            let counts = looked(&journal, flips(&journal).chain(end));
            let classes: Vec<_> = counts.iter().map(|(class, _)| *class).collect();
            assert_eq!(classes, [Class::Nothing, Class::Damage, last]);
        }
    }

    #[test]
    fn a_segment_cut_short_at_any_byte_is_damage() {
        let segment = Specimen::segment().unwrap();
        let counts = looked(&segment, cuts(&segment));
        assert_eq!(counts, [(Class::Damage, 262)]);
    }

    #[test]
    fn a_journal_cut_short_loses_its_end_and_nothing_before_it() {
        for journal in journals() {
            let counts = looked(&journal, cuts(&journal));
            let damage = counts.iter().any(|(class, _)| *class == Class::Damage);
            assert!(counts.len() == 3 && !damage, "{counts:?}");
        }
    }

    #[test]
    fn blocks_and_batches_in_a_wrong_place_are_damage() {
        let segment = Specimen::segment().unwrap();
        let misplaced = blocks::misplaced(&segment);
        let of_it = misplaced.len();
        let classes = misplaced
            .into_iter()
            .map(|content| segment.look(content).unwrap());
        let damage = classes.filter(|class| *class == Class::Damage).count();
        assert!(
            of_it > 500 && damage > of_it * 9 / 10,
            "{damage} of {of_it}"
        );
    }

    #[test]
    fn cases_have_every_change_once() {
        let (specimen, misplaced) = (Specimen::journal(Last::Stopped).unwrap(), Vec::new());
        let mut made = std::collections::HashSet::new();
        for case in 0..CASES {
            for change in changes(&specimen, &misplaced, case) {
                assert!(made.insert(change), "{change:?} twice");
            }
        }
        assert_eq!(made.len(), 9 * specimen.content().len());
    }
}
