//! Reads a whole data folder and says what is damaged in it. Nothing is changed.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use super::{
    journals::Journals,
    report::{Checked, Finding, Report},
    salvage::{Losses, salvage},
};
use crate::{
    Error, Options, Result, image,
    meta::{Image, PartitionImage},
    partition::PartitionId,
    paths::{Paths, number},
    shared::FolderLock,
    vfs::{EntryKind, Open, Vfs},
};

/// Checks a data folder that nobody has open, on the operating system's files; see
/// [`Options::check`].
///
/// # Errors
///
/// As for [`Options::check`].
///
/// # Examples
///
/// ```
/// use levada_log::{Batch, Error, Log, Record, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
/// let mut batch = Batch::new();
/// batch.push(&Record::of(b"white lantern"))?;
/// orders.append(batch).wait()?;
/// assert!(matches!(levada_log::check(folder.path()), Err(Error::InUse(_))));
/// log.close().wait()?;
///
/// let report = levada_log::check(folder.path())?;
/// assert!(report.is_sound(), "{report}");
/// assert_eq!((report.partitions[0].records, &report.partitions[0].offsets), (1, &(0..1)));
///
/// let journal = folder.path().join("journal/00000000000000000001");
/// let mut bytes = std::fs::read(&journal)?;
/// bytes[4096 + 200] ^= 1;
/// std::fs::write(&journal, bytes)?;
/// let report = levada_log::check(folder.path())?;
/// let said = report.findings[0].to_string();
/// assert!(said.ends_with("byte 4096: a batch of a group commit is damaged"), "{said}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check(folder: impl AsRef<Path>) -> Result<Report> {
    Options::default().check(folder)
}

impl Options {
    /// Reads every byte of a data folder that nobody has open and says what is damaged: see
    /// [`Report`]. Nothing is changed.
    ///
    /// To check a folder that is open, check a [backup](crate::Log::backup) of it.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`], [`Error::Newer`], [`Error::Io`]. Damage is no error, it is in the report.
    pub fn check(self, folder: impl AsRef<Path>) -> Result<Report> {
        let (vfs, paths) = (&*self.vfs, Paths::new(folder.as_ref()));
        let _lock = hold(vfs, &paths)?;
        let image = match read_image(vfs, &paths)? {
            Ok(image) => image,
            Err(finding) => {
                return Ok(Report {
                    findings: vec![finding],
                    ..Report::default()
                });
            }
        };
        let mut journals = Journals::since(vfs, &paths, &image)?;
        let mut report = Report {
            findings: std::mem::take(&mut journals.findings),
            stray: stray(vfs, &paths, &image)?,
            cut: journals.cut.take(),
            ..Report::default()
        };
        let mut after = image;
        for change in journals.changes.drain(..) {
            after.apply(change);
        }
        for (id, name, record) in partitions(&after) {
            check_partition(vfs, &paths, (id, name, record), &journals, &mut report)?;
        }
        for id in journals.batches.keys() {
            if after.partition_mut(*id).is_none() {
                let what = format!("they have batches of a partition that is unknown: {id:?}");
                report.findings.push(Finding::new(&paths.journals(), what));
            }
        }
        Ok(report)
    }
}

/// Every partition of an image.
pub(super) fn partitions(
    image: &Image,
) -> impl Iterator<Item = (PartitionId, &str, &PartitionImage)> {
    image.topics.iter().flat_map(|(&topic, of)| {
        let numbered = of.partitions.iter().zip(0..);
        numbered.map(move |(record, partition)| {
            (PartitionId { topic, partition }, of.name.as_str(), record)
        })
    })
}

/// Takes the lock of a folder that has one; fails if somebody has it.
pub(super) fn hold(vfs: &dyn Vfs, paths: &Paths) -> Result<Option<FolderLock>> {
    let path = paths.lock();
    match vfs.open(&path, Open::Read) {
        Ok(_) => {}
        // No log has ever had it open, or only one that ran on another copy of it.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("cannot open", path, e)),
    }
    match vfs.lock(&path) {
        Ok(lock) => Ok(Some(lock)),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            Err(Error::InUse(paths.folder().to_path_buf()))
        }
        // Where it cannot be written, nobody writes.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(Error::io("cannot lock", path, e)),
    }
}

/// The image, or what is wrong with it.
pub(super) fn read_image(vfs: &dyn Vfs, paths: &Paths) -> Result<Result<Image, Finding>> {
    let path = paths.image();
    match image::read(vfs, paths) {
        Ok(Some(image)) => Ok(Ok(image)),
        Ok(None) => Ok(Err(Finding::new(
            &path,
            "it is missing: nothing else can be told",
        ))),
        Err(Error::Unusable { path, reason, .. }) => Ok(Err(Finding::new(
            &path,
            format!("{reason}: nothing else can be told"),
        ))),
        Err(error) => Err(error),
    }
}

/// Checks a partition: its segments, then what the journals have of it.
fn check_partition(
    vfs: &dyn Vfs,
    paths: &Paths,
    (id, topic, record): (PartitionId, &str, &PartitionImage),
    journals: &Journals,
    report: &mut Report,
) -> Result<()> {
    let mut checked = Checked {
        topic: topic.to_owned(),
        partition: id.partition,
        offsets: record.start..record.end,
        batches: 0,
        records: 0,
        bytes: 0,
    };
    let of = (topic, id.partition);
    if let Some(reason) = &record.failed {
        let what = format!("the partition has stopped: {reason}");
        report
            .findings
            .push(Finding::new(&paths.image(), what).of(of, 0..0));
    }
    for segment in &record.segments {
        let path = paths.segment(id, segment.name());
        let file = match vfs.open(&path, Open::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let lost = segment.base..segment.end;
                report
                    .findings
                    .push(Finding::new(&path, "the segment is missing").of(of, lost));
                continue;
            }
            Err(e) => return Err(Error::io("cannot open", path, e)),
        };
        let salvaged = salvage(&*file, id, segment);
        let salvaged = salvaged.map_err(|e| Error::io("cannot read", &path, e))?;
        for damage in salvaged.damages {
            let finding = Finding::new(&path, damage.what).at(damage.position);
            report.findings.push(finding.of(of, damage.offsets));
        }
        for piece in &salvaged.pieces {
            checked.add(&piece.header);
        }
    }
    let mut losses = Losses::from(record.end);
    for (header, _) in journals.batches.get(&id).into_iter().flatten() {
        if header.base_offset >= record.end {
            losses.pass(header);
            checked.add(header);
        }
    }
    losses.miss(journals.ends.get(&id).copied().unwrap_or(0));
    checked.offsets.end = losses.end();
    for lost in losses.into_lost() {
        let what = "batches of a damaged group commit are missing";
        report
            .findings
            .push(Finding::new(&paths.journals(), what).of(of, lost));
    }
    report.partitions.push(checked);
    Ok(())
}

impl Checked {
    pub(super) fn add(&mut self, header: &crate::batch::header::Header) {
        self.batches += 1;
        self.records += u64::from(header.count);
        self.bytes += header.len as u64;
    }
}

/// Files that the log does not know.
fn stray(vfs: &dyn Vfs, paths: &Paths, image: &Image) -> Result<Vec<PathBuf>> {
    let mut known: BTreeSet<PathBuf> =
        [paths.lock(), paths.mark(), paths.reserve(), paths.image()].into();
    for (id, _, record) in partitions(image) {
        let segments = record.segments.iter();
        known.extend(segments.map(|segment| paths.segment(id, segment.name())));
    }
    let dropped = image.dropped.iter();
    known.extend(dropped.map(|(id, name)| paths.segment(*id, *name)));
    let mut stray = Vec::new();
    let mut folders = vec![paths.folder().to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = vfs.list(&folder);
        let entries = entries.map_err(|e| Error::io("cannot list folder", &folder, e))?;
        for entry in entries {
            let path = folder.join(&entry.name);
            let is_journal = folder == paths.journals() && number(&entry.name).is_some();
            match entry.kind {
                EntryKind::Dir => folders.push(path),
                EntryKind::File if known.contains(&path) || is_journal => {}
                EntryKind::File | EntryKind::Other => stray.push(path),
            }
        }
    }
    stray.sort();
    Ok(stray)
}
