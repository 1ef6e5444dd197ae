//! A running Levada: a backend for topics, threads for actors, and the seams.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use levada_core::{Data, Timestamp, TopicBuilder, backend::Backend};

use crate::{
    Builder, Error, Pipeline, Running,
    actor::start,
    builder::Seams,
    groups::{self, Groups},
    pipeline::Prepared,
    progress::Progress,
    reading::Reading,
    signals::{self, Told},
    threads::Threads,
    typed::{OpenTopics, TypedBackend},
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

/// Who closes the backend.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// It was opened for this Levada, and ends with its last handle.
    WithLevada,
    /// The program, which has opened it.
    ByCaller,
}

pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    closing: Closing,
    pub(crate) seams: Seams,
    open: Arc<OpenTopics>,
    threads: OnceLock<Threads>,
    told: OnceLock<Told>,
    incarnations: AtomicU64,
    /// What the lag monitor looks at.
    groups: Groups,
    /// Set once the lag monitor runs.
    monitoring: OnceLock<()>,
}

impl Shared {
    fn idle(&self) -> Idle {
        (self.groups.idle(&*self.backend), self.seams.clock.now())
    }
}

/// What no running pipeline reads, and the time.
type Idle = (Vec<Arc<Reading>>, Timestamp);

/// How often metrics are told how far behind groups are that pipelines read for.
const MONITOR_INTERVAL: Duration = Duration::from_millis(250);
/// In which of these rounds they are told of the others too.
const IDLE_ROUND: u32 = 4;

/// The lag monitor: one per process and backend.
async fn monitor(shared: Weak<Shared>) {
    for round in (0..IDLE_ROUND).cycle() {
        tokio::time::sleep(MONITOR_INTERVAL).await;
        let look = |shared: Arc<Shared>| {
            let idle = (round == 0).then(|| shared.idle());
            (shared.groups.running(), idle)
        };
        let Some((running, idle)) = shared.upgrade().map(look) else {
            return;
        };
        for progress in running {
            progress.publish().await;
        }
        if let Some((idle, now)) = idle {
            groups::publish(idle, now).await;
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.closing == Closing::WithLevada {
            self.backend.close();
        }
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
    ///
    /// # Examples
    ///
    /// What a topic holds is there again at the next start:
    ///
    /// ```
    /// use levada_engine::Levada;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let levada = Levada::open(folder.path())?;
    /// let orders = levada.topic::<String>("orders").partitions(4).create()?;
    /// assert!(Levada::open(folder.path()).is_err(), "it is in use");
    /// drop((levada, orders));
    ///
    /// let levada = Levada::open(folder.path())?;
    /// assert_eq!(levada.topic::<String>("orders").open()?.partitions(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    pub(crate) fn with(backend: Arc<dyn Backend>, seams: Seams, closing: Closing) -> Self {
        let shared = Shared {
            backend,
            closing,
            seams,
            open: Arc::default(),
            threads: OnceLock::new(),
            told: OnceLock::new(),
            incarnations: AtomicU64::new(0),
            groups: Groups::default(),
            monitoring: OnceLock::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// A topic of this name, to be created or opened. Its records are of one type throughout a
    /// program: while it is open with another it is refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Levada;
    ///
    /// let levada = Levada::in_memory();
    /// let words = levada.topic::<String>("words").create()?;
    /// assert_eq!(words.partitions(), 8);
    ///
    /// let refused = levada.topic::<u64>("words").create();
    /// assert!(refused.is_err(), "it holds text");
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    pub fn topic<T: Data>(&self, name: &str) -> TopicBuilder<T> {
        let (backend, open) = (&self.shared.backend, &self.shared.open);
        let backend = TypedBackend::of::<T>(Arc::clone(backend), Arc::clone(open));
        TopicBuilder::new(Arc::new(backend), name)
    }

    /// Begins a pipeline. Its name is the group that it reads topics under.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let levada = Levada::in_memory();
    /// let words = levada.topic::<String>("words").partitions(1).create()?;
    /// let filling = levada.pipeline("filling");
    /// filling.source(iter(["to", "be"].map(str::to_owned))).sink(to_topic(&words).sealing());
    /// filling.run()?;
    ///
    /// let reading = levada.pipeline("reading");
    /// reading.source(topic(&words)).sink(discard());
    /// reading.run()?;
    /// assert_eq!(words.committed("reading", 0)?, Some(2));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn pipeline(&self, name: &str) -> Pipeline {
        Pipeline::on(self.clone(), name)
    }

    /// Runs pipelines until all have ended, one has failed, or the process is told to stop:
    /// [starts](Self::start) them and [waits](Self::wait).
    ///
    /// # Errors
    ///
    /// As for these two.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{Ended, prelude::*};
    ///
    /// let levada = Levada::in_memory();
    /// let words = levada.topic::<String>("words").create()?;
    /// let writing = levada.pipeline("writing");
    /// writing.source(iter(["to", "be"].map(str::to_owned))).sink(to_topic(&words).sealing());
    ///
    /// let reading = levada.pipeline("reading");
    /// let read = Collected::new();
    /// reading.source(topic(&words)).sink(collect(&read));
    ///
    /// assert_eq!(levada.run([writing, reading])?, Ended::Finished);
    /// assert_eq!(read.take_sorted(), ["be", "to"]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn run(&self, pipelines: impl IntoIterator<Item = Pipeline>) -> Result<Ended, Error> {
        // Heeded from here on, so that a signal during the start is not missed.
        self.told()?;
        self.wait(self.start(pipelines)?)
    }

    /// Starts pipelines that belong together, and returns at once: all of them, or none. The first
    /// starts when the last is built.
    ///
    /// What is opened on the threads that run it, as a file is, is not looked at here: a pipeline
    /// that cannot open it ends with an error.
    ///
    /// # Errors
    ///
    /// When one of them cannot be built, two have one name, or there are no threads.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let levada = Levada::in_memory();
    /// let pipelines = ["shipping", "shipping"].map(|name| {
    ///     let pipeline = levada.pipeline(name);
    ///     pipeline.source(iter([1, 2])).sink(discard());
    ///     pipeline
    /// });
    /// let refused = levada.start(pipelines).expect_err("they would read as one group");
    /// assert!(matches!(refused, Error::SameName { name } if name == "shipping"));
    /// ```
    pub fn start(
        &self,
        pipelines: impl IntoIterator<Item = Pipeline>,
    ) -> Result<Vec<Running>, Error> {
        let mut prepared: Vec<Prepared> = Vec::new();
        for pipeline in pipelines {
            let name = pipeline.name();
            if prepared.iter().any(|other| other.running.name() == name) {
                let name = name.to_owned();
                return Err(Error::SameName { name });
            }
            pipeline.levada().threads()?;
            prepared.push(pipeline.prepare()?);
        }
        // There are threads for each, so that none fails any more.
        prepared.into_iter().map(Prepared::start).collect()
    }

    /// Waits until all of these have ended, one has failed, or the process is told to stop.
    ///
    /// SIGINT and SIGTERM stop them in order: the next run goes on. A second signal aborts. From
    /// the first call on the process heeds signals only here and in
    /// [`wait_until_told`](Self::wait_until_told); a program that handles them itself waits for
    /// each [`Running`] by its own means.
    ///
    /// # Errors
    ///
    /// The first error of any pipeline; the others are stopped in order.
    ///
    /// # Examples
    ///
    /// The handles go; how far each has come can still be seen, by another thread too:
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use levada_engine::{Ended, Levada, Pipeline, progress::Progress};
    ///
    /// fn run(levada: &Levada, pipelines: Vec<Pipeline>) -> Result<Ended, levada_engine::Error> {
    ///     let running = levada.start(pipelines)?;
    ///     let _to_show: Vec<Arc<Progress>> =
    ///         running.iter().map(|pipeline| Arc::clone(pipeline.progress())).collect();
    ///     levada.wait(running)
    /// }
    /// assert_eq!(run(&Levada::in_memory(), Vec::new())?, Ended::Finished);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    pub fn wait(&self, running: impl IntoIterator<Item = Running>) -> Result<Ended, Error> {
        signals::wait_for(self.told()?, running.into_iter().collect())
    }

    /// Blocks until the process is told to stop; returns at once if it was told before.
    ///
    /// For a program that has something to serve after its pipelines have ended.
    ///
    /// # Errors
    ///
    /// When there is no thread to hear of it.
    pub fn wait_until_told(&self) -> Result<(), Error> {
        self.told()?.wait();
        Ok(())
    }

    /// The backend, to use its topics by hand.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Levada;
    ///
    /// let levada = Levada::in_memory();
    /// levada.topic::<String>("words").partitions(2).create()?;
    /// let words = levada.backend().topic("words")?;
    /// assert_eq!(words.spec().codec, "msgpack/1");
    /// assert_eq!(words.partition(1).ends().visible, 0);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.shared.backend
    }

    /// Tells the recorder that the host program installed, if it installed one, what
    /// [`Progress::publish`] tells of the pipelines that run, and how far all other groups are that
    /// have a position: a group loses records to retention also when nobody reads for it.
    ///
    /// Once a pipeline was started this is done each second until the last handle is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::executor::block_on;
    /// use levada::prelude::*;
    /// use metrics_exporter_prometheus::PrometheusBuilder;
    ///
    /// let levada = Levada::in_memory();
    /// let words = levada.topic::<String>("words").partitions(1).create()?;
    /// for (name, word) in [("first", "to"), ("second", "be")] {
    ///     let writing = levada.pipeline(name);
    ///     writing.source(iter([word.to_owned()])).sink(to_topic(&words));
    ///     writing.run()?;
    ///     let commit = vec![("words".to_owned(), 0, 1)];
    ///     block_on(levada.backend().commit("reading", commit))?;
    /// }
    /// let recorder = PrometheusBuilder::new().build_recorder();
    /// metrics::with_local_recorder(&recorder, || block_on(levada.publish()));
    /// let shown = recorder.handle().render();
    /// let lag = "levada_group_lag_records{group=\"reading\",topic=\"words\",partition=\"0\"} 1";
    /// assert!(shown.contains(lag), "{shown}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn publish(&self) {
        for progress in self.shared.groups.running() {
            progress.publish().await;
        }
        let (idle, now) = self.shared.idle();
        groups::publish(idle, now).await;
    }

    pub(crate) fn seams(&self) -> &Seams {
        &self.shared.seams
    }

    pub(crate) fn next_incarnation(&self) -> u64 {
        self.shared.incarnations.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Has the lag monitor look at a pipeline, starting it with the first.
    pub(crate) fn watch(&self, progress: &Arc<Progress>) -> Result<(), Error> {
        let system = self.threads()?.system();
        self.shared.groups.watch(progress);
        if self.shared.monitoring.set(()).is_ok() {
            let shared = Arc::downgrade(&self.shared);
            start(system, move || monitor(shared));
        }
        Ok(())
    }

    /// A pipeline has ended: from now on the lag monitor tells where its groups stand.
    pub(crate) fn ended(&self, progress: &Arc<Progress>) {
        self.shared.groups.ended(progress);
    }

    fn told(&self) -> Result<&Told, Error> {
        if let Some(told) = self.shared.told.get() {
            return Ok(told);
        }
        let told = Told::listen(self)?;
        Ok(self.shared.told.get_or_init(|| told))
    }

    pub(crate) fn threads(&self) -> Result<&Threads, Error> {
        if let Some(threads) = self.shared.threads.get() {
            return Ok(threads);
        }
        let threads = Threads::start(self.shared.seams.arbiters).map_err(Error::Threads)?;
        Ok(self.shared.threads.get_or_init(|| threads))
    }
}

/// How a pipeline, or all that were waited for, came to their end.
///
/// See [`Levada::wait`](crate::Levada::wait).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every input ended, and all is done.
    Finished,
    /// It, or the process, was told to stop; the next run goes on.
    Stopped,
}
