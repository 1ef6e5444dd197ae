//! The manifest of a backup: each file, its length and its checksum. It is written last.
//!
//! Files are named by what they are and by numbers, never by paths: so there is no name in a
//! manifest, whoever wrote it, that leads out of a folder.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result, envelope,
    limits::MAX_IMAGE_BYTES,
    meta::{self, SegmentName},
    partition::PartitionId,
    paths::Paths,
    vfs::{Open, Vfs},
};

const KIND: envelope::Kind = envelope::Kind {
    magic: *b"LVBk",
    version: 1,
    name: "the list of a backup",
    remedy: OTHER,
};

/// What to do about a backup that is none.
pub(super) const OTHER: &str = "use another backup";

/// What a backup holds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// What a reader must know to use this backup. Nothing yet.
    pub(super) requires: Vec<String>,
    /// The instance of the log that made it.
    pub(super) instance: u64,
    /// The last group commit that is in it.
    pub(super) commit: u64,
    pub(super) files: Vec<Listed>,
}

/// A file of a backup.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) file: File,
    pub(super) bytes: u64,
    pub(super) checksum: u32,
}

/// Which file of a data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum File {
    Image,
    Mark,
    Journal(u64),
    Segment(PartitionId, SegmentName),
}

impl File {
    pub(super) fn path(self, paths: &Paths) -> PathBuf {
        match self {
            Self::Image => paths.image(),
            Self::Mark => paths.mark(),
            Self::Journal(number) => paths.journal(number),
            Self::Segment(id, name) => paths.segment(id, name),
        }
    }
}

/// The manifest in the folder of a backup.
pub(super) fn path(backup: &Path) -> PathBuf {
    backup.join("backup")
}

/// Where the files lie in the folder of a backup: as in a data folder.
pub(super) fn data(backup: &Path) -> Paths {
    Paths::new(&backup.join("data"))
}

impl Manifest {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let body = rmp_serde::to_vec_named(self);
        KIND.wrap(&body.expect("a manifest has only types that MessagePack has"))
    }

    pub(super) fn read(vfs: &dyn Vfs, backup: &Path) -> Result<Self> {
        let path = path(backup);
        let unusable = |reason: &str| Error::Unusable {
            path: path.clone(),
            reason: reason.to_owned(),
            remedy: OTHER,
        };
        let failed = |e| Error::io("cannot read", &path, e);
        let file = match vfs.open(&path, Open::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(unusable(
                    "it is missing: this is no backup, or one that did not come to its end",
                ));
            }
            Err(e) => return Err(failed(e)),
        };
        let len = usize::try_from(file.len().map_err(failed)?).unwrap_or(usize::MAX);
        if len > MAX_IMAGE_BYTES {
            return Err(unusable("its length is impossible"));
        }
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, 0).map_err(failed)?;
        let manifest: Self = meta::decode(KIND.unwrap(&bytes, &path)?).map_err(|e| {
            unusable(&format!(
                "its checksum is right but it cannot be read ({e})"
            ))
        })?;
        match manifest.requires.first() {
            None => Ok(manifest),
            Some(feature) => Err(Error::Newer {
                path,
                feature: feature.clone(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frozen::assert_frozen;

    #[test]
    fn lists_of_backups_are_encoded_as_in_version_1() {
        let id = PartitionId {
            topic: 3,
            partition: 1,
        };
        let name = SegmentName {
            base: 10,
            generation: 2,
        };
        let files = [
            File::Image,
            File::Mark,
            File::Journal(7),
            File::Segment(id, name),
        ];
        let files = (1000..).zip(files).map(|(bytes, file)| Listed {
            file,
            bytes,
            checksum: u32::MAX,
        });
        let manifest = Manifest {
            requires: Vec::new(),
            instance: 5,
            commit: 70,
            files: files.collect(),
        };
        assert_frozen("backup", &manifest.bytes());
    }
}
