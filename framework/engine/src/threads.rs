//! The threads that run actors: one for the system, and the arbiters.
//!
//! The library starts its own, so that it works from a plain `fn main` and from inside a tokio
//! runtime alike. They end when the last handle is dropped.

use std::{io, sync::mpsc::sync_channel, thread};

use actix::System;
use actix_rt::{Arbiter, ArbiterHandle};

/// A system thread and its arbiters.
#[derive(Debug)]
pub(crate) struct Threads {
    system: System,
    arbiters: Vec<ArbiterHandle>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Threads {
    /// Starts the system and so many arbiters.
    pub(crate) fn start(arbiters: usize) -> io::Result<Self> {
        let (started, wait) = sync_channel(1);
        let run = move || {
            let runner = System::new();
            let handles = (0..arbiters.max(1))
                .map(|_| Arbiter::new().handle())
                .collect();
            if started.send((System::current(), handles)).is_err() {
                return;
            }
            if let Err(error) = runner.run() {
                tracing::error!(%error, "the actor system ended in an error");
            }
        };
        let thread = thread::Builder::new()
            .name("levada-system".to_owned())
            .spawn(run)?;
        let gone = |_| io::Error::other("the actor system did not come up");
        let (system, arbiters): (System, Vec<ArbiterHandle>) = wait.recv().map_err(gone)?;
        Ok(Self {
            system,
            arbiters,
            thread: Some(thread),
        })
    }

    /// The arbiter of a copy: copies of one number share a thread, so that what stays with its
    /// copy stays on its core.
    pub(crate) fn of_copy(&self, copy: u32) -> &ArbiterHandle {
        &self.arbiters[copy as usize % self.arbiters.len()]
    }

    /// Where what belongs to the whole pipeline runs.
    pub(crate) fn system(&self) -> &ArbiterHandle {
        self.system.arbiter()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.system.stop();
        let ours = self
            .thread
            .as_ref()
            .is_some_and(|t| t.thread().id() == thread::current().id());
        if let Some(thread) = self.thread.take().filter(|_| !ours)
            && thread.join().is_err()
        {
            tracing::error!("the actor system panicked");
        }
    }
}
