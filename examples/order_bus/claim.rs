//! Which input a data folder belongs to, kept beside its log, so that answers never mix two.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::Identity;

/// What a data folder was begun with.
///
/// # Examples
///
/// ```
/// use order_bus::{Claim, Input};
///
/// let folder = tempfile::tempdir()?;
/// let first = Input::Generator { seed: 1, records: 10 }.identity()?;
/// let other = Input::Generator { seed: 2, records: 10 }.identity()?;
/// Claim::new(first.clone(), 8).hold(folder.path())?;
/// Claim::new(first, 8).hold(folder.path())?;
/// let refused = Claim::new(other, 8).hold(folder.path()).unwrap_err().to_string();
/// assert!(refused.contains("seed 1") && refused.contains("seed 2"), "{refused}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    input: Identity,
    partitions: u32,
}

/// Why a data folder is not taken for an input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The folder was begun with another input.
    #[error(
        "data folder {} was filled from {is}, not from {asked}: give that input again, or choose \
         another folder with --data",
        .folder.display()
    )]
    OtherInput {
        /// The folder.
        folder: PathBuf,
        /// What it was begun with.
        is: Identity,
        /// What was asked for.
        asked: Identity,
    },
    /// The folder was begun with another number of partitions.
    #[error(
        "data folder {} was begun with {is} partitions, not {asked}: give --partitions {is}, or \
         choose another folder with --data",
        .folder.display()
    )]
    OtherPartitions {
        /// The folder.
        folder: PathBuf,
        /// What it was begun with.
        is: u32,
        /// What was asked for.
        asked: u32,
    },
    /// What was written down cannot be read or written.
    #[error("{} cannot be used ({source}): choose another folder with --data", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Claim {
    /// A claim for an input that is spread over so many partitions.
    pub const fn new(input: Identity, partitions: u32) -> Self {
        Self { input, partitions }
    }

    /// Takes the folder for this input, durably. What was taken before must be for the same.
    ///
    /// # Errors
    ///
    /// When the folder is for another input, or what is written down there cannot be read.
    pub fn hold(&self, folder: &Path) -> Result<(), ClaimError> {
        let path = folder.join("input.json");
        let failed = |source| ClaimError::File {
            path: path.clone(),
            source,
        };
        match fs::read(&path) {
            Ok(bytes) => {
                let is: Self =
                    serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
                self.check(is, folder)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.write(folder, &path).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn check(&self, is: Self, folder: &Path) -> Result<(), ClaimError> {
        let folder = folder.to_owned();
        if is.input != self.input {
            let asked = self.input.clone();
            return Err(ClaimError::OtherInput {
                folder,
                is: is.input,
                asked,
            });
        }
        if is.partitions != self.partitions {
            return Err(ClaimError::OtherPartitions {
                folder,
                is: is.partitions,
                asked: self.partitions,
            });
        }
        Ok(())
    }

    /// Writes beside its place, syncs and renames, so that a crash leaves all of it or nothing.
    fn write(&self, folder: &Path, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("json.part");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        sync_folder(folder)
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Windows has no way to sync a folder.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
