//! A data folder from a backup: each byte is verified while it is copied.

use std::{path::Path, sync::Arc};

use super::{
    making::{Copying, Making},
    manifest::{self, File, Listed, Manifest, OTHER},
};
use crate::{
    Error, Options, Result,
    paths::Paths,
    vfs::{Open, Vfs},
};

/// What was restored.
///
/// See [`restore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// How many files.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// Makes a new data folder of a backup, on the operating system's files; see [`Options::restore`].
///
/// # Errors
///
/// As for [`Options::restore`].
///
/// # Examples
///
/// ```
/// use levada_log::{Error, Log};
///
/// let parent = tempfile::tempdir()?;
/// let (backup, folder) = (parent.path().join("monday"), parent.path().join("data"));
/// let log = Log::open(parent.path().join("first"))?;
/// log.backup(&backup).wait()?;
/// levada_log::restore(&backup, &folder)?;
/// assert!(levada_log::restore(&backup, &folder).is_err(), "it would be overwritten");
///
/// std::fs::write(backup.join("data/image"), "rotten")?;
/// let refused = levada_log::restore(&backup, parent.path().join("second"));
/// let said = refused.expect_err("a byte is wrong").to_string();
/// assert!(said.contains("data/image") && said.ends_with("use another backup"), "{said}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn restore(backup: impl AsRef<Path>, folder: impl AsRef<Path>) -> Result<Restored> {
    Options::default().restore(backup, folder)
}

impl Options {
    /// Makes a new data folder of a backup, verifying every byte. The folder opens as after a
    /// crash: transactions that were open when the backup was made are aborted.
    ///
    /// The data folder becomes one at the very end; a restore that fails leaves nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] for a folder that is no whole backup or a target that is not empty,
    /// [`Error::Newer`], [`Error::NoSpace`], [`Error::Io`].
    pub fn restore(self, backup: impl AsRef<Path>, folder: impl AsRef<Path>) -> Result<Restored> {
        let (vfs, backup, folder) = (self.vfs, backup.as_ref(), folder.as_ref());
        let manifest = Manifest::read(&*vfs, backup)?;
        let (from, to) = (manifest::data(backup), Paths::new(folder));
        let mut making = Making::begin(Arc::clone(&vfs), folder)?;
        for folder in [to.journals(), to.topics()] {
            making.folder(&folder)?;
        }
        let mut image = None;
        for listed in &manifest.files {
            let from = listed.file.path(&from);
            if listed.file == File::Image {
                image = Some(read(&*vfs, &from, listed)?);
            } else {
                copy(&*vfs, &mut making, &from, &listed.file.path(&to), listed)?;
            }
        }
        let Some(image) = image else {
            return Err(unusable(
                &manifest::path(backup),
                "it names no image".to_owned(),
            ));
        };
        making.finish(&to.image(), &image)?;
        let sizes = manifest.files.iter().map(|listed| listed.bytes);
        Ok(Restored {
            files: manifest.files.len() as u64,
            bytes: sizes.sum(),
        })
    }
}

/// Copies a file that must be as it was listed.
fn copy(
    vfs: &dyn Vfs,
    making: &mut Making,
    from_path: &Path,
    to_path: &Path,
    listed: &Listed,
) -> Result<()> {
    let from = open(vfs, from_path, listed)?;
    let mut copying = Copying {
        from,
        from_path,
        to: making.file(to_path)?,
        to_path,
        len: listed.bytes,
        position: 0,
        checksum: 0,
    };
    while copying.step()? {}
    verify(from_path, listed, copying.checksum)
}

/// Reads a file that must be as it was listed, and lies in memory when the log is open.
fn read(vfs: &dyn Vfs, path: &Path, listed: &Listed) -> Result<Vec<u8>> {
    let file = open(vfs, path, listed)?;
    let len = usize::try_from(listed.bytes).unwrap_or(usize::MAX);
    if len > crate::limits::MAX_IMAGE_BYTES {
        return Err(unusable(path, "its length is impossible".to_owned()));
    }
    let mut bytes = vec![0; len];
    let read = file.read_exact_at(&mut bytes, 0);
    read.map_err(|e| Error::io("cannot read", path, e))?;
    verify(path, listed, crc32c::crc32c(&bytes))?;
    Ok(bytes)
}

fn open(vfs: &dyn Vfs, path: &Path, listed: &Listed) -> Result<Box<dyn crate::vfs::VfsFile>> {
    let file = match vfs.open(path, Open::Read) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(unusable(path, "it is missing".to_owned()));
        }
        Err(e) => return Err(Error::io("cannot open", path, e)),
    };
    let len = file.len().map_err(|e| Error::io("cannot read", path, e))?;
    if len != listed.bytes {
        return Err(unusable(
            path,
            format!("it has {len} of {} bytes", listed.bytes),
        ));
    }
    Ok(file)
}

fn verify(path: &Path, listed: &Listed, checksum: u32) -> Result<()> {
    if checksum != listed.checksum {
        return Err(unusable(
            path,
            "its checksum is not the one that was noted".to_owned(),
        ));
    }
    Ok(())
}

fn unusable(path: &Path, reason: String) -> Error {
    Error::Unusable {
        path: path.to_path_buf(),
        reason,
        remedy: OTHER,
    }
}
