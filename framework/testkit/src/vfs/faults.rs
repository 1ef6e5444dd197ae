//! What can go wrong, when it does, and how often it did.

use std::{
    fmt, io,
    ops::{AddAssign, Index},
    path::Path,
};

use levada_core::Rng;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What can go wrong.
///
/// See [`Fired`] and [`FaultyFs::inject`](super::FaultyFs::inject).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The machine or the process stops before a call, or in the middle of a write.
    Crash,
    /// A write takes less than it was given.
    ShortWrite,
    /// A read or write is interrupted, and would succeed if tried again.
    Interrupted,
    /// A read or a listing fails.
    ReadError,
    /// The disk is full: see [`FaultyFs::set_room`](super::FaultyFs::set_room).
    NoSpace,
    /// The sync of a file fails, and what it covered counts as clean.
    SyncFailed,
    /// The sync of a folder fails.
    DirSyncFailed,
    /// By a power cut, an unsynced change of a file was lost.
    LostWrite,
    /// By a power cut, a part of an unsynced write was lost.
    TornWrite,
    /// By a power cut, an unsynced change was kept although one before it in its file was lost.
    Reordered,
    /// By a power cut, a file kept its length with zeros in it.
    ZeroTail,
    /// By a power cut, a file kept its length with garbage in it.
    GarbageTail,
    /// By a power cut, a file or folder lost its new name, or came back under its old one.
    LostName,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Crash,
        Self::ShortWrite,
        Self::Interrupted,
        Self::ReadError,
        Self::NoSpace,
        Self::SyncFailed,
        Self::DirSyncFailed,
        Self::LostWrite,
        Self::TornWrite,
        Self::Reordered,
        Self::ZeroTail,
        Self::GarbageTail,
        Self::LostName,
    ];

    pub(super) fn comes_of_calls(self) -> bool {
        self < Self::LostWrite && self != Self::NoSpace
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crash => "crash",
            Self::ShortWrite => "short write",
            Self::Interrupted => "interrupted call",
            Self::ReadError => "read error",
            Self::NoSpace => "full disk",
            Self::SyncFailed => "failed sync",
            Self::DirSyncFailed => "failed sync of a folder",
            Self::LostWrite => "lost write",
            Self::TornWrite => "torn write",
            Self::Reordered => "reordered write",
            Self::ZeroTail => "tail of zeros",
            Self::GarbageTail => "tail of garbage",
            Self::LostName => "lost name",
        })
    }
}

/// When a fault meets the calls that it can meet.
///
/// See [`Fired`], whose example fails the second sync and no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Never.
    #[default]
    Never,
    /// Once, after so many of these calls have gone well.
    After(u64),
    /// Each of these calls, with a chance of one in so many.
    OneIn(u64),
    /// Each of these calls.
    Always,
}

/// How often each fault fired.
///
/// # Examples
///
/// ```
/// use levada_core::Seed;
/// use levada_log::vfs::{Open, Vfs};
/// use levada_testkit::vfs::{Fault, FaultyFs, When};
/// use std::path::Path;
///
/// let fs = FaultyFs::new(Seed::new(7));
/// let file = fs.open(Path::new("/a"), Open::CreateNew)?;
/// fs.inject(Fault::SyncFailed, When::After(1));
/// file.sync_data()?;
/// assert!(file.sync_data().is_err());
/// assert_eq!(fs.fired()[Fault::SyncFailed], 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fired([u64; Fault::ALL.len()]);

impl Fired {
    pub(super) fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }
}

impl Index<Fault> for Fired {
    type Output = u64;

    fn index(&self, fault: Fault) -> &u64 {
        &self.0[fault as usize]
    }
}

impl AddAssign for Fired {
    fn add_assign(&mut self, other: Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }
}

/// Decides which call meets which fault, and keeps the counts.
#[derive(Clone, Debug)]
pub(super) struct Control {
    pub(super) rng: Rng,
    plans: [When; Fault::ALL.len()],
    pub(super) room: Option<u64>,
    pub(super) fired: Fired,
    pub(super) calls: u64,
    pub(super) trace: u64,
    pub(super) life: Life,
}

/// Whether the machine still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Up,
    /// The call that is being made is the one in which it crashes.
    Crashing,
    Crashed,
}

impl Control {
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            rng,
            plans: Default::default(),
            room: None,
            fired: Fired::default(),
            calls: 0,
            trace: 0,
            life: Life::Up,
        }
    }

    pub(super) fn plan(&mut self, fault: Fault, when: When) {
        self.plans[fault as usize] = when;
    }

    pub(super) fn heal(&mut self) {
        self.plans = Default::default();
        self.room = None;
    }

    /// Whether a call that this fault can meet meets it now.
    pub(super) fn fires(&mut self, fault: Fault) -> bool {
        let plan = &mut self.plans[fault as usize];
        let fires = match plan {
            When::Never => false,
            When::Always => true,
            When::OneIn(n) => self.rng.chance(1, *n),
            When::After(0) => {
                *plan = When::Never;
                true
            }
            When::After(n) => {
                *n -= 1;
                false
            }
        };
        if fires {
            self.fired.count(fault);
        }
        fires
    }

    /// Begins a call; fails if the machine has crashed, or does so now.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        self.calls += 1;
        if self.life == Life::Up && !self.fires(Fault::Crash) {
            return Ok(());
        }
        let now = self.life == Life::Up;
        self.life = if now { Life::Crashing } else { Life::Crashed };
        Err(io::Error::other("the machine has crashed"))
    }

    pub(super) fn meets_read_error(&mut self) -> io::Result<()> {
        if self.fires(Fault::ReadError) {
            return Err(io::Error::other("the disk could not be read"));
        }
        Ok(())
    }

    /// Fails if the disk is full.
    pub(super) fn needs_room(&mut self) -> io::Result<()> {
        if self.room == Some(0) {
            self.fired.count(Fault::NoSpace);
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Takes a call and its result into the trace.
    pub(super) fn note<T>(&mut self, name: &str, path: &Path, result: &io::Result<T>) {
        let failed = result.as_ref().err().map(io::Error::kind);
        let line = format!("{name} {} {failed:?}", path.display());
        self.trace = xxh3_64_with_seed(line.as_bytes(), self.trace);
    }

    /// Takes bytes that were read or written into the trace.
    pub(super) fn note_bytes(&mut self, offset: u64, bytes: &[u8]) {
        self.trace = xxh3_64_with_seed(bytes, self.trace.wrapping_add(offset));
    }
}
