//! Opens a damaged folder, reads everything, and compares it with what is known from outside.

use std::ops::Range;

use levada_log::{Error, Log, Partition, Status};

use super::{
    memory::Memory,
    specimen::{FOLDER, Kind, Last, Specimen, options},
};
use crate::{
    campaign::Fault,
    log::{require, steps::Steps},
};

/// What a change of a file is, by what was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Bytes that mean nothing: zeros after a group commit. Everything must be there.
    Nothing,
    /// Acknowledged bytes: the partition must say so, or the folder be refused.
    Damage,
    /// The last group commit, which was acknowledged; nothing behind it can prove that.
    PossiblyAcknowledged,
    /// The last group commit, which was not acknowledged.
    Torn,
    /// The orderly stop: nothing is lost.
    Stop,
    /// Acknowledged bytes and everything behind them are gone from the journal: it looks as it did
    /// before they were written, and nothing can prove that they were.
    CutShort,
}

/// A partition as it was read: records, and whether it has stopped.
struct Found {
    records: Vec<(u64, Vec<u8>)>,
    is_damaged: bool,
}

impl Specimen {
    /// What it is to have this content in the place of the file.
    pub(super) fn class(&self, content: &[u8]) -> (Class, usize) {
        let old = self.content();
        let differs =
            |extent: &Range<usize>| content.get(extent.clone()) != Some(&old[extent.clone()]);
        let Some(first) = self.extents.iter().position(differs) else {
            return (Class::Nothing, self.extents.len());
        };
        let is_last = first + 1 == self.extents.len();
        let class = match self.kind {
            Kind::Journal(Last::Acknowledged) if is_last => Class::PossiblyAcknowledged,
            Kind::Journal(Last::Unacknowledged) if is_last => Class::Torn,
            Kind::Journal(Last::Stopped) if is_last => Class::Stop,
            Kind::Journal(_) if content.len() <= self.extents[self.extents.len() - 1].start => {
                Class::CutShort
            }
            _ => Class::Damage,
        };
        (class, first)
    }

    /// Opens the folder with this content in the place of the file; what it is, if the log answers
    /// so.
    ///
    /// # Errors
    ///
    /// Wrong bytes, or an answer that is not one to such a change.
    pub(super) fn look(&self, content: Vec<u8>) -> Result<Class, Fault> {
        let (class, first) = self.class(&content);
        let mut files = self.files.clone();
        files.insert(self.path.clone(), content);
        let memory = Memory::of(&files);
        let steps = Steps::new(levada_core::Seed::new(1).rng("steps"));
        match options(&memory, &steps).open(FOLDER) {
            Ok(log) => {
                let len = files[&self.path].len();
                self.compare(&log, &steps, (class, first), len)?;
                if class == Class::Damage {
                    let kept = memory.has(&self.path, &files[&self.path]);
                    require!(kept, "damage was found, and the file changed or removed");
                }
            }
            Err(Error::Unusable { path, .. } | Error::Newer { path, .. }) => {
                require!(
                    class != Class::Nothing,
                    "refused for bytes that mean nothing"
                );
                require!(self.kind != Kind::Segment, "refused for a segment");
                let named = self.path.starts_with(&path);
                require!(named, "{} was refused instead", path.display());
                require!(
                    memory.files() == files,
                    "the folder was refused and changed"
                );
            }
            Err(error) => return Err(format!("{class:?} is called {error}").into()),
        }
        Ok(class)
    }

    /// Compares an open log with what must be there if the first change is in that extent.
    fn compare(
        &self,
        log: &Log,
        steps: &Steps,
        (class, first): (Class, usize),
        len: usize,
    ) -> Result<(), Fault> {
        let topic = match log.topic("orders") {
            Ok(topic) => topic,
            // It is in the first group commit.
            Err(_) if class == Class::CutShort && first == 0 => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let found = [0, 1].map(|at| read(&topic.partition(at)?, steps));
        let [ours, others] = found;
        let found = [ours?, others?];
        let damaged = found.iter().filter(|found| found.is_damaged).count();
        let is_damage = class == Class::Damage;
        require!(
            damaged == usize::from(is_damage),
            "{class:?}, and {damaged} partitions say that they are damaged"
        );
        let has_stranger = self.kind == Kind::Segment && found[1].is_damaged;
        require!(!has_stranger, "another partition says that it is damaged");
        let cut = log.recovery().cut.is_some();
        let must_cut = match class {
            Class::Nothing | Class::Damage => false,
            // Nothing of the group commit is left where the file ends before it.
            _ => len > self.extents[first].start,
        };
        require!(
            cut == must_cut,
            "{class:?}, and that a group commit was cut is {cut}"
        );
        for (partition, found) in (0..).zip(&found) {
            self.records(partition, found, (class, first), len)?;
        }
        Ok(())
    }

    /// Compares a partition's records with those that must be there: the first ones, up to the
    /// change.
    fn records(
        &self,
        partition: u32,
        found: &Found,
        (class, first): (Class, usize),
        len: usize,
    ) -> Result<(), Fault> {
        let of_it = self
            .written
            .iter()
            .filter(|batch| batch.partition == partition);
        let mut left = &found.records[..];
        for batch in of_it {
            let is_before = batch.extent.is_some_and(|extent| extent < first);
            let is_due = batch.is_acknowledged
                && match class {
                    // Reads ahead meet the end of a file that is cut short, and give nothing.
                    Class::Damage if found.is_damaged => is_before && len == self.content().len(),
                    Class::Nothing | Class::Damage | Class::Torn | Class::Stop => true,
                    Class::PossiblyAcknowledged | Class::CutShort => is_before,
                };
            if left.is_empty() && !is_due {
                return Ok(());
            }
            let is_behind = found.is_damaged && batch.extent.is_none_or(|extent| extent > first);
            require!(
                !is_behind,
                "{} is behind the damage, and was read",
                batch.base
            );
            for (offset, value) in (batch.base..).zip(&batch.values) {
                let Some(((at, record), rest)) = left.split_first() else {
                    return Err(format!("{class:?}, and {offset} is missing").into());
                };
                let same = (*at, record) == (offset, value);
                require!(same, "WRONG BYTES at {at}, where {offset} is next");
                left = rest;
            }
        }
        require!(left.is_empty(), "{} records of nobody", left.len());
        Ok(())
    }
}

/// Reads a partition to its end, or until it says that it is damaged.
fn read(partition: &Partition, steps: &Steps) -> Result<Found, Fault> {
    let (mut records, mut from) = (Vec::new(), partition.start());
    loop {
        match steps.wait(partition.fetch(from, 1 << 20))? {
            Ok(fetched) => {
                let views = fetched.records();
                records.extend(views.map(|record| (record.offset, record.value.to_vec())));
                if fetched.next == from {
                    break;
                }
                from = fetched.next;
            }
            Err(Error::Damaged { .. }) => {
                let failed = matches!(partition.status(), Status::Failed { .. });
                require!(failed, "a read found damage, and the partition is healthy");
                let is_damaged = true;
                return Ok(Found {
                    records,
                    is_damaged,
                });
            }
            Err(error) => return Err(error.into()),
        }
    }
    require!(
        partition.status() == Status::Healthy && from >= partition.visible_end(),
        "reading ends at {from}, before the end, and nobody says why"
    );
    let is_damaged = false;
    Ok(Found {
        records,
        is_damaged,
    })
}
