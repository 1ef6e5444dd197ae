//! What the journals add to an image.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;

use super::stop;
use crate::{
    Error, Result,
    batch::{header::Header, records::are_sound},
    journal::{frame::Entry, scan::Entered},
    meta::{Change, Image},
    partition::PartitionId,
    paths::Paths,
    segment::Stored,
};

/// What the journals add to an image.
pub(crate) struct Replay {
    pub(crate) image: Image,
    pub(crate) batches: BTreeMap<PartitionId, Vec<Stored>>,
    /// Whether the last thing seen is an orderly stop.
    pub(crate) clean: bool,
}

impl Replay {
    pub(crate) fn take(&mut self, paths: &Paths, journal: u64, entered: Entered) -> Result<()> {
        self.clean = false;
        let path = paths.journal(journal);
        match entered {
            Entered::Whole(Entry::Change(body)) => {
                let change = Change::decode(&body, &path)?;
                self.clean = change == Change::Stopped;
                self.image.apply(change);
            }
            Entered::Whole(Entry::Batch { id, body, .. }) => self.batch(id, body, &path)?,
            Entered::Damaged(id) => {
                if let Some(record) = self.image.partition_mut(id) {
                    stop(
                        id,
                        record,
                        format!("a batch in {} is damaged", path.display()),
                    );
                }
            }
        }
        Ok(())
    }

    fn batch(&mut self, id: PartitionId, body: Bytes, path: &Path) -> Result<()> {
        let Some(record) = self.image.partition_mut(id) else {
            return Err(Error::Unusable {
                path: path.to_path_buf(),
                reason: "it has a batch of a partition that does not exist".to_owned(),
                remedy: "restore the data folder from a copy",
            });
        };
        if record.failed.is_some() {
            return Ok(());
        }
        let batches = self.batches.entry(id).or_default();
        let end = batches.last().map_or(record.end, |(last, _)| last.end());
        match Header::parse(&body) {
            Ok(header)
                if header.id == id
                    && header.len == body.len()
                    && header.previous_end == end
                    && are_sound(&header, &body) =>
            {
                batches.push((header, body));
            }
            Ok(_) | Err(_) => {
                stop(
                    id,
                    record,
                    format!("a batch in {} does not belong there", path.display()),
                );
            }
        }
        Ok(())
    }
}
