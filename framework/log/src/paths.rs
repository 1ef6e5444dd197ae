//! The one place that builds paths: of numbers only, below the data folder.
//!
//! ```text
//! data/
//!   lock                                         held while the log is open
//!   acknowledged                                 the last group commit, for readers beside it
//!   reserve                                      room that is set aside for what makes room
//!   image                                        metadata as of the start of a journal
//!   image.new                                    the next image, until it is renamed
//!   journal/00000000000000000007                 every group commit since the image
//!   topics/00000001/00000003/00000000000000042481   a segment: topic, partition, base offset
//!   topics/00000001/00000003/00000000000000000000.2 one that was compacted twice
//! ```

use std::path::{Path, PathBuf};

use crate::{limits::MAX_COUNT, meta::SegmentName, partition::PartitionId};

/// Paths below one data folder.
#[derive(Clone, Debug)]
pub(crate) struct Paths(PathBuf);

impl Paths {
    pub(crate) fn new(folder: &Path) -> Self {
        Self(folder.to_path_buf())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn reserve(&self) -> PathBuf {
        self.0.join("reserve")
    }

    pub(crate) fn image(&self) -> PathBuf {
        self.0.join("image")
    }

    pub(crate) fn next_image(&self) -> PathBuf {
        self.0.join("image.new")
    }

    pub(crate) fn mark(&self) -> PathBuf {
        self.0.join("acknowledged")
    }

    pub(crate) fn journals(&self) -> PathBuf {
        self.0.join("journal")
    }

    pub(crate) fn journal(&self, number: u64) -> PathBuf {
        self.journals().join(format!("{number:020}"))
    }

    pub(crate) fn topics(&self) -> PathBuf {
        self.0.join("topics")
    }

    pub(crate) fn topic(&self, topic: u32) -> PathBuf {
        self.topics().join(format!("{topic:08}"))
    }

    pub(crate) fn partition(&self, id: PartitionId) -> PathBuf {
        self.topic(id.topic).join(format!("{:08}", id.partition))
    }

    pub(crate) fn segment(&self, id: PartitionId, name: SegmentName) -> PathBuf {
        let SegmentName { base, generation } = name;
        self.partition(id).join(match generation {
            0 => format!("{base:020}"),
            _ => format!("{base:020}.{generation}"),
        })
    }
}

/// The number that a file of ours is named by; `None` for a foreign name.
pub(crate) fn number(name: &std::ffi::OsStr) -> Option<u64> {
    let name = name.to_str()?;
    let ours = name.len() == 20 && name.bytes().all(|b| b.is_ascii_digit());
    let number = if ours { name.parse().ok() } else { None };
    number.filter(|number| *number <= MAX_COUNT)
}

/// Whether a file of ours is named as a segment.
pub(crate) fn is_segment(name: &std::ffi::OsStr) -> bool {
    let parts = name
        .to_str()
        .map(|name| name.split_once('.').unwrap_or((name, "0")));
    parts.is_some_and(|(base, generation)| {
        number(base.as_ref()).is_some() && generation.parse::<u32>().is_ok()
    })
}
