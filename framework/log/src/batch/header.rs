//! The fixed head of a batch, byte by byte; the table is in the book (*Internals: log format*).

use levada_core::Timestamp;

use crate::{
    le::{u16_at, u32_at, u64_at},
    limits::{MAX_BATCH_BYTES, MAX_COUNT},
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

/// Attribute bits: how the records are compressed. Only one codec is known yet, lz4.
const LZ4: u32 = 1;
/// Attribute bit: the batch belongs to a transaction.
const TRANSACTIONAL: u32 = 1 << 3;
/// Attribute bit: its records have sequences.
const SEQUENCED: u32 = 1 << 4;
/// All bits that this release can read. A batch with any other (zstd, replay, schema come later) is
/// refused.
const KNOWN_ATTRIBUTES: u32 = LZ4 | TRANSACTIONAL | SEQUENCED;

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
    /// Bytes of the records once they are decompressed, if they are compressed.
    pub(crate) unpacked: Option<u32>,
    /// Who appended it, if that is to be known.
    pub(crate) produced: Option<Produced>,
}

/// Who appended a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Produced {
    /// The producer's number, from 1.
    pub(crate) producer: u64,
    /// Which of its lives, or which of its transactions: see [`producer`](crate::producer).
    pub(crate) epoch: u64,
    pub(crate) how: How,
}

/// What a producer says about a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Its records have these sequences, first and last: a repeat is known by them.
    Sequenced(u64, u64),
    /// It takes effect when the transaction does that its epoch names.
    Transactional,
}

impl Header {
    /// The offset after the last one of this batch.
    pub(crate) fn end(&self) -> u64 {
        self.base_offset + u64::from(self.last_offset_delta) + 1
    }

    /// Bytes of the whole batch once it is decompressed: what it costs whoever reads it.
    pub(crate) fn unpacked_len(&self) -> usize {
        self.unpacked
            .map_or(self.len, |records| HEADER_LEN + records as usize)
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
        put(&self.attributes().to_le_bytes());
        put(&self.unpacked.unwrap_or(0).to_le_bytes());
        put(&self.incarnation.to_le_bytes());
        put(&self.previous_end.to_le_bytes());
        put(&self.base_offset.to_le_bytes());
        put(&self.last_offset_delta.to_le_bytes());
        put(&self.count.to_le_bytes());
        put(&self.append_time.as_millis().to_le_bytes());
        put(&self.first_event_time.as_millis().to_le_bytes());
        put(&self.max_event_time.as_millis().to_le_bytes());
        for number in self.producing() {
            put(&number.to_le_bytes());
        }
        assert_eq!(at, HEADER_LEN, "the fields fill the header");
        let checksum = crc32c::crc32c(&batch[CHECKED_FROM..]);
        batch[8..12].copy_from_slice(&checksum.to_le_bytes());
    }

    fn attributes(&self) -> u32 {
        let produced = match self.produced.map(|by| by.how) {
            None => 0,
            Some(How::Sequenced(..)) => SEQUENCED,
            Some(How::Transactional) => TRANSACTIONAL,
        };
        produced | self.unpacked.map_or(0, |_| LZ4)
    }

    /// Producer and epoch, first and last sequence.
    fn producing(&self) -> [u64; 4] {
        match self.produced {
            None => [0; 4],
            Some(by) => {
                let (first, last) = match by.how {
                    How::Sequenced(first, last) => (first, last),
                    How::Transactional => (0, 0),
                };
                [by.producer, by.epoch, first, last]
            }
        }
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
        let attributes = u32_at(head, 24);
        if attributes & !KNOWN_ATTRIBUTES != 0 {
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
            unpacked: (attributes & LZ4 != 0).then(|| u32_at(head, 28)),
            produced: produced(head, attributes)?,
        };
        if header
            .unpacked
            .is_some_and(|len| len as usize > MAX_BATCH_BYTES - HEADER_LEN)
        {
            return Err("the header of a batch names an impossible size");
        }
        if header.previous_end > header.base_offset {
            return Err("the header of a batch names an impossible order");
        }
        let last = header
            .base_offset
            .checked_add(u64::from(header.last_offset_delta));
        if header.len > MAX_BATCH_BYTES || last.is_none_or(|last| last > MAX_COUNT) {
            return Err("the header of a batch names an impossible size");
        }
        if header.count == 0 || header.count - 1 > header.last_offset_delta {
            return Err("the header of a batch names an impossible count");
        }
        Ok(header)
    }
}

/// Who appended the batch with this head.
fn produced(head: &[u8], attributes: u32) -> Result<Option<Produced>, &'static str> {
    let (producer, epoch, first, last) = (
        u64_at(head, 88),
        u64_at(head, 96),
        u64_at(head, 104),
        u64_at(head, 112),
    );
    let how = match attributes & (TRANSACTIONAL | SEQUENCED) {
        0 => return Ok(None),
        TRANSACTIONAL => How::Transactional,
        SEQUENCED if first <= last && last <= MAX_COUNT => How::Sequenced(first, last),
        _ => return Err("the header of a batch names an impossible producer"),
    };
    Ok(Some(Produced {
        producer,
        epoch,
        how,
    }))
}

/// Whether the checksum of a whole batch is right.
pub(crate) fn checksum_holds(batch: &[u8]) -> bool {
    batch.len() >= HEADER_LEN && u32_at(batch, 8) == crc32c::crc32c(&batch[CHECKED_FROM..])
}

/// The checksum in the header of a sealed batch.
pub(crate) fn checksum(batch: &[u8]) -> u32 {
    u32_at(batch, 8)
}

/// Whether `bytes` are the batch that had this checksum, to the bit.
pub(crate) fn is_batch_with(bytes: &[u8], checksum: u32) -> bool {
    // What lies before the checksum in a batch is the same in all.
    let front = [&MAGIC[..], &VERSION.to_le_bytes(), &120_u16.to_le_bytes()].concat();
    bytes.starts_with(&front) && checksum_holds(bytes) && self::checksum(bytes) == checksum
}

fn time_at(bytes: &[u8], at: usize) -> Timestamp {
    Timestamp::from_millis(u64_at(bytes, at).cast_signed())
}

#[cfg(test)]
impl Header {
    /// The header of a batch of so many bytes.
    pub(crate) fn example(len: usize, append_time: Timestamp) -> Self {
        Self {
            len,
            id: PartitionId {
                topic: 1,
                partition: 0,
            },
            incarnation: 1,
            previous_end: 0,
            base_offset: 0,
            last_offset_delta: 0,
            count: 1,
            append_time,
            first_event_time: append_time,
            max_event_time: append_time,
            unpacked: None,
            produced: None,
        }
    }
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
            unpacked: None,
            produced: None,
        };
        let mut batch = vec![1; HEADER_LEN + 5];
        header.seal(&mut batch);
        (header, batch)
    }

    #[test]
    fn every_field_comes_back() {
        let (plain, mut batch) = example();
        let hows = [How::Sequenced(7, 1 << 50), How::Transactional];
        let produced = hows.map(|how| Produced {
            producer: 1 << 41,
            epoch: 1 << 42,
            how,
        });
        for produced in [None, Some(produced[0]), Some(produced[1])] {
            for unpacked in [None, Some(1 << 20)] {
                let header = Header {
                    unpacked,
                    produced,
                    ..plain
                };
                header.seal(&mut batch);
                assert_eq!(Header::parse(&batch), Ok(header));
                assert!(checksum_holds(&batch));
            }
        }
    }

    #[test]
    fn batch_is_known_by_its_checksum_to_the_bit() {
        let (_, batch) = example();
        let checksum = checksum(&batch);
        assert!(is_batch_with(&batch, checksum));
        assert!(!is_batch_with(&batch, checksum ^ 1));
        for bit in 0..batch.len() * 8 {
            let mut flipped = batch.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_batch_with(&flipped, checksum), "bit {bit}");
        }
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
        with(48, &(MAX_COUNT - 8).to_le_bytes()).unwrap_err();
        with(60, &0_u32.to_le_bytes()).unwrap_err();
        with(60, &11_u32.to_le_bytes()).unwrap_err();
        with(40, &(1_u64 << 41).to_le_bytes()).unwrap_err();
        with(4, &2_u16.to_le_bytes()).unwrap_err();
        with(24, &2_u32.to_le_bytes()).unwrap_err();
        with(24, &(TRANSACTIONAL | SEQUENCED).to_le_bytes()).unwrap_err();
        let mut packed = LZ4.to_le_bytes().to_vec();
        packed.extend((16_u32 << 20).to_le_bytes());
        with(24, &packed).unwrap_err();
    }
}
