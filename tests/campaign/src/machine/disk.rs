//! Disks of the campaigns' own: an image with ext4 in it, mounted from a loop device.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::run;
use crate::campaign::Fault;

/// A folder on which something is mounted, as long as this lives.
#[derive(Debug)]
pub(super) struct Mounted(Option<TempDir>);

impl Mounted {
    /// Mounts the ext4 of an image.
    pub(super) fn image(image: &Path) -> Result<Self, Fault> {
        Self::new(&[Path::new("-o"), Path::new("loop"), image])
    }

    /// Mounts a file system in memory, of this size.
    pub(super) fn memory(size: &str) -> Result<Self, Fault> {
        let size = format!("size={size}");
        Self::new(&["-t", "tmpfs", "-o", &size, "tmpfs"].map(Path::new))
    }

    fn new(what: &[&Path]) -> Result<Self, Fault> {
        let folder = TempDir::new()?;
        run(Command::new("mount").args(what).arg(folder.path()))?;
        Ok(Self(Some(folder)))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), TempDir::path)
    }

    /// Takes it away, and with it its loop device. All of it is on the image then.
    pub(super) fn unmount(mut self) -> Result<(), Fault> {
        run(Command::new("umount").arg(self.path()))?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let Some(folder) = &self.0 else {
            return;
        };
        // Lazily: after a fault a process may have it open still, and it goes with that one.
        let lazily = run(Command::new("umount").arg("-l").arg(folder.path()));
        // What is mounted there is not to be removed with its folder.
        if lazily.is_err()
            && let Some(folder) = self.0.take()
        {
            let _still_mounted = folder.keep();
        }
    }
}

/// Makes a sparse image with an empty ext4 of `mebibytes`.
pub(super) fn make_image(folder: &Path, mebibytes: u64) -> Result<PathBuf, Fault> {
    let image = folder.join("disk");
    std::fs::File::create(&image)?.set_len(mebibytes << 20)?;
    run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
    Ok(image)
}

/// Why no image can be mounted here, if that is so.
pub(super) fn try_mounting() -> Result<(), Fault> {
    let folder = TempDir::new()?;
    Mounted::image(&make_image(folder.path(), 8)?)?.unmount()
}
