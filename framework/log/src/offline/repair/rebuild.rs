//! Writes one partition anew, batch by batch.

use super::run::Repair;
use crate::{
    Error, Result, Retention,
    batch::header::Header,
    error::Failure,
    meta::Segment,
    offline::{making::Making, report::Checked, salvage::Losses},
    partition::PartitionId,
    paths::Paths,
    segment::{Roll, Stored, append::Appender},
    vfs::Vfs,
};

/// Bytes of batches that are gathered before they are written.
const GATHERED: usize = 4 << 20;

/// A partition that is being written anew.
pub(super) struct Rebuild<'a> {
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
    pub(super) fn new(
        repair: &Repair<'a>,
        id: PartitionId,
        topic: &str,
        making: &'a mut Making,
    ) -> Self {
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
    pub(super) fn fill(
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

    /// Adds a batch.
    pub(super) fn push(&mut self, (header, bytes): Stored) -> Result<()> {
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
        let roll = Roll::of(self.segment_bytes, &Retention::forever());
        let mut segments = Appender::new(self.id, run, 0, roll);
        let written = segments.append(self.vfs, self.paths, &batches);
        written.map_err(|failure| match failure {
            Failure::NoSpace(error) | Failure::Fatal(error) => error,
            Failure::Damaged(reason) => Error::Unusable {
                path: self.paths.folder().to_path_buf(),
                reason,
                remedy: "let nobody else use the new folder",
            },
        })?;
        self.run = segments.segments();
        for segment in &self.run {
            self.making
                .adopt(self.paths.segment(self.id, segment.name()));
        }
        Ok(())
    }

    /// Its segments, what they hold, and where they end.
    pub(super) fn finish(mut self) -> Result<(Vec<Segment>, Checked, Option<u64>)> {
        self.write()?;
        self.done.append(&mut self.run);
        Ok((self.done, self.kept, self.end))
    }
}
