//! Plain progress lines: what was sent, and how far each group is behind.

use std::{
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, SyncSender},
    },
    time::Duration,
};

use levada::{Spawner, Threads, core::backend};

use crate::{Group, Service};

/// How often a line is written.
const INTERVAL: Duration = Duration::from_secs(1);

/// What progress is told from.
#[derive(Clone, Debug)]
pub struct Gauges {
    /// The topic of the orders.
    pub orders: Arc<dyn backend::Topic>,
    /// The groups, and what counts their records.
    pub groups: Vec<(Group, Service)>,
    /// Counts the rows that were no order lines.
    pub rejected: Arc<AtomicU64>,
}

impl Gauges {
    /// Of a topic that no group reads yet.
    pub fn of(orders: &Arc<dyn backend::Topic>) -> Self {
        Self {
            orders: Arc::clone(orders),
            groups: Vec::new(),
            rejected: Arc::default(),
        }
    }

    /// How many records readers of the topic see.
    fn sent(&self) -> u64 {
        let ends = |number| self.orders.partition(number).ends();
        (0..self.orders.spec().partitions)
            .map(ends)
            .map(|ends| ends.visible - ends.start)
            .sum()
    }

    /// The line for now.
    pub fn line(&self) -> String {
        // Groups are looked at first: a group is never ahead of what was sent.
        let served: Vec<u64> = self.groups.iter().map(|(_, of)| of.served()).collect();
        let sent = self.sent();
        let mut parts = vec![format!("{}: {sent} sent", self.orders.name())];
        match self.rejected.load(Ordering::Relaxed) {
            0 => {}
            rejected => parts.push(format!("{rejected} rejected")),
        }
        for ((group, _), served) in self.groups.iter().zip(served) {
            let lag = sent.saturating_sub(served);
            parts.push(format!("{group} {served} ({lag} behind)"));
        }
        parts.join(", ")
    }
}

/// Writes a line to standard error every second, until it is dropped; and then the last one.
#[derive(Debug)]
pub struct Ticker {
    gauges: Gauges,
    stop: Option<SyncSender<()>>,
}

impl Ticker {
    /// Starts writing.
    ///
    /// # Errors
    ///
    /// When there is no thread for it.
    pub fn start(gauges: Gauges) -> io::Result<Self> {
        let (stop, stopped) = mpsc::sync_channel::<()>(0);
        let shown = gauges.clone();
        let work = async move {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                say(&shown.line());
            }
        };
        Threads.spawn("order-bus-progress", Box::pin(work))?;
        Ok(Self {
            gauges,
            stop: Some(stop),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop = None;
        say(&self.gauges.line());
    }
}

/// Writes a line to standard error. One that nobody can see changes nothing.
pub fn say(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}
