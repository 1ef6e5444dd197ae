//! The journal: every group commit in one file, one frame each, one sync each.
//!
//! Why a journal and not a sync of each segment: the measurement in the book (*Internals: log
//! format*). A journal file that is no longer needed is used again, because a file whose blocks are
//! there already syncs without a commit of the file system's own journal.

pub(crate) mod frame;
pub(crate) mod scan;

use std::{iter, path::PathBuf};

use crate::{
    error::{Failure, unsynced, unwritten},
    paths::Paths,
    vfs::{Gathered, Open, Vfs, VfsFile},
};
use frame::{Entry, JournalId, PAGE};

/// The journal that is being written.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Box<dyn VfsFile>,
    path: PathBuf,
    id: JournalId,
    /// The last group commit that is known to be durable.
    synced: u64,
    /// The last group commit that was written.
    written: u64,
    /// Where the next frame starts.
    end: u64,
    /// Small bodies are gathered in it; kept for its room.
    buffer: Vec<u8>,
}

impl Journal {
    /// Starts a journal, in the file of an old one if there is a spare. Group commit `synced` is
    /// the last one that is durable.
    pub(crate) fn create(
        vfs: &dyn Vfs,
        paths: &Paths,
        id: JournalId,
        synced: u64,
        spare: Option<u64>,
    ) -> Result<Self, Failure> {
        let path = paths.journal(id.number);
        let unopened = |e| unwritten("cannot create", &path, e);
        // Where a file is made and the rest can be tried later, later finds nothing half made.
        let undone = |failure| {
            if matches!(failure, Failure::NoSpace(_))
                && let Err(error) = vfs.remove_file(&path)
            {
                tracing::warn!(path = %path.display(), %error, "a new journal cannot be removed");
            }
            failure
        };
        let file = match spare {
            Some(spare) => {
                let renamed = vfs.rename(&paths.journal(spare), &path);
                renamed.map_err(|e| unwritten("cannot rename a journal to", &path, e))?;
                let file = vfs.open(&path, Open::Write);
                file.map_err(|e| undone(unopened(e)))?
            }
            None => vfs.open(&path, Open::CreateNew).map_err(unopened)?,
        };
        let folder = paths.journals();
        vfs.sync_dir(&folder)
            .map_err(|e| undone(unsynced(&folder, e)))?;
        Ok(Self {
            file,
            path,
            id,
            synced,
            written: synced,
            end: 0,
            buffer: Vec::new(),
        })
    }

    pub(crate) fn number(&self) -> u64 {
        self.id.number
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// The last group commit that is known to be durable.
    pub(crate) fn synced(&self) -> u64 {
        self.synced
    }

    /// Bytes of frames so far.
    pub(crate) fn len(&self) -> u64 {
        self.end
    }

    /// Writes the frame of a group commit. It is durable only after [`sync`](Self::sync).
    ///
    /// The head goes last: if the disk is full before, no frame is there that a later opening could
    /// take for one, and what was refused stays refused; the next frame takes its place.
    pub(crate) fn write(&mut self, commit: u64, entries: &[Entry]) -> Result<(), Failure> {
        let (head, directory) = frame::front(self.id, commit, self.synced, entries);
        let unwritten = |e| unwritten("cannot write", &self.path, e);
        let behind_head = self.end + head.len() as u64;
        let mut rest = Gathered::at(&*self.file, behind_head, &mut self.buffer);
        let bodies = entries.iter().map(|entry| &entry.body()[..]);
        let mut len = head.len();
        for part in iter::once(&directory[..]).chain(bodies) {
            rest.put(part).map_err(unwritten)?;
            len += part.len();
        }
        let padding = len.next_multiple_of(PAGE) - len;
        rest.put(&[0; PAGE][..padding]).map_err(unwritten)?;
        let end = rest.end().map_err(unwritten)?;
        self.file.write_all_at(&head, self.end).map_err(unwritten)?;
        self.written = commit;
        self.end = end;
        Ok(())
    }

    /// Makes all that was written durable.
    pub(crate) fn sync(&mut self) -> Result<(), Failure> {
        if self.synced < self.written {
            self.file.sync_data().map_err(|e| unsynced(&self.path, e))?;
            self.synced = self.written;
        }
        Ok(())
    }
}
