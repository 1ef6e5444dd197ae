//! What must be there after some acts, by the script alone; and whether that is what readers see.

use std::collections::BTreeMap;

use super::{
    script::{Act, EXPIRES, Told, Topic, records},
    seen::{Seen, SeenPartition},
};
use crate::{campaign::Fault, log::require};

/// What has been done.
#[derive(Clone, Debug, Default)]
pub(super) struct Truth {
    /// By topic and partition; an aborted transaction leaves a gap in the offsets.
    partitions: BTreeMap<(Topic, u32), Held>,
    positions: BTreeMap<(&'static str, u32), u64>,
    sequence: u64,
    is_sealed: bool,
    /// How many rests there were.
    pub(super) rests: u32,
}

/// A partition.
#[derive(Clone, Debug, Default)]
struct Held {
    next: u64,
    /// Each with the number of rests before it.
    records: BTreeMap<u64, (Told, u32)>,
}

impl Truth {
    /// What is there once these acts are done.
    pub(super) fn of(acts: &[Act]) -> Self {
        let mut truth = Self::default();
        for act in acts {
            truth.add(*act);
        }
        truth
    }

    fn add(&mut self, act: Act) {
        let orders = Topic::Orders;
        match act {
            Act::Create(topic) => {
                for partition in 0..topic.partitions() {
                    self.partitions.entry((topic, partition)).or_default();
                }
            }
            Act::Append(topic, partition, number) => {
                self.append(topic, partition, &records(topic, number));
            }
            Act::Sequence(first) => {
                let number = u32::try_from(first).expect("there are few");
                self.append(orders, 1, &records(orders, number));
                self.sequence = first + 2;
            }
            Act::Commit(number) => {
                for partition in 0..orders.partitions() {
                    self.append(orders, partition, &records(orders, number));
                }
                self.positions.insert(("clerks", 0), u64::from(number / 10));
            }
            Act::Abort(_) => {
                for partition in 0..orders.partitions() {
                    self.partition(orders, partition).next += 2;
                }
            }
            Act::Move(to) => {
                self.positions.insert(("readers", 0), to);
            }
            Act::Rest => self.rests += 1,
            Act::Seal => self.is_sealed = true,
            Act::Backup | Act::Reopen => {}
        }
    }

    fn partition(&mut self, topic: Topic, partition: u32) -> &mut Held {
        self.partitions.entry((topic, partition)).or_default()
    }

    fn append(&mut self, topic: Topic, partition: u32, records: &[Told]) {
        let rests = self.rests;
        let held = self.partition(topic, partition);
        for record in records {
            held.records.insert(held.next, (record.clone(), rests));
            held.next += 1;
        }
    }

    /// Compares it with what readers see after `rests` rests.
    pub(super) fn compare(&self, seen: &Seen, rests: u32) -> Result<(), Fault> {
        let topics: Vec<_> = self.partitions.keys().collect();
        let found: Vec<_> = seen.partitions.keys().collect();
        require!(topics == found, "there are {found:?}, and not {topics:?}");
        for ((topic, number), held) in &self.partitions {
            let found = &seen.partitions[&(*topic, *number)];
            let compared = match topic {
                Topic::Map => held.compare_map(found),
                Topic::Short => held.compare_from(found, rests),
                Topic::Orders | Topic::Packed => held.compare_from(found, 0),
            };
            compared.map_err(|fault| format!("{topic:?} {number}: {fault}"))?;
            let is_sealed = *topic == Topic::Packed && self.is_sealed;
            require!(
                found.is_sealed == is_sealed,
                "{topic:?}: it is sealed or not"
            );
        }
        let (is, was) = (&seen.positions, &self.positions);
        require!(is == was, "positions are {is:?}, and not {was:?}");
        let (is, was) = (seen.sequence, self.sequence);
        require!(is == was, "the next sequence is {is}, and not {was}");
        Ok(())
    }
}

impl Held {
    /// All is there but what has expired after so many rests.
    fn compare_from(&self, found: &SeenPartition, rests: u32) -> Result<(), Fault> {
        let gone = self.records.range(..found.start);
        let early = gone.filter(|(_, (_, since))| since + EXPIRES > rests);
        let early: Vec<_> = early.map(|(offset, _)| offset).collect();
        require!(early.is_empty(), "{early:?} went before their time");
        let kept = self.records.range(found.start..);
        let kept: Vec<_> = kept.map(|(at, (told, _))| (*at, told.clone())).collect();
        let (is, was) = (offsets(&found.records), offsets(&kept));
        require!(found.records == kept, "there are {is:?}, and not {was:?}");
        Ok(())
    }

    /// What is there was appended, and stands for the same map.
    fn compare_map(&self, found: &SeenPartition) -> Result<(), Fault> {
        for (offset, told) in &found.records {
            let appended = self.records.get(offset).map(|(told, _)| told);
            require!(appended == Some(told), "{offset} is not what was appended");
        }
        let all = self.records.values().map(|(told, _)| told);
        let (is, was) = (fold(found.records.iter().map(|it| &it.1)), fold(all));
        require!(is == was, "of the keys there are {is:?}, and not {was:?}");
        Ok(())
    }
}

fn offsets(records: &[(u64, Told)]) -> Vec<u64> {
    records.iter().map(|(offset, _)| *offset).collect()
}

fn fold<'a>(records: impl Iterator<Item = &'a Told>) -> BTreeMap<&'a str, &'a str> {
    let mut map = BTreeMap::new();
    for (key, value) in records {
        let key = key.as_deref().unwrap_or_default();
        match value {
            Some(value) => map.insert(key, value.as_str()),
            None => map.remove(key),
        };
    }
    map
}
