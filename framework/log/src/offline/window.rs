//! A file as bytes at any place, of which some may be unreadable.

use std::io;

use crate::{
    batch::header::{HEADER_LEN, Header, MAGIC},
    le::u32_at,
    limits::MAX_BATCH_BYTES,
    vfs::VfsFile,
};

/// Bytes that are read at once.
const BLOCK: usize = 1 << 20;
/// What a disk loses at once, at least.
const SECTOR: usize = 4096;

/// The first bytes of a file, a block of them in memory.
pub(super) struct Window<'a> {
    file: &'a dyn VfsFile,
    /// Where the file ends, or what is looked at of it.
    len: u64,
    start: u64,
    block: Vec<u8>,
}

impl<'a> Window<'a> {
    /// The first `most` bytes of a file.
    pub(super) fn new(file: &'a dyn VfsFile, most: u64) -> io::Result<Self> {
        Ok(Self {
            file,
            len: file.len()?.min(most),
            start: 0,
            block: Vec::new(),
        })
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The `len` bytes at `position`, or what there is of them. Bytes that the disk does not give
    /// are zeros: a checksum will say so.
    pub(super) fn get(&mut self, position: u64, len: usize) -> &[u8] {
        let left = usize::try_from(self.len.saturating_sub(position)).unwrap_or(usize::MAX);
        let len = len.min(left);
        let end = position + len as u64;
        if position < self.start || end > self.start + self.block.len() as u64 {
            self.start = position;
            self.block.clear();
            self.block.resize(len.max(BLOCK).min(left), 0);
            self.read();
        }
        let at = usize::try_from(position - self.start).expect("a block is in memory");
        &self.block[at..at + len]
    }

    fn read(&mut self) {
        if self.file.read_exact_at(&mut self.block, self.start).is_ok() {
            return;
        }
        for (sector, at) in self
            .block
            .chunks_mut(SECTOR)
            .zip((self.start..).step_by(SECTOR))
        {
            if let Err(error) = self.file.read_exact_at(sector, at) {
                tracing::warn!(position = at, %error, "bytes cannot be read");
                sector.fill(0);
            }
        }
    }

    /// The header of the batch at `position`, unchecked but for its sizes.
    pub(super) fn header(&mut self, position: u64) -> Result<Header, &'static str> {
        Header::parse(self.get(position, HEADER_LEN))
    }

    /// How long the batch at `position` says that it is, whatever else is wrong with it.
    pub(super) fn claimed_len(&mut self, position: u64) -> Option<u64> {
        let records = u32_at(self.get(position, HEADER_LEN).first_chunk::<16>()?, 12) as usize;
        let len = records.saturating_add(HEADER_LEN);
        (len <= MAX_BATCH_BYTES).then_some(len as u64)
    }

    /// The batch at `position`, if it is whole.
    pub(super) fn batch(&mut self, position: u64) -> Result<Header, &'static str> {
        let header = self.header(position)?;
        super::whole_batch(self.get(position, header.len))
    }

    /// The first place from `from` on at which a batch may start.
    pub(super) fn next_magic(&mut self, mut from: u64, until: u64) -> Option<u64> {
        const _: () = assert!(MAX_BATCH_BYTES >= BLOCK);
        while from < until {
            let block = self.get(from, BLOCK);
            let found = block.windows(MAGIC.len()).position(|bytes| bytes == MAGIC);
            if let Some(at) = found {
                return Some(from + at as u64).filter(|at| *at < until);
            }
            if block.len() < BLOCK {
                return None;
            }
            from += (BLOCK - (MAGIC.len() - 1)) as u64;
        }
        None
    }
}
