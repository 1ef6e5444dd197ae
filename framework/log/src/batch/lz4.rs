//! LZ4: the records of a batch as one block, in the format of lz4's reference implementation.
//!
//! 1. Only records are compressed, never headers: walking over batches needs no decompression.
//! 2. A batch that does not get smaller stays as it is, so a reader never pays for nothing.
//! 3. The size after decompression stands in the header and is believed no further than it can be
//!    true: it is below the limit of a batch ([`Header::parse`]), and no more than [`MOST`] times
//!    the compressed size. Only then memory is taken, and it must come out to the byte.
//!
//! [`Header::parse`]: super::header::Header::parse

use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

use super::header::HEADER_LEN;

/// No block of LZ4 becomes longer than so many times itself: a byte stands for 255 at most.
pub(crate) const MOST: usize = 255;

/// A batch with its records compressed, if that makes it smaller.
pub(super) fn pack(batch: &[u8]) -> Option<Vec<u8>> {
    let records = &batch[HEADER_LEN..];
    let mut packed = vec![0; HEADER_LEN + get_maximum_output_size(records.len())];
    let len = compress_into(records, &mut packed[HEADER_LEN..]).ok()?;
    if len >= records.len() {
        return None;
    }
    packed.truncate(HEADER_LEN + len);
    // It is kept in memory until it is in a segment, and counted by its length.
    packed.shrink_to_fit();
    Some(packed)
}

/// What was compressed, if it is a block that becomes exactly `len` bytes.
pub(super) fn unpack(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    if len > packed.len().saturating_mul(MOST) {
        return None;
    }
    let mut records = vec![0; len];
    let unpacked = decompress_into(packed, &mut records).ok()?;
    (unpacked == len).then_some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_only_at_its_length() {
        let batch: Vec<u8> = (0..40_000_u32)
            .map(|i| (i / 100).to_le_bytes()[0])
            .collect();
        let packed = pack(&batch).expect("it repeats itself");
        assert_eq!(packed.capacity(), packed.len());
        let (records, packed) = (&batch[HEADER_LEN..], &packed[HEADER_LEN..]);
        assert_eq!(unpack(packed, records.len()).as_deref(), Some(records));
        for len in [
            0,
            1,
            records.len() - 1,
            records.len() + 1,
            packed.len() * MOST,
        ] {
            assert!(unpack(packed, len).is_none(), "{len}");
        }
        for cut in 0..packed.len() {
            assert!(unpack(&packed[..cut], records.len()).is_none(), "{cut}");
        }
    }

    #[test]
    fn what_does_not_get_smaller_stays_as_it_is() {
        let mut next = 1_u32;
        let noise = std::iter::repeat_with(|| {
            next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            next.to_le_bytes()[3]
        });
        let batch: Vec<u8> = noise.take(HEADER_LEN + 10_000).collect();
        assert!(pack(&batch).is_none());
        assert!(pack(&[0; HEADER_LEN + 1]).is_none());
    }

    #[test]
    fn lie_about_the_size_costs_no_memory() {
        let measured = allocation_counter::measure(|| {
            assert_eq!(unpack(&[0xff; 100], 16 << 20), None);
        });
        assert_eq!(measured.bytes_max, 0);
    }
}
