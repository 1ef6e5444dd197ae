//! Reads the journals after a stop, and tells a torn end from damage.
//!
//! Each frame names the last group commit that was durable when it was written. So one that a later
//! frame, or a later journal, says to be durable was acknowledged, and if it is broken, that is
//! damage: its partitions stop, its bytes stay. Only what was written since the last sync can be
//! torn: one group commit, and before it those that only topics with weaker acknowledgements were
//! in. It can as well have rotted after it was acknowledged, and no checksum tells the two apart. So
//! from the first that is broken on it is cut, and the cut is reported.

use bytes::Bytes;

use super::frame::{Entry, Found, HEAD_LEN, Head, JournalId, PAGE, entries};
use crate::{
    Error, Result,
    meta::Image,
    partition::PartitionId,
    paths::Paths,
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
        // A later journal gets its first frame only when all of this one is acknowledged.
        reader.followed = is_begun(vfs, paths, image, &numbers[index + 1..])?;
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

/// Whether any of the journals `numbers` has a frame. A file alone proves nothing: a recovery that
/// crashed leaves one.
fn is_begun(vfs: &dyn Vfs, paths: &Paths, image: &Image, numbers: &[u64]) -> Result<bool> {
    for &number in numbers {
        let reader = Reader::open(vfs, paths, image, number)?;
        if Head::parse(&reader.read(0, HEAD_LEN)?, reader.id).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads one journal.
struct Reader<'a> {
    file: Box<dyn VfsFile>,
    id: JournalId,
    paths: &'a Paths,
    position: u64,
    followed: bool,
}

impl<'a> Reader<'a> {
    /// At the front of a journal that nothing follows.
    fn open(vfs: &dyn Vfs, paths: &'a Paths, image: &Image, number: u64) -> Result<Self> {
        let path = paths.journal(number);
        let file = vfs
            .open(&path, Open::Read)
            .map_err(|e| Error::io("cannot open", path, e))?;
        Ok(Self {
            file,
            id: JournalId {
                nonce: image.nonce,
                instance: image.instance,
                number,
            },
            paths,
            position: 0,
            followed: false,
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
        if broken && !self.is_durable(head.commit)? {
            let ends = found.map(|found| found.iter().filter_map(end_of).collect());
            end.cut = Some(self.cut(ends)?);
            return Ok(false);
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
        let suspected = Head::is_suspected(bytes, self.id);
        let later = self.later_frames()?;
        let durable = later.iter().any(|(_, head)| head.synced >= end.commit);
        if durable || (suspected && self.followed) {
            if cfg!(planted = "interior_truncate") {
                return Ok(());
            }
            return Err(self.unusable("the head of an acknowledged group commit is damaged"));
        }
        if suspected || !later.is_empty() {
            end.cut = Some(self.cut(None)?);
        }
        Ok(())
    }

    /// The cut at this position, of a frame with these ends and of those behind it.
    fn cut(&self, ends: Option<Vec<(PartitionId, u64)>>) -> Result<Cut> {
        let mut cut = Cut {
            journal: self.id.number,
            position: self.position,
            ends,
        };
        for (position, head) in self.later_frames()? {
            let found = entries(&head, &self.read(position, head.len as usize)?);
            cut.ends = cut.ends.zip(found).map(|(mut ends, found)| {
                ends.extend(found.iter().filter_map(end_of));
                ends
            });
        }
        Ok(cut)
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

    /// Whether what follows says that group commit `commit` was durable.
    fn is_durable(&self, commit: u64) -> Result<bool> {
        if cfg!(planted = "interior_truncate") {
            return Ok(false);
        }
        let later = self.later_frames()?;
        Ok(self.followed || later.iter().any(|(_, head)| head.synced >= commit))
    }

    /// The heads of frames of this journal behind the one at the position, and where they are.
    fn later_frames(&self) -> Result<Vec<(u64, Head)>> {
        const BLOCK: usize = 1 << 20;
        let (mut heads, mut from) = (Vec::new(), self.position + PAGE as u64);
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
