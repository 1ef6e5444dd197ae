//! What the journals since an image add to it, and to the segments.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bytes::Bytes;

use super::{CutCommit, Recovery, error, folder::Folder, stop};
use crate::{
    Error, Result,
    batch::{header::Header, records::checked},
    error::Failure,
    journal::{
        frame::Entry,
        scan::{Cut, End, Entered, scan},
    },
    limits::MAX_OFFSETS_PER_COMMIT,
    meta::{Change, Image},
    partition::PartitionId,
    paths::Paths,
    segment::{Roll, Stored, append::Appender},
};

/// What the journals came to.
pub(super) struct Replayed {
    pub(super) image: Image,
    pub(super) recovery: Recovery,
    /// The partitions with batches in the journals.
    pub(super) flushed: BTreeSet<PartitionId>,
    pub(super) end: End,
}

/// Takes what is in the journals since `old` into a new image and the segments.
pub(super) fn replay(
    folder: Folder<'_>,
    old: &Image,
    journals: &[u64],
    segment_bytes: u64,
) -> Result<Replayed> {
    let live = live(folder, old, journals)?;
    let mut replay = Replay {
        image: old.clone(),
        batches: BTreeMap::new(),
        passed_over: Vec::new(),
        clean: false,
    };
    let Folder { vfs, paths } = folder;
    let end = scan(vfs, paths, old, &live, &mut |journal, entered| {
        replay.take(paths, journal, entered)
    })?;
    let mut image = replay.image;
    image.commit = end.commit;
    image.kept_journals.extend(&end.damaged);
    image.kept_journals.extend(&replay.passed_over);
    let mut recovery = Recovery {
        clean: replay.clean,
        ..Recovery::default()
    };
    let flushed = replay.batches.keys().copied().collect();
    for (id, batches) in replay.batches {
        if flush(folder, &mut image, id, &batches, segment_bytes)? {
            recovery.batches += batches.len() as u64;
        } else {
            image.kept_journals.extend(&live);
        }
    }
    // Nothing is written behind an orderly stop: what looks torn there was refused, and lay in the
    // file when it was used before.
    let torn = end.cut.as_ref().filter(|_| !replay.clean);
    recovery.cut = torn.map(|it| cut(&mut image, it));
    image.kept_journals.sort_unstable();
    image.kept_journals.dedup();
    Ok(Replayed {
        image,
        recovery,
        flushed,
        end,
    })
}

/// The journals that the image does not contain: none may be missing.
fn live(folder: Folder<'_>, image: &Image, journals: &[u64]) -> Result<Vec<u64>> {
    let from = image.journal;
    let live: Vec<u64> = journals.iter().copied().filter(|n| *n >= from).collect();
    let in_order = live.iter().copied().eq((from..).take(live.len()));
    if live.is_empty() || !in_order {
        return Err(Error::Unusable {
            path: folder.paths.journals(),
            reason: format!("a journal from {from} on is missing"),
            remedy: "restore the data folder from a copy",
        });
    }
    Ok(live)
}

/// What the journals add to an image, while they are read.
struct Replay {
    image: Image,
    batches: BTreeMap<PartitionId, Vec<Stored>>,
    /// Journals with batches of partitions that had stopped before them.
    passed_over: Vec<u64>,
    /// Whether the last thing seen is an orderly stop.
    clean: bool,
}

impl Replay {
    fn take(&mut self, paths: &Paths, journal: u64, entered: Entered) -> Result<()> {
        self.clean = false;
        let path = paths.journal(journal);
        match entered {
            Entered::Whole(Entry::Change(body)) => {
                let change = Change::decode(&body, &path)?;
                self.clean = change == Change::Stopped;
                self.image.apply(change);
            }
            Entered::Whole(Entry::Batch { id, body, .. }) => {
                let has_stopped = self
                    .image
                    .partition_mut(id)
                    .is_some_and(|it| it.failed.is_some());
                self.passed_over.extend(has_stopped.then_some(journal));
                self.batch(id, body, &path)?;
            }
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
                    && checked(&header, &body).is_some() =>
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

/// Writes the batches of a partition to its segments; `false` if it had to be stopped.
fn flush(
    folder: Folder<'_>,
    image: &mut Image,
    id: PartitionId,
    batches: &[Stored],
    segment_bytes: u64,
) -> Result<bool> {
    let kept = image.topics.get(&id.topic).map(|it| it.settings.retention);
    let roll = Roll::of(segment_bytes, &kept.unwrap_or_default());
    let record = image
        .partition_mut(id)
        .expect("only batches of known partitions are taken");
    let segments = record.segments.clone();
    let mut segments = Appender::new(id, segments, 0, roll);
    match segments.append(folder.vfs, folder.paths, batches) {
        Ok(()) => {
            let segments = segments.segments();
            let headers = batches.iter().map(|(header, _)| *header);
            image.flushed(id, segments, headers);
            Ok(true)
        }
        Err(Failure::Damaged(reason)) => {
            stop(id, record, reason);
            let end = batches.last().map_or(0, |(last, _)| last.end());
            record.next = record.next.max(end);
            Ok(false)
        }
        Err(failure) => Err(error(failure)),
    }
}

/// Cuts the last group commit: none of its offsets is given again, as somebody may have read it.
fn cut(image: &mut Image, cut: &Cut) -> CutCommit {
    tracing::warn!(
        ?cut,
        "the last group commit was cut: it was possibly acknowledged"
    );
    match &cut.ends {
        Some(ends) => {
            for (id, end) in ends {
                image.lift_next_offset(*id, *end);
            }
        }
        None => {
            for (_, record) in image.partitions_mut() {
                record.next = record.next.max(record.end) + MAX_OFFSETS_PER_COMMIT;
            }
        }
    }
    CutCommit {
        journal: cut.journal,
        position: cut.position,
        batches: cut.ends.as_ref().map(Vec::len),
    }
}
