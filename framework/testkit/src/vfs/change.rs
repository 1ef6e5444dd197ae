//! Changes of contents and names: seen by programs at once, and on the disk after a sync.

use std::path::{Path, PathBuf};

use super::disk::{Names, Node};

/// A change of a file's content.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

/// A change of names.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Made(PathBuf, Node),
    Renamed {
        from: PathBuf,
        to: PathBuf,
        node: Node,
    },
    Removed(PathBuf),
}

impl Change {
    pub(super) fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
            Self::SetLen(len) => content.resize(*len, 0),
        }
    }
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut Names) {
        match self {
            Self::Made(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Renamed { from, to, node } => {
                if names.get(from) == Some(node) {
                    names.remove(from);
                }
                names.insert(to.clone(), *node);
            }
            Self::Removed(path) => {
                names.remove(path);
            }
        }
    }

    /// Whether a sync of `folder` makes it durable.
    pub(super) fn is_in(&self, folder: &Path) -> bool {
        match self {
            Self::Made(path, _) | Self::Removed(path) => path.parent() == Some(folder),
            Self::Renamed { from, to, .. } => {
                [from, to].iter().any(|path| path.parent() == Some(folder))
            }
        }
    }
}
