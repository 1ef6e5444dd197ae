//! A frame: one group commit in the journal. The table of its bytes is in the book.
//!
//! A frame is a head, a directory with one row per entry, and the entries' bodies. Each part has
//! its own checksum, so that damage to one body is laid to that body. Frames start at multiples of
//! [`PAGE`]: a torn write of one never reaches a page of an acknowledged one.

use bytes::Bytes;

use crate::{
    batch::header,
    le::{u16_at, u32_at, u64_at},
    limits::{MAX_ENTRIES, MAX_FRAME_BYTES},
    partition::PartitionId,
};

/// What frames are aligned to: the page of the file systems that matter.
pub(crate) const PAGE: usize = 4096;
/// Length of the head.
pub(crate) const HEAD_LEN: usize = 72;
/// Length of a row of the directory.
const ROW_LEN: usize = 32;
/// The first bytes of a frame.
const MAGIC: [u8; 4] = *b"LVFr";
/// The version of this layout.
const VERSION: u16 = 1;
/// More versions than there will be.
const MAX_VERSION: u16 = 255;
/// The head's checksum covers everything from here to its end.
const CHECKED_FROM: usize = 12;

/// Which journal a frame is expected in: a frame that is left over from another use of the file, or
/// was forged inside a record, has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JournalId {
    /// The data folder's secret number.
    pub(crate) nonce: u64,
    /// The instance that writes the journal.
    pub(crate) instance: u64,
    /// The journal's number.
    pub(crate) number: u64,
}

/// What an entry of a frame is.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// A batch of a partition, and the offset after it.
    Batch {
        id: PartitionId,
        end: u64,
        body: Bytes,
    },
    /// An encoded [`Change`](crate::meta::Change).
    Change(Bytes),
}

impl Entry {
    pub(crate) fn body(&self) -> &Bytes {
        let (Self::Batch { body, .. } | Self::Change(body)) = self;
        body
    }
}

/// The directory of a frame, and the head in front of it; the entries' bodies follow, in their
/// order. `synced` is the last group commit that is durable.
pub(crate) fn front(
    journal: JournalId,
    commit: u64,
    synced: u64,
    entries: &[Entry],
) -> ([u8; HEAD_LEN], Vec<u8>) {
    let count = u32::try_from(entries.len()).expect("entries are below their limit");
    let directory_len = entries.len() * ROW_LEN;
    let mut directory = Vec::with_capacity(directory_len);
    let mut len = HEAD_LEN + directory_len;
    for entry in entries {
        let (kind, id, end, body, checksum) = match entry {
            Entry::Batch { id, end, body } => (1_u32, *id, *end, body, header::checksum(body)),
            Entry::Change(body) => {
                let nobody = PartitionId {
                    topic: 0,
                    partition: 0,
                };
                (2, nobody, 0, body, crc32c::crc32c(body))
            }
        };
        let body_len = u32::try_from(body.len()).expect("a body is below its limit");
        for number in [kind, body_len, checksum, id.topic, id.partition, 0] {
            directory.extend_from_slice(&number.to_le_bytes());
        }
        directory.extend_from_slice(&end.to_le_bytes());
        len += body.len();
    }
    let head = Head {
        journal,
        commit,
        synced,
        count,
        len: u32::try_from(len).expect("a frame is below its limit"),
        directory_crc: crc32c::crc32c(&directory),
    };
    (head.bytes(), directory)
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) journal: JournalId,
    /// The number of this group commit; one more than the one before, over all journals.
    pub(crate) commit: u64,
    /// The last group commit that was durable when this frame was written.
    pub(crate) synced: u64,
    /// Entries in the directory.
    pub(crate) count: u32,
    /// Bytes of the frame, without padding.
    pub(crate) len: u32,
    directory_crc: u32,
}

impl Head {
    fn bytes(&self) -> [u8; HEAD_LEN] {
        let mut head = [0; HEAD_LEN];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            head[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&MAGIC);
        put(&VERSION.to_le_bytes());
        put(&72_u16.to_le_bytes());
        put(&[0; 4]);
        put(&self.len.to_le_bytes());
        put(&self.count.to_le_bytes());
        put(&self.directory_crc.to_le_bytes());
        put(&self.journal.nonce.to_le_bytes());
        put(&self.journal.instance.to_le_bytes());
        put(&self.journal.number.to_le_bytes());
        put(&self.commit.to_le_bytes());
        put(&self.synced.to_le_bytes());
        put(&[0; 8]);
        assert_eq!(at, HEAD_LEN, "the fields fill the head");
        let checksum = crc32c::crc32c(&head[CHECKED_FROM..]);
        head[8..12].copy_from_slice(&checksum.to_le_bytes());
        head
    }

    /// Reads the head at the front of `bytes`; `None` unless one of `journal` is there, whole.
    pub(crate) fn parse(bytes: &[u8], journal: JournalId) -> Option<Self> {
        let head = bytes.first_chunk::<HEAD_LEN>()?;
        let known = u16_at(head, 4) == VERSION && usize::from(u16_at(head, 6)) == HEAD_LEN;
        if !is_whole(head) || !known {
            return None;
        }
        let found = Self {
            journal: JournalId {
                nonce: u64_at(head, 24),
                instance: u64_at(head, 32),
                number: u64_at(head, 40),
            },
            commit: u64_at(head, 48),
            synced: u64_at(head, 56),
            count: u32_at(head, 16),
            len: u32_at(head, 12),
            directory_crc: u32_at(head, 20),
        };
        let entries = found.count as usize;
        let sound = entries <= MAX_ENTRIES + 1
            && found.len as usize <= MAX_FRAME_BYTES
            && HEAD_LEN + entries * ROW_LEN <= found.len as usize;
        (sound && found.journal == journal).then_some(found)
    }

    /// The version of a whole head whose layout this release does not know.
    ///
    /// The checksum does not cover the version, which says what it covers. So a head that was torn
    /// just there is whole in all else, with a version that no release has.
    pub(crate) fn unknown_version(bytes: &[u8]) -> Option<u16> {
        let head = bytes.first_chunk::<HEAD_LEN>()?;
        let version = u16_at(head, 4);
        let is_newer = (VERSION + 1..=MAX_VERSION).contains(&version);
        (is_whole(head) && is_newer).then_some(version)
    }

    /// Whether `bytes` look as if a head of `journal` had been there before it was torn or rotted.
    /// A whole head of another journal is only left over from the file's last use, and other bytes
    /// are of a frame that did not fit on the disk.
    pub(crate) fn is_suspected(bytes: &[u8], journal: JournalId) -> bool {
        let is_magic = !bytes.is_empty() && bytes.iter().zip(MAGIC).all(|(a, b)| *a == b);
        let ours = is_magic || bytes.get(24..32) == Some(&journal.nonce.to_le_bytes());
        match bytes.first_chunk::<HEAD_LEN>() {
            Some(head) => ours && (!is_whole(head) || u64_at(head, 40) == journal.number),
            None => ours,
        }
    }

    /// Where the next frame starts, from the start of this one.
    pub(crate) fn padded_len(&self) -> u64 {
        u64::from(self.len).next_multiple_of(PAGE as u64)
    }
}

/// Whether a head is as it was written, whoever wrote it.
fn is_whole(head: &[u8; HEAD_LEN]) -> bool {
    head[..4] == MAGIC && u32_at(head, 8) == crc32c::crc32c(&head[CHECKED_FROM..])
}

/// An entry as it was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// Whole.
    Whole(Entry),
    /// Its body is not what was written. What the directory says about it still holds.
    Broken {
        /// The partition it is a batch of; `None` for a metadata change.
        id: Option<PartitionId>,
        /// The offset after it.
        end: u64,
    },
    /// Of a kind that this release does not know.
    Unknown(u32),
}

/// Reads the entries of the frame in `frame`; `None` if its directory is broken.
pub(crate) fn entries(head: &Head, frame: &Bytes) -> Option<Vec<Found>> {
    let bodies = HEAD_LEN + head.count as usize * ROW_LEN;
    let directory = frame.get(HEAD_LEN..bodies)?;
    if crc32c::crc32c(directory) != head.directory_crc {
        return None;
    }
    let mut at = bodies;
    let mut found = Vec::with_capacity(head.count as usize);
    for row in directory.chunks_exact(ROW_LEN) {
        let id = PartitionId {
            topic: u32_at(row, 12),
            partition: u32_at(row, 16),
        };
        let (kind, end) = (u32_at(row, 0), u64_at(row, 24));
        // A frame at the end of a file may be cut anywhere.
        let from = at.min(frame.len());
        at = at.saturating_add(u32_at(row, 4) as usize);
        let body = frame.slice(from..at.min(frame.len()));
        let checksum = u32_at(row, 8);
        found.push(match kind {
            // A batch has its own, which was made when it was sealed.
            1 if header::is_batch_with(&body, checksum) => {
                Found::Whole(Entry::Batch { id, end, body })
            }
            1 => Found::Broken { id: Some(id), end },
            2 if crc32c::crc32c(&body) == checksum => Found::Whole(Entry::Change(body)),
            2 => Found::Broken { id: None, end },
            kind => Found::Unknown(kind),
        });
    }
    Some(found)
}
