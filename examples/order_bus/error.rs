//! Why an order bus did not come to its end.

use std::{
    io,
    path::{Path, PathBuf},
};

use levada::{Error, core::backend::BackendError};

use crate::{ClaimError, InputError};

/// Why an order bus did not come to its end: each sentence names the thing and the fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The input cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The data folder is for something else.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Nothing was ever written where it is to read.
    #[error(
        "data folder {} holds no log, and --read-only makes none: name the folder of a bus with \
         --data, or start without --read-only",
        .0.display()
    )]
    NothingToRead(PathBuf),
    /// A topic cannot be used.
    #[error(transparent)]
    Topic(#[from] BackendError),
    /// A pipeline did not start, or stopped.
    #[error(transparent)]
    Pipeline(#[from] Error),
    /// The results have nowhere to go.
    #[error(
        "{} cannot be written ({source}): choose another folder with --results",
        .path.display()
    )]
    Results {
        /// The folder, or a file in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no thread to show progress.
    #[error("progress cannot be shown: {0}")]
    Progress(#[source] io::Error),
}

impl BusError {
    pub(crate) fn results(path: &Path, source: io::Error) -> Self {
        Self::Results {
            path: path.to_owned(),
            source,
        }
    }
}
