//! What the journals since an image hold, damaged or not.
//!
//! Here damage does not end the reading. What is whole is taken, what is not is named, and of what
//! cannot even be named it is said that there was something.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;

use super::{
    frames::{self, Frames, Part},
    report::Finding,
    whole_batch,
};
use crate::{
    CutCommit, Error, Result,
    batch::header::{Header, MAGIC},
    journal::frame::{Entry, Found, Head},
    mark,
    meta::{Change, Image},
    partition::PartitionId,
    paths::Paths,
    segment::Stored,
    vfs::Vfs,
};

/// What journals hold.
#[derive(Default)]
pub(super) struct Journals {
    /// The changes, in order.
    pub(super) changes: Vec<Change>,
    /// Batches in their places.
    pub(super) batches: BTreeMap<PartitionId, Vec<Stored>>,
    /// Whole batches found where something is damaged.
    pub(super) loose: Vec<Stored>,
    /// Where acknowledged batches end by what can be read of them.
    pub(super) ends: BTreeMap<PartitionId, u64>,
    /// Where batches of the last group commit end, if that is torn.
    pub(super) torn_ends: BTreeMap<PartitionId, u64>,
    pub(super) cut: Option<CutCommit>,
    pub(super) findings: Vec<Finding>,
    /// What is lost without a name: what it was cannot be told.
    pub(super) untold: Vec<String>,
    /// The next group commit, and the number after the last journal.
    pub(super) commit: u64,
    pub(super) next_journal: u64,
}

/// A frame, or a place where one was.
struct Place {
    journal: u64,
    position: u64,
    head: Option<Head>,
    /// The frame's entries; `None` if there is nothing that says what they are.
    found: Option<Vec<Found>>,
    /// The bytes in which batches are looked for, if it is damaged.
    inside: Bytes,
}

/// A hole is searched no further than a few of the largest frames reach.
const MAX_HOLE: u64 = 64 << 20;

impl Journals {
    /// Reads the journals that an image does not contain.
    pub(super) fn since(vfs: &dyn Vfs, paths: &Paths, image: &Image) -> Result<Self> {
        let mut journals = Self {
            commit: image.commit,
            next_journal: image.journal,
            ..Self::default()
        };
        let numbers = frames::numbers(vfs, paths, image.journal)?;
        if numbers.is_empty() {
            let path = paths.journal(image.journal);
            journals.lose(Finding::new(
                &path,
                "the journal is missing, and what was in it",
            ));
        }
        // The mark never claims too much; so it tells rotted from torn where the journals cannot.
        let marked = mark::read(vfs, paths).filter(|it| it.instance == image.instance);
        let marked = marked.map_or(0, |marked| marked.durable);
        let (mut places, mut proven) = (Vec::new(), marked);
        for number in numbers {
            let path = paths.journal(number);
            let frames = Frames::open(vfs, &path, image, number)?;
            frames.walk(&mut |part| {
                let place = Place::read(&frames, number, part)?;
                proven = proven.max(place.head.map_or(0, |head| head.synced));
                places.push(place);
                Ok(true)
            })?;
            journals.next_journal = number + 1;
        }
        for place in places {
            let commit = place.head.map_or(journals.commit, |head| head.commit);
            let path = paths.journal(place.journal);
            // Nothing is written behind an orderly stop: what looks torn there was refused once.
            let is_stopped = journals.changes.last() == Some(&Change::Stopped);
            if place.head.is_none() && is_stopped && commit > proven {
                continue;
            }
            if place.is_whole() || commit <= proven {
                journals.acknowledged(place, &path)?;
            } else {
                journals.torn(place, &path)?;
            }
        }
        if marked >= journals.commit {
            let first = journals.commit;
            let what = format!("group commits {first} to {marked} were durable and are not there");
            journals.lose(Finding::new(&paths.journals(), what));
        }
        Ok(journals)
    }

    /// Notes damage of which nobody can tell what it cost.
    fn lose(&mut self, finding: Finding) {
        self.untold.push(finding.to_string());
        self.findings.push(finding);
    }

    /// Notes that a group commit is there: none before it may be missing.
    fn reach(&mut self, head: Option<Head>, finding: &Finding) {
        let Some(head) = head else { return };
        if head.commit > self.commit {
            let (first, last) = (self.commit, head.commit - 1);
            let mut finding = finding.clone();
            finding.what = format!("group commits {first} to {last} are missing before this one");
            self.lose(finding);
        }
        self.commit = head.commit + 1;
    }

    /// Takes a group commit whose damage, if it has any, is damage.
    fn acknowledged(&mut self, place: Place, path: &Path) -> Result<()> {
        let finding = |what: &str| Finding::new(path, what).at(place.position);
        self.reach(place.head, &finding(""));
        let is_whole = place.is_whole();
        let Some(found) = place.found else {
            self.lose(finding(
                "the head or directory of a group commit is damaged",
            ));
            self.search(&place.inside);
            return Ok(());
        };
        for found in found {
            match found {
                Found::Whole(Entry::Change(body)) => {
                    self.changes.push(Change::decode(&body, path)?);
                }
                Found::Whole(Entry::Batch { id, end, body }) => {
                    note(&mut self.ends, id, end);
                    if !self.batch(id, body) {
                        let what = "a batch does not belong into its group commit";
                        self.findings.push(finding(what));
                    }
                }
                Found::Broken { id: Some(id), end } => {
                    note(&mut self.ends, id, end);
                    self.findings
                        .push(finding("a batch of a group commit is damaged"));
                }
                Found::Broken { id: None, .. } => {
                    // A topic, positions, a transaction: nobody knows.
                    self.lose(finding("a metadata change is damaged"));
                }
                Found::Unknown(kind) => return Err(unknown(path, kind)),
            }
        }
        if !is_whole {
            self.search(&place.inside);
        }
        Ok(())
    }

    /// Takes the last group commit, which is torn or has rotted: its batches as far as they are
    /// whole, but no change, since that may name what is torn beside it.
    ///
    /// Batches are not searched for: where a write may have been torn there may be bytes of one
    /// that was refused.
    fn torn(&mut self, place: Place, path: &Path) -> Result<()> {
        self.reach(place.head, &Finding::new(path, "").at(place.position));
        let lose = |what: &str| {
            let what = format!("{what} of the last group commit, which was possibly acknowledged");
            Finding::new(path, what).at(place.position).to_string()
        };
        let batches = place
            .found
            .as_ref()
            .map(|found| found.iter().filter(|it| is_batch(it)));
        self.cut.get_or_insert(CutCommit {
            journal: place.journal,
            position: place.position,
            batches: batches.map(Iterator::count),
        });
        let Some(found) = place.found else {
            self.untold.push(lose("the head or directory"));
            return Ok(());
        };
        for found in found {
            match found {
                Found::Whole(Entry::Batch { id, end, body }) => {
                    note(&mut self.torn_ends, id, end);
                    self.batch(id, body);
                }
                Found::Broken { id: Some(id), end } => note(&mut self.torn_ends, id, end),
                Found::Whole(Entry::Change(_)) | Found::Broken { id: None, .. } => {
                    self.untold.push(lose("a metadata change"));
                }
                Found::Unknown(kind) => return Err(unknown(path, kind)),
            }
        }
        Ok(())
    }

    /// Takes a batch in its place; `false` if it is none of this partition.
    fn batch(&mut self, id: PartitionId, body: Bytes) -> bool {
        let header = whole_batch(&body).ok().filter(|header| header.id == id);
        let batches = self.batches.entry(id).or_default();
        batches.extend(header.map(|header| (header, body)));
        header.is_some()
    }

    /// Looks for whole batches in the bytes of a damaged group commit.
    fn search(&mut self, inside: &Bytes) {
        let mut from = 0;
        while let Some(batch) = next_batch(inside, &mut from) {
            self.loose.push(batch);
        }
    }
}

impl Place {
    /// Takes a part of a journal out of its file.
    fn read(frames: &Frames<'_>, journal: u64, part: Part) -> Result<Self> {
        let (position, head, found, len) = match part {
            Part::Frame {
                position,
                head,
                found,
            } => (position, Some(head), found, u64::from(head.len)),
            // Behind the last frame there may be bytes of a batch that was refused.
            Part::Hole { position, until } => {
                let len = until.map_or(0, |until| until - position);
                (position, None, None, len.min(MAX_HOLE))
            }
        };
        let mut place = Self {
            journal,
            position,
            head,
            found,
            inside: Bytes::new(),
        };
        if !place.is_whole() {
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            place.inside = frames.read(position, len)?;
        }
        Ok(place)
    }

    fn is_whole(&self) -> bool {
        let is_whole = |it: &Found| !matches!(it, Found::Broken { .. });
        self.found
            .as_ref()
            .is_some_and(|found| found.iter().all(is_whole))
    }
}

fn note(ends: &mut BTreeMap<PartitionId, u64>, id: PartitionId, end: u64) {
    let known = ends.entry(id).or_default();
    *known = end.max(*known);
}

fn is_batch(found: &Found) -> bool {
    matches!(
        found,
        Found::Whole(Entry::Batch { .. }) | Found::Broken { id: Some(_), .. }
    )
}

fn unknown(path: &Path, kind: u32) -> Error {
    Error::Newer {
        path: path.to_path_buf(),
        feature: format!("entry kind {kind}"),
    }
}

/// The next whole batch in `bytes`, and where to look for the one after it.
fn next_batch(bytes: &Bytes, from: &mut usize) -> Option<Stored> {
    while let Some(rest) = bytes.get(*from..) {
        let at = rest.windows(MAGIC.len()).position(|it| it == MAGIC)?;
        let start = *from + at;
        if let Ok(header) = Header::parse(&bytes[start..])
            && let Some(end) = start
                .checked_add(header.len)
                .filter(|end| *end <= bytes.len())
            && whole_batch(&bytes[start..end]).is_ok()
        {
            *from = end;
            return Some((header, bytes.slice(start..end)));
        }
        *from = start + 1;
    }
    None
}
