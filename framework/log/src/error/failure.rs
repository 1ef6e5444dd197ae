//! What follows from a failure, for whoever writes.

use std::{io, path::Path, sync::Arc};

use super::Error;
use crate::vfs;

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

/// A failed sync: fatal whatever its reason, also when the disk was full, which is then said as
/// that of a sync: to free some room does not help. Unless it was not even tried, because the
/// folder could not be opened for it.
pub(crate) fn unsynced(path: &Path, error: io::Error) -> Failure {
    if vfs::is_out_of_files(&error) {
        return Failure::NoSpace(Error::TooManyFiles { path: path.into() });
    }
    Failure::Fatal(Error::Io {
        operation: "cannot sync",
        path: path.into(),
        source: Arc::new(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disk_is_fatal_in_a_sync_alone_and_then_said_as_that_of_a_sync() {
        let (path, full) = (Path::new("journal"), || io::ErrorKind::StorageFull.into());
        let written = unwritten("cannot write", path, full());
        assert!(matches!(written, Failure::NoSpace(Error::NoSpace { .. })));
        let Failure::Fatal(error) = unsynced(path, full()) else {
            panic!("nothing is known of what was written");
        };
        let said = error.to_string();
        assert!(said.starts_with("cannot sync journal: "), "{said}");
    }
}
