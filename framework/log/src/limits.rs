//! Limits on every size, checked before anything is allocated by it.

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
/// Producers that a log knows: each is remembered in every partition that it appends to.
pub const MAX_PRODUCERS: usize = 1024;

/// Batches of a producer that are remembered in each partition, so that a repeat gets the offsets
/// of the original: what Kafka keeps.
pub(crate) const SEQUENCE_WINDOW: usize = 5;
/// Tasks that wait for one partition until they are woken: nobody says when one has given up. If
/// there are more, the one that has waited longest is woken for nothing.
pub(crate) const MAX_WAITING: usize = 1024;
/// Bytes of all batches and changes that one group commit takes from the queue. A longer commit
/// makes everyone in it wait longer; at 4 MiB a sync takes about 3 ms where 4 KiB take 0.15 ms.
pub(crate) const COMMIT_BYTES: usize = 4 << 20;
/// Entries of one group commit.
pub(crate) const MAX_ENTRIES: usize = 64 << 10;
/// Bytes of one frame: a full commit plus the entry that overfills it, and their directory.
pub(crate) const MAX_FRAME_BYTES: usize = 32 << 20;
/// Bytes of the image: every topic's every partition with its segments.
pub(crate) const MAX_IMAGE_BYTES: usize = 256 << 20;
/// Records that one group commit takes from the queue. The batch that overfills it comes on top.
pub(crate) const COMMIT_RECORDS: u64 = 4 << 20;
/// More offsets than one group commit can hold in one partition.
pub(crate) const MAX_OFFSETS_PER_COMMIT: u64 = 8 << 20;
/// More offsets than group commits that were not synced can hold: there is a sync before.
pub(crate) const MAX_UNSYNCED_OFFSETS: u64 = 2 * MAX_OFFSETS_PER_COMMIT;
/// More offsets than journals can hold that fit into memory: two of 64 GiB, at 64 records a byte.
pub(crate) const MAX_UNREAD_OFFSETS: u64 = 1 << 43;
/// More than anything that a log counts comes to: at a billion a second it takes 146 years. Whoever
/// names more has forged a checksum. It is refused where it is read, so that sums stay in range.
pub(crate) const MAX_COUNT: u64 = 1 << 62;

const _: () = assert!(MAX_RECORD_BYTES < MAX_BATCH_BYTES);
const _: () = assert!(COMMIT_BYTES + MAX_BATCH_BYTES + (MAX_ENTRIES + 2) * 32 < MAX_FRAME_BYTES);
// A record takes at least four bytes before it is compressed.
const _: () = assert!(COMMIT_RECORDS + MAX_BATCH_BYTES as u64 / 4 <= MAX_OFFSETS_PER_COMMIT);
