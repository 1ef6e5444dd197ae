//! What travels with a record: when it happened, where its key belongs, where it came from.

use std::fmt;

use crate::Timestamp;

/// Where a record entered the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The split of the source, numbered within the pipeline; see [`Origin::TIMER`].
    pub split: u32,
    /// Its offset in the split.
    pub offset: u64,
}

impl Origin {
    /// The origin of what a timer put out: no record, so no place in a source.
    pub const TIMER: Self = Self {
        split: u32::MAX,
        offset: 0,
    };
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TIMER => f.write_str("a timer, or the end of the input"),
            Self { split, offset } => write!(f, "record {offset} of split {split}"),
        }
    }
}

/// What travels with a record through a stage.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Event time; [`Timestamp::MIN`] where the stream has none.
    pub at: Timestamp,
    /// The hash of the key's canonical bytes; 0 on a stream without keys.
    pub hash: u32,
    /// Where it came from.
    pub origin: Origin,
}
