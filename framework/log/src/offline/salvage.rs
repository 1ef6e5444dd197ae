//! What is whole in a segment, and what is not.
//!
//! A walk from the front finds each batch behind the one before it. Behind damage it goes on
//!
//! 1. where the damaged batch would have ended by its length, if a whole batch lies there, or the
//!    segment ends;
//! 2. else at the next place that holds a whole batch which the rest goes on from: the next batch
//!    names its end, or the segment ends with it.
//!
//! Batches that were swapped are whole, and offsets are given once; so what was found is put in
//! order. What is guaranteed, then: a batch that is taken has its own checksum, its partition's
//! numbers, and offsets that nothing else that was taken has.
//!
//! What is not: a record can carry bytes that are a whole batch. They are passed over as long as
//! the batch around them is whole, or its length is. If that is damaged, a producer who had
//! foreseen it, and had guessed the offsets of its own batch, could have those bytes taken in place
//! of that batch. Batches have no secret number as frames do.

use std::{io, ops::Range};

use super::window::Window;
use crate::{batch::header::Header, meta::Segment, partition::PartitionId, vfs::VfsFile};

/// A batch that is whole.
pub(super) struct Piece {
    pub(super) header: Header,
    pub(super) position: u64,
    /// It was found by search, not behind another.
    searched: bool,
}

/// Something that is not as it was written.
pub(super) struct Damage {
    pub(super) position: u64,
    pub(super) what: &'static str,
    /// The offsets it is about; none if it lost none.
    pub(super) offsets: Range<u64>,
}

/// What a segment holds.
pub(super) struct Salvaged {
    /// In order of their offsets.
    pub(super) pieces: Vec<Piece>,
    /// In order of their places.
    pub(super) damages: Vec<Damage>,
}

/// Walks through a segment.
pub(super) fn salvage(
    file: &dyn VfsFile,
    id: PartitionId,
    segment: &Segment,
) -> io::Result<Salvaged> {
    let mut walk = Walk {
        window: Window::new(file, segment.bytes)?,
        id,
        segment,
        found: Vec::new(),
        damages: Vec::new(),
    };
    walk.run();
    Ok(Salvaged {
        pieces: in_order(walk.found),
        damages: walk.damages,
    })
}

struct Walk<'a> {
    window: Window<'a>,
    id: PartitionId,
    segment: &'a Segment,
    found: Vec<Piece>,
    damages: Vec<Damage>,
}

impl Walk<'_> {
    fn run(&mut self) {
        let (mut position, mut end, mut searched) = (0, self.segment.base, false);
        // Where something is damaged, and why, until it is known what comes behind.
        let mut hole: Option<(u64, &'static str)> = None;
        while position < self.segment.bytes {
            match self.batch(position) {
                Ok(header) => {
                    self.judge(&header, position, end, hole.take());
                    self.found.push(Piece {
                        header,
                        position,
                        searched,
                    });
                    end = header.end();
                    position += header.len as u64;
                    searched = false;
                }
                Err(what) => {
                    hole.get_or_insert((position, what));
                    (position, searched) = self.behind(position);
                }
            }
        }
        let missing = (end < self.segment.end).then_some((position, "batches are missing"));
        if let Some((position, what)) = hole.or(missing) {
            let offsets = end.min(self.segment.end)..self.segment.end;
            self.damages.push(Damage {
                position,
                what,
                offsets,
            });
        }
    }

    /// Notes what is wrong between the end of the last batch and this one.
    fn judge(
        &mut self,
        header: &Header,
        position: u64,
        end: u64,
        hole: Option<(u64, &'static str)>,
    ) {
        let is_first = header.base_offset == self.segment.base;
        let offsets = if is_first {
            end..end
        } else {
            end..header.previous_end.max(end)
        };
        let out_of_place = if position == 0 {
            !is_first
        } else {
            header.previous_end != end
        };
        let found = match hole {
            Some(_) => hole,
            None if !out_of_place => None,
            None if offsets.is_empty() => Some((position, "a batch lies here out of order")),
            None => Some((position, "batches before this one are missing")),
        };
        if let Some((position, what)) = found {
            self.damages.push(Damage {
                position,
                what,
                offsets,
            });
        }
    }

    /// The batch at `position`, if it is whole and belongs into this segment.
    fn batch(&mut self, position: u64) -> Result<Header, &'static str> {
        if position >= self.window.len() {
            return Err("the file is too short");
        }
        let header = self.window.batch(position)?;
        let bounds = self.segment.base..=self.segment.end;
        if header.id != self.id
            || !bounds.contains(&header.base_offset)
            || !bounds.contains(&header.end())
        {
            return Err("a batch from elsewhere lies here");
        }
        Ok(header)
    }

    /// Where to go on behind damage, and whether that was searched for.
    fn behind(&mut self, position: u64) -> (u64, bool) {
        if let Some(len) = self.window.claimed_len(position) {
            let next = position + len;
            if next == self.segment.bytes || self.batch(next).is_ok() {
                return (next, false);
            }
        }
        let mut from = position + 1;
        while let Some(at) = self.window.next_magic(from, self.segment.bytes) {
            if let Ok(header) = self.batch(at)
                && self.goes_on(at + header.len as u64, header.end())
            {
                return (at, true);
            }
            from = at + 1;
        }
        (self.segment.bytes, false)
    }

    /// Whether the rest of the segment follows a batch that ended at `position`.
    fn goes_on(&mut self, position: u64, end: u64) -> bool {
        position == self.segment.bytes
            || self
                .window
                .header(position)
                .is_ok_and(|next| next.id == self.id && next.previous_end == end)
    }
}

/// Puts batches in order. Of two that claim the same offsets the one goes that was searched for,
/// or else that lay behind.
fn in_order(mut found: Vec<Piece>) -> Vec<Piece> {
    found.sort_by_key(|piece| (piece.searched, piece.position));
    let mut taken = std::collections::BTreeMap::new();
    for piece in found {
        let header = &piece.header;
        let before = taken.range(..header.end()).next_back();
        if before
            .is_none_or(|(_, before): (&u64, &Piece)| before.header.end() <= header.base_offset)
        {
            taken.insert(header.base_offset, piece);
        }
    }
    taken.into_values().collect()
}

/// Which offsets are lost before, between and behind batches.
pub(super) struct Losses {
    end: u64,
    lost: Vec<Range<u64>>,
}

impl Losses {
    /// Nothing before `from` is missed.
    pub(super) fn from(from: u64) -> Self {
        Self {
            end: from,
            lost: Vec::new(),
        }
    }

    /// A batch that is there.
    pub(super) fn pass(&mut self, header: &Header) {
        if header.base_offset > self.end {
            self.miss(header.previous_end);
        }
        self.end = header.end();
    }

    /// Says that all before `end` was there once.
    pub(super) fn miss(&mut self, end: u64) {
        if end <= self.end {
            return;
        }
        match self.lost.last_mut() {
            Some(last) if last.end == self.end => last.end = end,
            _ => self.lost.push(self.end..end),
        }
        self.end = end;
    }

    /// The offset after all that was passed or missed.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn into_lost(self) -> Vec<Range<u64>> {
        self.lost
    }
}
