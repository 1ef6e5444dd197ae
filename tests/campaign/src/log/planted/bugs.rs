//! The bugs that are planted, and the general campaign that catches each.

use crate::{
    campaign::Campaign,
    log::{compaction::COMPACTION, histories::HISTORY, power_cuts::POWER_CUTS, scene::Plant},
};

/// A bug.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bug {
    pub(super) what: &'static str,
    pub(super) at: At,
    /// The general campaign that catches it.
    pub(super) by: &'static Campaign,
}

/// Where a bug is planted.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    /// In the file system.
    Seam(Plant),
    /// In the log, under this name.
    Log(&'static str),
}

/// The bugs, in the order of their cases: first those that a history soon shows, last those that
/// none does.
pub(super) const BUGS: [Bug; 17] = [
    Bug {
        what: "files are not synced",
        at: At::Seam(Plant::SkipFsync),
        by: &POWER_CUTS,
    },
    Bug {
        what: "folders are not synced",
        at: At::Seam(Plant::NoDirSync),
        by: &POWER_CUTS,
    },
    Bug {
        what: "appends are acknowledged early",
        at: At::Log("ack_early"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "the fence is not looked at",
        at: At::Log("no_fence"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "the sequences of producers are not in the image",
        at: At::Log("sequences_forgotten"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "a repeat is answered before its original",
        at: At::Log("repeat_early"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "a producer that is fenced may append",
        at: At::Log("zombie_admitted"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "offsets that were never durable are given again",
        at: At::Log("offsets_reused"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "a record that was aborted takes the place of one that was not",
        at: At::Log("aborted_supersedes"),
        by: &COMPACTION,
    },
    Bug {
        what: "tombstones go before their time",
        at: At::Log("tombstones_early"),
        by: &COMPACTION,
    },
    Bug {
        what: "what was aborted is not in the image",
        at: At::Log("aborts_forgotten"),
        by: &COMPACTION,
    },
    Bug {
        what: "readers of committed records see open transactions",
        at: At::Log("open_shown"),
        by: &HISTORY,
    },
    Bug {
        what: "the journal before is not synced",
        at: At::Log("previous_unsynced"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "what was compacted is removed before the image says so",
        at: At::Log("inputs_removed_first"),
        by: &COMPACTION,
    },
    Bug {
        what: "what has expired is removed before the image says so",
        at: At::Log("expired_removed_first"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "damage is taken for a torn end",
        at: At::Log("interior_truncate"),
        by: &POWER_CUTS,
    },
    Bug {
        what: "what was read ahead is given out after compaction took it away",
        at: At::Log("read_ahead_stale"),
        by: &COMPACTION,
    },
];

/// How many of them, from the first, show in one of the first five histories.
pub(super) const SOON: usize = 12;
/// How many of them, from the first, show in a history at all. What compaction took away was true
/// once, and a history does not say when it went.
pub(super) const SHOWN: usize = 16;
