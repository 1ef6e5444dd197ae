//! Reading a segment: every batch that is passed is checked, whether it was asked for or not.

use std::{io, path::Path};

use bytes::Bytes;

use crate::{
    Error, Fetched, FetchedBatch,
    batch::{
        header::{HEADER_LEN, Header, checksum_holds},
        records::are_sound,
    },
    limits::MAX_BATCH_BYTES,
    meta::Segment,
    partition::{PartitionId, reading::View},
    vfs::VfsFile,
};

/// The least that is read at once: reading ahead costs less than asking again.
const READ_BYTES: usize = 64 << 10;

/// Where batches lie in one segment, now and then. Derived by reading; decides nothing.
#[derive(Debug, Default)]
pub(crate) struct Index(Vec<(u64, u64)>);

impl Index {
    /// The last known place at or before `offset`: the end of the batch before it, its position.
    fn floor(&self, offset: u64, segment: &Segment) -> (u64, u64) {
        let after = self.0.partition_point(|(end, _)| *end <= offset);
        after
            .checked_sub(1)
            .map_or((segment.base, 0), |i| self.0[i])
    }

    fn note(&mut self, end: u64, position: u64) {
        let last = self.0.last().map_or(0, |(_, position)| *position);
        if position >= last + READ_BYTES as u64 {
            self.0.push((end, position));
        }
    }
}

/// Why batches could not be read.
pub(crate) enum Unread {
    /// The operating system said no.
    Io(Error),
    /// The bytes are not what was written.
    Damaged(String),
}

/// What is wanted from a segment.
pub(crate) struct Want<'a> {
    pub(crate) id: PartitionId,
    pub(crate) segment: Segment,
    pub(crate) path: &'a Path,
    pub(crate) view: &'a View,
    pub(crate) from: u64,
    pub(crate) max_bytes: usize,
}

/// How far a walk through a segment has come.
struct Walk {
    /// The end of the last batch that was passed, and where the next starts.
    end: u64,
    position: u64,
    /// Bytes to read next.
    need: usize,
    found: Vec<FetchedBatch>,
    found_bytes: usize,
}

impl Want<'_> {
    /// Reads the batches at and after `from` that are to be shown, up to `max_bytes` of them but at
    /// least one; none if the segment has none before the view's end.
    pub(crate) fn read(&self, file: &dyn VfsFile, index: &mut Index) -> Result<Fetched, Unread> {
        let (end, position) = index.floor(self.from, &self.segment);
        let need = self.block_bytes();
        let mut walk = Walk {
            end,
            position,
            need,
            found: Vec::new(),
            found_bytes: 0,
        };
        while walk.found.is_empty() && walk.end < self.view.end {
            if walk.position >= self.segment.bytes {
                if walk.end != self.segment.end {
                    return Err(self.damaged(walk.position, "a batch is missing"));
                }
                break;
            }
            let block = self.block(file, walk.position, walk.need)?;
            match self.walk(&block, &mut walk, index) {
                // What lies before the damage is good; whoever asks for more will find it.
                Err(_) if !walk.found.is_empty() => break,
                walked => walked?,
            }
        }
        Ok(Fetched {
            batches: walk.found,
            next: walk.end.max(self.from),
        })
    }

    fn block_bytes(&self) -> usize {
        self.max_bytes.clamp(READ_BYTES, MAX_BATCH_BYTES)
    }

    /// Walks over the batches that are whole in a block, until enough is found.
    fn walk(&self, block: &Bytes, walk: &mut Walk, index: &mut Index) -> Result<(), Unread> {
        let start = walk.position;
        walk.need = self.block_bytes();
        loop {
            let at = usize::try_from(walk.position - start).expect("a block is in memory");
            let Some(header) = self.header(&block[at..], walk.position, walk.end)? else {
                return Ok(());
            };
            if header.base_offset >= self.view.end {
                walk.end = self.view.end;
                return Ok(());
            }
            if block.len() - at < header.len {
                walk.need = header.len;
                return Ok(());
            }
            let batch = block.slice(at..at + header.len);
            self.check(&header, &batch, walk.position)?;
            let wanted = header.end() > self.from && self.view.shows(&header);
            if wanted && !walk.found.is_empty() && walk.found_bytes + batch.len() > self.max_bytes {
                return Ok(());
            }
            if wanted {
                walk.found_bytes += batch.len();
                walk.found.push(FetchedBatch::new(header, batch, self.from));
            }
            walk.position += header.len as u64;
            walk.end = header.end();
            index.note(walk.end, walk.position);
        }
    }

    /// Reads `len` bytes at `position`, or what the segment has of them.
    fn block(&self, file: &dyn VfsFile, position: u64, len: usize) -> Result<Bytes, Unread> {
        let left = usize::try_from(self.segment.bytes - position).unwrap_or(usize::MAX);
        let mut block = vec![0; len.max(HEADER_LEN).min(left)];
        match file.read_exact_at(&mut block, position) {
            Ok(()) => Ok(block.into()),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged(position, "the file is too short"))
            }
            Err(e) => Err(Unread::Io(Error::io("cannot read", self.path, e))),
        }
    }

    /// The header at the front of `bytes`; `None` if more must be read first.
    fn header(&self, bytes: &[u8], position: u64, end: u64) -> Result<Option<Header>, Unread> {
        let left = self.segment.bytes - position;
        if bytes.len() < HEADER_LEN && bytes.len() as u64 != left {
            return Ok(None);
        }
        if left == 0 {
            return Ok(None);
        }
        let header = Header::parse(bytes).map_err(|what| self.damaged(position, what))?;
        // The first batch of a segment may follow a gap, and then the segment is named after it.
        let follows = if position == 0 {
            header.base_offset == self.segment.base
        } else {
            header.previous_end == end
        };
        if header.id != self.id || !follows || header.end() > self.segment.end {
            return Err(self.damaged(position, "a batch from elsewhere lies here"));
        }
        if header.len as u64 > left {
            return Err(self.damaged(position, "a batch is cut short"));
        }
        Ok(Some(header))
    }

    fn check(&self, header: &Header, batch: &[u8], position: u64) -> Result<(), Unread> {
        if !checksum_holds(batch) {
            return Err(self.damaged(position, "the checksum of a batch is wrong"));
        }
        if !are_sound(header, batch) {
            return Err(self.damaged(position, "a batch does not hold what its header says"));
        }
        Ok(())
    }

    fn damaged(&self, position: u64, what: &str) -> Unread {
        Unread::Damaged(format!(
            "{what}, at byte {position} of {}",
            self.path.display()
        ))
    }
}
