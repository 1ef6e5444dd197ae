//! Warnings before retention takes what a group has not done, while that can still be read.
//!
//! A group is warned once for each partition, when little is left of the time that the partition
//! keeps its records for: see [`Options::loss_notice`](crate::Options::loss_notice). Once it has
//! got well away from that, because it has caught up or more is kept, it can be warned again.
//! What is lost in the end is said by [`GroupState::passed`].

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use levada_core::Timestamp;

use crate::{
    catalog::GroupState,
    partition::{PartitionId, state::PartitionState},
    shared::{Shared, lock},
};

/// The part of what is kept that a warning comes in, from its end: a group that is so far behind
/// is not one that is merely busy.
const LAST_PART: u32 = 10;

/// Who was warned. Bounded by the positions that there are.
#[derive(Debug, Default)]
pub(super) struct Notices(BTreeSet<(Arc<str>, PartitionId)>);

/// How near the end is of what a group has not done.
#[derive(Clone, Copy)]
enum Nearness {
    Far,
    /// Neither: so an estimate that goes up and down makes no two warnings.
    Between,
    /// This is left.
    Near(Duration),
}

impl Notices {
    /// Looks at where all groups stand, in partitions that do not keep everything for good.
    pub(super) fn look(
        &mut self,
        shared: &Shared,
        partitions: &[Arc<PartitionState>],
        now: Timestamp,
    ) {
        let groups: Vec<_> = lock(&shared.catalog).groups().cloned().collect();
        for partition in partitions {
            if !partition.reading().retention.has_limits() {
                continue;
            }
            for group in &groups {
                let position = lock(&group.positions).get(&partition.id).copied();
                if let Some(at) = position {
                    let nearness = nearness(partition, at, shared.limits.loss_notice, now);
                    self.take(group, partition, at, nearness);
                }
            }
        }
    }

    fn take(
        &mut self,
        group: &GroupState,
        partition: &PartitionState,
        position: u64,
        nearness: Nearness,
    ) {
        let who = (Arc::clone(&group.name), partition.id);
        match nearness {
            Nearness::Far => {
                self.0.remove(&who);
            }
            Nearness::Near(left) if self.0.insert(who) => {
                tracing::warn!(
                    group = %group.name, topic = %partition.topic,
                    partition = partition.id.partition, position, left_s = left.as_secs(),
                    "retention will soon remove what the group has not done: let the group catch \
                     up, or have the topic keep more with `Topic::set_retention`"
                );
            }
            Nearness::Near(_) | Nearness::Between => {}
        }
    }
}

/// How near the end is of the record at a group's position.
fn nearness(
    partition: &PartitionState,
    position: u64,
    notice: Duration,
    now: Timestamp,
) -> Nearness {
    let reading = partition.reading();
    if reading.failed.is_some() || position < reading.start {
        // Nothing is removed; or it is too late, which is said elsewhere.
        return Nearness::Between;
    }
    let left = reading.retained_for(position, now);
    let Some(left) = left.filter(|_| position < reading.end) else {
        return Nearness::Far;
    };
    // As long as what is appended now.
    let kept = reading.retained_for(reading.end, now);
    let notice = kept.map_or(notice, |kept| notice.min(kept / LAST_PART));
    if left < notice {
        Nearness::Near(left)
    } else if left > notice * 2 {
        Nearness::Far
    } else {
        Nearness::Between
    }
}
