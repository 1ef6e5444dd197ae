//! What a folder holds at one moment, read beside a log that may be writing it.
//!
//! 1. Nothing is taken, created or changed, the lock included: a log that is being opened at the
//!    same time must not find it held.
//! 2. The image is read, then the journals from it on, then the image's head again. If it is
//!    another by then, a journal may have been used again under our eyes: all starts over.
//! 3. Only what is known to be acknowledged is shown. A frame is, if a later one says so, if the
//!    [`mark`] does, or if the log was closed in order. So the last group commit of a log that was
//!    killed may be missing, until the folder is opened for writing, which settles it.
//! 4. Something broken that a later frame knows to be acknowledged is damage, as it is for
//!    recovery; but that frame may have come between two reads. So it is believed only when found
//!    again.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;

use super::{
    frames::{self, Frames, Part},
    whole_batch,
};
use crate::{
    Error, Result, image,
    journal::frame::{Entry, Found},
    mark,
    meta::{Change, Image},
    partition::PartitionId,
    paths::Paths,
    segment::Stored,
    vfs::Vfs,
};

/// How often a folder is read anew that changes while it is read. A journal is used again after
/// many megabytes, so that the second time is rare.
const TRIES: usize = 100;

/// What to do about damage.
const REMEDY: &str = "restore the data folder from a copy";

/// A folder at one moment.
pub(super) struct View {
    /// The metadata, with the changes since the image; its partitions end where segments do.
    pub(super) image: Image,
    /// What the journals have beyond the segments.
    pub(super) tails: BTreeMap<PartitionId, Vec<Stored>>,
}

/// Reads a folder.
pub(super) fn view(vfs: &dyn Vfs, paths: &Paths) -> Result<View> {
    let mut suspected = None;
    for _ in 0..TRIES {
        match attempt(vfs, paths)? {
            Attempt::Settled(view) => return Ok(view),
            Attempt::Changed => suspected = None,
            Attempt::Broken { at, error } if suspected == Some(at) => return Err(error),
            Attempt::Broken { at, .. } => suspected = Some(at),
        }
    }
    Err(Error::Changing(paths.folder().to_path_buf()))
}

/// What reading came to.
enum Attempt {
    Settled(View),
    /// The log has gone on to another image.
    Changed,
    /// It is damaged there, unless the log wrote there meanwhile.
    Broken {
        at: (u64, u64),
        error: Error,
    },
}

fn attempt(vfs: &dyn Vfs, paths: &Paths) -> Result<Attempt> {
    let head = head(vfs, paths)?;
    let Some(image) = image::read(vfs, paths)? else {
        return Err(Error::Unusable {
            path: paths.image(),
            reason: "it is missing: this is no data folder, or not yet".to_owned(),
            remedy: "open the folder with `Log::open` first, or choose another",
        });
    };
    let commits = Commits::read(vfs, paths, &image);
    if self::head(vfs, paths)? != head {
        return Ok(Attempt::Changed);
    }
    let commits = commits?;
    if let Some(at) = commits.broken {
        let path = paths.journal(at.0);
        let reason = format!("an acknowledged group commit is damaged (at byte {})", at.1);
        let error = Error::Unusable {
            path,
            reason,
            remedy: REMEDY,
        };
        return Ok(Attempt::Broken { at, error });
    }
    let marked = mark::read(vfs, paths).filter(|marked| marked.instance == image.instance);
    let proven = commits.proven.max(marked.map_or(0, |marked| marked.commit));
    commits
        .into_view(paths, image, proven)
        .map(Attempt::Settled)
}

/// The head of the image, if there is one: another image has another.
fn head(vfs: &dyn Vfs, paths: &Paths) -> Result<Option<image::Head>> {
    let file = image::open(vfs, paths)?;
    file.map(|file| image::head(&*file, paths)).transpose()
}

/// The group commits since an image.
struct Commits {
    /// Number, journal and entries of each, in order.
    read: Vec<(u64, u64, Vec<Found>)>,
    /// The last that is known to be acknowledged.
    proven: u64,
    /// Journal and position of something broken that is known to be acknowledged.
    broken: Option<(u64, u64)>,
}

impl Commits {
    fn read(vfs: &dyn Vfs, paths: &Paths, image: &Image) -> Result<Self> {
        let mut commits = Self {
            read: Vec::new(),
            proven: image.commit.saturating_sub(1),
            broken: None,
        };
        let numbers = frames::numbers(vfs, paths, image.journal)?;
        if numbers.is_empty() {
            commits.broken = Some((image.journal, 0));
            return Ok(commits);
        }
        let mut next = image.commit;
        for number in numbers {
            let path = paths.journal(number);
            Frames::open(vfs, &path, image, number)?.walk(&mut |part| {
                let (position, frame) = match part {
                    Part::Frame {
                        position,
                        head,
                        found,
                    } => (position, Some((head, found))),
                    Part::Hole { position, .. } => (position, None),
                };
                if let Some((head, _)) = &frame {
                    commits.proven = commits.proven.max(head.synced);
                }
                match frame {
                    Some((head, Some(found)))
                        if commits.broken.is_none() && head.commit == next =>
                    {
                        commits.read.push((next, number, found));
                        next += 1;
                    }
                    _ => {
                        commits.broken.get_or_insert((number, position));
                    }
                }
                Ok(true)
            })?;
        }
        // What nobody knows to be acknowledged may be torn.
        commits.broken.take_if(|_| next > commits.proven);
        Ok(commits)
    }

    /// Lets all that is proven take effect.
    fn into_view(mut self, paths: &Paths, image: Image, mut proven: u64) -> Result<View> {
        let last = self.read.last();
        if let Some((commit, journal, found)) = last
            && let Some(Found::Whole(Entry::Change(body))) = found.last()
            && Change::decode(body, &paths.journal(*journal))? == Change::Stopped
        {
            proven = *commit;
        }
        self.read.retain(|(commit, ..)| *commit <= proven);
        let mut view = View {
            image,
            tails: BTreeMap::new(),
        };
        for (commit, journal, found) in self.read {
            let path = paths.journal(journal);
            let torn = found
                .iter()
                .any(|found| matches!(found, Found::Broken { .. }));
            if torn && commit > self.proven {
                // Torn or rotted: it is cut here as it is by recovery.
                break;
            }
            for found in found {
                view.take(found, &path)?;
            }
        }
        Ok(view)
    }
}

impl View {
    /// Takes in an entry of a group commit that was acknowledged.
    fn take(&mut self, found: Found, path: &Path) -> Result<()> {
        match found {
            Found::Whole(Entry::Change(body)) => self.image.apply(Change::decode(&body, path)?),
            Found::Whole(Entry::Batch { id, body, .. }) => self.batch(id, body, path),
            Found::Broken { id: Some(id), .. } => {
                self.stop(id, format!("a batch in {} is damaged", path.display()));
            }
            Found::Broken { id: None, .. } => {
                return Err(Error::Unusable {
                    path: path.to_path_buf(),
                    reason: "an acknowledged metadata change is damaged".to_owned(),
                    remedy: REMEDY,
                });
            }
            Found::Unknown(kind) => {
                return Err(Error::Newer {
                    path: path.to_path_buf(),
                    feature: format!("entry kind {kind}"),
                });
            }
        }
        Ok(())
    }

    fn batch(&mut self, id: PartitionId, body: Bytes, path: &Path) {
        let Some(record) = self.image.partition_mut(id) else {
            return;
        };
        if record.failed.is_some() {
            return;
        }
        let tail = self.tails.entry(id).or_default();
        let end = tail.last().map_or(record.end, |(last, _)| last.end());
        match whole_batch(&body) {
            Ok(header) if header.id == id && header.previous_end == end => {
                tail.push((header, body));
                self.image.note_transaction(&header);
            }
            _ => self.stop(
                id,
                format!("a batch in {} does not belong there", path.display()),
            ),
        }
    }

    fn stop(&mut self, id: PartitionId, reason: String) {
        if let Some(record) = self.image.partition_mut(id) {
            record.failed.get_or_insert(reason);
        }
    }
}
