//! Makes a healthy folder of a damaged one: copies what is sound, names what is lost.
//!
//! 1. The damaged folder is read and never changed. If its image is damaged, nobody knows which
//!    file is what, and repair refuses: that folder is restored from a backup.
//! 2. Of each segment all whole batches are taken ([`salvage`]); so are those of the journals since
//!    the image ([`journals`](super::journals)).
//! 3. What is missing then is looked for in older journals that are still there. A batch is taken
//!    from there only into a place that is empty: what compaction or retention took away does not
//!    come back. The same holds for batches that lay in the damaged parts of journals.
//! 4. Offsets are lost where a batch names an end before it that nothing has, and where the image
//!    or a journal names an end that nothing reaches. They are named, by ranges, and never given
//!    again.
//! 5. A batch that does not follow the one before it begins a segment, as after any gap.
//! 6. What was made is checked before it is said to be there.

use std::{collections::BTreeMap, io, ops::Range, path::Path, sync::Arc};

use super::{
    check::{hold, partitions, read_image},
    journals::{Journals, old_batches},
    making::Making,
    report::{Checked, Report},
    salvage::{Losses, Salvaged, salvage},
};
use crate::{
    Error, Options, Result,
    batch::header::Header,
    error::Failure,
    image,
    meta::{Image, Segment},
    partition::PartitionId,
    paths::Paths,
    segment::{self, Stored},
    vfs::{Open, Vfs, VfsFile},
};

/// Bytes of batches that are gathered before they are written.
const GATHERED: usize = 4 << 20;

/// What [`repair`] made, and what could not be brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// What each partition of the new folder has, and what it lost.
    pub partitions: Vec<RepairedPartition>,
    /// What is lost without a name: sentences about places of which nobody can tell what they held.
    /// If there are none, the lost ranges are all that is lost.
    pub untold: Vec<String>,
}

/// A partition of a repaired folder.
///
/// See [`Repaired`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairedPartition {
    /// What it has.
    pub kept: Checked,
    /// The offsets that are lost, in order. They may contain some that were never given.
    pub lost: Vec<Range<u64>>,
}

/// Makes a healthy folder of a damaged one, on the operating system's files; see
/// [`Options::repair`].
///
/// # Errors
///
/// As for [`Options::repair`].
///
/// # Examples
///
/// ```
/// use levada_log::{Batch, Log, Record, TopicOptions};
///
/// let parent = tempfile::tempdir()?;
/// let (damaged, healthy) = (parent.path().join("data"), parent.path().join("repaired"));
/// let log = Log::open(&damaged)?;
/// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
/// for value in ["tea", "jam", "nut"] {
///     let mut batch = Batch::new();
///     batch.push(&Record::of(value.as_bytes()))?;
///     orders.append(batch).wait()?;
/// }
/// log.close().wait()?;
/// let journal = damaged.join("journal/00000000000000000001");
/// let mut bytes = std::fs::read(&journal)?;
/// bytes[2 * 4096 + 200] ^= 1; // The topic, tea, jam.
/// std::fs::write(&journal, bytes)?;
///
/// let repaired = levada_log::repair(&damaged, &healthy)?;
/// assert_eq!(repaired.partitions[0].lost, [1..2]);
/// assert!(repaired.untold.is_empty());
/// let log = Log::open(&healthy)?;
/// let fetched = log.topic("orders")?.partition(0)?.fetch(0, 1 << 20).wait()?;
/// let left: Vec<_> = fetched.records().map(|record| (record.offset, record.value)).collect();
/// assert_eq!(left, [(0, &b"tea"[..]), (2, &b"nut"[..])]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn repair(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<Repaired> {
    Options::default().repair(from, to)
}

impl Options {
    /// Makes a healthy data folder of a damaged one that nobody has open: copies every batch that
    /// is whole, with its offset, and names what is lost. The damaged folder is not changed; the
    /// new one must not exist yet, or be empty.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] when the damaged folder's image is damaged, so that nobody knows what
    /// its files are (restore a backup), or when the new folder is not empty; [`Error::InUse`],
    /// [`Error::Newer`], [`Error::NoSpace`], [`Error::Io`]. The new folder is then as before.
    pub fn repair(self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<Repaired> {
        let (from, to) = (Paths::new(from.as_ref()), Paths::new(to.as_ref()));
        let _lock = hold(&*self.vfs, &from)?;
        let image = match read_image(&*self.vfs, &from)? {
            Ok(image) => image,
            Err(finding) => {
                return Err(Error::Unusable {
                    path: finding.path,
                    reason: finding.what,
                    remedy: "restore a backup",
                });
            }
        };
        let mut making = Making::begin(Arc::clone(&self.vfs), to.folder())?;
        for folder in [to.journals(), to.topics()] {
            making.folder(&folder)?;
        }
        let mut repair = Repair::new(&self, &from, &to, image)?;
        let partitions = repair.run(&mut making)?;
        repair.finish(making)?;
        let untold = std::mem::take(&mut repair.journals.untold);
        confirm(self.clone().check(to.folder())?, &to)?;
        Ok(Repaired { partitions, untold })
    }
}

/// Fails unless what was made is sound.
fn confirm(report: Report, to: &Paths) -> Result<()> {
    match report.findings.first() {
        None => Ok(()),
        Some(finding) => Err(Error::Unusable {
            path: to.folder().to_path_buf(),
            reason: format!("it was just made, and yet: {finding}"),
            remedy: "repair onto another disk",
        }),
    }
}

/// A repair under way.
struct Repair<'a> {
    vfs: &'a dyn Vfs,
    from: &'a Paths,
    to: &'a Paths,
    segment_bytes: u64,
    /// What the damaged folder says.
    old: Image,
    /// What the new one will say.
    image: Image,
    journals: Journals,
    /// Batches that may fill a hole, by partition.
    spare: BTreeMap<PartitionId, Vec<Stored>>,
}

impl<'a> Repair<'a> {
    fn new(options: &'a Options, from: &'a Paths, to: &'a Paths, old: Image) -> Result<Self> {
        let vfs = &*options.vfs;
        let mut journals = Journals::since(vfs, from, &old)?;
        let mut image = old.clone();
        for change in journals.changes.drain(..) {
            image.apply(change);
        }
        let mut spare: BTreeMap<PartitionId, Vec<Stored>> = BTreeMap::new();
        for (header, bytes) in journals.loose.drain(..) {
            // Only the running instance wrote there; what a file held before is older.
            if header.incarnation == old.instance {
                spare.entry(header.id).or_default().push((header, bytes));
            }
        }
        Ok(Self {
            vfs,
            from,
            to,
            segment_bytes: options.limits.segment_bytes,
            old,
            image,
            journals,
            spare,
        })
    }

    /// Copies every partition.
    fn run(&mut self, making: &mut Making) -> Result<Vec<RepairedPartition>> {
        self.gather_spare()?;
        let all = partitions(&self.image);
        let all: Vec<_> = all.map(|(id, topic, _)| (id, topic.to_owned())).collect();
        for id in self.journals.batches.keys() {
            if self.old.partition_mut(*id).is_none() && self.image.partition_mut(*id).is_none() {
                let (topic, partition) = (id.topic, id.partition);
                self.journals.untold.push(format!(
                    "partition {partition} of the topic with the number {topic}, whose name is lost"
                ));
            }
        }
        let each = all.into_iter();
        each.map(|(id, topic)| self.partition(id, &topic, making))
            .collect()
    }

    /// Takes from older journals what fits into what the segments have lost.
    fn gather_spare(&mut self) -> Result<()> {
        let mut wanted: BTreeMap<PartitionId, Vec<Range<u64>>> = BTreeMap::new();
        for (id, _, record) in partitions(&self.old) {
            let lost = wanted.entry(id).or_default();
            for segment in &record.segments {
                let mut losses = Losses::from(segment.base);
                let salvaged = self.salvage(id, segment)?;
                for piece in salvaged.iter().flat_map(|it| &it.1.pieces) {
                    losses.pass(&piece.header);
                }
                losses.miss(segment.end);
                lost.extend(losses.into_lost());
            }
        }
        let (spare, ends) = (&mut self.spare, &mut self.journals.ends);
        let old = &self.old;
        let ended: BTreeMap<_, _> = partitions(old).map(|(id, _, it)| (id, it.end)).collect();
        old_batches(self.vfs, self.from, old, &mut |journal, id, end, batch| {
            let is_kept = old.kept_journals.contains(&journal);
            let tail = ended.get(&id).copied().filter(|_| is_kept);
            if tail.is_some_and(|tail| tail < end) {
                let known = ends.entry(id).or_default();
                *known = end.max(*known);
            }
            let Some((header, bytes)) = batch else { return };
            let fits = |lost: &Range<u64>| lost.contains(&header.base_offset);
            let is_wanted = wanted.get(&id).is_some_and(|lost| lost.iter().any(fits));
            if is_wanted || tail.is_some_and(|tail| header.base_offset >= tail) {
                spare.entry(id).or_default().push((header, bytes));
            }
        })?;
        for batches in self.spare.values_mut() {
            batches.sort_by_key(|(header, _)| header.base_offset);
        }
        Ok(())
    }

    /// What a segment holds; `None` if it is not there.
    fn salvage(
        &self,
        id: PartitionId,
        segment: &Segment,
    ) -> Result<Option<(Box<dyn VfsFile>, Salvaged)>> {
        let path = self.from.segment(id, segment.name());
        let file = match self.vfs.open(&path, Open::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("cannot open", path, e)),
        };
        let salvaged = salvage(&*file, id, segment);
        let salvaged = salvaged.map_err(|e| Error::io("cannot read", path, e))?;
        Ok(Some((file, salvaged)))
    }

    /// Copies one partition.
    fn partition(
        &mut self,
        id: PartitionId,
        topic: &str,
        making: &mut Making,
    ) -> Result<RepairedPartition> {
        let record = self.old.partition_mut(id).cloned().unwrap_or_default();
        let spare = self.spare.remove(&id).unwrap_or_default();
        let mut rebuild = Rebuild::new(self, id, topic, making);
        let mut lost = Vec::new();
        for segment in &record.segments {
            let mut losses = Losses::from(segment.base);
            let salvaged = self.salvage(id, segment)?;
            let mut spare = spare.iter().peekable();
            for (file, piece) in salvaged
                .iter()
                .flat_map(|(file, it)| it.pieces.iter().map(move |piece| (file, piece)))
            {
                rebuild.fill(&mut losses, &mut spare, piece.header.previous_end)?;
                let mut bytes = vec![0; piece.header.len];
                let read = file.read_exact_at(&mut bytes, piece.position);
                let path = || self.from.segment(id, segment.name());
                read.map_err(|e| Error::io("cannot read", path(), e))?;
                losses.pass(&piece.header);
                rebuild.push((piece.header, bytes.into()))?;
            }
            rebuild.fill(&mut losses, &mut spare, segment.end)?;
            losses.miss(segment.end);
            lost.extend(losses.into_lost());
        }
        let mut losses = Losses::from(record.end);
        let mut spare = spare.iter().peekable();
        let tail = self.journals.batches.remove(&id).unwrap_or_default();
        let mut new: Vec<Header> = Vec::new();
        for stored in tail
            .into_iter()
            .filter(|(it, _)| it.base_offset >= record.end)
        {
            new.extend(rebuild.fill(&mut losses, &mut spare, stored.0.previous_end)?);
            losses.pass(&stored.0);
            new.push(stored.0);
            rebuild.push(stored)?;
        }
        let ends = [&self.journals.ends, &self.journals.torn_ends];
        let ends = ends.map(|ends| ends.get(&id).copied().unwrap_or(0));
        let end = ends[0].max(ends[1]);
        new.extend(rebuild.fill(&mut losses, &mut spare, u64::MAX)?);
        losses.miss(end);
        let next = losses.end();
        lost.extend(losses.into_lost());

        let (segments, mut kept, end) = rebuild.finish()?;
        let end = end.unwrap_or(record.start);
        self.image.flushed(id, segments, new);
        if let Some(image) = self.image.partition_mut(id) {
            image.next = image.next.max(record.next).max(record.end).max(next);
            image.end = end;
            image.failed = None;
            kept.offsets = image.start.min(end)..end;
            image.start = kept.offsets.start;
        }
        Ok(RepairedPartition {
            kept,
            lost: lost
                .into_iter()
                .filter(|lost| lost.end > record.start)
                .collect(),
        })
    }

    /// Gives the new folder its journal and its image.
    fn finish(&mut self, mut making: Making) -> Result<()> {
        self.image.journal = self.journals.next_journal;
        self.image.commit = self.journals.commit;
        self.image.kept_journals.clear();
        self.image.dropped.clear();
        self.image.lift_next_offsets();
        making.write(&self.to.journal(self.image.journal), &[])?;
        making.finish(&self.to.image(), &image::bytes(&self.image))
    }
}

/// A partition that is being written anew.
struct Rebuild<'a> {
    vfs: &'a dyn Vfs,
    paths: &'a Paths,
    making: &'a mut Making,
    segment_bytes: u64,
    id: PartitionId,
    done: Vec<Segment>,
    /// The segments of batches that follow one another without a gap.
    run: Vec<Segment>,
    gathered: Vec<Stored>,
    gathered_bytes: usize,
    end: Option<u64>,
    kept: Checked,
}

impl<'a> Rebuild<'a> {
    fn new(repair: &Repair<'a>, id: PartitionId, topic: &str, making: &'a mut Making) -> Self {
        Self {
            vfs: repair.vfs,
            paths: repair.to,
            making,
            segment_bytes: repair.segment_bytes,
            id,
            done: Vec::new(),
            run: Vec::new(),
            gathered: Vec::new(),
            gathered_bytes: 0,
            end: None,
            kept: Checked {
                topic: topic.to_owned(),
                partition: id.partition,
                offsets: 0..0,
                batches: 0,
                records: 0,
                bytes: 0,
            },
        }
    }

    /// Adds spare batches that fit between what was passed and `until`.
    fn fill(
        &mut self,
        losses: &mut Losses,
        spare: &mut std::iter::Peekable<std::slice::Iter<'_, Stored>>,
        until: u64,
    ) -> Result<Vec<Header>> {
        let mut filled = Vec::new();
        while let Some((header, _)) = spare.peek() {
            if header.end() > until {
                break;
            }
            let fits = header.base_offset >= losses.end();
            let Some(stored) = spare.next().filter(|_| fits) else {
                continue;
            };
            losses.pass(&stored.0);
            filled.push(stored.0);
            self.push(stored.clone())?;
        }
        Ok(filled)
    }

    fn push(&mut self, (header, bytes): Stored) -> Result<()> {
        if self.end.is_some_and(|end| end != header.previous_end) {
            self.write()?;
            self.done.append(&mut self.run);
        }
        self.end = Some(header.end());
        self.kept.add(&header);
        self.gathered_bytes += bytes.len();
        self.gathered.push((header, bytes));
        if self.gathered_bytes >= GATHERED {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        let run = std::mem::take(&mut self.run);
        let batches = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        if batches.is_empty() {
            self.run = run;
            return Ok(());
        }
        self.making.folder(&self.paths.partition(self.id))?;
        let written = segment::flush(
            self.vfs,
            self.paths,
            self.id,
            run,
            &batches,
            self.segment_bytes,
        );
        self.run = written.map_err(|failure| match failure {
            Failure::NoSpace(error) | Failure::Fatal(error) => error,
            Failure::Damaged(reason) => Error::Unusable {
                path: self.paths.folder().to_path_buf(),
                reason,
                remedy: "let nobody else use the new folder",
            },
        })?;
        for segment in &self.run {
            self.making
                .adopt(self.paths.segment(self.id, segment.name()));
        }
        Ok(())
    }

    /// Its segments, what they hold, and where they end.
    fn finish(mut self) -> Result<(Vec<Segment>, Checked, Option<u64>)> {
        self.write()?;
        self.done.append(&mut self.run);
        Ok((self.done, self.kept, self.end))
    }
}
