//! Randomness as a seam: every random choice comes from a seed that was passed in.

use serde::{Deserialize, Serialize};

/// Where a run's random choices come from. The same seed gives the same choices, on any machine.
///
/// # Examples
///
/// ```
/// use levada_core::Seed;
///
/// let seed = Seed::new(7);
/// assert_eq!(seed.rng("orders").next_u64(), seed.rng("orders").next_u64());
/// assert_ne!(seed.rng("orders").next_u64(), seed.rng("returns").next_u64());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// The seed `number`.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// A seed that differs from run to run, from the operating system's randomness.
    pub fn random() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self(RandomState::new().hash_one(0_u8))
    }

    /// The number of this seed: print it, so that a run can be repeated.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// A random source for `purpose`, independent of those for other purposes.
    pub fn rng(self, purpose: &str) -> Rng {
        // FNV-1a: a fixed function, so that a seed means the same on every machine and release.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in purpose.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let mut rng = Rng(self.0 ^ hash);
        rng.0 ^= rng.next_u64();
        rng
    }
}

/// A small random source: `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014). Not for secrets.
///
/// # Examples
///
/// ```
/// use levada_core::Seed;
///
/// let mut rng = Seed::new(1).rng("dice");
/// assert!((0..100).all(|_| rng.below(6) < 6));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rng(u64);

impl Rng {
    /// The next number, uniform over all of `u64`.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`, by Lemire's multiplication (bias below 2⁻⁶⁴ × `bound`).
    ///
    /// # Panics
    ///
    /// If `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a random number below zero was asked for");
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("the high half of a product of two u64 is a u64")
    }

    /// True with probability `numerator / denominator`.
    ///
    /// # Panics
    ///
    /// If `denominator` is zero.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }
}
