//! The conductor: an actor that does what a commit unit's coordinator wants done.
//!
//! The decisions are the coordinator's (`levada_core::coordinator`), a plain machine; this tells
//! tasks, commits positions, and says how it all ended.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    FutureExt as _, StreamExt as _, TryFutureExt as _, stream::FuturesUnordered, task::AtomicWaker,
};
use levada_core::{
    Clock,
    assembly::SplitPlan,
    backend::{Backend, BackendError, Ticket},
    chain::Place,
    coordinator::{Coordinator, Effect, Ending, Outcome},
    node::OperatorPlan,
    record::Origin,
    stage::Positions,
    task::{Command, CommandPort, ReportPort},
};

use crate::{Ended, Error, progress::Progress};

/// How others reach a conductor, and learn how its pipeline ended.
#[derive(Debug, Default)]
pub(crate) struct Baton {
    /// Bounded by the words there are: stop, drain, abort.
    wishes: Mutex<VecDeque<Ending>>,
    waker: AtomicWaker,
    end: Mutex<Option<Result<Ended, Error>>>,
    ended: Condvar,
    ended_waker: AtomicWaker,
}

impl Baton {
    pub(crate) fn wish(&self, ending: Ending) {
        lock(&self.wishes).push_back(ending);
        self.waker.wake();
    }

    /// Blocks until the pipeline has ended.
    pub(crate) fn wait(&self) -> Result<Ended, Error> {
        let mut end = lock(&self.end);
        loop {
            match end.take() {
                Some(result) => return result,
                None => end = self.ended.wait(end).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// The result, if the pipeline has ended or ends within `timeout`.
    pub(crate) fn wait_for(&self, timeout: Duration) -> Option<Result<Ended, Error>> {
        let end = lock(&self.end);
        let waited = self
            .ended
            .wait_timeout_while(end, timeout, |end| end.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }

    /// The same for a task.
    pub(crate) fn poll_end(&self, cx: &Context<'_>) -> Poll<Result<Ended, Error>> {
        self.ended_waker.register(cx.waker());
        lock(&self.end).take().map_or(Poll::Pending, Poll::Ready)
    }

    fn end(&self, result: Result<Ended, Error>) {
        *lock(&self.end) = Some(result);
        self.ended.notify_all();
        self.ended_waker.wake();
    }
}

/// Does what the coordinator of a pipeline decides.
///
/// See [`Prepared`](crate::Prepared).
pub struct Conductor {
    pub(crate) pipeline: Arc<str>,
    pub(crate) coordinator: Coordinator,
    pub(crate) commands: Vec<CommandPort>,
    pub(crate) sources: Vec<usize>,
    pub(crate) reports: ReportPort,
    pub(crate) splits: Arc<[SplitPlan]>,
    pub(crate) operators: Arc<[OperatorPlan]>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) progress: Arc<Progress>,
    /// How many records sources have read.
    pub(crate) records_read: Arc<AtomicU64>,
    /// Positions are committed: the pipeline keeps no state, so that it can go on from them.
    pub(crate) commits: bool,
    pub(crate) baton: Arc<Baton>,
    /// Bounded by the checkpoints that complete while a commit is on its way.
    pub(crate) pending: FuturesUnordered<Ticket<()>>,
    /// How the tasks ended, while the last positions are being committed.
    pub(crate) outcome: Option<Result<Ended, Error>>,
    /// Why positions could not be committed: the pipeline was aborted for it.
    pub(crate) uncommitted: Option<BackendError>,
}

impl fmt::Debug for Conductor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conductor")
            .field("pipeline", &self.pipeline)
            .finish_non_exhaustive()
    }
}

/// What came of a conductor's turn.
///
/// See [`Prepared`](crate::Prepared).
#[derive(Debug)]
pub enum Conducted {
    /// Nothing to do before a wake, or before this much has elapsed on the clock.
    Sleep(Duration),
    /// All tasks are done and all positions are committed.
    Done(Result<Ended, Error>),
}

impl Conductor {
    /// Takes one turn: hears tasks, looks at the clock, tells tasks.
    pub fn turn(&mut self, cx: &mut Context<'_>) -> Conducted {
        self.baton.waker.register(cx.waker());
        loop {
            if let Poll::Ready(Some(committed)) = self.pending.poll_next_unpin(cx) {
                self.committed(committed);
                continue;
            }
            if let Some(result) = self.outcome.take_if(|_| self.pending.is_empty()) {
                return Conducted::Done(result);
            }
            let wish = lock(&self.baton.wishes).pop_front();
            if let Some(ending) = wish {
                let effect = self.coordinator.end(ending);
                self.act(effect);
                continue;
            }
            if let Some((task, report)) = self.reports.take(cx) {
                let effects = self.coordinator.hear(task, report);
                self.act(effects);
                continue;
            }
            let read = self.records_read.load(Ordering::Relaxed);
            match self.coordinator.look(self.clock.elapsed(), read) {
                Some(effect) => self.act([effect]),
                None => return Conducted::Sleep(self.coordinator.next_look()),
            }
        }
    }

    /// Its pipeline's name.
    pub fn pipeline(&self) -> &Arc<str> {
        &self.pipeline
    }

    fn committed(&mut self, committed: Result<(), BackendError>) {
        let Err(error) = committed else { return };
        match &mut self.outcome {
            Some(result @ Ok(_)) => *result = Err(error.into()),
            Some(Err(_)) => {}
            None => {
                tracing::error!(pipeline = %self.pipeline, %error, "positions not committed");
                self.uncommitted.get_or_insert(error);
                let effect = self.coordinator.end(Ending::Abort);
                self.act(effect);
            }
        }
    }

    fn act(&mut self, effects: impl IntoIterator<Item = Effect>) {
        for effect in effects {
            match effect {
                Effect::Inject(barrier) => self.tell_all(Command::Barrier(barrier)),
                Effect::Drain => self.tell_sources(Command::Drain),
                Effect::Abort => self.tell_all(Command::Abort),
                Effect::Completed(positions) => self.completed(&positions),
                Effect::Done(outcome) => self.outcome = Some(self.result(outcome)),
            }
        }
    }

    fn tell_all(&self, command: Command) {
        for port in &self.commands {
            port.tell(command);
        }
    }

    fn tell_sources(&self, command: Command) {
        for source in &self.sources {
            self.commands[*source].tell(command);
        }
    }

    fn completed(&self, positions: &Positions) {
        let mut commits: BTreeMap<&str, Vec<(u32, u64)>> = BTreeMap::new();
        for (split, position) in positions.iter() {
            let plan = &self.splits[split as usize];
            let (Some(subscription), Some(done)) = (&plan.subscription, position.done()) else {
                continue;
            };
            self.progress.reached(split, done);
            let commit = commits.entry(&subscription.group).or_default();
            commit.push((split, done));
        }
        if self.commits {
            for (group, positions) in commits {
                self.pending.push(self.commit(group, positions));
            }
        }
    }

    /// Commits how far a group has come in these splits, and then says so.
    fn commit(&self, group: &str, positions: Vec<(u32, u64)>) -> Ticket<()> {
        let places = positions.iter().filter_map(|(split, done)| {
            let plan = &self.splits[*split as usize];
            let topic = plan.subscription.as_ref()?.topic.clone();
            Some((topic, plan.number, *done))
        });
        let committed = self.backend.commit(group, places.collect());
        let progress = Arc::clone(&self.progress);
        let say = move |()| progress.committed(&positions);
        committed.map_ok(say).boxed()
    }

    fn result(&mut self, outcome: Outcome) -> Result<Ended, Error> {
        let pipeline = self.pipeline.to_string();
        match outcome {
            Outcome::Finished => Ok(Ended::Finished),
            Outcome::Stopped => Ok(Ended::Stopped),
            Outcome::Aborted => Err(match self.uncommitted.take() {
                Some(error) => error.into(),
                None => Error::Aborted { pipeline },
            }),
            Outcome::NotOpened(reason) => Err(Error::Start {
                pipeline,
                reason: reason.into(),
            }),
            Outcome::Failed(failure) => {
                let operator = match failure.place {
                    Place::Reader => "source".to_owned(),
                    Place::Step(number) => self.operators[number as usize].name.clone(),
                    Place::Closure(method) => method.to_owned(),
                };
                let record = self.record(failure.origin);
                Err(Error::Stage {
                    pipeline,
                    operator,
                    record,
                    reason: failure.reason,
                })
            }
        }
    }

    fn record(&self, origin: Origin) -> String {
        match self.splits.get(origin.split as usize) {
            Some(split) => format!("{}@{}", split.name, origin.offset),
            None => origin.to_string(),
        }
    }
}

/// Ends the wait for a conductor, also for one that is gone without a word.
#[derive(Debug)]
pub(crate) struct LastWord {
    of: Option<(Arc<Baton>, Arc<str>)>,
}

impl LastWord {
    pub(crate) fn of(conductor: &Conductor) -> Self {
        let of = (
            Arc::clone(&conductor.baton),
            Arc::clone(&conductor.pipeline),
        );
        Self { of: Some(of) }
    }

    /// Tells those who wait how the pipeline ended.
    pub(crate) fn say(mut self, result: Result<Ended, Error>) {
        if let Some((baton, _)) = self.of.take() {
            baton.end(result);
        }
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        if let Some((baton, pipeline)) = self.of.take() {
            baton.end(Err(Error::Aborted {
                pipeline: pipeline.to_string(),
            }));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere cannot leave these half changed: each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
