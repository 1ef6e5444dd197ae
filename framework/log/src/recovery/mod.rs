//! Opening a data folder: what every start does, after an orderly stop as after a crash.
//!
//! 1. Look at the folder's names, touching nothing; take the lock.
//! 2. Read the image.
//! 3. Read the journals since the image; cut the last frame if it is torn ([`scan`]).
//! 4. Write their batches to the segments, and sync those. What was read may come from the page
//!    cache of a machine whose last sync failed, so nothing is believed before it is written again.
//! 5. Lift next offsets above every position that is named anywhere.
//! 6. Start a new journal, once the names of the old ones are durable; write an image that names
//!    it, with the next instance. That is the commit point: before it the next start finds what
//!    this one found, and comes to the same.
//! 7. Remove the old journals.

mod replay;

use std::{collections::BTreeMap, io, path::Path};

use crate::{
    Error, Result,
    error::Failure,
    image,
    journal::{
        Journal,
        frame::JournalId,
        scan::{Cut, scan},
    },
    limits::MAX_OFFSETS_PER_COMMIT,
    meta::{Image, PartitionImage},
    partition::PartitionId,
    paths::{Paths, number},
    segment::{self, Stored},
    shared::FolderLock,
    vfs::{EntryKind, Open, Vfs},
};
use replay::Replay;

/// What opening a data folder found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Whether the log was closed in order, or is new.
    pub clean: bool,
    /// Batches that were moved from journals to segments.
    pub batches: u64,
    /// The last group commit was torn, or has rotted since: nobody can tell. It was cut. What was
    /// in it was *possibly acknowledged*.
    pub cut: Option<CutCommit>,
}

/// A group commit that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutCommit {
    /// The number of the journal that it was in.
    pub journal: u64,
    /// Where it started, in bytes.
    pub position: u64,
    /// How many batches it had; `None` if that can no longer be read.
    pub batches: Option<usize>,
}

/// A data folder that is open.
pub(crate) struct Opened {
    pub(crate) image: Image,
    pub(crate) journal: Journal,
    pub(crate) journal_id: JournalId,
    pub(crate) spare: Option<u64>,
    pub(crate) lock: FolderLock,
    pub(crate) recovery: Recovery,
}

/// Opens a data folder, making it if it is not there. `nonce` is for a new one.
pub(crate) fn open(vfs: &dyn Vfs, paths: &Paths, segment_bytes: u64, nonce: u64) -> Result<Opened> {
    let lock = take(vfs, paths)?;
    let mut folder = Folder {
        vfs,
        paths,
        segment_bytes,
        recovery: Recovery::default(),
    };
    let old = image::read(vfs, paths)?;
    let is_new = old.is_none();
    let mut image = match old {
        Some(image) => image,
        None => folder.make(nonce)?,
    };
    let journals = folder.journals()?;
    if is_new {
        folder.recovery.clean = true;
    } else {
        folder.replay(&mut image, &journals)?;
    }
    image.lift_next_offsets();
    folder.check_segments(&mut image)?;

    let last = journals
        .iter()
        .chain(&[image.journal])
        .max()
        .copied()
        .unwrap_or(0);
    image.instance += 1;
    image.journal = last + 1;
    let journal_id = JournalId {
        nonce: image.nonce,
        instance: image.instance,
        number: image.journal,
    };
    // A crash may have kept the names of the old journals from becoming durable, and that of the
    // new one must not be so before them.
    let journals_folder = paths.journals();
    vfs.sync_dir(&journals_folder)
        .map_err(|e| Error::io("cannot sync folder", journals_folder, e))?;
    let journal = Journal::create(vfs, paths, journal_id, None).map_err(error)?;
    image::write(vfs, paths, &image).map_err(error)?;
    let spare = folder.retire(&image, &journals);
    let recovery = folder.recovery;
    tracing::info!(
        folder = %paths.folder().display(), instance = image.instance, ?recovery, "log opened"
    );
    Ok(Opened {
        image,
        journal,
        journal_id,
        spare,
        lock,
        recovery,
    })
}

/// Looks at the folder's names and takes its lock.
fn take(vfs: &dyn Vfs, paths: &Paths) -> Result<FolderLock> {
    let folder = paths.folder();
    vfs.create_dir_all(folder)
        .map_err(|e| Error::io("cannot create folder", folder, e))?;
    let entries = vfs
        .list(folder)
        .map_err(|e| Error::io("cannot list folder", folder, e))?;
    for entry in entries {
        let expected = match entry.name.to_str() {
            Some("lock" | "image" | "image.new") => EntryKind::File,
            Some("journal" | "topics") => EntryKind::Dir,
            _ => {
                tracing::warn!(name = ?entry.name, "not a name of the log's: left alone");
                continue;
            }
        };
        if entry.kind != expected {
            return Err(Error::Unusable {
                path: folder.join(&entry.name),
                reason: "it is a symbolic link or of the wrong kind".to_owned(),
                remedy: "move it away, or choose another folder",
            });
        }
    }
    let lock = paths.lock();
    vfs.lock(&lock).map_err(|e| match e.kind() {
        io::ErrorKind::WouldBlock => Error::InUse(folder.to_path_buf()),
        _ => Error::io("cannot lock", lock, e),
    })
}

/// A data folder that is being opened.
struct Folder<'a> {
    vfs: &'a dyn Vfs,
    paths: &'a Paths,
    segment_bytes: u64,
    recovery: Recovery,
}

impl Folder<'_> {
    /// Makes a new data folder, unless there are signs of an old one.
    fn make(&self, nonce: u64) -> Result<Image> {
        let (vfs, paths) = (self.vfs, self.paths);
        for folder in [paths.journals(), paths.topics()] {
            vfs.create_dir_all(&folder)
                .map_err(|e| Error::io("cannot create folder", &folder, e))?;
        }
        let mut signs = !self.list(&paths.topics())?.is_empty();
        for journal in self.journals()? {
            let path = paths.journal(journal);
            let file = vfs.open(&path, Open::Read);
            let len = file.and_then(|file| file.len());
            signs |= len.map_err(|e| Error::io("cannot open", path, e))? > 0;
        }
        if signs {
            return Err(Error::Unusable {
                path: paths.image(),
                reason: "it is missing, but there is data beside it".to_owned(),
                remedy: "restore the data folder from a copy",
            });
        }
        // Any of the folders above may be new as well, and a name is durable only in its folder.
        for folder in paths.folder().ancestors() {
            let here = folder.as_os_str().is_empty();
            let folder = if here { Path::new(".") } else { folder };
            match vfs.sync_dir(folder) {
                // What we may not open we have not made.
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced.map_err(|e| Error::io("cannot sync folder", folder, e))?,
            }
        }
        Ok(Image {
            nonce,
            commit: 1,
            ..Image::default()
        })
    }

    /// The numbers of all journals, in order.
    fn journals(&self) -> Result<Vec<u64>> {
        let folder = self.paths.journals();
        let mut numbers = Vec::new();
        for entry in self.list(&folder)? {
            match number(&entry.name) {
                Some(number) if entry.kind == EntryKind::File => numbers.push(number),
                Some(_) => {
                    return Err(Error::Unusable {
                        path: folder.join(entry.name),
                        reason: "it is a symbolic link or a folder".to_owned(),
                        remedy: "move it away",
                    });
                }
                None => tracing::warn!(name = ?entry.name, "not a journal: left alone"),
            }
        }
        Ok(numbers)
    }

    fn list(&self, folder: &Path) -> Result<Vec<crate::vfs::Entry>> {
        self.vfs
            .list(folder)
            .map_err(|e| Error::io("cannot list folder", folder, e))
    }

    /// Takes what is in the journals into the image and the segments.
    fn replay(&mut self, image: &mut Image, journals: &[u64]) -> Result<()> {
        let live: Vec<u64> = journals
            .iter()
            .copied()
            .filter(|n| *n >= image.journal)
            .collect();
        if live
            .iter()
            .zip(image.journal..)
            .any(|(found, expected)| *found != expected)
            || live.is_empty()
        {
            return Err(Error::Unusable {
                path: self.paths.journals(),
                reason: format!("a journal from {} on is missing", image.journal),
                remedy: "restore the data folder from a copy",
            });
        }
        let mut replay = Replay {
            image: image.clone(),
            batches: BTreeMap::new(),
            clean: false,
        };
        let end = scan(
            self.vfs,
            self.paths,
            image,
            &live,
            &mut |journal, entered| replay.take(self.paths, journal, entered),
        )?;
        let Replay {
            image: replayed,
            batches,
            clean,
        } = replay;
        *image = replayed;
        image.commit = end.commit;
        image.kept_journals.extend(end.damaged);
        self.recovery.clean = clean && end.cut.is_none();
        for (id, batches) in batches {
            self.flush(image, id, &batches, &live)?;
        }
        if let Some(cut) = end.cut {
            self.cut(image, cut);
        }
        image.kept_journals.sort_unstable();
        image.kept_journals.dedup();
        Ok(())
    }

    fn flush(
        &mut self,
        image: &mut Image,
        id: PartitionId,
        batches: &[Stored],
        live: &[u64],
    ) -> Result<()> {
        let record = image
            .partition_mut(id)
            .expect("only batches of known partitions are taken");
        let bytes = self.segment_bytes;
        match segment::flush(self.vfs, self.paths, id, record, batches, bytes) {
            Ok(()) => self.recovery.batches += batches.len() as u64,
            Err(Failure::Damaged(reason)) => {
                stop(id, record, reason);
                record.next = batches
                    .last()
                    .map_or(0, |(last, _)| last.end())
                    .max(record.next);
                image.kept_journals.extend(live);
            }
            Err(failure) => return Err(error(failure)),
        }
        Ok(())
    }

    /// Cuts the last group commit: none of its offsets is given again, as somebody may have read
    /// it.
    fn cut(&mut self, image: &mut Image, cut: Cut) {
        tracing::warn!(
            ?cut,
            "the last group commit was cut: it was possibly acknowledged"
        );
        let batches = cut.ends.as_ref().map(Vec::len);
        match cut.ends {
            Some(ends) => {
                for (id, end) in ends {
                    image.lift_next_offset(id, end);
                }
            }
            None => {
                for (_, record) in image.partitions_mut() {
                    record.next = record.next.max(record.end) + MAX_OFFSETS_PER_COMMIT;
                }
            }
        }
        let (journal, position) = (cut.journal, cut.position);
        self.recovery.cut = Some(CutCommit {
            journal,
            position,
            batches,
        });
    }

    /// Stops partitions whose last segment has lost acknowledged bytes.
    fn check_segments(&self, image: &mut Image) -> Result<()> {
        for (id, record) in image.partitions_mut() {
            let Some(last) = record.segments.last() else {
                continue;
            };
            let path = self.paths.segment(id, last.base);
            let reason = match self.vfs.open(&path, Open::Read).and_then(|file| file.len()) {
                Ok(len) if len >= last.bytes => continue,
                Ok(len) => format!(
                    "segment {} has {len} of {} bytes",
                    path.display(),
                    last.bytes
                ),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    format!("segment {} is missing", path.display())
                }
                Err(e) => return Err(Error::io("cannot open", path, e)),
            };
            stop(id, record, reason);
        }
        Ok(())
    }

    /// Removes old journals but one, whose file will be used again if the log was closed in order:
    /// else whoever wrote it may live, past the lock, and still write.
    fn retire(&self, image: &Image, journals: &[u64]) -> Option<u64> {
        let mut old = journals.iter().filter(|n| !image.kept_journals.contains(n));
        let spare = self.recovery.clean.then(|| old.next().copied()).flatten();
        for &number in old {
            let path = self.paths.journal(number);
            // Left behind, it costs room and nothing else: no image names it.
            if let Err(error) = self.vfs.remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "an old journal cannot be removed");
            }
        }
        spare
    }
}

fn stop(id: PartitionId, record: &mut PartitionImage, reason: String) {
    let (topic, partition) = (id.topic, id.partition);
    tracing::error!(topic, partition, reason, "partition stopped");
    record.failed.get_or_insert(reason);
}

fn error(failure: Failure) -> Error {
    match failure {
        Failure::NoSpace(error) | Failure::Fatal(error) => error,
        Failure::Damaged(reason) => Error::Dead {
            cause: reason.into(),
        },
    }
}
