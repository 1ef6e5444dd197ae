//! Reads the journals after a stop, and tells a torn end from damage.
//!
//! Each frame names the last group commit that was durable when it was written. So one that a later
//! frame says to be durable, in this journal or the next, was acknowledged, and if it is broken,
//! that is damage: its partitions stop, its bytes stay. Only what was written since the last sync
//! can be torn: one group commit, and before it those that only topics with weaker acknowledgements
//! were in. It can as well have rotted after it was acknowledged, and no checksum tells the two
//! apart. So from the first that is broken on it is cut, and the cut is reported.

use bytes::Bytes;

use super::frame::{Entry, Found, HEAD_LEN, Head, JournalId, PAGE, entries};
use crate::{
    Error, Result,
    meta::Image,
    partition::PartitionId,
    paths::Paths,
    planted::planted,
    vfs::{Open, Vfs, VfsFile},
};

/// What became of an entry that was acknowledged.
pub(crate) enum Entered {
    /// It is whole.
    Whole(Entry),
    /// It is a batch of this partition and its bytes are damaged.
    Damaged(PartitionId),
}

/// How the journals end.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// The number of the next group commit.
    pub(crate) commit: u64,
    /// The last journal, and where in it the next frame would start.
    pub(crate) journal: u64,
    pub(crate) position: u64,
    /// Journals with damage inside, which must be kept.
    pub(crate) damaged: Vec<u64>,
    /// The frame that was cut off, if there was one.
    pub(crate) cut: Option<Cut>,
}

/// What was written since the last sync, torn or rotted, and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) journal: u64,
    pub(crate) position: u64,
    /// What its batches would have ended at, by partition; `None` if that cannot be read any more.
    pub(crate) ends: Option<Vec<(PartitionId, u64)>>,
}

/// Reads the journals `numbers`, oldest first, and hands each acknowledged entry to `visit`.
pub(crate) fn scan(
    vfs: &dyn Vfs,
    paths: &Paths,
    image: &Image,
    numbers: &[u64],
    visit: &mut dyn FnMut(u64, Entered) -> Result<()>,
) -> Result<End> {
    let mut end = End {
        commit: image.commit,
        journal: image.journal,
        position: 0,
        damaged: Vec::new(),
        cut: None,
    };
    for (index, &number) in numbers.iter().enumerate() {
        let mut reader = Reader::open(vfs, paths, image, number)?;
        reader.later = &numbers[index + 1..];
        while reader.frame(&mut end, visit)? {}
        (end.journal, end.position) = (number, reader.position);
        if end.cut.is_some() {
            break;
        }
    }
    Ok(end)
}

/// Whether the journals that ended at `end` have a whole frame there by now.
pub(crate) fn goes_on(vfs: &dyn Vfs, paths: &Paths, image: &Image, end: &End) -> Result<bool> {
    let mut reader = Reader::open(vfs, paths, image, end.journal)?;
    reader.position = end.position;
    reader.frame(&mut end.clone(), &mut |_, _| Ok(()))
}

/// Reads one journal.
struct Reader<'a> {
    vfs: &'a dyn Vfs,
    paths: &'a Paths,
    image: &'a Image,
    file: Box<dyn VfsFile>,
    id: JournalId,
    position: u64,
    /// The journals behind this one.
    later: &'a [u64],
}

/// A frame behind the position of a reader: what it says, and its entries if they can be read.
struct Behind {
    head: Head,
    entries: Option<Vec<Found>>,
}

impl<'a> Reader<'a> {
    /// At the front of a journal that nothing follows.
    fn open(vfs: &'a dyn Vfs, paths: &'a Paths, image: &'a Image, number: u64) -> Result<Self> {
        let path = paths.journal(number);
        let file = vfs
            .open(&path, Open::Read)
            .map_err(|e| Error::io("cannot open", path, e))?;
        Ok(Self {
            vfs,
            paths,
            image,
            file,
            id: JournalId {
                nonce: image.nonce,
                instance: image.instance,
                number,
            },
            position: 0,
            later: &[],
        })
    }

    /// Reads the next frame; `false` at the end of this journal.
    fn frame(
        &mut self,
        end: &mut End,
        visit: &mut dyn FnMut(u64, Entered) -> Result<()>,
    ) -> Result<bool> {
        let bytes = self.read(self.position, HEAD_LEN)?;
        let head = match Head::parse(&bytes, self.id) {
            Some(head) if head.commit == end.commit && head.synced < head.commit => head,
            Some(_) => return Err(self.unusable("a group commit before this one is missing")),
            None => {
                self.no_frame(&bytes, end)?;
                return Ok(false);
            }
        };
        let frame = self.read(self.position, head.len as usize)?;
        let found = entries(&head, &frame);
        let broken = found.as_ref().is_none_or(|f| f.iter().any(is_broken));
        if broken {
            let behind = self.behind()?;
            if !behind.iter().any(|frame| frame.head.synced >= head.commit) {
                let ends = found.map(|found| found.iter().filter_map(end_of).collect());
                end.cut = Some(self.cut(ends, behind));
                return Ok(false);
            }
        }
        let Some(found) = found else {
            return Err(self.unusable("the directory of an acknowledged group commit is damaged"));
        };
        if broken {
            end.damaged.push(self.id.number);
        }
        for found in found {
            visit(self.id.number, self.entered(found)?)?;
        }
        self.position += head.padded_len();
        end.commit += 1;
        Ok(true)
    }

    /// Nothing readable is where the next frame would be: the end, unless something follows.
    fn no_frame(&self, bytes: &[u8], end: &mut End) -> Result<()> {
        if let Some(version) = Head::unknown_version(bytes) {
            let path = self.paths.journal(self.id.number);
            return Err(Error::Newer {
                path,
                feature: format!("frame version {version}"),
            });
        }
        if self.goes_on_with(end.commit)? {
            return Ok(());
        }
        let behind = self.behind()?;
        if behind.iter().any(|frame| frame.head.synced >= end.commit) {
            return Err(self.unusable("the head of an acknowledged group commit is damaged"));
        }
        if Head::is_suspected(bytes, self.id) || !behind.is_empty() {
            end.cut = Some(self.cut(None, behind));
        }
        Ok(())
    }

    /// Whether nothing of this journal is left, and the next begins with group commit `commit`.
    fn goes_on_with(&self, commit: u64) -> Result<bool> {
        let Some((next, _)) = self.later.split_first() else {
            return Ok(false);
        };
        let next = Self::open(self.vfs, self.paths, self.image, *next)?;
        let first = Head::parse(&next.read(0, HEAD_LEN)?, next.id);
        let goes_on = first.is_some_and(|head| head.commit == commit);
        Ok(goes_on && self.heads(self.position + PAGE as u64)?.is_empty())
    }

    /// The cut at this position: of a frame with these ends, and of those behind it.
    fn cut(&self, mut ends: Option<Vec<(PartitionId, u64)>>, behind: Vec<Behind>) -> Cut {
        for frame in behind {
            ends = ends.zip(frame.entries).map(|(mut ends, entries)| {
                ends.extend(entries.iter().filter_map(end_of));
                ends
            });
        }
        Cut {
            journal: self.id.number,
            position: self.position,
            ends,
        }
    }

    fn entered(&self, found: Found) -> Result<Entered> {
        match found {
            Found::Whole(entry) => Ok(Entered::Whole(entry)),
            Found::Broken { id: Some(id), .. } => Ok(Entered::Damaged(id)),
            Found::Broken { id: None, .. } => {
                Err(self.unusable("an acknowledged metadata change is damaged"))
            }
            Found::Unknown(kind) => Err(Error::Newer {
                path: self.paths.journal(self.id.number),
                feature: format!("entry kind {kind}"),
            }),
        }
    }

    /// The frames behind the position, in this journal and in those behind it.
    fn behind(&self) -> Result<Vec<Behind>> {
        if planted("interior_truncate") {
            return Ok(Vec::new());
        }
        let mut frames = self.frames(self.position + PAGE as u64)?;
        for &number in self.later {
            let journal = Self::open(self.vfs, self.paths, self.image, number)?;
            frames.extend(journal.frames(0)?);
        }
        Ok(frames)
    }

    /// The frames of this journal from `from` on.
    fn frames(&self, from: u64) -> Result<Vec<Behind>> {
        let frames = self.heads(from)?.into_iter().map(|(position, head)| {
            let frame = self.read(position, head.len as usize)?;
            let entries = entries(&head, &frame);
            Ok(Behind { head, entries })
        });
        frames.collect()
    }

    /// The heads of frames of this journal from `from` on, and where they are.
    fn heads(&self, mut from: u64) -> Result<Vec<(u64, Head)>> {
        const BLOCK: usize = 1 << 20;
        let mut heads = Vec::new();
        loop {
            let block = self.read(from, BLOCK)?;
            let pages = (from..).step_by(PAGE).zip(block.chunks(PAGE));
            let found = pages.filter_map(|(at, page)| Some((at, Head::parse(page, self.id)?)));
            heads.extend(found);
            if block.len() < BLOCK {
                return Ok(heads);
            }
            from += BLOCK as u64;
        }
    }

    /// Reads `len` bytes, or what there is of them.
    fn read(&self, position: u64, len: usize) -> Result<Bytes> {
        let path = self.paths.journal(self.id.number);
        let failed = |e| Error::io("cannot read", &path, e);
        let there = self.file.len().map_err(failed)?.saturating_sub(position);
        let len = len.min(usize::try_from(there).unwrap_or(usize::MAX));
        let mut bytes = vec![0; len];
        self.file
            .read_exact_at(&mut bytes, position)
            .map_err(failed)?;
        Ok(bytes.into())
    }

    fn unusable(&self, what: &str) -> Error {
        Error::Unusable {
            path: self.paths.journal(self.id.number),
            reason: format!("{what} (at byte {})", self.position),
            remedy: "restore the data folder from a copy",
        }
    }
}

fn is_broken(found: &Found) -> bool {
    matches!(found, Found::Broken { .. })
}

fn end_of(found: &Found) -> Option<(PartitionId, u64)> {
    match found {
        Found::Whole(Entry::Batch { id, end, .. }) | Found::Broken { id: Some(id), end } => {
            Some((*id, *end))
        }
        Found::Whole(Entry::Change(_)) | Found::Broken { id: None, .. } | Found::Unknown(_) => None,
    }
}
