//! The ports by which a task hears from its coordinator and tells it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Context,
};

use futures::task::AtomicWaker;

use crate::{chain::Failure, port::Barrier, stage::Positions};

/// What a coordinator tells a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Cut here. A source does so at once; another task when every input has ended, and otherwise
    /// the barrier comes to it on its inputs.
    Barrier(Barrier),
    /// To a source: end, as if there were no more input.
    Drain,
    /// Stop at once.
    Abort,
}

/// The port by which commands reach a task, past everything that waits on its edges.
#[derive(Clone, Debug, Default)]
pub struct CommandPort {
    shared: Arc<Commands>,
}

#[derive(Debug, Default)]
struct Commands {
    /// Bounded by what a coordinator has open: one barrier, one drain, one abort.
    queue: Mutex<VecDeque<Command>>,
    waker: AtomicWaker,
}

impl CommandPort {
    /// Tells the task.
    pub fn tell(&self, command: Command) {
        lock(&self.shared.queue).push_back(command);
        self.shared.waker.wake();
    }

    pub(super) fn take(&self, cx: &Context<'_>) -> Option<Command> {
        self.shared.waker.register(cx.waker());
        lock(&self.shared.queue).pop_front()
    }
}

/// What a task tells its coordinator.
#[derive(Debug)]
pub enum Report {
    /// The barrier has passed it.
    Passed(Barrier, Positions),
    /// Its input has ended and all is done.
    Ended(Positions),
    /// It could not be opened.
    NotOpened(String),
    /// It cannot go on.
    Failed(Failure),
    /// It was told to stop at once, and did.
    Aborted,
}

/// The port by which tasks report, each under its number.
#[derive(Clone, Debug, Default)]
pub struct ReportPort {
    shared: Arc<Reports>,
}

#[derive(Debug, Default)]
struct Reports {
    /// Bounded by the tasks: each has at most one barrier and one last word on its way.
    queue: Mutex<VecDeque<(usize, Report)>>,
    waker: AtomicWaker,
}

impl ReportPort {
    /// Reports for the task of this number.
    pub fn tell(&self, task: usize, report: Report) {
        lock(&self.shared.queue).push_back((task, report));
        self.shared.waker.wake();
    }

    /// The next report, or a wake when there is one.
    pub fn take(&self, cx: &Context<'_>) -> Option<(usize, Report)> {
        self.shared.waker.register(cx.waker());
        lock(&self.shared.queue).pop_front()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere cannot leave a queue half changed: each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
