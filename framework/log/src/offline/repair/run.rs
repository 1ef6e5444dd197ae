//! The work of a repair: gathers what is sound, then copies partition by partition.

use std::{collections::BTreeMap, io, ops::Range};

use super::{RepairedPartition, rebuild::Rebuild};
use crate::{
    Error, Options, Result,
    batch::header::Header,
    image,
    meta::{Image, Segment},
    offline::{
        check::partitions,
        journals::Journals,
        making::Making,
        old_journals,
        salvage::{Losses, Salvaged, salvage},
    },
    partition::PartitionId,
    paths::Paths,
    segment::Stored,
    vfs::{Open, Vfs, VfsFile},
};

/// A repair under way.
pub(super) struct Repair<'a> {
    pub(super) vfs: &'a dyn Vfs,
    from: &'a Paths,
    pub(super) to: &'a Paths,
    pub(super) segment_bytes: u64,
    /// What the damaged folder says.
    old: Image,
    /// What the new one will say.
    image: Image,
    journals: Journals,
    /// Batches that may fill a hole, by partition.
    spare: BTreeMap<PartitionId, Vec<Stored>>,
}

impl<'a> Repair<'a> {
    pub(super) fn new(
        options: &'a Options,
        from: &'a Paths,
        to: &'a Paths,
        old: Image,
    ) -> Result<Self> {
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
    pub(super) fn run(&mut self, making: &mut Making) -> Result<Vec<RepairedPartition>> {
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
        old_journals::batches(self.vfs, self.from, old, &mut |it| {
            let is_kept = old.kept_journals.contains(&it.journal);
            let tail = ended.get(&it.id).copied().filter(|_| is_kept);
            if tail.is_some_and(|tail| tail < it.end) {
                let known = ends.entry(it.id).or_default();
                *known = it.end.max(*known);
            }
            let Some((header, bytes)) = it.batch else {
                return;
            };
            let fits = |lost: &Range<u64>| lost.contains(&header.base_offset);
            let is_wanted = wanted.get(&it.id).is_some_and(|lost| lost.iter().any(fits));
            if is_wanted || tail.is_some_and(|tail| header.base_offset >= tail) {
                spare.entry(it.id).or_default().push((header, bytes));
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
            lost.extend(self.segment(id, segment, &spare, &mut rebuild)?);
        }
        let tail = self.journals.batches.remove(&id).unwrap_or_default();
        let tail = tail
            .into_iter()
            .filter(|(it, _)| it.base_offset >= record.end);
        let mut losses = Losses::from(record.end);
        let mut spare = spare.iter().peekable();
        let mut new: Vec<Header> = Vec::new();
        for (header, bytes) in tail {
            new.extend(rebuild.fill(&mut losses, &mut spare, header.previous_end)?);
            losses.pass(&header);
            new.push(header);
            rebuild.push((header, bytes))?;
        }
        new.extend(rebuild.fill(&mut losses, &mut spare, u64::MAX)?);
        for ends in [&self.journals.ends, &self.journals.torn_ends] {
            losses.miss(ends.get(&id).copied().unwrap_or(0));
        }
        let next = losses.end();
        lost.extend(losses.into_lost());
        lost.retain(|lost| lost.end > record.start);

        let (segments, mut kept, end) = rebuild.finish()?;
        let end = end.unwrap_or(record.start);
        self.image.flushed(id, segments, new);
        if let Some(image) = self.image.partition_mut(id) {
            image.next = image.next.max(next);
            image.end = end;
            image.failed = None;
            image.start = image.start.min(end);
            kept.offsets = image.start..end;
        }
        Ok(RepairedPartition { kept, lost })
    }

    /// Copies one segment; says which offsets it has lost.
    fn segment(
        &self,
        id: PartitionId,
        segment: &Segment,
        spare: &[Stored],
        rebuild: &mut Rebuild<'_>,
    ) -> Result<Vec<Range<u64>>> {
        let mut losses = Losses::from(segment.base);
        let mut spare = spare.iter().peekable();
        if let Some((file, salvaged)) = self.salvage(id, segment)? {
            for piece in salvaged.pieces {
                rebuild.fill(&mut losses, &mut spare, piece.header.previous_end)?;
                let mut bytes = vec![0; piece.header.len];
                let read = file.read_exact_at(&mut bytes, piece.position);
                let path = || self.from.segment(id, segment.name());
                read.map_err(|e| Error::io("cannot read", path(), e))?;
                losses.pass(&piece.header);
                rebuild.push((piece.header, bytes.into()))?;
            }
        }
        rebuild.fill(&mut losses, &mut spare, segment.end)?;
        losses.miss(segment.end);
        Ok(losses.into_lost())
    }

    /// Gives the new folder its journal and its image; says what is lost without a name.
    pub(super) fn finish(mut self, mut making: Making) -> Result<Vec<String>> {
        self.image.journal = self.journals.next_journal;
        self.image.commit = self.journals.commit;
        self.image.kept_journals.clear();
        self.image.dropped.clear();
        self.image.lift_next_offsets();
        if !self.journals.untold.is_empty() {
            self.image.lift_unread();
        }
        making.write(&self.to.journal(self.image.journal), &[])?;
        making.finish(&self.to.image(), &image::bytes(&self.image))?;
        Ok(self.journals.untold)
    }
}
