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
    pub fn source<S: Source>(&self, source: S) -> Stream<S::Item, FromSource<S>> {
        Stream::from_source(&self.graph, "source", source)
    }

    /// Runs until every source has ended and all is done, or the process is told to stop, as
    /// [`Levada::run`] does.
    ///
    /// # Errors
    ///
    /// When it cannot be built or started, or a record could not be handled.
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
    pub fn start(self) -> Result<Running, Error> {
        self.prepare()?.start()
    }

    /// Takes it apart into what an executor drives: [`start`](Self::start) does so with actors, a
    /// simulator with a loop of its own.
    ///
    /// # Errors
    ///
    /// When it cannot be built, or a source has nothing to read from.
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
    pub fn drain(self) -> Result<Ended, Error> {
        self.finish(Ending::Drain)
    }

    /// Stops at once.
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
    pub fn wait(self) -> Result<Ended, Error> {
        self.baton.wait()
    }

    /// Completes when it has ended by itself.
    ///
    /// # Errors
    ///
    /// Why it ended before its input did.
    pub async fn ended(self) -> Result<Ended, Error> {
        poll_fn(|cx| self.baton.poll_end(cx)).await
    }

    /// How far behind its groups are.
    pub async fn lag(&self) -> Vec<Lag> {
        self.progress.lag().await
    }

    /// How far it has come: to keep while others [wait](Levada::wait) for the pipeline.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Tells it to come to its end, and returns at once. What it is told first counts; only an
    /// abort overrules that.
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
