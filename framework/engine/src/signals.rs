//! Running to the end, or until the process is told to stop.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use levada_core::coordinator::Ending;

use crate::{Ended, Error, Levada, Running, actor::start};

/// How long to wait for one pipeline before looking at the next.
const LOOK: Duration = Duration::from_millis(20);

/// The exit code of a process that a second signal ended: 128 and the number of SIGINT.
const ABORTED: i32 = 130;

/// Waits for all of them; SIGINT and SIGTERM stop them in order, and a second one aborts.
pub(crate) fn run_to_end(levada: &Levada, mut running: Vec<Running>) -> Result<Ended, Error> {
    let told = Told::listen(levada)?;
    let mut result = Ok(Ended::Finished);
    let mut stopping = false;
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
                Some(Ok(())) => {}
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
        Ok(_) if told.count() > 0 => Ok(Ended::Stopped),
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

/// How often the process was told to stop.
struct Told {
    count: Arc<AtomicUsize>,
}

impl Told {
    fn listen(levada: &Levada) -> Result<Self, Error> {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        start(levada.threads()?.system(), move || async move {
            if let Err(error) = count_signals(&counter).await {
                tracing::warn!(%error, "signals cannot be heard: the process stops without order");
            }
        });
        Ok(Self { count })
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

#[cfg(unix)]
async fn count_signals(count: &AtomicUsize) -> io::Result<()> {
    use std::pin::pin;

    use futures::future::select;
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        let (interrupted, terminated) = (pin!(interrupt.recv()), pin!(terminate.recv()));
        select(interrupted, terminated).await;
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(not(unix))]
async fn count_signals(count: &AtomicUsize) -> io::Result<()> {
    loop {
        tokio::signal::ctrl_c().await?;
        count.fetch_add(1, Ordering::Relaxed);
    }
}
