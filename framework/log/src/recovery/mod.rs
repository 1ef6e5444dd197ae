//! Opening a data folder: what every start does, after an orderly stop as after a crash.
//!
//! 1. Look at the folder's names, touching nothing; take the lock.
//! 2. Read the image.
//! 3. Read the journals since the image; cut the last frame if it is torn ([`scan`]).
//! 4. Write their batches to the segments, and sync those. What was read may come from the page
//!    cache of a machine whose last sync failed, so nothing is believed before it is written again.
//! 5. Abort the transactions that are open: whoever began them is gone. Lift next offsets above
//!    every position that is named anywhere.
//! 6. Look again at the ends of the journals: if they have gone on, somebody writes them past the
//!    lock, and the folder is left alone.
//! 7. Start a new journal, once the names of the old ones are durable; write an image that names
//!    it, with the next instance. That is the commit point: before it the next start finds what
//!    this one found, and comes to the same. From it on an older log meets the
//!    [`fence`](crate::fence).
//! 8. Remove the old journals, what `dropped` still names, and segments that no image names: a
//!    compaction wrote them, or a flush, that did not come to its end.
//!
//! `folder` looks at names and lengths, `replay` takes in what the journals hold.

mod folder;
mod replay;

use std::collections::BTreeSet;

use levada_core::Clock;

use crate::{
    Error, Result,
    error::Failure,
    image,
    journal::{
        Journal,
        frame::JournalId,
        scan::{self, End},
    },
    meta::{Image, PartitionImage},
    partition::PartitionId,
    paths::Paths,
    shared::FolderLock,
    vfs::Vfs,
};
use folder::Folder;

/// What opening a data folder found.
///
/// # Examples
///
/// ```
/// use levada_log::Log;
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// log.close().wait()?;
///
/// let log = Log::open(folder.path())?;
/// let recovery = log.recovery();
/// assert!(recovery.clean, "after a crash it is false");
/// if let Some(cut) = &recovery.cut {
///     eprintln!("possibly acknowledged, and lost: {:?} batches", cut.batches);
/// }
/// assert_eq!(recovery.cut, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Whether the log was closed in order, or is new.
    pub clean: bool,
    /// Batches that were moved from journals to segments.
    pub batches: u64,
    /// The last group commit was torn, or has rotted since: nobody can tell. It was cut. What was
    /// in it was *possibly acknowledged*.
    pub cut: Option<CutCommit>,
}

/// A group commit that was cut off.
///
/// See [`Recovery`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutCommit {
    /// The number of the journal that it was in.
    pub journal: u64,
    /// Where it started, in bytes.
    pub position: u64,
    /// How many batches it had; `None` if that can no longer be read.
    pub batches: Option<usize>,
}

/// A data folder that is open.
pub(crate) struct Opened {
    pub(crate) recovered: Recovered,
    pub(crate) lock: FolderLock,
    /// The disk was full, and what was set aside for that is gone.
    pub(crate) is_reserve_spent: bool,
}

/// What a folder came to, brought up to date and with a journal to go on.
pub(crate) struct Recovered {
    pub(crate) image: Image,
    pub(crate) journal: Journal,
    pub(crate) journal_id: JournalId,
    pub(crate) spare: Option<u64>,
    pub(crate) recovery: Recovery,
}

/// Opens a data folder, making it if it is not there. `nonce` is for a new one.
///
/// If the disk is full, what was set aside for that is used to let go of what has expired, and it
/// is tried again, as after a crash.
pub(crate) fn open(
    vfs: &dyn Vfs,
    clock: &dyn Clock,
    paths: &Paths,
    segment_bytes: u64,
    nonce: u64,
) -> Result<Opened> {
    let folder = Folder { vfs, paths };
    let lock = folder.take()?;
    let (recovered, is_reserve_spent) = match recover(folder, segment_bytes, nonce) {
        Err(Error::NoSpace { .. }) if vfs.remove_file(&paths.reserve()).is_ok() => {
            tracing::warn!("the reserve is used: the disk is full");
            folder.make_room(clock)?;
            (recover(folder, segment_bytes, nonce)?, true)
        }
        recovered => (recovered?, false),
    };
    Ok(Opened {
        recovered,
        lock,
        is_reserve_spent,
    })
}

fn recover(folder: Folder<'_>, segment_bytes: u64, nonce: u64) -> Result<Recovered> {
    let Folder { vfs, paths } = folder;
    let UpToDate {
        mut image,
        journals,
        recovery,
        flushed,
    } = match image::read(vfs, paths)? {
        Some(old) => update(folder, &old, segment_bytes)?,
        None => make(folder, nonce)?,
    };
    let (journal, journal_id) = begin(folder, &mut image, &journals)?;
    let spare = folder.retire(&image, &journals, &recovery);
    folder.remove_dropped(&mut image)?;
    folder.remove_leftovers(&image, &flushed)?;
    tracing::info!(
        folder = %paths.folder().display(), instance = image.instance, ?recovery, "log opened"
    );
    Ok(Recovered {
        image,
        journal,
        journal_id,
        spare,
        recovery,
    })
}

/// A folder whose journals hold nothing that is not elsewhere.
struct UpToDate {
    image: Image,
    journals: Vec<u64>,
    recovery: Recovery,
    /// The partitions that were written to for that.
    flushed: BTreeSet<PartitionId>,
}

fn make(folder: Folder<'_>, nonce: u64) -> Result<UpToDate> {
    Ok(UpToDate {
        image: folder.make(nonce)?,
        journals: folder.journals()?,
        recovery: Recovery {
            clean: true,
            ..Recovery::default()
        },
        flushed: BTreeSet::new(),
    })
}

/// Brings the image of an old folder up to date.
fn update(folder: Folder<'_>, old: &Image, segment_bytes: u64) -> Result<UpToDate> {
    let journals = folder.journals()?;
    let replayed = replay::replay(folder, old, &journals, segment_bytes)?;
    let mut image = replayed.image;
    image.abort_transactions();
    image.lift_next_offsets();
    if !replayed.recovery.clean {
        image.lift_unsynced();
    }
    folder.check_segments(&mut image)?;
    check_quiet(folder, old, &journals, &replayed.end)?;
    Ok(UpToDate {
        image,
        journals,
        recovery: replayed.recovery,
        flushed: replayed.flushed,
    })
}

/// Refuses a folder whose journals have gone on since they were read: whoever writes them lives,
/// past a missing lock, and what it acknowledges would be lost.
fn check_quiet(folder: Folder<'_>, old: &Image, journals: &[u64], end: &End) -> Result<()> {
    let Folder { vfs, paths } = folder;
    if folder.journals()? != journals || scan::goes_on(vfs, paths, old, end)? {
        return Err(Error::InUse(paths.folder().to_path_buf()));
    }
    Ok(())
}

/// Starts the next journal, and the next instance with the image that names it.
fn begin(folder: Folder<'_>, image: &mut Image, journals: &[u64]) -> Result<(Journal, JournalId)> {
    let Folder { vfs, paths } = folder;
    let last = journals.last().copied().unwrap_or(0).max(image.journal);
    image.instance += 1;
    image.journal = last + 1;
    let id = JournalId {
        nonce: image.nonce,
        instance: image.instance,
        number: image.journal,
    };
    // A crash may have kept the names of the old journals from becoming durable, and that of the
    // new one must not be so before them.
    let names = paths.journals();
    vfs.sync_dir(&names)
        .map_err(|e| Error::io("cannot sync folder", names, e))?;
    let journal = Journal::create(vfs, paths, id, image.commit - 1, None).map_err(error)?;
    image::write(vfs, paths, image).map_err(error)?;
    Ok((journal, id))
}

fn stop(id: PartitionId, record: &mut PartitionImage, reason: String) {
    let (topic, partition) = (id.topic, id.partition);
    tracing::error!(topic, partition, reason, "partition stopped");
    record.failed.get_or_insert(reason);
}

fn error(failure: Failure) -> Error {
    match failure {
        Failure::NoSpace(error) | Failure::Fatal(error) => error,
        Failure::Damaged(reason) => Error::Dead {
            cause: reason.into(),
        },
    }
}
