//! The front of a small file that is written as a whole: magic, version, checksum, length.

use std::path::Path;

use crate::{
    Error, Result,
    le::{u16_at, u32_at, u64_at},
};

/// Bytes before the body.
pub(crate) const HEAD_LEN: usize = 24;
/// The checksum covers everything from here.
const CHECKED_FROM: usize = 12;

/// A kind of file, in the one version that this release writes and reads.
pub(crate) struct Kind {
    pub(crate) magic: [u8; 4],
    pub(crate) version: u16,
    /// Its name, with its article.
    pub(crate) name: &'static str,
    /// What to do when it is damaged.
    pub(crate) remedy: &'static str,
}

impl Kind {
    /// The whole file.
    pub(crate) fn wrap(&self, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_LEN + body.len());
        bytes.extend_from_slice(&self.magic);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&24_u16.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(body);
        let checksum = crc32c::crc32c(&bytes[CHECKED_FROM..]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The body of the file at `path`, whose bytes are `bytes`.
    pub(crate) fn unwrap<'a>(&self, bytes: &'a [u8], path: &Path) -> Result<&'a [u8]> {
        let damaged = |reason: String| Error::Unusable {
            path: path.to_path_buf(),
            reason,
            remedy: self.remedy,
        };
        let name = self.name;
        if bytes.len() < HEAD_LEN {
            return Err(damaged("its length is impossible".to_owned()));
        }
        if bytes[..4] != self.magic || usize::from(u16_at(bytes, 6)) != HEAD_LEN {
            return Err(damaged(format!("it does not start as {name} does")));
        }
        if u32_at(bytes, 8) != crc32c::crc32c(&bytes[CHECKED_FROM..]) {
            return Err(damaged("its checksum is wrong".to_owned()));
        }
        let version = u16_at(bytes, 4);
        if version != self.version {
            return Err(Error::Newer {
                path: path.to_path_buf(),
                feature: format!("version {version} of {name}"),
            });
        }
        let body = &bytes[HEAD_LEN..];
        if u64_at(bytes, 16) != body.len() as u64 {
            return Err(damaged("its length is not what it says".to_owned()));
        }
        Ok(body)
    }
}
