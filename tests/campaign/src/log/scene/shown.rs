//! What scenes have shown: how much was at stake, and how often it was.

use std::ops::AddAssign;

use levada_testkit::vfs::Fired;

use crate::log::compaction::model::Looked;

/// What scenes have shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) fired: Fired,
    pub(crate) acknowledged: u64,
    pub(crate) repeats: u64,
    /// Batches of producers that were fenced, and refused.
    pub(crate) zombies: u64,
    /// Batches that have expired, and how often a start moved for them.
    pub(crate) expired: u64,
    pub(crate) starts_moved: u64,
    /// What compaction was seen to have done.
    pub(crate) compacted: Looked,
    pub(crate) restarts: u64,
    pub(crate) crashes_in_recovery: u64,
    pub(crate) torn_commits: u64,
    pub(crate) dead_logs: u64,
    pub(crate) takeovers: u64,
    pub(crate) damages: u64,
    pub(crate) damages_noticed: u64,
}

impl AddAssign for Shown {
    fn add_assign(&mut self, other: Self) {
        self.fired += other.fired;
        self.acknowledged += other.acknowledged;
        self.repeats += other.repeats;
        self.zombies += other.zombies;
        self.expired += other.expired;
        self.starts_moved += other.starts_moved;
        self.compacted.superseded += other.compacted.superseded;
        self.compacted.forgotten += other.compacted.forgotten;
        self.restarts += other.restarts;
        self.crashes_in_recovery += other.crashes_in_recovery;
        self.torn_commits += other.torn_commits;
        self.dead_logs += other.dead_logs;
        self.takeovers += other.takeovers;
        self.damages += other.damages;
        self.damages_noticed += other.damages_noticed;
    }
}
