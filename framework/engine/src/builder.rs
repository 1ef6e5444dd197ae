//! What a [`Levada`] is opened with: seams and limits, as values.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use levada_core::{
    ChunkLimits, Clock, Seed, Spawner, SystemClock, Threads as SpawnThreads, backend::Backend,
};

use crate::{
    Error, Levada,
    backend::{EmbeddedBackend, MemoryBackend},
    levada::Closing,
};

/// What may be replaced, as values.
#[derive(Clone, Debug)]
pub(crate) struct Seams {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) spawner: Arc<dyn Spawner>,
    pub(crate) seed: Seed,
    pub(crate) arbiters: usize,
    pub(crate) window: i64,
    pub(crate) limits: ChunkLimits,
    pub(crate) checkpoint_interval: Duration,
}

/// Seams and limits of a [`Levada`]; a program that needs none of them never sees this.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use levada::{ChunkLimits, Seed, prelude::*};
///
/// let levada = Levada::builder()
///     .seed(Seed::new(7))
///     .arbiters(2)
///     .edge_window(64 << 10)
///     .chunk_limits(ChunkLimits { records: 64, bytes: 8 << 10 })
///     .checkpoint_interval(Duration::from_secs(1))
///     .in_memory();
/// let pipeline = levada.pipeline("squares");
/// let squares = Collected::new();
/// pipeline.source(iter(1..=3_u32)).map(|n| n * n).sink(collect(&squares));
/// pipeline.run()?;
/// assert_eq!(squares.take(), [1, 4, 9]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing happens until it is opened"]
pub struct Builder {
    seams: Seams,
}

impl Default for Builder {
    fn default() -> Self {
        let seams = Seams {
            clock: Arc::new(SystemClock::new()),
            spawner: Arc::new(SpawnThreads),
            seed: Seed::random(),
            arbiters: thread::available_parallelism().map_or(1, usize::from),
            window: DEFAULT_WINDOW,
            limits: ChunkLimits::default(),
            checkpoint_interval: DEFAULT_INTERVAL,
        };
        Self { seams }
    }
}

/// 256 KiB: eight chunks of 32 KiB, so that one is filled while another is handled.
const DEFAULT_WINDOW: i64 = 256 << 10;

/// Positions are never older than this while records flow. Without captured state a checkpoint
/// costs a barrier; the longest wait of the exactly-once design is one second.
const DEFAULT_INTERVAL: Duration = Duration::from_millis(200);

impl Builder {
    /// Tells the time. Default: the machine's clocks.
    ///
    /// See [`Clock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.seams.clock = Arc::new(clock);
        self
    }

    /// Runs work that blocks. Default: a thread for each.
    ///
    /// See [`Spawner`].
    pub fn spawner(mut self, spawner: impl Spawner) -> Self {
        self.seams.spawner = Arc::new(spawner);
        self
    }

    /// Decides every random choice. Default: another one in each run.
    ///
    /// See [`Context::random`](levada_core::Context::random).
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seams.seed = seed;
        self
    }

    /// How many threads run actors, and how many copies a stage has at most. Default: as many as
    /// there are cores.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let levada = Levada::builder().arbiters(3).in_memory();
    /// let pipeline = levada.pipeline("parities");
    /// pipeline.source(iter(0..10_u32)).key_by(|n| n % 2).sink(discard());
    /// let tasks = pipeline.prepare()?.tasks;
    /// let copies = |stage| tasks.iter().filter(|task| task.stage == stage).count();
    /// assert_eq!(copies("source"), 1); // An iterator is one split, for one copy to read.
    /// assert_eq!(copies("key_by"), 3);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn arbiters(mut self, arbiters: usize) -> Self {
        self.seams.arbiters = arbiters.max(1);
        self
    }

    /// How much may be on its way between two copies, in bytes. Default: 256 KiB.
    pub fn edge_window(mut self, bytes: u32) -> Self {
        self.seams.window = i64::from(bytes.max(1));
        self
    }

    /// How large chunks grow.
    ///
    /// With one split what comes out does not depend on it. With several, records of different
    /// splits meet in the order of their arrival, and that may change with it: as it does anyway
    /// from run to run. Each key and each split keep their order all the same.
    ///
    /// See [`ChunkLimits`].
    pub fn chunk_limits(mut self, limits: ChunkLimits) -> Self {
        self.seams.limits = limits;
        self
    }

    /// How often positions are taken while records flow. Default: 200 ms.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use levada::prelude::*;
    ///
    /// let levada = Levada::builder().checkpoint_interval(Duration::from_hours(1)).in_memory();
    /// let words = levada.topic::<String>("words").partitions(1).create()?;
    /// let filling = levada.pipeline("filling");
    /// filling.source(iter(["to", "be"].map(str::to_owned))).sink(to_topic(&words).sealing());
    /// filling.run()?;
    ///
    /// let reading = levada.pipeline("reading");
    /// reading.source(topic(&words)).sink(discard());
    /// reading.run()?;
    /// assert_eq!(words.committed("reading", 0)?, Some(2), "the end is committed in any case");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn checkpoint_interval(mut self, interval: Duration) -> Self {
        self.seams.checkpoint_interval = interval;
        self
    }

    /// Opens a folder, creating it if it is not there.
    ///
    /// # Errors
    ///
    /// As for [`Levada::open`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<Levada, Error> {
        let path: PathBuf = path.as_ref().to_owned();
        let (clock, spawner) = (
            Arc::clone(&self.seams.clock),
            Arc::clone(&self.seams.spawner),
        );
        let backend =
            EmbeddedBackend::open(&path, clock, spawner).map_err(|source| Error::Open {
                path,
                source: source.into(),
            })?;
        Ok(Levada::with(
            Arc::new(backend),
            self.seams,
            Closing::WithLevada,
        ))
    }

    /// Topics in memory.
    pub fn in_memory(self) -> Levada {
        let backend = MemoryBackend::new(Arc::clone(&self.seams.clock));
        Levada::with(Arc::new(backend), self.seams, Closing::WithLevada)
    }

    /// Topics in a backend of your own. It is yours to close: others may use it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use levada_core::SystemClock;
    /// use levada_engine::{Levada, backend::MemoryBackend};
    ///
    /// let backend = Arc::new(MemoryBackend::new(Arc::new(SystemClock::new())));
    /// let first = Levada::builder().on(backend.clone());
    /// first.topic::<String>("words").partitions(2).create()?;
    /// drop(first);
    ///
    /// let second = Levada::builder().on(backend);
    /// assert_eq!(second.topic::<String>("words").open()?.partitions(), 2);
    /// second.topic::<String>("lines").create()?;
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    pub fn on(self, backend: Arc<dyn Backend>) -> Levada {
        Levada::with(backend, self.seams, Closing::ByCaller)
    }
}
