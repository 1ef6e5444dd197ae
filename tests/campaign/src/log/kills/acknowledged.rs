//! What children said was appended, and whether it is there.

use std::collections::BTreeMap;

use levada_log::{Log, Partition};

use crate::{
    campaign::Fault,
    log::{audit::Found, payload::Tag, require},
};

/// A batch that a child said was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) topic: u32,
    pub(crate) partition: u32,
    pub(crate) attempt: u64,
    pub(crate) count: u32,
    pub(crate) offset: u64,
}

/// All that was acknowledged in one folder: the offset and the count of each append.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acknowledged(BTreeMap<(u32, u32), BTreeMap<u64, (u64, u32)>>);

/// The number of an append: which cycle, and which in it.
pub(crate) fn attempt(cycle: u64, number: u64) -> u64 {
    (cycle << 32) | number
}

impl Acknowledged {
    pub(crate) fn add(&mut self, appended: Appended) -> Result<(), Fault> {
        let Appended {
            topic,
            partition,
            attempt,
            count,
            offset,
        } = appended;
        let partition = self.0.entry((topic, partition)).or_default();
        let twice = partition.insert(attempt, (offset, count));
        require!(twice.is_none(), "acknowledged twice: {appended:?}");
        Ok(())
    }

    /// Compares a log with what was acknowledged up to this cycle.
    pub(crate) fn compare(&self, log: &Log, cycle: u64) -> Result<(), Fault> {
        for (&(topic, partition), acknowledged) in &self.0 {
            let name = format!("topic-{topic}");
            let found = read(&log.topic(&name)?.partition(partition)?)?;
            let batches = batches(&found, (topic, partition), cycle)
                .map_err(|fault| format!("{name} partition {partition}: {fault}"))?;
            for (attempt, place) in acknowledged {
                let found = batches.get(attempt);
                require!(
                    found == Some(place),
                    "{name} partition {partition}: append {attempt:x} was acknowledged as \
                     {place:?}, and is {found:?}"
                );
            }
        }
        Ok(())
    }
}

/// The batches that records are of: all whole, in order, without gaps within a cycle.
fn batches(
    found: &[Found],
    place: (u32, u32),
    cycle: u64,
) -> Result<BTreeMap<u64, (u64, u32)>, Fault> {
    let mut batches = BTreeMap::new();
    let (mut left, mut next, mut end) = (found, 0, 0);
    while let Some((offset, value)) = left.first() {
        let tag = Tag::of(value).ok_or_else(|| format!("offset {offset} has bytes of nobody"))?;
        let count = tag.count as usize;
        require!(
            (tag.topic, tag.partition) == place && tag.attempt >> 32 <= cycle,
            "offset {offset} has a record from elsewhere: {tag:?}"
        );
        // A child numbers its appends from 0, and stops at the first that fails.
        let is_next = tag.attempt == next || (tag.attempt > next && tag.attempt << 32 == 0);
        require!(
            is_next && *offset >= end,
            "offset {offset} has append {:x}, where {next:x} and {end} are next",
            tag.attempt
        );
        for (expected, index) in (*offset..).zip(0..tag.count) {
            let value = Tag { index, ..tag }.value();
            require!(
                left.get(index as usize) == Some(&(expected, value)),
                "append {:x} is not whole: record {index} of {count} is not at {expected}",
                tag.attempt
            );
        }
        batches.insert(tag.attempt, (*offset, tag.count));
        (next, end, left) = (tag.attempt + 1, offset + count as u64, &left[count..]);
    }
    Ok(batches)
}

fn read(partition: &Partition) -> Result<Vec<Found>, Fault> {
    let (mut found, mut from) = (Vec::new(), partition.start());
    while from < partition.visible_end() {
        let fetched = partition.fetch(from, 1 << 20).wait()?;
        let records = fetched.records();
        found.extend(records.map(|record| (record.offset, record.value.to_vec())));
        require!(fetched.next > from, "reading stops at {from}");
        from = fetched.next;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(attempts: &[u64]) -> Vec<Found> {
        let records = attempts.iter().flat_map(|&attempt| {
            (0..2).map(move |index| Tag {
                topic: 0,
                partition: 1,
                attempt,
                index,
                count: 2,
            })
        });
        (0..).zip(records.map(Tag::value)).collect()
    }

    #[test]
    fn whole_batches_in_order_are_found_over_cycles() {
        let (first, second) = (attempt(0, 0), attempt(3, 0));
        let found = batches(&records(&[first, first + 1, second]), (0, 1), 3).unwrap();
        assert_eq!(found[&second], (4, 2));
    }

    #[test]
    fn what_is_missing_torn_repeated_or_invented_is_a_fault() {
        let check = |found: &[Found], cycle| batches(found, (0, 1), cycle).unwrap_err();
        check(&records(&[0, 2]), 3);
        check(&records(&[1]), 3);
        check(&records(&[0, 0]), 3);
        check(&records(&[0, 1])[..3], 3);
        check(&records(&[0, 1])[1..], 3);
        check(&records(&[attempt(4, 0)]), 3);
        batches(&records(&[0, 1]), (0, 0), 3).unwrap_err();
        let mut moved = records(&[0]);
        moved[1].0 += 1;
        check(&moved, 3);
        let mut rotten = records(&[0]);
        rotten[0].1[20] ^= 1;
        check(&rotten, 3);
    }
}
