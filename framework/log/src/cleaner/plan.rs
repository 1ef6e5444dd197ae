//! Which partition is compacted, and how far.

use std::time::Duration;

use levada_core::Timestamp;

use crate::{
    meta::{PartitionImage, Segment},
    planted::planted,
};

/// What a pass over one partition does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The segments that are read, and written anew.
    pub(crate) inputs: Vec<Segment>,
    /// All before it holds one record of a key at most.
    pub(crate) clean_to: u64,
    /// Tombstones before it go.
    pub(crate) sweep_to: u64,
    /// Bytes that no pass has seen.
    pub(crate) dirty: u64,
}

/// What a pass over a partition would do now, if one is due.
///
/// A pass reads and writes all segments but the last, as far as every transaction in them has
/// ended. It is due when what no pass has seen yet is at least half as large as the rest: so each
/// byte that is appended costs at most three that are read and written later. It is due as well
/// when tombstones have been there for long enough.
pub(crate) fn plan(
    record: &PartitionImage,
    stable_end: u64,
    tombstone_time: Duration,
    now: Timestamp,
) -> Option<Plan> {
    let (_, closed) = record.segments.split_last()?;
    let stable = closed
        .iter()
        .take_while(|segment| segment.end <= stable_end);
    let inputs: Vec<Segment> = stable.copied().collect();
    let is_clean = |segment: &&Segment| segment.end <= record.compacted;
    let clean: u64 = inputs.iter().filter(is_clean).map(|it| it.bytes).sum();
    let dirty = inputs.iter().map(|it| it.bytes).sum::<u64>() - clean;
    let is_long_ago = |at| now > at + tombstone_time || planted("tombstones_early");
    let seen_long = record.swept.filter(|swept| is_long_ago(swept.at));
    let sweeps = seen_long.is_some_and(|swept| swept.tombstones > 0);
    let is_due = sweeps || (dirty > 0 && dirty >= clean / 2);
    is_due.then(|| Plan {
        inputs,
        clean_to: record.compacted,
        sweep_to: seen_long.map_or(0, |swept| swept.upto),
        dirty,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::Swept;

    const DAY: Duration = Duration::from_hours(24);

    fn record(bytes: &[u64], compacted: u64) -> PartitionImage {
        let segment = |(number, bytes): (u64, &u64)| Segment {
            base: number * 10,
            end: number * 10 + 10,
            bytes: *bytes,
            generation: 0,
            first_append: Timestamp::from_millis(0),
            last_append: Timestamp::from_millis(0),
        };
        PartitionImage {
            segments: (0..).zip(bytes).map(segment).collect(),
            compacted,
            ..PartitionImage::default()
        }
    }

    fn planned(record: &PartitionImage, stable_end: u64) -> Option<usize> {
        let plan = plan(record, stable_end, DAY, Timestamp::from_millis(0));
        plan.map(|plan| plan.inputs.len())
    }

    #[test]
    fn pass_is_due_when_what_is_new_is_half_as_large_as_what_is_old() {
        assert_eq!(planned(&record(&[], 0), 99), None);
        assert_eq!(planned(&record(&[100], 0), 99), None, "the last is never");
        assert_eq!(planned(&record(&[100, 1], 0), 99), Some(1));
        assert_eq!(planned(&record(&[100, 49, 1], 10), 99), None);
        assert_eq!(planned(&record(&[100, 50, 1], 10), 99), Some(2));
        assert_eq!(planned(&record(&[100, 50, 1], 20), 99), None);
    }

    #[test]
    fn pass_stops_before_the_first_open_transaction() {
        assert_eq!(planned(&record(&[100, 50, 1], 0), 19), Some(1));
        assert_eq!(planned(&record(&[100, 50, 1], 0), 9), None);
        assert_eq!(planned(&record(&[100, 50, 1], 10), 19), None);
    }

    #[test]
    fn tombstones_are_swept_some_time_after_the_pass_that_saw_them_first() {
        let swept = |tombstones| Swept {
            upto: 15,
            at: Timestamp::from_millis(7),
            tombstones,
        };
        for (tombstones, after, sweep_to) in [
            (1, DAY, None),
            (1, DAY + Duration::from_millis(1), Some(15)),
            (0, 2 * DAY, None),
        ] {
            let mut record = record(&[100, 50, 1], 20);
            record.swept = Some(swept(tombstones));
            let plan = plan(&record, 99, DAY, Timestamp::from_millis(7) + after);
            assert_eq!(plan.map(|plan| plan.sweep_to), sweep_to);
        }
    }
}
