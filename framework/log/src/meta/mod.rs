//! What the log knows besides records: topics, groups' positions, seals, and where segments lie.
//!
//! The *image* is all of it as of the start of a journal. A *change* is what happened since, an
//! entry of a journal frame. Recovery and the running log apply changes with the same function, so
//! there is one meaning of each.
//!
//! Both are `MessagePack` with named fields. A field that a later release adds and an older one may
//! ignore is just added. One that it must not ignore is named in `requires`; an unknown change is
//! always required.
//!
//! | module | is about |
//! |---|---|
//! | [`image`] | what an image is, and how it is read and written |
//! | [`partition`], [`producer`] | what it has of each |
//! | [`change`] | what can happen, and what that does to an image |
//! | [`segments`] | what flushes, retention and compaction do to it |
//! | [`restart`] | what an opening does to it |
//! | [`counts`] | which numbers in it go up, and how far |

mod change;
mod counts;
mod image;
mod partition;
mod producer;
mod restart;
mod segments;
#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;

pub(crate) use change::Change;
pub(crate) use image::{Image, Positions, Settings, TopicImage};
pub(crate) use partition::{Aborted, PartitionImage, Segment, SegmentName, Sequenced, Swept};
pub(crate) use producer::{OpenTransaction, Outcome, ProducerImage};

/// Deeper than metadata ever is, and shallow enough for a small stack.
const MAX_DEPTH: usize = 32;

/// Reads `MessagePack` that may be nested by somebody else, also where it is passed over.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    reader.set_max_depth(MAX_DEPTH);
    T::deserialize(&mut reader)
}
