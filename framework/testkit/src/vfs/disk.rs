//! The state of the disk: files and names as programs see them, as they lie there, and what is
//! between the two.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Component, Path, PathBuf},
};

use levada_log::vfs::{Entry, EntryKind};

use super::change::{Change, NameChange};

/// A file, whatever its names are.
pub(super) type FileId = u64;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(FileId),
}

/// The content of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// As programs see it.
    pub(super) live: Vec<u8>,
    /// As it lies on the disk.
    pub(super) durable: Vec<u8>,
    /// What leads from the second to the first, in order.
    pub(super) unsynced: Vec<Change>,
    /// The room that it takes on the disk: what was written, without holes.
    pub(super) room: u64,
    /// How many programs have it open.
    pub(super) opened: usize,
}

/// Names, and what they stand for. The root, `/` or empty, is there without being named.
pub(super) type Names = BTreeMap<PathBuf, Node>;

/// All files and names.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    /// Files stay here when their last name goes: somebody may have them open.
    pub(super) files: BTreeMap<FileId, File>,
    pub(super) live: Names,
    pub(super) durable: Names,
    pub(super) unsynced: Vec<NameChange>,
    /// Who holds which lock.
    pub(super) locks: BTreeMap<PathBuf, u64>,
    /// The number of the next file or lock.
    next: u64,
}

impl File {
    pub(super) fn change(&mut self, change: Change) {
        let before = self.live.len();
        change.apply(&mut self.live);
        let after = self.live.len();
        self.room = match change {
            Change::Write { .. } => self.room + (after - before) as u64,
            Change::SetLen(_) => self.room.min(after as u64),
        };
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
    }
}

impl Disk {
    pub(super) fn file(&mut self, id: FileId) -> &mut File {
        self.files.get_mut(&id).expect("files are never forgotten")
    }

    pub(super) fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        match self.live.get(&clean(path))? {
            Node::Dir => None,
            Node::File(id) => Some(self.files[id].live.clone()),
        }
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let files = self.live.iter().filter(|(_, node)| **node != Node::Dir);
        files.map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn rot(&mut self, path: &Path, offset: usize, bytes: &[u8]) {
        let id = self.find(path).expect("only files that are there rot");
        let file = self.file(id);
        for content in [&mut file.live, &mut file.durable] {
            if let Some(place) = content.get_mut(offset..offset + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        }
        let there = file.live.len();
        assert!(
            offset + bytes.len() <= there,
            "only bytes that are there rot"
        );
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<FileId> {
        match self.live.get(&clean(path)) {
            Some(Node::File(id)) => Ok(*id),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<FileId> {
        let path = clean(path);
        if self.live.contains_key(&path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.check_dir(parent(&path))?;
        let id = self.number();
        self.files.insert(id, File::default());
        self.change(NameChange::Made(path, Node::File(id)));
        Ok(id)
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let path = clean(path);
        let mut missing: Vec<&Path> = Vec::new();
        for folder in path.ancestors().take_while(|folder| !is_root(folder)) {
            match self.live.get(folder) {
                Some(Node::Dir) => break,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => missing.push(folder),
            }
        }
        for folder in missing.into_iter().rev() {
            self.change(NameChange::Made(folder.to_path_buf(), Node::Dir));
        }
        Ok(())
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let path = clean(path);
        self.check_dir(&path)?;
        let inside = self.live.iter().filter(|(name, _)| parent(name) == path);
        let entries = inside.filter_map(|(name, node)| {
            let kind = match node {
                Node::Dir => EntryKind::Dir,
                Node::File(_) => EntryKind::File,
            };
            let name = name.file_name()?.to_owned();
            Some(Entry { name, kind })
        });
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by(|a, b| a.name.as_encoded_bytes().cmp(b.name.as_encoded_bytes()));
        Ok(entries)
    }

    /// Whether a file has a name, or somebody has it open.
    pub(super) fn is_used(&self, id: FileId) -> bool {
        self.files[&id].opened > 0 || self.live.values().any(|node| *node == Node::File(id))
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = Node::File(self.find(from)?);
        let (from, to) = (clean(from), clean(to));
        self.check_dir(parent(&to))?;
        if self.live.get(&to) == Some(&Node::Dir) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.change(NameChange::Renamed { from, to, node });
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.change(NameChange::Removed(clean(path)));
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        if !self.list(path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.change(NameChange::Removed(clean(path)));
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let folder = clean(path);
        self.check_dir(&folder)?;
        let changes = std::mem::take(&mut self.unsynced);
        let (synced, left) = changes
            .into_iter()
            .partition::<Vec<_>, _>(|change| change.is_in(&folder));
        for change in &synced {
            change.apply(&mut self.durable);
        }
        self.unsynced = left;
        Ok(())
    }

    pub(super) fn lock(&mut self, path: &Path) -> io::Result<u64> {
        if self.find(path).is_err() {
            self.create(path)?;
        }
        if self.locks.contains_key(&clean(path)) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let holder = self.number();
        self.locks.insert(clean(path), holder);
        Ok(holder)
    }

    pub(super) fn unlock(&mut self, path: &Path, holder: u64) {
        if self.locks.get(path) == Some(&holder) {
            self.locks.remove(path);
        }
    }

    /// Forgets names whose folder is not there, and files without a name.
    pub(super) fn drop_unreachable(&mut self) {
        let names = std::mem::take(&mut self.live);
        for (path, node) in names {
            // Folders come before what is in them.
            let folder = parent(&path);
            if is_root(folder) || self.live.get(folder) == Some(&Node::Dir) {
                self.live.insert(path, node);
            }
        }
        self.durable.clone_from(&self.live);
        let named = self.live.values().filter_map(|node| match node {
            Node::Dir => None,
            Node::File(id) => Some(*id),
        });
        let named: BTreeSet<_> = named.collect();
        self.files.retain(|id, _| named.contains(id));
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.live);
        self.unsynced.push(change);
    }

    pub(super) fn check_dir(&self, path: &Path) -> io::Result<()> {
        match self.live.get(path) {
            _ if is_root(path) => Ok(()),
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// A path without `.` in it.
pub(super) fn clean(path: &Path) -> PathBuf {
    let components = path.components();
    components
        .filter(|component| *component != Component::CurDir)
        .collect()
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn is_root(path: &Path) -> bool {
    path.parent().is_none()
}
