//! Segments: where batches lie once their journal is full.
//!
//! 1. A segment is written and synced through one descriptor, then the image names its length. What
//!    a file has beyond that length is not part of the log: the journal still has it, and the next
//!    flush writes it again, to the same place.
//! 2. A file's size proves nothing, except damage when it is too small.
//! 3. Every batch that is walked over is checked: checksum, identity, and that it follows the one
//!    before it. So a batch that was lost, swapped or misdirected is found by whoever passes.

pub(crate) mod append;
pub(crate) mod blocks;
pub(crate) mod read;
mod roll;

use bytes::Bytes;

use crate::batch::header::Header;
pub(crate) use roll::Roll;

/// A batch, and what its header says.
pub(crate) type Stored = (Header, Bytes);
