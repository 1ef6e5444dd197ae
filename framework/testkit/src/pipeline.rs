//! Pipelines on one thread and a test's own clock: the same run every time.
//!
//! What drives tasks here is a loop that gives each that was woken one turn, in the order of their
//! numbers; there is no actor and no timer. After each turn the credit of every edge is counted.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use levada_core::{
    Clock, Seed, Spawner, Timestamp,
    coordinator::Ending,
    task::{Task, Turn},
};
use levada_engine::{
    Builder, Conducted, Conductor, Error, Levada, Pipeline, Prepared, Running, progress::Lag,
};

use crate::TestClock;

/// A Levada for tests: in memory, on a test clock, with a fixed seed.
///
/// # Examples
///
/// ```
/// use levada_core::{Dataflow, Timestamp};
/// use levada_testkit::TestBench;
///
/// let bench = TestBench::new();
/// let words = bench.levada().topic::<String>("words").partitions(2).create()?;
/// assert_eq!(words.partitions(), 2);
/// # Ok::<(), levada_engine::Error>(())
/// ```
#[derive(Debug)]
pub struct TestBench {
    clock: TestClock,
    works: TestSpawner,
    levada: Levada,
}

impl Default for TestBench {
    fn default() -> Self {
        Self::new()
    }
}

impl TestBench {
    /// With one arbiter and the usual limits.
    pub fn new() -> Self {
        Self::with(|builder| builder.arbiters(1))
    }

    /// With other settings. Clock, spawner and seed are the bench's.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    /// use levada_testkit::TestBench;
    ///
    /// let bench = TestBench::with(|builder| builder.arbiters(3));
    /// let pipeline = bench.levada().pipeline("parities");
    /// let counts = Collected::new();
    /// pipeline.source(iter(0..9_u32)).key_by(|n| n % 2).count().at_end().sink(collect(&counts));
    /// bench.start(pipeline)?.until_idle();
    /// assert_eq!(counts.take_sorted(), [(0, 5), (1, 4)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = TestClock::at(Timestamp::from_millis(1_000_000));
        let works = TestSpawner::default();
        let levada = settings(Levada::builder())
            .clock(clock.clone())
            .spawner(works.clone())
            .seed(Seed::new(1))
            .in_memory();
        Self {
            clock,
            works,
            levada,
        }
    }

    /// The clock.
    pub fn clock(&self) -> &TestClock {
        &self.clock
    }

    /// To make topics and draw pipelines with.
    pub fn levada(&self) -> &Levada {
        &self.levada
    }

    /// Takes a pipeline apart and opens it; nothing moves before
    /// [`until_idle`](TestPipeline::until_idle).
    ///
    /// # Errors
    ///
    /// When it cannot be built, or a source has nothing to read from.
    ///
    /// # Examples
    ///
    /// Nothing moves by itself:
    ///
    /// ```
    /// use levada::prelude::*;
    /// use levada_testkit::TestBench;
    ///
    /// let bench = TestBench::new();
    /// let pipeline = bench.levada().pipeline("squares");
    /// let squares = Collected::new();
    /// pipeline.source(iter(1..=3_u32)).map(|n| n * n).sink(collect(&squares));
    /// let mut run = bench.start(pipeline)?;
    /// assert!(squares.is_empty() && run.result().is_none());
    /// run.until_idle();
    /// assert_eq!(squares.take(), [1, 4, 9]);
    /// run.result().expect("its input has ended")?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn start(&self, pipeline: Pipeline) -> Result<TestPipeline, Error> {
        let Prepared {
            tasks,
            conductor,
            running,
        } = pipeline.prepare()?;
        let tasks = tasks.into_iter().filter_map(|task| {
            Some(Seat {
                task: task.open()?,
                woken: Flag::up(),
                deadline: None,
            })
        });
        Ok(TestPipeline {
            clock: self.clock.clone(),
            works: self.works.clone(),
            tasks: tasks.collect(),
            conductor,
            conductor_woken: Flag::up(),
            conductor_deadline: Duration::ZERO,
            running,
            result: None,
        })
    }
}

/// Set by a wake, taken by a turn.
#[derive(Debug)]
struct Flag(AtomicBool);

impl Flag {
    fn up() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

struct Seat {
    task: Task,
    woken: Arc<Flag>,
    deadline: Option<Timestamp>,
}

/// A pipeline under test.
///
/// # Examples
///
/// A minute of waiting takes no time:
///
/// ```
/// use std::time::Duration;
///
/// use levada::prelude::*;
/// use levada_testkit::TestBench;
///
/// let bench = TestBench::new();
/// let readings = bench.levada().topic::<u32>("readings").partitions(1).create()?;
/// let filling = bench.levada().pipeline("filling");
/// filling.source(iter([7, 8])).sink(to_topic(&readings));
/// bench.start(filling)?.until_idle();
///
/// let pipeline = bench.levada().pipeline("batches");
/// let batches = Collected::new();
/// pipeline
///     .source(topic(&readings)) // Nobody seals it: the second batch is never full.
///     .batch(3, Duration::from_secs(60))
///     .sink(collect(&batches));
/// let mut run = bench.start(pipeline)?;
/// run.until_idle();
/// assert!(batches.is_empty());
/// run.advance(Duration::from_secs(60));
/// assert_eq!(batches.take(), [[7, 8]]);
/// # Ok::<(), Error>(())
/// ```
pub struct TestPipeline {
    clock: TestClock,
    works: TestSpawner,
    tasks: Vec<Seat>,
    conductor: Conductor,
    conductor_woken: Arc<Flag>,
    conductor_deadline: Duration,
    running: Running,
    result: Option<Result<(), Error>>,
}

impl fmt::Debug for TestPipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestPipeline")
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

impl TestPipeline {
    /// Gives turns until nobody has anything to do before the clock moves. The clock stands still.
    ///
    /// See [`TestBench::start`].
    ///
    /// # Panics
    ///
    /// If the credit of an edge does not add up after some turn.
    pub fn until_idle(&mut self) {
        while self.round() {}
    }

    /// Moves the clock on and runs what that wakes.
    ///
    /// See [`TestPipeline`].
    ///
    /// # Panics
    ///
    /// As for [`until_idle`](Self::until_idle).
    pub fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.until_idle();
    }

    /// How the pipeline ended, once it has.
    pub fn result(&mut self) -> Option<Result<(), Error>> {
        self.result.take()
    }

    /// Tells it to come to its end; turns follow with [`until_idle`](Self::until_idle).
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{core::coordinator::Ending, prelude::*};
    /// use levada_testkit::TestBench;
    ///
    /// let bench = TestBench::new();
    /// let readings = bench.levada().topic::<u32>("readings").create()?;
    /// let pipeline = bench.levada().pipeline("waiting");
    /// pipeline.source(topic(&readings)).sink(discard());
    /// let mut run = bench.start(pipeline)?;
    /// run.until_idle();
    /// assert!(run.result().is_none(), "it waits for records");
    /// run.tell(Ending::Stop);
    /// run.until_idle();
    /// run.result().expect("it was stopped")?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn tell(&self, ending: Ending) {
        self.running.tell(ending);
    }

    /// How far behind its groups are.
    ///
    /// # Panics
    ///
    /// If the backend does not answer at once, as the one in memory does.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    /// use levada_testkit::TestBench;
    ///
    /// let bench = TestBench::new();
    /// let readings = bench.levada().topic::<u32>("readings").partitions(1).create()?;
    /// let filling = bench.levada().pipeline("filling");
    /// filling.source(iter([7, 8])).sink(to_topic(&readings).sealing());
    /// bench.start(filling)?.until_idle();
    ///
    /// let pipeline = bench.levada().pipeline("reading");
    /// pipeline.source(topic(&readings)).sink(discard());
    /// let mut run = bench.start(pipeline)?;
    /// assert_eq!(run.lag()[0].records, 2);
    /// run.until_idle();
    /// assert_eq!(run.lag()[0].records, 0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn lag(&self) -> Vec<Lag> {
        self.running
            .lag()
            .now_or_never()
            .expect("topics in memory answer at once")
    }

    /// What the program would hold.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// One turn for each that was woken or is due; false if nobody was.
    fn round(&mut self) -> bool {
        let mut moved = self.works.round();
        for at in 0..self.tasks.len() {
            let seat = &mut self.tasks[at];
            let due = seat
                .deadline
                .is_some_and(|deadline| deadline <= self.clock.now());
            if !seat.woken.take() && !due {
                continue;
            }
            moved = true;
            let waker = Waker::from(Arc::clone(&seat.woken));
            match seat.task.turn(&mut Context::from_waker(&waker)) {
                Turn::Again => waker.wake(),
                Turn::Sleep(deadline) => seat.deadline = deadline,
                Turn::Done => seat.deadline = None,
            }
            self.count_credit();
        }
        self.conduct() || moved
    }

    fn conduct(&mut self) -> bool {
        let due = self.conductor_deadline <= self.clock.elapsed();
        if self.result.is_some() || !self.conductor_woken.take() && !due {
            return false;
        }
        let waker = Waker::from(Arc::clone(&self.conductor_woken));
        match self.conductor.turn(&mut Context::from_waker(&waker)) {
            Conducted::Sleep(until) => self.conductor_deadline = until,
            Conducted::Done(result) => self.result = Some(result.map(drop)),
        }
        true
    }

    /// What is available at the sender and in flight at the receiver makes up the window.
    fn count_credit(&self) {
        for receiver in self.tasks.iter().flat_map(|seat| seat.task.inputs()) {
            let (available, granted) = receiver.credit();
            assert_eq!(
                available + receiver.in_flight(),
                granted,
                "credit does not add up"
            );
        }
    }
}

/// Runs work that blocks in a test's own turns, in the order in which it was started.
///
/// # Examples
///
/// A bench has one, so that what a source reads on a thread of its own is read in turns:
///
/// ```
/// use levada::prelude::*;
/// use levada_testkit::TestBench;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("words.txt");
/// std::fs::write(&path, "tea\njam\n")?;
///
/// let bench = TestBench::new();
/// let pipeline = bench.levada().pipeline("words");
/// let words = Collected::new();
/// pipeline.source(lines(&path)).map(|line| line.len()).sink(collect(&words));
/// let mut run = bench.start(pipeline)?;
/// assert!(words.is_empty(), "nobody reads before there are turns");
/// run.until_idle();
/// assert_eq!(words.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct TestSpawner {
    works: Arc<Mutex<Vec<Work>>>,
}

struct Work {
    future: BoxFuture<'static, ()>,
    woken: Arc<Flag>,
}

impl fmt::Debug for TestSpawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestSpawner")
    }
}

impl TestSpawner {
    fn round(&self) -> bool {
        let mut works = std::mem::take(&mut *self.lock());
        let mut moved = false;
        works.retain_mut(|work| {
            if !work.woken.take() {
                return true;
            }
            moved = true;
            let waker = Waker::from(Arc::clone(&work.woken));
            work.future
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        });
        // What was started meanwhile comes behind what was there.
        let mut held = self.lock();
        works.append(&mut held);
        *held = works;
        moved
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Work>> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spawner for TestSpawner {
    fn spawn(&self, _: &str, work: BoxFuture<'static, ()>) -> std::io::Result<()> {
        self.lock().push(Work {
            future: work,
            woken: Flag::up(),
        });
        Ok(())
    }
}
