//! Which input a data folder was filled from, so that it is never continued from another.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::{InputError, lines::Lines};

/// A file is known by its header and this many rows: enough to tell files apart, and little enough
/// to read again at each start.
const IDENTIFYING_ROWS: u64 = 1_000;

/// What tells one input from another.
///
/// How much of a generator's lines are taken is no part of it: more of the same may follow.
///
/// # Examples
///
/// ```
/// use levada::Seed;
/// use order_bus::Generator;
///
/// let identity = Generator::new(Seed::new(7)).identity();
/// assert_eq!(identity.to_string(), "the generator's seed 7 (version 1)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// Made-up lines, which follow from these two numbers.
    Generator {
        /// The seed of all choices.
        seed: u64,
        /// Which generator made them; see [`Generator::VERSION`](crate::Generator::VERSION).
        version: u32,
    },
    /// A file, whatever its name and however it is packed.
    File {
        /// A hash of its header and first 1,000 rows, in hexadecimal.
        fingerprint: String,
    },
}

impl Identity {
    /// Identifies a file by its unpacked bytes.
    ///
    /// # Errors
    ///
    /// Where the file cannot be opened, or cannot be read to the end of these rows: then it is not
    /// known, and nothing must be begun with it.
    pub fn of_file(path: &Path) -> Result<Self, InputError> {
        let mut lines = Lines::open(path).map_err(|source| InputError::open(path, source))?;
        Self::of_lines(path, &mut lines)
    }

    fn of_lines(path: &Path, lines: &mut Lines) -> Result<Self, InputError> {
        let mut hash = Xxh3::new();
        // The header is no row.
        for read in 0..=IDENTIFYING_ROWS {
            let line = lines.next();
            let line = line.map_err(|e| InputError::read(path, read.saturating_sub(1), e))?;
            let Some(line) = line else { break };
            hash.update(line.bytes);
        }
        let fingerprint = format!("{:016x}", hash.digest());
        Ok(Self::File { fingerprint })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generator { seed, version } => {
                write!(f, "the generator's seed {seed} (version {version})")
            }
            Self::File { fingerprint } => write!(f, "an order file with hash {fingerprint}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn identity(bytes: Vec<u8>) -> Identity {
        read(bytes).unwrap()
    }

    fn read(bytes: Vec<u8>) -> Result<Identity, InputError> {
        let mut lines = Lines::over(Cursor::new(bytes)).unwrap();
        Identity::of_lines(Path::new("orders.gz"), &mut lines)
    }

    fn rows(count: usize) -> Vec<u8> {
        (0..=count)
            .flat_map(|row| format!("{row}\n").into_bytes())
            .collect()
    }

    #[test]
    fn the_fingerprint_of_a_file_is_the_same_in_all_releases() {
        let expected = Identity::File {
            fingerprint: "7fe1c270e5fe60a1".to_owned(),
        };
        assert_eq!(identity(rows(5)), expected);
    }

    #[test]
    fn packing_a_file_does_not_change_what_it_is() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&rows(2_000)).unwrap();
        assert_eq!(identity(encoder.finish().unwrap()), identity(rows(2_000)));
    }

    #[test]
    fn the_last_of_the_first_thousand_rows_counts_and_the_one_after_does_not() {
        let mut longer = rows(1_000);
        longer.extend(b"one more\n");
        assert_eq!(identity(longer), identity(rows(1_000)));
        let mut other = rows(999);
        other.extend(b"another\n");
        assert_ne!(identity(other), identity(rows(1_000)));
    }

    #[test]
    fn a_file_that_is_cut_off_within_these_rows_has_no_identity_and_one_after_them_has() {
        let cut_after = |count: usize| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&rows(count)).unwrap();
            encoder.flush().unwrap();
            read(encoder.get_ref().clone())
        };
        for count in [0, 500, 999] {
            let refused = cut_after(count).unwrap_err().to_string();
            let told = format!("`orders.gz` is cut off after {count} rows");
            assert!(refused.contains(&told), "{refused}");
        }
        assert_eq!(cut_after(1_000).unwrap(), identity(rows(2_000)));
    }
}
