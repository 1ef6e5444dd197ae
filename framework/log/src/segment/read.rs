//! Reading a segment: every batch that is passed is checked, whether it was asked for or not.
//!
//! 1. The checksum, the identity and the order of every batch that is passed are checked; what is
//!    in it, by whoever wants it. So batches that are not wanted are not decompressed.
//! 2. Where batches lie, and when they were appended, is remembered as it is found, every 64 KiB,
//!    in memory only. An index in a file would be one more thing that can be stale, torn or rotten,
//!    to save one walk over a segment after a start.

use std::{io, path::Path};

use bytes::Bytes;
use levada_core::Timestamp;

use super::blocks::Blocks;
use crate::{
    Error, Fetched, FetchedBatch,
    batch::header::{HEADER_LEN, Header, checksum_holds},
    meta::Segment,
    partition::{PartitionId, view::View},
    vfs::VfsFile,
};

/// The least that is read at once: reading ahead costs less than asking again.
const READ_BYTES: usize = 64 << 10;

/// Where batches lie in one segment, now and then. Derived by reading; decides nothing.
#[derive(Debug, Default)]
pub(crate) struct Index(Vec<Place>);

/// A place between two batches.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The end of the batch before it.
    end: u64,
    /// When that was appended.
    append_time: Timestamp,
    position: u64,
}

impl Index {
    /// How many places are remembered.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The last known place whose batches before it are not wanted.
    fn floor(&self, segment: &Segment, is_passed: impl Fn(&Place) -> bool) -> Place {
        let start = Place {
            end: segment.base,
            append_time: Timestamp::MIN,
            position: 0,
        };
        let after = self.0.partition_point(is_passed);
        after.checked_sub(1).map_or(start, |last| self.0[last])
    }

    fn note(&mut self, place: Place) {
        let last = self.0.last().map_or(0, |place| place.position);
        if place.position >= last + READ_BYTES as u64 {
            self.0.push(place);
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

/// A segment that is open for reading.
pub(crate) struct Source<'a> {
    pub(crate) id: PartitionId,
    pub(crate) segment: Segment,
    pub(crate) path: &'a Path,
    pub(crate) file: &'a dyn VfsFile,
    pub(crate) index: &'a mut Index,
    pub(crate) blocks: &'a mut Blocks,
}

impl<'a> Source<'a> {
    /// The batches at and after `from` that a view shows, up to `max_bytes` of them once they are
    /// decompressed but at least one; none if the segment has none that it shows.
    pub(crate) fn fetch(self, view: &View, from: u64, max_bytes: usize) -> Result<Fetched, Unread> {
        let place = self.index.floor(&self.segment, |place| place.end <= from);
        let end = view.end.min(self.segment.end);
        let mut walk = self.walk(place, max_bytes.max(READ_BYTES));
        let mut batches = Vec::new();
        let (mut found_bytes, mut next) = (0, from);
        while walk.place.end < end {
            let position = walk.place.position;
            let found = if batches.is_empty() {
                walk.next()
            } else {
                walk.buffered()
            };
            // What lies before damage is good; whoever asks for more will find the damage.
            let (header, batch) = match found {
                Ok(Some(found)) => found,
                Ok(None) if batches.is_empty() => {
                    return Err(walk.damaged(position, "a batch is missing"));
                }
                Err(unread) if batches.is_empty() => return Err(unread),
                Ok(None) | Err(_) => break,
            };
            if header.base_offset >= end {
                next = next.max(end);
                break;
            }
            if header.end() > from && view.shows(&header) {
                found_bytes += header.unpacked_len();
                if !batches.is_empty() && found_bytes > max_bytes {
                    break;
                }
                match FetchedBatch::read(header, batch, from) {
                    Some(batch) => batches.push(batch),
                    None if batches.is_empty() => {
                        let what = "a batch does not hold what its header says";
                        return Err(walk.damaged(position, what));
                    }
                    None => break,
                }
            }
            next = next.max(header.end());
        }
        Ok(Fetched { batches, next })
    }

    /// The offset of the first batch that was appended at or after `time`: the segment has one.
    pub(crate) fn offset_at(self, time: Timestamp) -> Result<u64, Unread> {
        let passed = |place: &Place| place.append_time < time;
        let place = self.index.floor(&self.segment, passed);
        let mut walk = self.walk(place, READ_BYTES);
        while let Some((header, _)) = walk.next()? {
            if header.append_time >= time {
                return Ok(header.base_offset);
            }
        }
        Err(walk.damaged_here("a batch is missing"))
    }

    fn walk(self, place: Place, block_bytes: usize) -> Walk<'a> {
        Walk {
            source: self,
            place,
            block: Bytes::new(),
            block_bytes,
            need: HEADER_LEN,
        }
    }
}

/// Passes over the batches of a segment, in order.
struct Walk<'a> {
    source: Source<'a>,
    /// Before the next batch.
    place: Place,
    /// What has been read from there on.
    block: Bytes,
    /// The least to read at once, and what the next batch needs.
    block_bytes: usize,
    need: usize,
}

impl Walk<'_> {
    /// The next batch, checked but for what is in it. `None` at the end of the segment.
    fn next(&mut self) -> Result<Option<(Header, Bytes)>, Unread> {
        while self.left() > 0 {
            if let Some(batch) = self.buffered()? {
                return Ok(Some(batch));
            }
            self.read()?;
        }
        Ok(None)
    }

    /// The next batch, if all of it has been read already.
    fn buffered(&mut self) -> Result<Option<(Header, Bytes)>, Unread> {
        let Some(header) = self.header()? else {
            self.need = HEADER_LEN;
            return Ok(None);
        };
        if header.len > self.block.len() {
            self.need = header.len;
            return Ok(None);
        }
        if !checksum_holds(&self.block[..header.len]) {
            return Err(self.damaged_here("the checksum of a batch is wrong"));
        }
        self.place = Place {
            end: header.end(),
            append_time: header.append_time,
            position: self.place.position + header.len as u64,
        };
        self.source.index.note(self.place);
        Ok(Some((header, self.block.split_to(header.len))))
    }

    fn left(&self) -> u64 {
        self.source.segment.bytes - self.place.position
    }

    /// Reads from the next batch on, as far as the segment goes; at least what the batch needs.
    fn read(&mut self) -> Result<(), Unread> {
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
        let path = self.source.path;
        let unread = |e| Unread::Io(Error::io("cannot read", path, e));
        match self.read_exactly(self.need.max(self.block_bytes).min(left)) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                // What lies before the cut is good.
                let there = self.source.file.len().map_err(unread)?;
                let there = there.saturating_sub(self.place.position);
                let there = usize::try_from(there).unwrap_or(usize::MAX);
                if there < self.need.min(left) {
                    return Err(self.damaged_here("the file is too short"));
                }
                self.read_exactly(there).map_err(unread)
            }
            read => read.map_err(unread),
        }
    }

    fn read_exactly(&mut self, len: usize) -> io::Result<()> {
        let Source { file, blocks, .. } = &mut self.source;
        let mut block = blocks.take(len);
        file.read_exact_at(&mut block, self.place.position)?;
        self.block = blocks.give(block);
        Ok(())
    }

    /// The header of the next batch; `None` if more must be read first.
    fn header(&self) -> Result<Option<Header>, Unread> {
        let there = self.block.len();
        if there == 0 || (there < HEADER_LEN && there as u64 != self.left()) {
            return Ok(None);
        }
        let header = Header::parse(&self.block).map_err(|what| self.damaged_here(what))?;
        let Source { id, segment, .. } = &self.source;
        // The first batch of a segment may follow a gap, and then the segment is named after it.
        let follows = if self.place.position == 0 {
            header.base_offset == segment.base
        } else {
            header.previous_end == self.place.end
        };
        if header.id != *id || !follows || header.end() > segment.end {
            return Err(self.damaged_here("a batch from elsewhere lies here"));
        }
        if header.len as u64 > self.left() {
            return Err(self.damaged_here("a batch is cut short"));
        }
        Ok(Some(header))
    }

    fn damaged_here(&self, what: &str) -> Unread {
        self.damaged(self.place.position, what)
    }

    fn damaged(&self, position: u64, what: &str) -> Unread {
        let path = self.source.path.display();
        Unread::Damaged(format!("{what}, at byte {position} of {path}"))
    }
}
