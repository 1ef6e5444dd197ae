//! A copy of a running log's folder, as of one moment.
//!
//! 1. The folder is [pinned](crate::pins): nothing that its image names is taken away.
//! 2. The image is read, then how far the log is acknowledged. That group commit is the moment.
//! 3. Copied are the segments, as far as the image names them, and the journals from the image on,
//!    up to that group commit. What is written meanwhile lies behind, and is not copied.
//! 4. All is synced; then the [`manifest`] gets its name.
//!
//! So a backup holds what was acknowledged before it was asked for, and perhaps what came while it
//! began; records, positions and transactions are of the same moment. A transaction that was open
//! then is aborted by whoever opens the restored folder, as after a crash.
//!
//! It neither waits for the writer and the keeper nor makes them wait. What it holds up is that old
//! files go: they go once it has ended.

use std::{
    future::poll_fn,
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    task::Poll,
};

use super::{
    frames::{self, Frames, Part},
    making::{Copying, Making},
    manifest::{self, File, Listed, Manifest},
};
use crate::{
    Error, Log, Result, Ticket, image,
    mark::Marked,
    meta::Image,
    pins::Pin,
    shared::Shared,
    vfs::{Open, VfsFile},
};

/// A backup that was made.
///
/// See [`Log::backup`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// Where it is.
    pub folder: PathBuf,
    /// How many files it has, its own list not counted.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// Segments that the log has lost: their partitions have stopped, or will. They are missing
    /// from the backup as well.
    pub missing: Vec<PathBuf>,
}

impl Log {
    /// Makes a backup in a new folder, while the log goes on: all that was acknowledged before this
    /// call, and perhaps what is acknowledged while it begins, records and positions of one moment.
    /// [`restore`](crate::restore) makes a data folder of it.
    ///
    /// Files are copied as they are: [`check`](crate::check) the data folder that was restored, to
    /// know that no bytes had rotted before. A backup that fails leaves nothing that could be taken
    /// for one.
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::Unusable`] when the folder is not empty, [`Error::NoSpace`],
    /// [`Error::Io`]; [`Error::Closed`] or [`Error::Dead`] when the log ends before it does;
    /// [`Error::ReadOnly`].
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Batch, Log, Record, TopicOptions};
    ///
    /// let parent = tempfile::tempdir()?;
    /// let (data, backup) = (parent.path().join("data"), parent.path().join("monday"));
    /// let log = Log::open(&data)?;
    /// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
    /// let mut batch = Batch::new();
    /// batch.push(&Record::of(b"white lantern"))?;
    /// orders.append(batch).wait()?;
    /// assert!(log.backup(&backup).wait()?.missing.is_empty());
    ///
    /// let restored = parent.path().join("restored");
    /// levada_log::restore(&backup, &restored)?;
    /// let log = Log::open(&restored)?;
    /// let orders = log.topic("orders")?.partition(0)?;
    /// let fetched = orders.fetch(0, 1 << 20).wait()?;
    /// let record = fetched.records().next().expect("it was there before");
    /// assert_eq!(record.value, b"white lantern");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn backup(&self, folder: impl AsRef<Path>) -> Ticket<Backup> {
        let (completion, ticket) = Ticket::new();
        let (shared, folder) = (Arc::clone(self.shared()), folder.as_ref().to_path_buf());
        let pin = shared.pins.pin();
        let work = async move {
            completion.complete(back_up(&shared, folder, pin).await);
        };
        match self.spawner().spawn("levada-log-backup", Box::pin(work)) {
            Ok(()) => ticket,
            Err(e) => {
                let folder = self.shared().paths.folder();
                let error = Error::io("cannot start the backup of", folder, e);
                Ticket::known(Err(error))
            }
        }
    }
}

/// Makes a backup. The pin was taken before anything is read.
async fn back_up(shared: &Shared, folder: PathBuf, pin: Pin) -> Result<Backup> {
    goes_on(shared)?;
    let mut making = Making::begin(Arc::clone(&shared.vfs), &folder)?;
    let (vfs, paths) = (&*shared.vfs, &shared.paths);
    let image = image::read(vfs, paths)?.ok_or(Error::Closed)?;
    let commit = shared.acknowledged.load(Ordering::Acquire);
    let to = manifest::data(&folder);
    let mut manifest = Manifest {
        instance: image.instance,
        commit,
        ..Manifest::default()
    };
    let mut missing = Vec::new();
    for (file, upto) in to_copy(shared, &image, commit)? {
        let (from_path, to_path) = (file.path(paths), file.path(&to));
        let from = match vfs.open(&from_path, Open::Read) {
            Ok(from) => from,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                missing.push(from_path);
                continue;
            }
            Err(e) => return Err(Error::io("cannot open", from_path, e)),
        };
        let mut copying = Copying {
            len: len(&*from, &from_path)?.min(upto),
            from,
            from_path: &from_path,
            to: making.file(&to_path)?,
            to_path: &to_path,
            position: 0,
            checksum: 0,
        };
        while copying.step()? {
            let_others_run().await;
            goes_on(shared)?;
        }
        manifest.files.push(Listed {
            file,
            bytes: copying.len,
            checksum: copying.checksum,
        });
    }
    let marked = Marked {
        instance: image.instance,
        commit,
        durable: commit,
    };
    for (file, bytes) in [
        (File::Mark, marked.encode().to_vec()),
        (File::Image, image::bytes(&image)),
    ] {
        making.write(&file.path(&to), &bytes)?;
        manifest.files.push(Listed {
            file,
            bytes: bytes.len() as u64,
            checksum: crc32c::crc32c(&bytes),
        });
    }
    // All was read while the folder was ours and pinned.
    goes_on(shared)?;
    drop(pin);
    making.finish(&manifest::path(&folder), &manifest.bytes())?;
    let sizes = manifest.files.iter().map(|listed| listed.bytes);
    Ok(Backup {
        folder,
        files: manifest.files.len() as u64,
        bytes: sizes.sum(),
        missing,
    })
}

/// The files that a moment needs, and how much of each.
fn to_copy(shared: &Shared, image: &Image, commit: u64) -> Result<Vec<(File, u64)>> {
    let (vfs, paths) = (&*shared.vfs, &shared.paths);
    let mut files = Vec::new();
    for (&topic, of) in &image.topics {
        for (record, partition) in of.partitions.iter().zip(0..) {
            let id = crate::partition::PartitionId { topic, partition };
            let segments = record.segments.iter();
            files.extend(segments.map(|it| (File::Segment(id, it.name()), it.bytes)));
        }
    }
    let kept = image.kept_journals.iter();
    files.extend(kept.map(|&number| (File::Journal(number), u64::MAX)));
    let mut next = image.commit;
    for number in frames::numbers(vfs, paths, image.journal)? {
        let path = paths.journal(number);
        let mut end = 0;
        Frames::open(vfs, &path, image, number)?.walk(&mut |part| match part {
            Part::Frame { position, head, .. } if next <= commit && head.commit == next => {
                next += 1;
                end = position + head.padded_len();
                Ok(next <= commit)
            }
            Part::Frame { .. } | Part::Hole { .. } => Ok(false),
        })?;
        files.push((File::Journal(number), end));
        if next > commit {
            return Ok(files);
        }
    }
    Err(Error::Unusable {
        path: paths.journals(),
        reason: format!("group commit {next} cannot be read, and {commit} was acknowledged"),
        remedy: "stop the log, check its folder and repair it",
    })
}

fn len(file: &dyn VfsFile, path: &Path) -> Result<u64> {
    file.len().map_err(|e| Error::io("cannot read", path, e))
}

/// Fails when the log has ended: from then on others may change its folder.
fn goes_on(shared: &Shared) -> Result<()> {
    match shared.queue.refusal() {
        Some(error) => Err(error),
        None if shared.is_stopping() => Err(Error::Closed),
        None => Ok(()),
    }
}

/// Gives way once.
async fn let_others_run() {
    let mut gave_way = false;
    poll_fn(|context| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
