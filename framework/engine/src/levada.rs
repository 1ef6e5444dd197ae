//! A running Levada: a backend for topics, threads for actors, and the seams.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use levada_core::{
    ChunkLimits, Clock, Data, Seed, Spawner, SystemClock, Threads as SpawnThreads, TopicBuilder,
    backend::Backend,
};

use crate::{
    Error, Pipeline, Running,
    actor::start,
    backend::{EmbeddedBackend, MemoryBackend},
    progress::Progress,
    signals,
    threads::Threads,
};

/// Where topics live and pipelines run: on the log in one folder, or in memory.
///
/// Cheap to clone. The threads start with the first pipeline and end with the last handle.
///
/// # Examples
///
/// ```
/// use levada_engine::Levada;
///
/// let levada = Levada::in_memory();
/// let words = levada.topic::<String>("words").partitions(4).create()?;
/// assert_eq!(words.partitions(), 4);
/// # Ok::<(), levada_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct Levada {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) seams: Seams,
    threads: OnceLock<Threads>,
    incarnations: AtomicU64,
    /// What the lag monitor looks at; pipelines that are gone fall out.
    watched: Mutex<Vec<Weak<Progress>>>,
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, Vec<Weak<Progress>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often metrics are told how far behind groups are.
const MONITOR_INTERVAL: Duration = Duration::from_millis(250);

/// The lag monitor: one per process and backend.
async fn monitor(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(MONITOR_INTERVAL).await;
        let Some((backend, clock, watched)) = shared.upgrade().map(|shared| {
            let mut watched = shared.watched();
            watched.retain(|progress| progress.strong_count() > 0);
            let alive: Vec<_> = watched.iter().filter_map(Weak::upgrade).collect();
            drop(watched);
            (
                Arc::clone(&shared.backend),
                Arc::clone(&shared.seams.clock),
                alive,
            )
        }) else {
            return;
        };
        for progress in watched {
            progress.publish(&backend, clock.now()).await;
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.backend.close();
    }
}

impl fmt::Debug for Levada {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Levada")
            .field("backend", &self.shared.backend)
            .finish_non_exhaustive()
    }
}

impl Levada {
    /// Opens a folder, creating it if it is not there. One process at a time has it open.
    ///
    /// # Errors
    ///
    /// When another process has it open, or what it holds is damaged: the sentence says which, and
    /// what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().open(path)
    }

    /// Topics in memory: nothing survives the process.
    pub fn in_memory() -> Self {
        Self::builder().in_memory()
    }

    /// The same with seams and limits of your own.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A topic of this name, to be created or opened.
    pub fn topic<T: Data>(&self, name: &str) -> TopicBuilder<T> {
        TopicBuilder::new(Arc::clone(&self.shared.backend), name)
    }

    /// Begins a pipeline. Its name is the group that it reads topics under.
    pub fn pipeline(&self, name: &str) -> Pipeline {
        Pipeline::on(self.clone(), name)
    }

    /// Runs pipelines until all have ended, one has failed, or the process is told to stop.
    ///
    /// SIGINT and SIGTERM stop them in order: the next run goes on. A second signal aborts.
    /// A program that handles signals itself [starts](Pipeline::start) its pipelines instead.
    ///
    /// # Errors
    ///
    /// The first error of any pipeline; the others are stopped in order.
    pub fn run(&self, pipelines: impl IntoIterator<Item = Pipeline>) -> Result<Ended, Error> {
        let mut running: Vec<Running> = Vec::new();
        for pipeline in pipelines {
            if running.iter().any(|other| other.name() == pipeline.name()) {
                let name = pipeline.name().to_owned();
                stop_all(running);
                return Err(Error::SameName { name });
            }
            match pipeline.start() {
                Ok(started) => running.push(started),
                Err(error) => {
                    stop_all(running);
                    return Err(error);
                }
            }
        }
        signals::run_to_end(self, running)
    }

    /// The backend, to use its topics by hand.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.shared.backend
    }

    pub(crate) fn seams(&self) -> &Seams {
        &self.shared.seams
    }

    pub(crate) fn next_incarnation(&self) -> u64 {
        self.shared.incarnations.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Has the lag monitor look at a pipeline, starting it with the first.
    pub(crate) fn watch(&self, progress: &Arc<Progress>) -> Result<(), Error> {
        let mut watched = self.shared.watched();
        let first = watched.is_empty();
        watched.push(Arc::downgrade(progress));
        drop(watched);
        if first {
            let (shared, system) = (Arc::downgrade(&self.shared), self.threads()?.system());
            start(system, move || monitor(shared));
        }
        Ok(())
    }

    pub(crate) fn threads(&self) -> Result<&Threads, Error> {
        if let Some(threads) = self.shared.threads.get() {
            return Ok(threads);
        }
        let threads = Threads::start(self.shared.seams.arbiters).map_err(Error::Threads)?;
        Ok(self.shared.threads.get_or_init(|| threads))
    }
}

fn stop_all(running: Vec<Running>) {
    for pipeline in running {
        if let Err(error) = pipeline.stop() {
            tracing::error!(%error, "a pipeline did not stop in order");
        }
    }
}

/// How [`Levada::run`] came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every input ended, and all is done.
    Finished,
    /// The process was told to stop; the next run goes on.
    Stopped,
}

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
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.seams.clock = Arc::new(clock);
        self
    }

    /// Runs work that blocks. Default: a thread for each.
    pub fn spawner(mut self, spawner: impl Spawner) -> Self {
        self.seams.spawner = Arc::new(spawner);
        self
    }

    /// Decides every random choice. Default: another one in each run.
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seams.seed = seed;
        self
    }

    /// How many threads run actors, and how many copies a stage has at most. Default: as many as
    /// there are cores.
    pub fn arbiters(mut self, arbiters: usize) -> Self {
        self.seams.arbiters = arbiters.max(1);
        self
    }

    /// How much may be on its way between two copies, in bytes. Default: 256 KiB.
    pub fn edge_window(mut self, bytes: u32) -> Self {
        self.seams.window = i64::from(bytes.max(1));
        self
    }

    /// How large chunks grow. What comes out does not depend on it.
    pub fn chunk_limits(mut self, limits: ChunkLimits) -> Self {
        self.seams.limits = limits;
        self
    }

    /// How often positions are taken while records flow. Default: 200 ms.
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
        Ok(self.on(Arc::new(backend)))
    }

    /// Topics in memory.
    pub fn in_memory(self) -> Levada {
        let backend = MemoryBackend::new(Arc::clone(&self.seams.clock));
        self.on(Arc::new(backend))
    }

    /// Topics in a backend of your own.
    pub fn on(self, backend: Arc<dyn Backend>) -> Levada {
        let shared = Shared {
            backend,
            seams: self.seams,
            threads: OnceLock::new(),
            incarnations: AtomicU64::new(0),
            watched: Mutex::default(),
        };
        Levada {
            shared: Arc::new(shared),
        }
    }
}
