//! Makes a healthy folder of a damaged one: copies what is sound, names what is lost.
//!
//! 1. The damaged folder is read and never changed. If its image is damaged, nobody knows which
//!    file is what, and repair refuses: that folder is restored from a backup.
//! 2. Of each segment all whole batches are taken ([`salvage`](super::salvage)); so are those of
//!    the journals since the image ([`journals`](super::journals)).
//! 3. What is missing then is looked for in older journals that are still there. A batch is taken
//!    from there only into a place that is empty: what compaction or retention took away does not
//!    come back. The same holds for batches that lay in the damaged parts of journals.
//! 4. Offsets are lost where a batch names an end before it that nothing has, and where the image
//!    or a journal names an end that nothing reaches. They are named, by ranges, and never given
//!    again. Where it cannot be told what a journal held, each partition goes on above all that it
//!    can have held.
//! 5. A batch that does not follow the one before it begins a segment, as after any gap.
//! 6. What was made is checked before it is said to be there.

mod rebuild;
mod run;

use std::{ops::Range, path::Path, sync::Arc};

use super::{
    check::{hold, read_image},
    making::Making,
    report::{Checked, Report},
};
use crate::{Error, Options, Result, paths::Paths};
use run::Repair;

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
/// See [`repair`].
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
/// let behind = log.topic("orders")?.partition(0)?.fetch(1, 1 << 20).wait()?;
/// let found: Vec<_> = behind.records().map(|record| (record.offset, record.value)).collect();
/// assert_eq!(found, [(2, &b"nut"[..])]);
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
        let untold = repair.finish(making)?;
        confirm(&self.clone().check(to.folder())?, &to)?;
        Ok(Repaired { partitions, untold })
    }
}

/// Fails unless what was made is sound.
fn confirm(report: &Report, to: &Paths) -> Result<()> {
    match report.findings.first() {
        None => Ok(()),
        Some(finding) => Err(Error::Unusable {
            path: to.folder().to_path_buf(),
            reason: format!("it was just made, and yet: {finding}"),
            remedy: "repair onto another disk",
        }),
    }
}
