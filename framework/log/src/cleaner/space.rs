//! A disk that becomes full: the alarm before, and a reserve for what makes room.
//!
//! 1. The *alarm* comes when less is free than [`Options::low_space_bytes`], which is looked at in
//!    each pass and after each flush. It is logged at each change, and [`Log::space`] shows it.
//! 2. When a write finds no room, appends are refused ([`Error::NoSpace`]) and reads go on. The
//!    keeper looks at once for what has expired.
//! 3. Removing needs room itself: an image, written beside the old one. So there is a *reserve*, a
//!    file of [`Options::reserve_bytes`] that is really written. It goes when an image, or a change
//!    of a topic's retention, finds no room. From then on appends are refused, and
//!    flushes wait, until it is there again, for which the keeper tries at once and in each pass:
//!    so data never takes its room.
//! 4. Nothing goes because the disk is full that would not go otherwise. If nothing has expired,
//!    somebody must free room or [change what is kept](crate::Topic::set_retention).
//!
//! [`Options::low_space_bytes`]: crate::Options::low_space_bytes
//! [`Options::reserve_bytes`]: crate::Options::reserve_bytes
//! [`Log::space`]: crate::Log::space
//! [`Error::NoSpace`]: crate::Error::NoSpace

use std::{
    io,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    error::{Failure, unsynced},
    shared::{Shared, lock},
    vfs::{Open, VfsFile},
};

/// How much room the disk has for the log.
///
/// # Examples
///
/// ```
/// use levada_log::{Log, Space};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// match log.space() {
///     Space::Low { free } => eprintln!("only {free} bytes are left"),
///     Space::Full => eprintln!("appends are refused"),
///     room => assert_eq!(room, Space::Enough),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Space {
    /// Enough, or the platform does not tell.
    #[default]
    Enough,
    /// Less than is safe: see [`Options::low_space_bytes`](crate::Options::low_space_bytes).
    Low {
        /// Bytes that were free when it was looked.
        free: u64,
    },
    /// A write found no room, and there is none yet.
    Full,
}

/// Written at once.
const SLICE_BYTES: u32 = 64 << 10;
/// Slices a turn.
const SLICES: usize = 64;
/// A full disk is one no longer when there is so much, however small the reserve is.
const SOME_ROOM: u64 = 64 << 10;

/// How much room there is, and what is set aside.
#[derive(Debug, Default)]
pub(crate) struct Room {
    space: Mutex<Space>,
    is_full: AtomicBool,
    /// Whether the reserve is whole and on disk.
    is_held: AtomicBool,
    /// Whether it was used and is not there again.
    is_spent: AtomicBool,
}

impl Room {
    /// Says that the reserve has been used.
    pub(crate) fn spend(&self) {
        self.is_spent.store(true, Ordering::Release);
        self.is_full.store(true, Ordering::Release);
    }

    pub(crate) fn space(&self) -> Space {
        *lock(&self.space)
    }

    pub(crate) fn is_enough(&self) -> bool {
        self.space() == Space::Enough
    }

    /// A write has found no room.
    pub(crate) fn ran_out(&self, folder: &Path) {
        self.is_full.store(true, Ordering::Release);
        self.turn_to(Space::Full, folder);
    }

    /// A write has found room. Whether that was the last of it shows in the next pass.
    pub(crate) fn wrote(&self) {
        if self.is_full.load(Ordering::Acquire) {
            self.is_full.store(false, Ordering::Release);
        }
    }

    /// Whether appends must wait until the reserve is there again.
    pub(crate) fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Acquire)
    }

    fn hold(&self) {
        self.is_held.store(true, Ordering::Release);
        self.is_spent.store(false, Ordering::Release);
    }

    /// Looks how much is free.
    pub(crate) fn look(&self, shared: &Shared) {
        let folder = shared.paths.folder();
        // Where it cannot be told there is no alarm; a full disk shows by itself.
        let free = shared.vfs.free_space(folder).ok();
        let limits = &shared.limits;
        let some = SOME_ROOM.max(2 * limits.reserve_bytes);
        let is_full = self.is_full.load(Ordering::Acquire) && free.is_none_or(|free| free < some);
        self.is_full.store(is_full, Ordering::Release);
        let next = match free {
            _ if is_full => Space::Full,
            Some(free) if free < limits.low_space_bytes => Space::Low { free },
            _ => Space::Enough,
        };
        self.turn_to(next, folder);
    }

    fn turn_to(&self, next: Space, folder: &Path) {
        let before = std::mem::replace(&mut *lock(&self.space), next);
        if std::mem::discriminant(&before) == std::mem::discriminant(&next) {
            return;
        }
        let folder = folder.display();
        match next {
            Space::Enough => tracing::info!(%folder, "there is enough room again"),
            Space::Low { free } => tracing::warn!(%folder, free, "there is little room left"),
            Space::Full => tracing::error!(%folder, "there is no room left: appends are refused"),
        }
    }

    /// Lets the reserve go, to make room for what makes room; `false` if there is none.
    pub(crate) fn release(&self, shared: &Shared) -> bool {
        if !self.is_held.swap(false, Ordering::AcqRel) {
            return false;
        }
        self.spend();
        self.ran_out(shared.paths.folder());
        // It may be waiting for a flush that waits for room now: what waits with it is refused.
        shared.queue.filled.wake();
        let path = shared.paths.reserve();
        match shared.vfs.remove_file(&path) {
            Ok(()) => {
                tracing::warn!(path = %path.display(), "the reserve is used: the disk is full");
                true
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the reserve cannot be used");
                false
            }
        }
    }
}

/// The reserve while it is taken, which is the keeper's.
#[derive(Debug, Default)]
pub(crate) struct Reserving {
    open: Option<Writing>,
    has_looked: bool,
    /// When it may be tried again: a limit that no look at the disk shows would be met each time.
    not_before: Duration,
}

/// How long after a reserve that could not be taken the next is tried.
const TRIED_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// A reserve that is being written.
#[derive(Debug)]
struct Writing {
    file: Box<dyn VfsFile>,
    written: u64,
    slice: Vec<u8>,
}

impl Reserving {
    /// Begins to take the reserve, if it is not there and there is room for it.
    pub(crate) fn begin(&mut self, shared: &Shared) {
        let (room, bytes) = (&shared.cleaning.room, shared.limits.reserve_bytes);
        let is_held = room.is_held.load(Ordering::Acquire);
        let waits = room.space() == Space::Full && !room.is_spent();
        let is_early = shared.clock.elapsed() < self.not_before && !room.is_spent();
        if bytes == 0 || is_held || self.open.is_some() || waits || is_early {
            return;
        }
        let path = shared.paths.reserve();
        if !std::mem::replace(&mut self.has_looked, true) && is_whole(shared, bytes) {
            room.hold();
            return;
        }
        let free = shared.vfs.free_space(shared.paths.folder());
        let needed = if room.is_spent() { bytes } else { 2 * bytes };
        if free.is_ok_and(|free| free < needed) {
            return;
        }
        // What is there is of another length, or was not finished.
        match shared.vfs.remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return,
            Ok(()) | Err(_) => {}
        }
        // It is tried again in the next pass.
        let file = shared.vfs.open(&path, Open::CreateNew);
        // Bytes that no file system packs.
        let numbers = 0..SLICE_BYTES / 4;
        let bytes = numbers.flat_map(|number| crc32c::crc32c(&number.to_le_bytes()).to_le_bytes());
        self.open = file.ok().map(|file| Writing {
            file,
            written: 0,
            slice: bytes.collect(),
        });
    }

    /// Writes some of it; `false` if nothing is being written.
    pub(crate) fn step(&mut self, shared: &Shared) -> Result<bool, Failure> {
        let Some(open) = &mut self.open else {
            return Ok(false);
        };
        shared.check_fence()?;
        let bytes = shared.limits.reserve_bytes;
        for _ in 0..SLICES {
            let left = usize::try_from(bytes - open.written).unwrap_or(usize::MAX);
            let slice = &open.slice[..open.slice.len().min(left)];
            if open.file.write_all_at(slice, open.written).is_err() {
                self.give_up(shared);
                self.not_before = shared.clock.elapsed() + TRIED_AGAIN_AFTER;
                return Ok(true);
            }
            open.written += slice.len() as u64;
        }
        if open.written == bytes {
            let path = shared.paths.reserve();
            open.file.sync_data().map_err(|e| unsynced(&path, e))?;
            self.open = None;
            shared.cleaning.room.hold();
            shared.flush.retry();
        }
        Ok(true)
    }

    /// There is no room for it after all, or for what is more urgent.
    pub(crate) fn give_up(&mut self, shared: &Shared) {
        if self.open.take().is_some() {
            let path = shared.paths.reserve();
            if let Err(error) = shared.vfs.remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "a part of a reserve stays");
            }
        }
    }
}

/// Whether the reserve of an earlier life is there.
fn is_whole(shared: &Shared, bytes: u64) -> bool {
    let file = shared.vfs.open(&shared.paths.reserve(), Open::Read);
    file.and_then(|file| file.len())
        .is_ok_and(|len| len == bytes)
}
