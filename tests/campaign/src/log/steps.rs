//! Runs the log's I/O on one thread, one poll at a time, in an order that a seed decides.

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures::future::BoxFuture;
use levada_core::{Rng, Spawner};
use levada_log::Ticket;

use crate::campaign::Fault;

/// The works of one log. Clones are the same.
#[derive(Clone)]
pub(crate) struct Steps {
    works: Arc<Mutex<Vec<Work>>>,
    rng: Arc<Mutex<Rng>>,
}

struct Work {
    future: BoxFuture<'static, ()>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Steps {
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            works: Arc::default(),
            rng: Arc::new(Mutex::new(rng)),
        }
    }

    /// Polls one of the works that were woken; `false` if none was.
    pub(crate) fn step(&self) -> bool {
        let mut works = lock(&self.works);
        let is_woken =
            |(at, work): (usize, &Work)| work.woken.0.load(Ordering::SeqCst).then_some(at);
        let woken: Vec<usize> = works.iter().enumerate().filter_map(is_woken).collect();
        if woken.is_empty() {
            return false;
        }
        let pick = lock(&self.rng).below(woken.len() as u64);
        let at = woken[usize::try_from(pick).expect("it is below a usize")];
        let work = &mut works[at];
        work.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&work.woken));
        let polled = work.future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            works.remove(at);
        }
        true
    }

    /// Polls until a call is answered.
    ///
    /// # Errors
    ///
    /// When all works sleep and it is not.
    pub(crate) fn wait<T>(&self, mut ticket: Ticket<T>) -> Result<levada_log::Result<T>, Fault> {
        loop {
            if let Some(answer) = answered(&mut ticket) {
                return Ok(answer);
            }
            if !self.step() {
                return Err("the log sleeps while a call waits for it".into());
            }
        }
    }
}

/// The answer to a call, if it is there.
pub(crate) fn answered<T>(ticket: &mut Ticket<T>) -> Option<levada_log::Result<T>> {
    match Pin::new(ticket).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

impl Spawner for Steps {
    fn spawn(&self, _name: &str, future: BoxFuture<'static, ()>) -> io::Result<()> {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        lock(&self.works).push(Work { future, woken });
        Ok(())
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steps")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
