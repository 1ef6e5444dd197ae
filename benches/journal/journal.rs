//! A journal file as small as it can be, to measure what its writes cost.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
};

use crate::{PAGE, create};

/// Where a journal file has its blocks from.
#[derive(Clone, Copy)]
pub(crate) enum Space {
    /// Each frame makes the file longer.
    Grown,
    /// Zeros are written [`AHEAD`] of the frames.
    Zeroed,
    /// The file was a journal before.
    Recycled,
}

/// Zeros are written this far ahead.
const AHEAD: usize = 4 << 20;

pub(crate) struct Journal {
    file: File,
    space: Space,
    pub(crate) end: usize,
    zeroed: usize,
}

impl Journal {
    pub(crate) fn create(path: &Path, space: Space) -> io::Result<Self> {
        let file = match space {
            Space::Recycled if path.exists() => OpenOptions::new().write(true).open(path)?,
            _ => create(path)?,
        };
        Ok(Self {
            file,
            space,
            end: 0,
            zeroed: 0,
        })
    }

    /// Writes one frame, padded to whole pages, and syncs.
    pub(crate) fn commit(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = frame.len().next_multiple_of(PAGE);
        if matches!(self.space, Space::Zeroed) && self.end + length > self.zeroed {
            let zeros = vec![0; length + AHEAD];
            self.file.write_all_at(&zeros, self.end as u64)?;
            self.zeroed = self.end + zeros.len();
        }
        self.file.write_all_at(frame, self.end as u64)?;
        let padding = &PADDING[..length - frame.len()];
        self.file
            .write_all_at(padding, (self.end + frame.len()) as u64)?;
        self.end += length;
        self.file.sync_data()
    }
}

static PADDING: [u8; PAGE] = [0; PAGE];
