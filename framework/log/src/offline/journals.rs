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
    frame: Option<(Head, Option<Vec<Found>>)>,
    /// The bytes of it in which batches are looked for, if it is damaged.
    inside: Option<Bytes>,
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
            journals
                .findings
                .push(Finding::new(&path, "the journal is missing"));
            journals.untold.push(format!(
                "all since the image: {} is missing",
                path.display()
            ));
        }
        // The mark never claims too much; so it tells rotted from torn where the journals cannot.
        let marked = mark::read(vfs, paths).filter(|it| it.instance == image.instance);
        let marked = marked.map_or(0, |marked| marked.commit);
        let (mut parts, mut proven) = (Vec::new(), marked);
        for number in numbers {
            let path = paths.journal(number);
            let frames = Frames::open(vfs, &path, image, number)?;
            frames.walk(&mut |part| {
                if let Part::Frame { head, .. } = &part {
                    proven = proven.max(head.acknowledged);
                }
                parts.push(read(&frames, number, part)?);
                Ok(true)
            })?;
            journals.next_journal = number + 1;
        }
        for part in parts {
            let commit = part.frame.as_ref().map(|(head, _)| head.commit);
            let followed = commit.unwrap_or(journals.commit) <= proven;
            journals.judge(paths, part, followed)?;
        }
        if marked >= journals.commit {
            let (first, path) = (journals.commit, paths.journals());
            let what =
                format!("group commits {first} to {marked} were acknowledged and are not there");
            journals.untold.push(format!("what was in them: {what}"));
            journals.findings.push(Finding::new(&path, what));
        }
        Ok(journals)
    }

    /// Takes what a frame holds. `followed`: it was acknowledged.
    fn judge(&mut self, paths: &Paths, it: Place, followed: bool) -> Result<()> {
        let path = paths.journal(it.journal);
        let found = match it.frame {
            Some((head, found)) => {
                if head.commit > self.commit {
                    let what = format!(
                        "group commits {} to {} are missing before this one",
                        self.commit,
                        head.commit - 1
                    );
                    self.untold
                        .push(format!("what was in them: {}: {what}", path.display()));
                    self.findings
                        .push(Finding::new(&path, what).at(it.position));
                }
                self.commit = head.commit + 1;
                found
            }
            None => None,
        };
        let mut damage = Damage {
            is_torn: !followed,
            ..Damage::default()
        };
        match found {
            Some(found) => {
                let is_broken = |found: &Found| matches!(found, Found::Broken { .. });
                damage.is_torn &= found.iter().any(is_broken);
                damage.batches = Some(found.iter().filter(|it| is_batch(it)).count());
                for found in found {
                    self.entry(&path, it.position, found, &mut damage)?;
                }
            }
            None => damage.unreadable = true,
        }
        if damage.unreadable {
            let at = format!("byte {} of {}", it.position, path.display());
            self.untold.push(if followed {
                format!("what else the group commit at {at} held")
            } else {
                format!("what else the last group commit held, at {at}: possibly acknowledged")
            });
            if followed {
                let what = "the head or directory of a group commit is damaged";
                self.findings
                    .push(Finding::new(&path, what).at(it.position));
            }
        }
        // Where a write may have been torn, there may be bytes of a batch that was refused.
        if followed
            && (damage.is_damaged || damage.unreadable)
            && let Some(inside) = it.inside
        {
            let mut from = 0;
            while let Some(batch) = next_batch(&inside, &mut from) {
                self.loose.push(batch);
            }
        }
        if !followed && (damage.is_damaged || damage.unreadable) {
            self.cut.get_or_insert(CutCommit {
                journal: it.journal,
                position: it.position,
                batches: damage.batches.filter(|_| !damage.unreadable),
            });
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: &Path,
        position: u64,
        found: Found,
        damage: &mut Damage,
    ) -> Result<()> {
        let mut broken = |it: &mut Self, what: &str| {
            damage.is_damaged = true;
            if !damage.is_torn {
                it.findings.push(Finding::new(path, what).at(position));
            }
        };
        match found {
            Found::Whole(Entry::Change(body)) if damage.is_torn => {
                // It may name what is torn beside it.
                let change = Change::decode(&body, path)?;
                let at = path.display();
                self.untold.push(format!(
                    "a metadata change of the last group commit, possibly acknowledged: {change:?} \
                     (byte {position} of {at})"
                ));
            }
            Found::Whole(Entry::Change(body)) => self.changes.push(Change::decode(&body, path)?),
            Found::Whole(Entry::Batch { id, end, body }) => {
                self.note_end(id, end, damage.is_torn);
                match whole_batch(&body) {
                    Ok(header) if header.id == id => {
                        self.batches.entry(id).or_default().push((header, body));
                    }
                    _ => broken(self, "a batch does not belong into its group commit"),
                }
            }
            Found::Broken { id: Some(id), end } => {
                self.note_end(id, end, damage.is_torn);
                broken(self, "a batch of a group commit is damaged");
            }
            Found::Broken { id: None, .. } => {
                broken(self, "a metadata change is damaged");
                self.untold.push(format!(
                    "a metadata change (a topic, positions, a transaction or the like) at byte \
                     {position} of {}",
                    path.display()
                ));
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

    fn note_end(&mut self, id: PartitionId, end: u64, is_torn: bool) {
        let ends = if is_torn {
            &mut self.torn_ends
        } else {
            &mut self.ends
        };
        let known = ends.entry(id).or_default();
        *known = end.max(*known);
    }
}

/// What is damaged in a group commit.
#[derive(Default)]
struct Damage {
    /// It is the last and broken: whether it was acknowledged cannot be known.
    is_torn: bool,
    is_damaged: bool,
    /// Its head or directory cannot be read.
    unreadable: bool,
    batches: Option<usize>,
}

fn is_batch(found: &Found) -> bool {
    matches!(
        found,
        Found::Whole(Entry::Batch { .. }) | Found::Broken { id: Some(_), .. }
    )
}

/// Takes a part of a journal out of its file.
fn read(frames: &Frames<'_>, journal: u64, part: Part) -> Result<Place> {
    let (position, frame, len) = match part {
        Part::Frame {
            position,
            head,
            found,
        } => {
            let is_whole = |it: &Found| matches!(it, Found::Whole(_));
            let whole = found.as_ref().is_some_and(|it| it.iter().all(is_whole));
            let len = if whole { 0 } else { u64::from(head.len) };
            (position, Some((head, found)), len)
        }
        Part::Hole { position, until } => {
            // Behind the last frame there may be bytes of a batch that was refused.
            let len = until.map_or(0, |until| until - position);
            (position, None, len.min(MAX_HOLE))
        }
    };
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let inside = match len {
        0 => None,
        len => Some(frames.read(position, len)?),
    };
    Ok(Place {
        journal,
        position,
        frame,
        inside,
    })
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

/// Every whole batch of the journals that an image contains already: kept as evidence of damage, or
/// not yet removed.
pub(super) fn old_batches(
    vfs: &dyn Vfs,
    paths: &Paths,
    image: &Image,
    visit: &mut dyn FnMut(u64, PartitionId, u64, Option<Stored>),
) -> Result<()> {
    let folder = paths.journals();
    let entries = vfs.list(&folder);
    let entries = entries.map_err(|e| Error::io("cannot list folder", &folder, e))?;
    let numbers = entries
        .iter()
        .filter_map(|entry| crate::paths::number(&entry.name));
    for number in numbers.filter(|number| *number < image.journal) {
        let path = paths.journal(number);
        let frames = Frames::open(vfs, &path, image, number)?.of_any_instance();
        frames.walk(&mut |part| {
            let Part::Frame {
                found: Some(found), ..
            } = part
            else {
                return Ok(true);
            };
            for found in found {
                match found {
                    Found::Whole(Entry::Batch { id, end, body }) => {
                        let header = whole_batch(&body).ok().filter(|header| header.id == id);
                        visit(number, id, end, header.map(|header| (header, body)));
                    }
                    Found::Broken { id: Some(id), end } => visit(number, id, end, None),
                    Found::Whole(Entry::Change(_)) | Found::Broken { .. } | Found::Unknown(_) => {}
                }
            }
            Ok(true)
        })?;
    }
    Ok(())
}
