//! The mark: how far the log is acknowledged, for whoever reads the folder beside it.
//!
//! That a group commit was acknowledged shows in the journal only once the next one is written. A
//! log that has gone quiet would keep its last group commit from readers in other processes for
//! good; so the writer notes, after each sync, the number of the group commit in a file of its own.
//!
//! 1. It is written after the write or sync that the acknowledgement rests on, and the look at the
//!    fence. So it never claims too much; and it names by itself what was durable.
//! 2. It is not synced, and an error of it is none of the writer's. What is stale, torn or missing
//!    only shows less.
//! 3. Nothing but reading beside the log rests on it. Recovery does not look at it.
//!
//! It is not in the lock's file because Windows lets nobody else read a file that is locked.

use crate::{
    le::{u32_at, u64_at},
    paths::Paths,
    vfs::{Open, Vfs, VfsFile},
};

const MAGIC: [u8; 4] = *b"LVAk";
/// Magic, checksum of the rest, instance, two group commits.
pub(crate) const MARK_LEN: usize = 32;
const CHECKED_FROM: usize = 8;

/// How far an instance is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) instance: u64,
    /// The last group commit that was acknowledged.
    pub(crate) commit: u64,
    /// The last group commit that was durable.
    pub(crate) durable: u64,
}

impl Marked {
    pub(crate) fn encode(self) -> [u8; MARK_LEN] {
        let mut bytes = [0; MARK_LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.instance.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.commit.to_le_bytes());
        bytes[24..].copy_from_slice(&self.durable.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[CHECKED_FROM..]);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; MARK_LEN]) -> Option<Self> {
        let whole =
            bytes[..4] == MAGIC && u32_at(bytes, 4) == crc32c::crc32c(&bytes[CHECKED_FROM..]);
        whole.then(|| Self {
            instance: u64_at(bytes, 8),
            commit: u64_at(bytes, 16),
            durable: u64_at(bytes, 24),
        })
    }
}

/// The mark of a log that is open.
#[derive(Debug)]
pub(crate) struct Mark {
    /// Not there if it could not be opened.
    file: Option<Box<dyn VfsFile>>,
    instance: u64,
}

impl Mark {
    pub(crate) fn open(vfs: &dyn Vfs, paths: &Paths, instance: u64) -> Self {
        let path = paths.mark();
        let opened = vfs.open(&path, Open::Write);
        let file = match opened.or_else(|_| vfs.open(&path, Open::CreateNew)) {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::debug!(%error, "readers beside this log see its last commit late");
                None
            }
        };
        Self { file, instance }
    }

    /// Notes that `commit` is acknowledged, and all up to `durable` is durable.
    pub(crate) fn set(&self, commit: u64, durable: u64) {
        let marked = Marked {
            instance: self.instance,
            commit,
            durable,
        };
        if let Some(file) = &self.file
            && let Err(error) = file.write_at(&marked.encode(), 0)
        {
            tracing::debug!(%error, "readers beside this log see its last commit late");
        }
    }
}

/// Reads the mark; `None` if there is none, or none that is whole.
pub(crate) fn read(vfs: &dyn Vfs, paths: &Paths) -> Option<Marked> {
    let file = vfs.open(&paths.mark(), Open::Read).ok()?;
    let mut bytes = [0; MARK_LEN];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Marked::decode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_comes_back_and_a_torn_one_does_not() {
        let marked = Marked {
            instance: 3,
            commit: 1 << 40,
            durable: 1 << 39,
        };
        let bytes = marked.encode();
        assert_eq!(Marked::decode(&bytes), Some(marked));
        for at in 0..MARK_LEN {
            let mut torn = bytes;
            torn[at] ^= 1;
            assert_eq!(Marked::decode(&torn), None, "byte {at}");
        }
    }
}
