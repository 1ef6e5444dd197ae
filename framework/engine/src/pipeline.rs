//! A pipeline: what a program draws, and what starts it.

use std::{fmt, sync::Arc, time::Duration};

use futures::{future::poll_fn, stream::FuturesUnordered};
use levada_core::{
    Begin, FromSource, Source, Stream,
    assembly::{Assembly, Blueprint, Settings, assemble},
    backend::Durability,
    coordinator::{Coordinator, Ending},
    graph::{Graph, Plan, StateNames},
};

use crate::{
    Ended, Error, Levada,
    actor::{start_conductor, start_task},
    conductor::{Baton, Conductor},
    progress::{Lag, Progress},
};

/// A graph of operators from sources to sinks, under a name.
///
/// It is drawn first: sources, operators, sinks. Nothing moves before [`run`](Self::run) or
/// [`start`](Self::start), and what is wrong with the drawing is said by them.
///
/// # Examples
///
/// ```
/// use levada::prelude::*;
///
/// let pipeline = Pipeline::new("squares");
/// let squares = Collected::new();
/// pipeline.source(iter(1..=4_u32)).map(|n| n * n).sink(collect(&squares));
/// pipeline.run()?;
/// assert_eq!(squares.take(), [1, 4, 9, 16]);
/// # Ok::<(), Error>(())
/// ```
pub struct Pipeline {
    levada: Levada,
    name: Arc<str>,
    graph: Graph,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Pipeline {
    /// A pipeline that needs no topics, or has them in memory.
    pub fn new(name: &str) -> Self {
        Self::on(Levada::in_memory(), name)
    }

    pub(crate) fn on(levada: Levada, name: &str) -> Self {
        Self {
            levada,
            name: name.into(),
            graph: Graph::new(name),
        }
    }

    pub(crate) fn levada(&self) -> &Levada {
        &self.levada
    }

    /// Its name: the group that it reads topics under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins a stream with what a source reads.
    ///
    /// # Examples
    ///
    /// A pipeline may have several sources:
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let pipeline = Pipeline::new("both-shops");
    /// let sold = Collected::new();
    /// let (here, there) = (pipeline.source(iter([1, 2])), pipeline.source(iter([3])));
    /// here.merge(there).sink(collect(&sold));
    /// pipeline.run()?;
    /// assert_eq!(sold.take_sorted(), [1, 2, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn source<S: Source>(&self, source: S) -> Stream<S::Item, FromSource<S>> {
        Stream::from_source(&self.graph, "source", source)
    }

    /// Runs until every source has ended and all is done, or the process is told to stop, as
    /// [`Levada::run`] does.
    ///
    /// # Errors
    ///
    /// When it cannot be built or started, or a record could not be handled.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let pipeline = Pipeline::new("orders");
    /// let _dangling = pipeline.source(iter([1, 2]));
    /// let refused = pipeline.run().expect_err("a stream leads nowhere").to_string();
    /// assert!(refused.contains("the stream after `source` reaches no sink"), "{refused}");
    /// ```
    pub fn run(self) -> Result<(), Error> {
        let levada = self.levada.clone();
        match levada.run([self])? {
            Ended::Finished | Ended::Stopped => Ok(()),
        }
    }

    /// Starts, and returns at once.
    ///
    /// # Errors
    ///
    /// When it cannot be built, or a source has nothing to read from.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let pipeline = Pipeline::new("squares");
    /// let squares = Collected::new();
    /// pipeline.source(iter(1..=3_u32)).map(|n| n * n).sink(collect(&squares));
    /// let running = pipeline.start()?;
    /// assert_eq!(running.name(), "squares");
    /// running.wait()?;
    /// assert_eq!(squares.take(), [1, 4, 9]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn start(self) -> Result<Running, Error> {
        self.prepare()?.start()
    }

    /// Takes it apart into what an executor drives: [`start`](Self::start) does so with actors, a
    /// simulator with a loop of its own.
    ///
    /// # Errors
    ///
    /// When it cannot be built, or a source has nothing to read from.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let pipeline = Pipeline::new("squares");
    /// pipeline.source(iter(1..=3_u32)).map(|n| n * n).sink(discard());
    /// let prepared = pipeline.prepare()?;
    /// let tasks: Vec<String> = prepared.tasks.iter().map(|task| format!("{task:?}")).collect();
    /// assert_eq!(tasks, ["source/0", "discard/0"]); // `map` runs in the task of its source.
    /// # Ok::<(), Error>(())
    /// ```
    pub fn prepare(self) -> Result<Prepared, Error> {
        let backend = Arc::clone(self.levada.backend());
        let names = match backend.traits().durability {
            Durability::Power => StateNames::Needed,
            Durability::None => StateNames::Optional,
        };
        let plan = self.graph.plan(names)?;
        let assembly = self.assemble(&plan)?;
        let resume = !plan.starts_over();
        let begin = if resume {
            Begin::Committed
        } else {
            Begin::Start
        };
        let Assembly {
            tasks,
            sources,
            commands,
            reports,
            splits,
            operators,
            records_read,
        } = assembly;
        let seams = self.levada.seams();
        let progress = Arc::new(Progress::new(
            Arc::clone(&self.name),
            &splits,
            Arc::clone(&operators),
            (&*backend, Arc::clone(&seams.clock)),
            begin,
        )?);
        if begin == Begin::Start {
            say_that_it_starts_over(&self.name, &progress);
        }
        let baton = Arc::new(Baton::default());
        let conductor = Conductor {
            pipeline: Arc::clone(&self.name),
            coordinator: Coordinator::new(tasks.len(), seams.checkpoint_interval),
            commands,
            sources,
            reports,
            splits,
            operators,
            backend,
            clock: Arc::clone(&seams.clock),
            progress: Arc::clone(&progress),
            records_read,
            commits: resume,
            baton: Arc::clone(&baton),
            pending: FuturesUnordered::new(),
            outcome: None,
            uncommitted: None,
        };
        let running = Running {
            levada: self.levada,
            name: self.name,
            progress,
            baton,
        };
        Ok(Prepared {
            tasks,
            conductor,
            running,
        })
    }

    fn assemble(&self, plan: &Plan) -> Result<Assembly, Error> {
        let seams = self.levada.seams();
        let settings = Settings {
            pipeline: Arc::clone(&self.name),
            parallelism: u32::try_from(seams.arbiters).unwrap_or(u32::MAX),
            window: seams.window,
            limits: seams.limits,
            clock: Arc::clone(&seams.clock),
            spawner: Arc::clone(&seams.spawner),
            seed: seams.seed,
            incarnation: self.levada.next_incarnation(),
        };
        let pipeline = self.name.to_string();
        assemble(plan, &settings).map_err(|reason| Error::Start { pipeline, reason })
    }
}

/// A pipeline taken apart into what an executor drives.
///
/// # Examples
///
/// An executor of one loop. A real one sleeps until it is woken, or until the clock has come to
/// what a turn names:
///
/// ```
/// use std::task::{Context, Waker};
///
/// use levada::{core::task::Turn, engine::{Conducted, Prepared}, prelude::*};
///
/// let pipeline = Pipeline::new("squares");
/// let squares = Collected::new();
/// pipeline.source(iter(1..=3_u32)).map(|n| n * n).sink(collect(&squares));
///
/// let Prepared { tasks, mut conductor, running } = pipeline.prepare()?;
/// let mut tasks: Vec<_> = tasks.into_iter().filter_map(|task| task.open()).collect();
/// let cx = &mut Context::from_waker(Waker::noop());
/// let result = loop {
///     tasks.retain_mut(|task| task.turn(cx) != Turn::Done);
///     if let Conducted::Done(result) = conductor.turn(cx) {
///         break result;
///     }
/// };
/// result?;
/// assert_eq!(squares.take(), [1, 4, 9]);
/// assert_eq!(running.progress().operators()[0].name, "map");
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Prepared {
    /// To be opened and driven, each on a thread of its own or on one.
    pub tasks: Vec<Blueprint>,
    /// To be driven beside them.
    pub conductor: Conductor,
    /// What the program holds.
    pub running: Running,
}

impl Prepared {
    /// Has actors drive it.
    pub(crate) fn start(self) -> Result<Running, Error> {
        let Self {
            tasks,
            conductor,
            running,
        } = self;
        let levada = &running.levada;
        let threads = levada.threads()?;
        levada.watch(&running.progress)?;
        for task in tasks {
            let clock = Arc::clone(&levada.seams().clock);
            start_task(threads.of_copy(task.copy), task, clock);
        }
        start_conductor(threads.system(), conductor, levada.clone());
        Ok(running)
    }
}

/// What was read before is read again: nobody should have to find that out.
fn say_that_it_starts_over(pipeline: &str, progress: &Progress) {
    for topic in progress.filled_topics() {
        tracing::warn!(
            "pipeline `{pipeline}` reads topic `{topic}` from offset 0: what it keeps is in \
             memory only, and made again from all records"
        );
    }
}

/// A pipeline that runs.
///
/// Dropping it does not stop it, also where no [`Levada`] is left: it then runs until its sources
/// end or the process does.
///
/// # Examples
///
/// An input without an end is stopped from outside:
///
/// ```
/// use levada::prelude::*;
///
/// let pipeline = Pipeline::new("numbers");
/// let seen = Collected::new();
/// pipeline.source(iter(0_u64..)).sink(collect(&seen));
/// let running = pipeline.start()?;
/// running.stop()?;
/// let seen = seen.take();
/// assert!(seen.iter().copied().eq(0..seen.len() as u64), "all up to the stop");
/// # Ok::<(), Error>(())
/// ```
pub struct Running {
    /// Threads and topics are there as long as somebody may wait for it.
    levada: Levada,
    name: Arc<str>,
    progress: Arc<Progress>,
    baton: Arc<Baton>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Running {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A last checkpoint, then stop. What was read and is not done is done by the next run.
    ///
    /// What it is told first counts: a pipeline that was told to drain finishes.
    ///
    /// # Errors
    ///
    /// Why it did not come to that.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let levada = Levada::in_memory();
    /// let orders = levada.topic::<u64>("orders").partitions(1).create()?;
    /// let filling = levada.pipeline("filling");
    /// filling.source(iter(0..100_u64)).sink(to_topic(&orders));
    /// filling.run()?;
    ///
    /// let shipped = Collected::new();
    /// for _ in 0..2 {
    ///     let shipping = levada.pipeline("shipping");
    ///     shipping.source(topic(&orders)).sink(collect(&shipped));
    ///     shipping.start()?.stop()?;
    /// }
    /// // However far the first came, the second went on from there.
    /// let shipped = shipped.take();
    /// assert!(shipped.iter().copied().eq(0..shipped.len() as u64));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn stop(self) -> Result<Ended, Error> {
        self.finish(Ending::Stop)
    }

    /// Ends every source, finishes everything, and stops.
    ///
    /// What it is told first counts: one that was told to stop does not drain, and the result says
    /// [`Ended::Stopped`].
    ///
    /// # Errors
    ///
    /// Why it did not come to that.
    ///
    /// # Examples
    ///
    /// What was gathered until then comes out, as at the end of the input:
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let pipeline = Pipeline::new("numbers");
    /// let (seen, batches) = (Collected::new(), Collected::new());
    /// let (numbers, copies) = pipeline.source(iter(0_u64..)).fork();
    /// numbers.batch(10, std::time::Duration::MAX).sink(collect(&batches));
    /// copies.sink(collect(&seen));
    /// pipeline.start()?.drain()?;
    /// assert_eq!(batches.take().concat(), seen.take(), "the last batch may be short");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn drain(self) -> Result<Ended, Error> {
        self.finish(Ending::Drain)
    }

    /// Stops at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let pipeline = Pipeline::new("numbers");
    /// let seen = Collected::new();
    /// pipeline.source(iter(0_u64..)).sink(collect(&seen));
    /// pipeline.start()?.abort();
    /// seen.take();
    /// assert!(seen.take().is_empty(), "nothing comes any more");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn abort(self) {
        match self.finish(Ending::Abort) {
            Ok(_) | Err(Error::Aborted { .. }) => {}
            Err(error) => tracing::warn!(pipeline = %self.name, %error, "failed before its abort"),
        }
    }

    /// Blocks until it has ended by itself. Not for threads that run tasks: those
    /// [`ended`](Self::ended).
    ///
    /// # Errors
    ///
    /// Why it ended before its input did.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let pipeline = Pipeline::new("numbers");
    /// pipeline
    ///     .source(iter(["1", "two"].map(str::to_owned)))
    ///     .map(|text| text.parse::<u32>().expect("a number"))
    ///     .sink(discard());
    /// let error = pipeline.start()?.wait().expect_err("`two` is no number").to_string();
    /// assert!(error.starts_with("pipeline `numbers` stopped: `map` failed on"), "{error}");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn wait(self) -> Result<Ended, Error> {
        self.baton.wait()
    }

    /// Completes when it has ended by itself.
    ///
    /// # Errors
    ///
    /// Why it ended before its input did.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{Ended, prelude::*};
    ///
    /// async fn serve(pipeline: Pipeline) -> Result<Ended, Error> {
    ///     pipeline.start()?.ended().await
    /// }
    ///
    /// let pipeline = Pipeline::new("numbers");
    /// pipeline.source(iter(0..10_u32)).sink(discard());
    /// assert!(futures::executor::block_on(serve(pipeline)).is_ok());
    /// ```
    pub async fn ended(self) -> Result<Ended, Error> {
        poll_fn(|cx| self.baton.poll_end(cx)).await
    }

    /// How far behind its groups are.
    ///
    /// See [`Lag`].
    pub async fn lag(&self) -> Vec<Lag> {
        self.progress.lag().await
    }

    /// How far it has come: to keep while others [wait](Levada::wait) for the pipeline.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::{Arc, atomic::Ordering};
    ///
    /// use levada::prelude::*;
    ///
    /// let pipeline = Pipeline::new("even");
    /// pipeline.source(iter(0..10_u32)).filter(|n| n % 2 == 0).sink(discard());
    /// let running = pipeline.start()?;
    /// let progress = Arc::clone(running.progress());
    /// running.wait()?;
    /// let filter = &progress.operators()[0];
    /// assert_eq!(filter.name, "filter");
    /// assert_eq!(filter.counts.records_in.load(Ordering::Relaxed), 10);
    /// assert_eq!(filter.counts.records_out.load(Ordering::Relaxed), 5);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Tells it to come to its end, and returns at once. What it is told first counts; only an
    /// abort overrules that.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{core::coordinator::Ending, prelude::*};
    ///
    /// let pipeline = Pipeline::new("numbers");
    /// pipeline.source(iter(0_u64..)).sink(discard());
    /// let running = pipeline.start()?;
    /// running.tell(Ending::Abort);
    /// assert!(matches!(running.wait(), Err(Error::Aborted { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn tell(&self, ending: Ending) {
        self.baton.wish(ending);
    }

    /// The result, if it has ended within `timeout`.
    pub(crate) fn wait_for(&self, timeout: Duration) -> Option<Result<Ended, Error>> {
        self.baton.wait_for(timeout)
    }

    fn finish(&self, ending: Ending) -> Result<Ended, Error> {
        self.baton.wish(ending);
        self.baton.wait()
    }
}
