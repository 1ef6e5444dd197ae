//! The actors: a thin shell around tasks and conductors.
//!
//! actix gives them a life, an address and a thread, and nothing else: records never go through an
//! actix mailbox, which has no bound that holds. Each actor has one future, spawned once, when it
//! starts.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, WrapFuture as _};
use actix_rt::ArbiterHandle;
use futures::future::LocalBoxFuture;
use levada_core::{
    Clock, Timestamp,
    assembly::Blueprint,
    task::{Task, Turn},
};
use tokio::time::{Sleep, sleep};

use crate::{
    Ended, Error, Levada,
    conductor::{Conducted, Conductor, LastWord},
};

/// An actor that lives as long as its one future.
struct Seat {
    future: Option<LocalBoxFuture<'static, ()>>,
}

impl Actor for Seat {
    type Context = actix::Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let future = self.future.take().expect("an actor starts once");
        ctx.spawn(future.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}

/// Starts an actor on an arbiter for the future that `make` makes there.
pub(crate) fn start<F>(arbiter: &ArbiterHandle, make: impl FnOnce() -> F + Send + 'static)
where
    F: Future<Output = ()> + 'static,
{
    Seat::start_in_arbiter(arbiter, move |_| Seat {
        future: Some(Box::pin(make())),
    });
}

/// Starts the actor of a task: it is opened on the arbiter that will run it.
pub(crate) fn start_task(arbiter: &ArbiterHandle, blueprint: Blueprint, clock: Arc<dyn Clock>) {
    start(arbiter, move || async move {
        if let Some(task) = blueprint.open() {
            Turns {
                task,
                clock,
                alarm: None,
            }
            .await;
        }
    });
}

/// Starts the actor of a conductor. It has a handle of its own, so that threads and topics are
/// there until its pipeline has ended.
pub(crate) fn start_conductor(arbiter: &ArbiterHandle, conductor: Conductor, levada: Levada) {
    start(arbiter, move || async move {
        // Said also when this future is dropped, so that nobody waits for ever.
        let last_word = LastWord::of(&conductor);
        let progress = Arc::clone(&conductor.progress);
        let result = Conducting {
            conductor,
            alarm: None,
        }
        .await;
        progress.publish().await;
        levada.ended(&progress);
        // Before the last word: whoever waits for that may then let go of the last handle himself.
        drop(levada);
        last_word.say(result);
    });
}

/// Drives a conductor turn by turn, until its pipeline has ended.
struct Conducting {
    conductor: Conductor,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Future for Conducting {
    type Output = Result<Ended, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.conductor.turn(cx) {
                Conducted::Done(result) => return Poll::Ready(result),
                Conducted::Sleep(until) => {
                    let wait = until.saturating_sub(self.conductor.clock.elapsed());
                    let alarm = self.alarm.insert(Box::pin(sleep(wait)));
                    ready!(alarm.as_mut().poll(cx));
                }
            }
        }
    }
}

/// About how long an actor keeps its thread before others have a turn.
const SLICE: Duration = Duration::from_micros(200);

/// Drives a task turn by turn, until it is done.
struct Turns {
    task: Task,
    clock: Arc<dyn Clock>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Turns {
    /// Wakes when this time has come.
    fn poll_alarm(&mut self, at: Timestamp, cx: &mut Context<'_>) -> Poll<()> {
        let wait = at.since(self.clock.now()).min(Duration::from_hours(24));
        let alarm = self.alarm.insert(Box::pin(sleep(wait)));
        alarm.as_mut().poll(cx)
    }
}

impl Future for Turns {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let started = self.clock.elapsed();
        loop {
            match self.task.turn(cx) {
                Turn::Done => return Poll::Ready(()),
                Turn::Sleep(None) => return Poll::Pending,
                Turn::Sleep(Some(at)) => ready!(self.poll_alarm(at, cx)),
                Turn::Again => {}
            }
            if self.clock.elapsed().saturating_sub(started) > SLICE {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}
