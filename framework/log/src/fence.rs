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
//! A folder that was moved away has no image, and one that was put in its place has another secret
//! number: both end the log as well.
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
//! 3. A copy of the folder of the same instance, put in its place and not opened yet, is not told
//!    from it: what is acknowledged then is in the folder that was moved away.
//! 4. A log that stands still for longer than an opening takes, between a look and what it does
//!    then, does that to a folder that is another's: it can put its image in the place of the new
//!    one, whose journals it does not name.
//! 5. A file system that shows a renamed file late to another machine shows the fence as late.
//!
//! A look opens the image, for a file that is open already is the old one when it is replaced. It
//! must not fail because the process has too many files open: so the image that was looked at last
//! stays open, only to be given up for the next. Where another thread is faster to take its place,
//! a group commit that is synced waits until a look succeeds.

use std::sync::Mutex;

use crate::{
    Error, Result,
    error::Failure,
    image,
    meta::Image,
    paths::Paths,
    planted::planted,
    shared::lock,
    vfs::{Vfs, VfsFile},
};

/// Knows an image of its own instance when it sees one again.
#[derive(Debug)]
pub(crate) struct Fence {
    /// Another folder may have taken the place of this one, and come to the same instance.
    nonce: u64,
    instance: u64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The head of an image that is known to be of this instance.
    own: Option<image::Head>,
    /// An image that can be closed when no other can be opened.
    spare: Option<Box<dyn VfsFile>>,
}

impl Fence {
    /// Of the instance that this image names.
    pub(crate) fn new(image: &Image) -> Self {
        Self {
            nonce: image.nonce,
            instance: image.instance,
            seen: Mutex::default(),
        }
    }

    /// Fails unless the image is of this instance.
    ///
    /// As long as nobody replaces the image this opens it and reads its head: about a microsecond,
    /// where a sync takes a hundred.
    pub(crate) fn check(&self, vfs: &dyn Vfs, paths: &Paths) -> Result<(), Failure> {
        if planted("no_fence") {
            return Ok(());
        }
        let ours = self.instance;
        let mut seen = lock(&self.seen);
        let file = seen.open(vfs, paths).map_err(Failure::of)?;
        let found = match &file {
            Some(file) => {
                let head = image::head(&**file, paths).map_err(Failure::Fatal)?;
                let instance = match seen.own {
                    Some(own) if own == head => ours,
                    _ => {
                        let image = image::read_from(&**file, paths);
                        let image = image.map_err(Failure::Fatal)?;
                        let is_of_this_folder = image.nonce == self.nonce;
                        if is_of_this_folder { image.instance } else { 0 }
                    }
                };
                seen.own = (instance == ours).then_some(head);
                instance
            }
            None => 0,
        };
        seen.spare = file;
        if found == ours {
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

impl Seen {
    fn open(&mut self, vfs: &dyn Vfs, paths: &Paths) -> Result<Option<Box<dyn VfsFile>>> {
        match image::open(vfs, paths) {
            Err(Error::TooManyFiles { .. }) => {
                drop(self.spare.take());
                image::open(vfs, paths)
            }
            opened => opened,
        }
    }
}
