//! What follows from a failure, for whoever writes.

use std::{io, path::Path};

use super::Error;

/// Why something could not be written, by what follows from it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The disk is full, or no file can be opened: the same may succeed later.
    NoSpace(Error),
    /// A write or sync failed: nothing is known about the file any more.
    Fatal(Error),
    /// Of one partition, what is on disk is not what was acknowledged.
    Damaged(String),
}

impl Failure {
    /// The error of a file operation that was no sync.
    pub(crate) fn of(error: Error) -> Self {
        match error {
            full @ (Error::NoSpace { .. } | Error::TooManyFiles { .. }) => Self::NoSpace(full),
            error => Self::Fatal(error),
        }
    }
}

/// A failed write: a full disk leaves everything known.
pub(crate) fn unwritten(operation: &'static str, path: &Path, error: io::Error) -> Failure {
    Failure::of(Error::io(operation, path, error))
}

/// A failed sync: fatal whatever its reason, also when the disk was full; unless it was not even
/// tried, because the folder could not be opened for it.
pub(crate) fn unsynced(path: &Path, error: io::Error) -> Failure {
    match Error::io("cannot sync", path, error) {
        untried @ Error::TooManyFiles { .. } => Failure::NoSpace(untried),
        error => Failure::Fatal(error),
    }
}
