//! Walks over the frames of a journal and judges nothing: what is broken is handed on as it is.
//!
//! Recovery judges while it reads ([`scan`](crate::journal::scan)), because it must either trust
//! what it finds or leave the folder alone. Whoever reads beside a running log, or reports damage,
//! has more than these two ways.

use std::path::Path;

use bytes::Bytes;

use crate::{
    Error, Result,
    journal::frame::{Found, HEAD_LEN, Head, JournalId, PAGE, entries},
    le::u64_at,
    meta::Image,
    paths::Paths,
    vfs::{Open, Vfs, VfsFile},
};

/// A part of a journal's file.
pub(super) enum Part {
    /// A frame whose head is whole.
    Frame {
        position: u64,
        head: Head,
        /// Its entries; `None` if its directory is broken.
        found: Option<Vec<Found>>,
    },
    /// Where a frame should be and none can be read.
    Hole {
        position: u64,
        /// Where the next frame starts, if one does.
        until: Option<u64>,
    },
}

/// A journal to be walked over.
pub(super) struct Frames<'a> {
    file: Box<dyn VfsFile>,
    path: &'a Path,
    nonce: u64,
    /// Which instance wrote it; `None` if that is not known.
    instance: Option<u64>,
    number: u64,
}

impl<'a> Frames<'a> {
    /// A journal of the image's own instance.
    pub(super) fn open(vfs: &dyn Vfs, path: &'a Path, image: &Image, number: u64) -> Result<Self> {
        let file = vfs.open(path, Open::Read);
        let file = file.map_err(|e| Error::io("cannot open", path, e))?;
        Ok(Self {
            file,
            path,
            nonce: image.nonce,
            instance: Some(image.instance),
            number,
        })
    }

    /// The same journal, whichever instance wrote it.
    pub(super) fn of_any_instance(mut self) -> Self {
        self.instance = None;
        self
    }

    /// Walks from the front to the last frame, or until `visit` says `false`.
    pub(super) fn walk(&self, visit: &mut dyn FnMut(Part) -> Result<bool>) -> Result<()> {
        let mut position = 0;
        loop {
            let bytes = self.read(position, HEAD_LEN)?;
            if let Some(version) = Head::unknown_version(&bytes) {
                return Err(Error::Newer {
                    path: self.path.to_path_buf(),
                    feature: format!("frame version {version}"),
                });
            }
            if let Some(head) = self.head(&bytes) {
                let frame = self.read(position, head.len as usize)?;
                let found = entries(&head, &frame);
                let next = position + head.padded_len();
                if !visit(Part::Frame {
                    position,
                    head,
                    found,
                })? {
                    return Ok(());
                }
                position = next;
                continue;
            }
            let until = self.next_frame(position + PAGE as u64)?;
            let suspected = self
                .id(&bytes)
                .is_some_and(|id| Head::is_suspected(&bytes, id));
            if (until.is_some() || suspected) && !visit(Part::Hole { position, until })? {
                return Ok(());
            }
            match until {
                Some(until) => position = until,
                None => return Ok(()),
            }
        }
    }

    fn id(&self, head: &[u8]) -> Option<JournalId> {
        let written = || head.get(32..40).map(|bytes| u64_at(bytes, 0));
        Some(JournalId {
            nonce: self.nonce,
            instance: self.instance.or_else(written)?,
            number: self.number,
        })
    }

    fn head(&self, bytes: &[u8]) -> Option<Head> {
        Head::parse(bytes, self.id(bytes)?)
    }

    /// The first page from `from` on at which a frame starts.
    fn next_frame(&self, mut from: u64) -> Result<Option<u64>> {
        const BLOCK: usize = 1 << 20;
        loop {
            let block = self.read(from, BLOCK)?;
            let mut pages = block.chunks(PAGE).zip(0_u64..);
            if let Some((_, page)) = pages.find(|(page, _)| self.head(page).is_some()) {
                return Ok(Some(from + page * PAGE as u64));
            }
            if block.len() < BLOCK {
                return Ok(None);
            }
            from += BLOCK as u64;
        }
    }

    /// Reads `len` bytes, or what there is of them.
    pub(super) fn read(&self, position: u64, len: usize) -> Result<Bytes> {
        let failed = |e| Error::io("cannot read", self.path, e);
        let there = self.file.len().map_err(failed)?.saturating_sub(position);
        let mut bytes = vec![0; len.min(usize::try_from(there).unwrap_or(usize::MAX))];
        let mut read = 0;
        // A live journal does not shrink, but its file may be another's by now.
        while read < bytes.len() {
            match self
                .file
                .read_at(&mut bytes[read..], position + read as u64)
            {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(e)),
            }
        }
        bytes.truncate(read);
        Ok(bytes.into())
    }
}

/// The numbers of the journals from `from` on that lie in a folder without a gap.
pub(super) fn numbers(vfs: &dyn Vfs, paths: &Paths, from: u64) -> Result<Vec<u64>> {
    let folder = paths.journals();
    let entries = vfs.list(&folder);
    let entries = entries.map_err(|e| Error::io("cannot list folder", &folder, e))?;
    let numbers = entries
        .iter()
        .filter_map(|entry| crate::paths::number(&entry.name));
    let later = numbers.filter(|number| *number >= from);
    Ok(later
        .zip(from..)
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| a)
        .collect())
}
