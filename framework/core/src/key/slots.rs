//! A fixed share of the keys, so that keys can move between partitions without changing place.

/// How many slots a stage after an exchange has, and the least a topic has.
pub const MIN_SLOTS: u32 = 256;

/// Deals keys into slots and slots into partitions.
///
/// The number of slots is the smallest multiple of the partition count that is at least 256. At
/// creation slot *s* lies in partition *s* mod partitions, which makes a key's partition the one
/// that Kafka's default partitioner would choose. Growth will move slots, never keys.
///
/// # Examples
///
/// ```
/// use levada_core::key::{Slots, murmur2};
///
/// let slots = Slots::for_partitions(12);
/// assert_eq!(slots.count(), 264);
/// let hash = murmur2(b"foobar");
/// assert_eq!(slots.partition(hash), slots.slot(hash) % 12);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Which partition each slot lies in.
    owner: Vec<u32>,
}

impl Slots {
    /// The slots of a topic with this many partitions, as they are at its creation.
    ///
    /// # Panics
    ///
    /// If `partitions` is zero.
    pub fn for_partitions(partitions: u32) -> Self {
        assert!(partitions > 0, "a topic has at least one partition");
        let count = MIN_SLOTS.div_ceil(partitions) * partitions;
        Self {
            owner: (0..count).map(|slot| slot % partitions).collect(),
        }
    }

    /// How many slots there are.
    #[expect(clippy::cast_possible_truncation, reason = "made from a u32 count")]
    pub fn count(&self) -> u32 {
        self.owner.len() as u32
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> u32 {
        self.owner.iter().max().map_or(0, |last| last + 1)
    }

    /// The slot of a key with this hash.
    pub fn slot(&self, hash: u32) -> u32 {
        (hash & 0x7fff_ffff) % self.count()
    }

    /// The partition of a key with this hash.
    pub fn partition(&self, hash: u32) -> u32 {
        self.owner[self.slot(hash) as usize]
    }

    /// Which partition each slot lies in.
    pub fn owners(&self) -> &[u32] {
        &self.owner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_the_smallest_multiple_of_the_partitions_that_is_at_least_256() {
        let counts: Vec<u32> = [1, 3, 8, 12, 256, 300]
            .iter()
            .map(|n| Slots::for_partitions(*n).count())
            .collect();
        assert_eq!(counts, [256, 258, 256, 264, 256, 300]);
    }

    #[test]
    fn a_slot_lies_where_kafka_would_put_its_keys() {
        for partitions in [1, 3, 8, 12, 300] {
            let slots = Slots::for_partitions(partitions);
            for hash in (0..10_000_u32).map(|i| i.wrapping_mul(0x9e37_79b9)) {
                assert_eq!(slots.partition(hash), (hash & 0x7fff_ffff) % partitions);
            }
        }
    }
}
