//! How a log is opened: the seams it stands on, and its sizes.
//!
//! Seams are values, so that a test or a simulator hands in its own.

use std::{future::poll_fn, path::Path, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use levada_core::{Clock, Seed, Spawner, SystemClock, Threads};

use crate::{
    Error, Log, ReadOnly, Recovery, Result,
    catalog::Catalog,
    cleaner::Cleaning,
    fence::Fence,
    flusher::{FLUSHERS, Flusher},
    keeper::Keeper,
    limits::MAX_BATCH_BYTES,
    meta::Image,
    paths::Paths,
    quota::{self, Quotas, Rates},
    reader::Reader,
    recovery,
    shared::{Handle, Limits, Parts, Shared},
    vfs::{OsFs, Vfs},
    writer::Writer,
};

/// How a log is opened: the seams it stands on, and its sizes.
///
/// # Examples
///
/// ```
/// use levada_log::Log;
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::options().segment_bytes(1 << 20).open(folder.path())?;
/// assert!(log.topics().is_empty());
///
/// let refused = Log::options().journal_bytes(0).open("elsewhere");
/// assert!(refused.is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    pub(crate) vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    spawner: Arc<dyn Spawner>,
    seed: Seed,
    pub(crate) limits: Limits,
    rates: Rates,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            vfs: Arc::new(OsFs),
            clock: Arc::new(SystemClock::new()),
            spawner: Arc::new(Threads),
            seed: Seed::random(),
            limits: Limits {
                segment_bytes: 64 << 20,
                journal_bytes: 32 << 20,
                queue_bytes: 32 << 20,
                transaction_timeout: Duration::from_mins(1),
                open_files: 32,
                cleaning_interval: Duration::from_secs(1),
                compaction_bytes: 32 << 20,
                reserve_bytes: 4 << 20,
                low_space_bytes: 512 << 20,
                loss_notice: Duration::from_hours(24),
            },
            rates: Rates::default(),
        }
    }
}

impl Options {
    /// Where files are. Default: the operating system's.
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = vfs;
        self
    }

    /// What stamps batches. Default: the system's clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What runs the I/O. Default: a thread for each of the eleven works.
    pub fn spawner(mut self, spawner: Arc<dyn Spawner>) -> Self {
        self.spawner = spawner;
        self
    }

    /// Where random numbers come from. Default: the operating system.
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// A segment is followed by another before it grows past this. Default: 64 MiB.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.limits.segment_bytes = bytes;
        self
    }

    /// A journal is flushed to segments when it has reached this. If it has more than 256
    /// partitions it grows on, up to four times this, while the one before it is still being
    /// flushed. Up to two journals are held in memory, and read at the next opening. Default: 32
    /// MiB.
    pub fn journal_bytes(mut self, bytes: u64) -> Self {
        self.limits.journal_bytes = bytes;
        self
    }

    /// The most that may wait to be written before appends get [`Error::Busy`]. Default: 32 MiB.
    ///
    /// # Examples
    ///
    /// It holds the largest batch at least:
    ///
    /// ```
    /// use levada_log::Log;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let refused = Log::options().queue_bytes(1).open(folder.path()).map(drop);
    /// let said = refused.expect_err("no batch is so small").to_string();
    /// assert_eq!(said, "option `queue_bytes` cannot be 1: it must hold a batch (16 MiB)");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.limits.queue_bytes = bytes;
        self
    }

    /// How long a [transaction](crate::Transaction) may be open before the log aborts it. Default:
    /// a minute.
    pub fn transaction_timeout(mut self, timeout: Duration) -> Self {
        self.limits.transaction_timeout = timeout;
        self
    }

    /// How many bytes a second all producers together may append, as they are stored; who appends
    /// more gets [`Error::Throttled`]. Default: as many as they can.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Batch, Error, Log, Record, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::options().append_bytes_per_second(1000).open(folder.path())?;
    /// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
    /// let mut batch = Batch::new();
    /// batch.push(&Record::of(&[7; 800]))?;
    /// orders.append(batch.clone()).wait()?;
    /// match orders.append(batch).wait() {
    ///     Err(Error::Throttled { wait, .. }) => assert!(wait.as_millis() < 1000),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append_bytes_per_second(mut self, bytes: u64) -> Self {
        self.rates.all = Some(bytes);
        self
    }

    /// How many bytes a second each producer may append that has a name and no quota of its own
    /// ([`Log::set_quota`]). Default: as many as it can.
    pub fn producer_bytes_per_second(mut self, bytes: u64) -> Self {
        self.rates.producer = Some(bytes);
        self
    }

    /// The most segments that are kept open for reading, over all topics. Beside them the log
    /// has about ten files open, and up to three for each of its eight flushers while appends wait
    /// for them; where no more can be opened, flushes wait and reads take turns. Default: 32, so
    /// that any number of partitions works in a process that may open 64 files.
    pub fn open_files(mut self, files: usize) -> Self {
        self.limits.open_files = files;
        self
    }

    /// How often is looked for what can go by [`Retention`](crate::Retention), besides after each
    /// flush. Default: 1 second.
    pub fn cleaning_interval(mut self, interval: Duration) -> Self {
        self.limits.cleaning_interval = interval;
        self
    }

    /// The memory for the keys of a compacted topic, while one of its partitions is compacted. With
    /// less than all keys take, it needs more passes. Default: 32 MiB.
    pub fn compaction_bytes(mut self, bytes: usize) -> Self {
        self.limits.compaction_bytes = bytes;
        self
    }

    /// The room that is set aside, in a file of its own, so that a full disk does not keep the log
    /// from removing what has expired. It must hold the metadata: about 100 bytes for each segment.
    /// 0: none. Default: 4 MiB.
    pub fn reserve_bytes(mut self, bytes: u64) -> Self {
        self.limits.reserve_bytes = bytes;
        self
    }

    /// With less free space than this [`Log::space`] is [low](crate::Space::Low), which is also
    /// logged. Default: 512 MiB; on a disk of a few GiB choose a tenth of it.
    pub fn low_space_bytes(mut self, bytes: u64) -> Self {
        self.limits.low_space_bytes = bytes;
        self
    }

    /// How long before [`Retention`](crate::Retention) takes what a group has not done this is
    /// logged as a warning: once for each partition, and again only after the group got away from
    /// it. Never earlier than in the last tenth of the time that a topic keeps a record, so that a
    /// topic of an hour warns six minutes before. 0: never. Default: 24 hours, so that there is a
    /// day to mend a group that has stopped.
    pub fn loss_notice(mut self, notice: Duration) -> Self {
        self.limits.loss_notice = notice;
        self
    }

    /// Opens the log in a folder, making it if it is not there, and brings back what the folder
    /// holds. This reads and writes files before it returns.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`], [`Error::Unusable`], [`Error::Newer`], [`Error::BadOption`],
    /// [`Error::NoSpace`], [`Error::Io`]. Nothing was changed in a folder that is refused.
    pub fn open(self, folder: impl AsRef<Path>) -> Result<Log> {
        let Self {
            vfs,
            clock,
            spawner,
            seed,
            limits,
            rates,
        } = self;
        limits.check()?;
        for rate in [rates.all, rates.producer].into_iter().flatten() {
            quota::check("bytes_per_second", rate)?;
        }
        let paths = Paths::new(folder.as_ref());
        let nonce = seed.rng("nonce of a data folder").next_u64();
        let opened = recovery::open(&*vfs, &*clock, &paths, limits.segment_bytes, nonce)?;
        let recovery::Opened {
            recovered,
            lock,
            is_reserve_spent,
        } = opened;
        let recovery::Recovered {
            image,
            journal,
            journal_id,
            spare,
            recovery,
        } = recovered;
        let (catalog, instance, commit) = (Catalog::new(&image), image.instance, image.commit);
        let cleaning = Cleaning::new(&*clock, &image);
        let fence = Fence::new(&image);
        // Where none is to be held, nothing waits until there is one again.
        if is_reserve_spent && limits.reserve_bytes > 0 {
            cleaning.room.spend();
        }
        let parts = Parts {
            quotas: Quotas::new(rates, clock.elapsed()),
            vfs,
            clock,
            paths,
            instance,
            read_only: false,
            limits,
            acknowledged: commit - 1,
            catalog,
            spare,
            lock,
            cleaning,
            fence,
        };
        let shared = Arc::new(Shared::new(parts, 3 + FLUSHERS));

        let mut writer = Writer::new(Arc::clone(&shared), journal, journal_id, commit);
        let mut keeper = Keeper::new(Arc::clone(&shared), image);
        let mut reader = Reader::new(Arc::clone(&shared));
        let handle = Arc::new(Handle::new(Arc::clone(&shared)));
        let mut works: Vec<(&str, BoxFuture<'static, ()>)> = vec![
            (
                "levada-log-writer",
                Box::pin(poll_fn(move |cx| writer.poll(cx))),
            ),
            (
                "levada-log-keeper",
                Box::pin(poll_fn(move |cx| keeper.poll(cx))),
            ),
            (
                "levada-log-reader",
                Box::pin(poll_fn(move |cx| reader.poll(cx))),
            ),
        ];
        for number in 0..FLUSHERS {
            let mut flusher = Flusher::new(Arc::clone(&shared), number);
            let work = Box::pin(poll_fn(move |cx| flusher.poll(cx)));
            works.push(("levada-log-flusher", work));
        }
        let mut works = works.into_iter();
        let started = works.try_for_each(|(name, work)| spawner.spawn(name, work));
        started.map_err(|e| Error::io("cannot start the I/O of", shared.paths.folder(), e))?;
        Ok(Log::new(handle, spawner, recovery))
    }

    /// Opens a data folder to be read only, also while a log has it open for writing: see
    /// [`ReadOnly`]. This reads files before it returns. Nothing is written and no lock is taken,
    /// so the folder may lie on a file system that cannot be written.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] (also where no log has ever been), [`Error::Newer`], [`Error::Io`], and
    /// [`Error::Changing`] when whoever writes was faster each time.
    pub fn open_read_only(self, folder: impl AsRef<Path>) -> Result<ReadOnly> {
        let paths = Paths::new(folder.as_ref());
        let refusal = Error::ReadOnly {
            folder: folder.as_ref().to_path_buf(),
        };
        let cleaning = Cleaning::new(&*self.clock, &Image::default());
        let parts = Parts {
            vfs: self.vfs,
            clock: self.clock,
            paths,
            instance: 0,
            read_only: true,
            quotas: Quotas::new(Rates::default(), Duration::ZERO),
            limits: self.limits,
            acknowledged: 0,
            catalog: Catalog::default(),
            spare: None,
            lock: Box::new(()),
            cleaning,
            fence: Fence::new(&Image::default()),
        };
        let shared = Arc::new(Shared::new(parts, 1));
        shared.queue.close(&refusal);
        shared.look_again()?;
        let mut reader = Reader::new(Arc::clone(&shared));
        let handle = Arc::new(Handle::new(Arc::clone(&shared)));
        let work = Box::pin(poll_fn(move |cx| reader.poll(cx)));
        let started = self.spawner.spawn("levada-log-reader", work);
        started.map_err(|e| Error::io("cannot start the I/O of", shared.paths.folder(), e))?;
        Ok(ReadOnly::new(Log::new(
            handle,
            self.spawner,
            Recovery::default(),
        )))
    }
}

impl Limits {
    fn check(&self) -> Result<()> {
        let max_batch = MAX_BATCH_BYTES as u64;
        for (option, value, least, reason) in [
            (
                "segment_bytes",
                self.segment_bytes,
                4096,
                "it must be at least 4 KiB",
            ),
            (
                "journal_bytes",
                self.journal_bytes,
                4096,
                "it must be at least 4 KiB",
            ),
            (
                "queue_bytes",
                self.queue_bytes as u64,
                max_batch,
                "it must hold a batch (16 MiB)",
            ),
            (
                "open_files",
                self.open_files as u64,
                1,
                "a segment is open while it is read",
            ),
            (
                "cleaning_interval",
                u64::try_from(self.cleaning_interval.as_millis()).unwrap_or(u64::MAX),
                1,
                "it must be at least 1 ms",
            ),
        ] {
            if value < least {
                return Err(Error::BadOption {
                    option,
                    value,
                    reason,
                });
            }
        }
        Ok(())
    }
}
