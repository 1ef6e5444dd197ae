//! Kafka's murmur2, byte for byte.

/// The 32-bit hash that Kafka's default partitioner takes of a key's bytes.
///
/// Austin Appleby's `MurmurHash2` with Kafka's seed (`Utils.murmur2` of `org.apache.kafka.common`).
/// Kafka's own test vectors and 10,000 more from an independent program are in `tests/vectors`.
///
/// # Examples
///
/// ```
/// assert_eq!(levada_core::key::murmur2(b"21").cast_signed(), -973_932_308);
/// ```
///
/// # Panics
///
/// If the key has 4 GiB or more.
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    let length = u32::try_from(data.len()).expect("a key is shorter than 4 GiB: it has a limit");
    let mut h = SEED ^ length;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (i, byte) in tail.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}
