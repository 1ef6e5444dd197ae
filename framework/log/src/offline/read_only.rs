//! A look at a data folder that somebody else may have open.

use super::live;
use crate::{
    Log, Result,
    catalog::Catalog,
    shared::{Shared, lock},
};

/// A data folder that is read and never written: one that a log has open, one that nobody has, or
/// one on a file system that cannot be written.
///
/// It shows what was acknowledged when it was opened, or last [refreshed](Self::refresh); the last
/// group commit of a log that was killed may be missing from it, until the folder is opened for
/// writing.
///
/// # Examples
///
/// ```
/// use levada_log::{Batch, Error, Log, Record, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
///
/// // In another process:
/// let look = Log::options().open_read_only(folder.path())?;
/// let seen = look.log().topic("orders")?.partition(0)?;
/// assert_eq!(seen.visible_end(), 0);
///
/// let mut batch = Batch::new();
/// batch.push(&Record::of(b"white lantern"))?;
/// orders.append(batch.clone()).wait()?;
/// look.refresh()?;
/// assert_eq!(seen.visible_end(), 1);
/// assert_eq!(seen.fetch(0, 1 << 20).wait()?.records().count(), 1);
/// assert!(matches!(seen.append(batch).wait(), Err(Error::ReadOnly { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReadOnly {
    log: Log,
}

impl ReadOnly {
    pub(crate) fn new(log: Log) -> Self {
        Self { log }
    }

    /// The log as it was seen: topics, groups and their records, all to be read as in any log.
    /// Whatever would change it gets [`Error::ReadOnly`](crate::Error::ReadOnly).
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Takes in what was acknowledged meanwhile. This reads files before it returns. Handles that
    /// were given out before see it as well, and whoever waits for more is woken.
    ///
    /// # Errors
    ///
    /// As for [`Options::open_read_only`](crate::Options::open_read_only). What was seen before can
    /// still be read.
    pub fn refresh(&self) -> Result<()> {
        self.log.shared().look_again()
    }
}

impl Shared {
    /// Looks at somebody else's folder again.
    pub(crate) fn look_again(&self) -> Result<()> {
        let mut catalog = lock(&self.catalog);
        catalog.become_as(look(self)?);
        Ok(())
    }
}

/// What a folder holds now.
fn look(shared: &Shared) -> Result<Catalog> {
    let view = live::view(&*shared.vfs, &shared.paths)?;
    let catalog = Catalog::new(&view.image);
    for partition in catalog.partitions() {
        if let Some(tail) = view.tails.get(&partition.id) {
            let mut reading = partition.reading();
            for batch in tail {
                reading.take_in(batch.clone());
            }
        }
    }
    Ok(catalog)
}
