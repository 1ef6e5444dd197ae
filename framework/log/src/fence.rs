//! The fence: a log whose folder was taken past the lock stops.
//!
//! The lock of the operating system is the first defence, and where it holds the fence is never
//! met. But locks vanish on some network file systems, folders are copied back under a running
//! program, and virtual machines are started twice. So whoever opens a folder writes the next
//! instance into the image, and whoever has it open looks whether the instance is still its own:
//!
//! 1. after the sync of each group commit, before anything is acknowledged or shown to readers;
//! 2. before a journal is begun, a segment written or an image replaced.
//!
//! What this guarantees: **once another instance is in the image, nothing is acknowledged any
//! more**. A look before the sync would not do, since the folder can be taken during the sync.
//!
//! Whoever opens a folder reads the journals first, and looks again at their ends just before it
//! begins its own. Had they gone on, it would lose what was acknowledged meanwhile; so it leaves
//! the folder to the log that lives.
//!
//! What it does not guarantee, where no lock holds:
//!
//! 1. A group commit that is acknowledged between that second look and the renaming of the image (a
//!    new journal and a small file are written in between) is not in what the new log has read. It
//!    is lost.
//! 2. Two logs that open the folder at the same moment can come to the same instance, and neither
//!    meets the fence.
//! 3. A file system that shows a renamed file late to another machine shows the fence as late.

use std::sync::Mutex;

use crate::{Error, error::Failure, image, paths::Paths, shared::lock, vfs::Vfs};

/// Knows an image of its own instance when it sees one again.
#[derive(Debug, Default)]
pub(crate) struct Fence {
    /// The head of an image that is known to be of this instance.
    own: Mutex<Option<image::Head>>,
}

impl Fence {
    /// Fails unless the image is of instance `ours`.
    ///
    /// As long as nobody replaces the image this opens it and reads its head: about a microsecond,
    /// where a sync takes a hundred.
    pub(crate) fn check(&self, vfs: &dyn Vfs, paths: &Paths, ours: u64) -> Result<(), Failure> {
        if cfg!(planted = "no_fence") {
            return Ok(());
        }
        let head = image::head(vfs, paths).map_err(Failure::Fatal)?;
        let mut own = lock(&self.own);
        if head.is_some() && *own == head {
            return Ok(());
        }
        let found = image::read(vfs, paths).map_err(Failure::Fatal)?;
        let found = found.map_or(0, |image| image.instance);
        if found == ours {
            *own = head;
            return Ok(());
        }
        let folder = paths.folder().to_path_buf();
        Err(Failure::Fatal(Error::Fenced {
            folder,
            ours,
            found,
        }))
    }
}
