//! Limits on every size, checked before anything is allocated by it.

use crate::batch::lz4;

/// Bytes of one record, encoded: Kafka's default for a message, and far above real events.
pub const MAX_RECORD_BYTES: usize = 1 << 20;
/// Bytes of one batch, header included.
pub const MAX_BATCH_BYTES: usize = 16 << 20;
/// Bytes of a record's key: a key is copied into state, once per key.
pub const MAX_KEY_BYTES: usize = 64 << 10;
/// Headers of one record.
pub const MAX_HEADERS: usize = 256;
/// Characters of a topic's or group's name.
pub const MAX_NAME_LEN: usize = 128;
/// Partitions of one topic.
pub const MAX_PARTITIONS: u32 = 10_000;

/// Batches of a producer that are remembered in each partition, so that a repeat gets the offsets
/// of the original: what Kafka keeps.
pub(crate) const SEQUENCE_WINDOW: usize = 5;
/// Bytes of all batches and changes that one group commit takes from the queue. A longer commit
/// makes everyone in it wait longer; at 4 MiB a sync takes about 3 ms where 4 KiB take 0.15 ms.
pub(crate) const COMMIT_BYTES: usize = 4 << 20;
/// Entries of one group commit.
pub(crate) const MAX_ENTRIES: usize = 64 << 10;
/// Bytes of one frame: a full commit plus the entry that overfills it, and their directory.
pub(crate) const MAX_FRAME_BYTES: usize = 32 << 20;
/// Bytes of the image: every topic's every partition with its segments.
pub(crate) const MAX_IMAGE_BYTES: usize = 256 << 20;
/// More offsets than one group commit can hold in one partition, compressed as they may be.
pub(crate) const MAX_OFFSETS_PER_COMMIT: u64 = 2 << 30;

const _: () = assert!(MAX_RECORD_BYTES < MAX_BATCH_BYTES);
const _: () = assert!(COMMIT_BYTES + MAX_BATCH_BYTES + (MAX_ENTRIES + 2) * 32 < MAX_FRAME_BYTES);
// A record takes at least four bytes, before it is compressed.
const _: () = assert!(
    (COMMIT_BYTES + MAX_BATCH_BYTES) as u64 * lz4::MOST as u64 / 4 < MAX_OFFSETS_PER_COMMIT
);
