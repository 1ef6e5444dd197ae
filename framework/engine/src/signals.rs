//! Running to the end, or until the process is told to stop.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use levada_core::coordinator::Ending;

use crate::{Ended, Error, Levada, Running, actor::start};

/// How long to wait for one pipeline before looking at the next.
const LOOK: Duration = Duration::from_millis(20);

/// The exit code of a process that a second signal ended: 128 and the number of SIGINT.
const ABORTED: i32 = 130;

/// Waits for all of them; SIGINT and SIGTERM stop them in order, and a second one aborts.
pub(crate) fn wait_for(told: &Told, mut running: Vec<Running>) -> Result<Ended, Error> {
    let mut result = Ok(Ended::Finished);
    let (mut stopping, mut stopped) = (false, false);
    while !running.is_empty() {
        if told.count() > 0 && !stopping {
            stopping = true;
            tracing::warn!("told to stop: stopping in order, a second signal aborts");
            tell_all(&running, Ending::Stop);
        }
        if told.count() > 1 {
            tell_all(&running, Ending::Abort);
            exit_aborted();
        }
        let mut left = Vec::new();
        for pipeline in running {
            match pipeline.wait_for(LOOK) {
                None => left.push(pipeline),
                Some(Ok(ended)) => {
                    stopped |= ended == Ended::Stopped;
                }
                Some(Err(error)) => {
                    // The first error is the one to tell; the others stop in order.
                    result = result.and(Err(error));
                    stopping = true;
                    tell_all(&left, Ending::Stop);
                }
            }
        }
        running = left;
        if stopping && result.is_err() {
            tell_all(&running, Ending::Stop);
        }
    }
    match result {
        Ok(_) if stopped || told.count() > 0 => Ok(Ended::Stopped),
        result => result,
    }
}

fn tell_all(running: &[Running], ending: Ending) {
    for pipeline in running {
        pipeline.tell(ending);
    }
}

#[expect(
    clippy::exit,
    reason = "the user has asked twice; nothing is left to wait for"
)]
fn exit_aborted() -> ! {
    std::process::exit(ABORTED)
}

/// How often the process was told to stop, since somebody first asked.
#[derive(Debug)]
pub(crate) struct Told {
    heard: Arc<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    count: Mutex<usize>,
    more: Condvar,
}

impl Told {
    pub(crate) fn listen(levada: &Levada) -> Result<Self, Error> {
        let heard = Arc::<Heard>::default();
        let hears = Arc::clone(&heard);
        start(levada.threads()?.system(), move || async move {
            if let Err(error) = count_signals(&hears).await {
                tracing::warn!(%error, "signals cannot be heard: the process stops without order");
            }
        });
        Ok(Self { heard })
    }

    /// Blocks until it was told.
    pub(crate) fn wait(&self) {
        let more = &self.heard.more;
        drop(more.wait_while(self.heard.count(), |count| *count == 0));
    }

    fn count(&self) -> usize {
        *self.heard.count()
    }
}

impl Heard {
    fn count(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn once_more(&self) {
        *self.count() += 1;
        self.more.notify_all();
    }
}

#[cfg(unix)]
async fn count_signals(heard: &Heard) -> io::Result<()> {
    use std::pin::pin;

    use futures::future::select;
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        let (interrupted, terminated) = (pin!(interrupt.recv()), pin!(terminate.recv()));
        select(interrupted, terminated).await;
        heard.once_more();
    }
}

#[cfg(not(unix))]
async fn count_signals(heard: &Heard) -> io::Result<()> {
    loop {
        tokio::signal::ctrl_c().await?;
        heard.once_more();
    }
}
