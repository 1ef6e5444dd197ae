//! The journals that an image contains already: kept as evidence of damage, or not yet removed.

use super::{
    frames::{Frames, Part},
    whole_batch,
};
use crate::{
    Error, Result,
    journal::frame::{Entry, Found},
    meta::Image,
    partition::PartitionId,
    paths::{Paths, number},
    segment::Stored,
    vfs::Vfs,
};

/// A batch in an old journal.
pub(super) struct Old {
    pub(super) journal: u64,
    pub(super) id: PartitionId,
    /// The offset after it.
    pub(super) end: u64,
    /// The batch, if it is whole.
    pub(super) batch: Option<Stored>,
}

/// Shows every batch of the old journals to `visit`.
pub(super) fn batches(
    vfs: &dyn Vfs,
    paths: &Paths,
    image: &Image,
    visit: &mut dyn FnMut(Old),
) -> Result<()> {
    let folder = paths.journals();
    let entries = vfs.list(&folder);
    let entries = entries.map_err(|e| Error::io("cannot list folder", &folder, e))?;
    let numbers = entries.iter().filter_map(|entry| number(&entry.name));
    for journal in numbers.filter(|number| *number < image.journal) {
        let path = paths.journal(journal);
        let frames = Frames::open(vfs, &path, image, journal)?.of_any_instance();
        frames.walk(&mut |part| {
            if let Part::Frame { found, .. } = part {
                let old = found.into_iter().flatten();
                old.filter_map(|found| old_batch(journal, found))
                    .for_each(&mut *visit);
            }
            Ok(true)
        })?;
    }
    Ok(())
}

fn old_batch(journal: u64, found: Found) -> Option<Old> {
    let (id, end, body) = match found {
        Found::Whole(Entry::Batch { id, end, body }) => (id, end, Some(body)),
        Found::Broken { id: Some(id), end } => (id, end, None),
        Found::Whole(Entry::Change(_)) | Found::Broken { .. } | Found::Unknown(_) => return None,
    };
    let batch = body.and_then(|body| {
        let header = whole_batch(&body).ok().filter(|header| header.id == id)?;
        Some((header, body))
    });
    Some(Old {
        journal,
        id,
        end,
        batch,
    })
}
