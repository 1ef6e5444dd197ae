//! The fixed head of a batch, byte by byte; the table is in the book (*Internals: log format*).

use levada_core::Timestamp;

use crate::{
    le::{u16_at, u32_at, u64_at},
    limits::MAX_BATCH_BYTES,
    partition::PartitionId,
};

/// Length of the header.
pub(crate) const HEADER_LEN: usize = 120;
/// The first bytes of a batch.
pub(crate) const MAGIC: [u8; 4] = *b"LVBt";
/// The version of this layout.
pub(crate) const VERSION: u16 = 1;
/// The checksum covers everything from here to the end of the batch.
const CHECKED_FROM: usize = 12;

/// Attribute bits that this release can read: none yet. Codec, transactional, replay and schema
/// come later; a batch that needs one of them is refused by its number.
const KNOWN_ATTRIBUTES: u32 = 0;

/// What the header of a batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Bytes of the whole batch, this header included.
    pub(crate) len: usize,
    pub(crate) id: PartitionId,
    /// The instance of the log that wrote it: bytes left over from another life never parse.
    pub(crate) incarnation: u64,
    /// The offset after the batch before it: a batch that went missing leaves a hole that shows.
    pub(crate) previous_end: u64,
    pub(crate) base_offset: u64,
    pub(crate) last_offset_delta: u32,
    pub(crate) count: u32,
    pub(crate) append_time: Timestamp,
    pub(crate) first_event_time: Timestamp,
    pub(crate) max_event_time: Timestamp,
}

impl Header {
    /// The offset after the last one of this batch.
    pub(crate) fn end(&self) -> u64 {
        self.base_offset + u64::from(self.last_offset_delta) + 1
    }

    /// Writes the header into the room at the front of `batch`, checksum last.
    pub(crate) fn seal(&self, batch: &mut [u8]) {
        let records = u32::try_from(batch.len() - HEADER_LEN).expect("a batch is below its limit");
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            batch[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&MAGIC);
        put(&VERSION.to_le_bytes());
        put(&120_u16.to_le_bytes());
        put(&[0; 4]);
        put(&records.to_le_bytes());
        put(&self.id.topic.to_le_bytes());
        put(&self.id.partition.to_le_bytes());
        put(&[0; 8]); // Attributes, and four bytes kept free.
        put(&self.incarnation.to_le_bytes());
        put(&self.previous_end.to_le_bytes());
        put(&self.base_offset.to_le_bytes());
        put(&self.last_offset_delta.to_le_bytes());
        put(&self.count.to_le_bytes());
        put(&self.append_time.as_millis().to_le_bytes());
        put(&self.first_event_time.as_millis().to_le_bytes());
        put(&self.max_event_time.as_millis().to_le_bytes());
        put(&[0; 32]); // Producer id and epoch, first and last sequence.
        assert_eq!(at, HEADER_LEN, "the fields fill the header");
        let checksum = crc32c::crc32c(&batch[CHECKED_FROM..]);
        batch[8..12].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Reads the header at the front of `bytes`, which may be cut after it. Sizes are checked, the
    /// checksum is not: see [`checksum_holds`].
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let Some(head) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err("the header of a batch is cut short");
        };
        if head[..4] != MAGIC {
            return Err("no batch starts here");
        }
        if u16_at(head, 4) != VERSION || usize::from(u16_at(head, 6)) != HEADER_LEN {
            return Err("the batch has a version that this release does not know");
        }
        if u32_at(head, 24) & !KNOWN_ATTRIBUTES != 0 {
            return Err("the batch has attributes that this release does not know");
        }
        let records = usize::try_from(u32_at(head, 12)).unwrap_or(usize::MAX);
        let header = Self {
            len: records.saturating_add(HEADER_LEN),
            id: PartitionId {
                topic: u32_at(head, 16),
                partition: u32_at(head, 20),
            },
            incarnation: u64_at(head, 32),
            previous_end: u64_at(head, 40),
            base_offset: u64_at(head, 48),
            last_offset_delta: u32_at(head, 56),
            count: u32_at(head, 60),
            append_time: time_at(head, 64),
            first_event_time: time_at(head, 72),
            max_event_time: time_at(head, 80),
        };
        if header.previous_end > header.base_offset {
            return Err("the header of a batch names an impossible order");
        }
        let last = header
            .base_offset
            .checked_add(u64::from(header.last_offset_delta));
        if header.len > MAX_BATCH_BYTES || last.is_none_or(|last| last == u64::MAX) {
            return Err("the header of a batch names an impossible size");
        }
        if header.count == 0 || header.count - 1 > header.last_offset_delta {
            return Err("the header of a batch names an impossible count");
        }
        Ok(header)
    }
}

/// Whether the checksum of a whole batch is right.
pub(crate) fn checksum_holds(batch: &[u8]) -> bool {
    batch.len() >= HEADER_LEN && u32_at(batch, 8) == crc32c::crc32c(&batch[CHECKED_FROM..])
}

fn time_at(bytes: &[u8], at: usize) -> Timestamp {
    Timestamp::from_millis(u64_at(bytes, at).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (Header, Vec<u8>) {
        let header = Header {
            len: HEADER_LEN + 5,
            id: PartitionId {
                topic: 3,
                partition: 4,
            },
            incarnation: 5,
            previous_end: 1 << 39,
            base_offset: 1 << 40,
            last_offset_delta: 9,
            count: 2,
            append_time: Timestamp::from_millis(-7),
            first_event_time: Timestamp::MIN,
            max_event_time: Timestamp::MAX,
        };
        let mut batch = vec![1; HEADER_LEN + 5];
        header.seal(&mut batch);
        (header, batch)
    }

    #[test]
    fn every_field_comes_back() {
        let (header, batch) = example();
        assert_eq!(Header::parse(&batch), Ok(header));
        assert!(checksum_holds(&batch));
    }

    #[test]
    fn every_flipped_bit_after_the_head_of_the_head_breaks_the_checksum() {
        let (_, batch) = example();
        for bit in 64..batch.len() * 8 {
            let mut flipped = batch.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!checksum_holds(&flipped), "bit {bit}");
        }
    }

    #[test]
    fn impossible_sizes_are_refused_before_anything_is_allocated() {
        let (_, batch) = example();
        let with = |at: usize, bytes: &[u8]| {
            let mut changed = batch.clone();
            changed[at..at + bytes.len()].copy_from_slice(bytes);
            Header::parse(&changed)
        };
        for len in [u32::MAX, i32::MAX.cast_unsigned(), 16 << 20] {
            with(12, &len.to_le_bytes()).unwrap_err();
        }
        with(48, &u64::MAX.to_le_bytes()).unwrap_err();
        with(48, &(u64::MAX - 9).to_le_bytes()).unwrap_err();
        with(60, &0_u32.to_le_bytes()).unwrap_err();
        with(60, &11_u32.to_le_bytes()).unwrap_err();
        with(40, &(1_u64 << 41).to_le_bytes()).unwrap_err();
        with(4, &2_u16.to_le_bytes()).unwrap_err();
        with(24, &1_u32.to_le_bytes()).unwrap_err();
    }
}
