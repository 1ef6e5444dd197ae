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

use futures::executor::block_on;
use levada::{
    Spawner, Threads,
    core::backend,
    engine::progress::{Lag, Progress},
};

/// How often a line is written.
const INTERVAL: Duration = Duration::from_secs(1);

/// What progress is told from.
#[derive(Clone, Debug)]
pub struct Gauges {
    /// The topic of the orders.
    pub orders: Arc<dyn backend::Topic>,
    /// The pipelines; those that read no topic are not shown.
    pub pipelines: Vec<Arc<Progress>>,
    /// Counts the rows that were no order lines.
    pub rejected: Arc<AtomicU64>,
}

impl Gauges {
    /// Of a topic that nobody reads yet.
    pub fn of(orders: &Arc<dyn backend::Topic>) -> Self {
        Self {
            orders: Arc::clone(orders),
            pipelines: Vec::new(),
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
    pub async fn line(&self) -> String {
        let mut parts = vec![format!("{}: {} sent", self.orders.name(), self.sent())];
        match self.rejected.load(Ordering::Relaxed) {
            0 => {}
            rejected => parts.push(format!("{rejected} rejected")),
        }
        for pipeline in &self.pipelines {
            parts.extend(behind(&pipeline.lag().await));
        }
        parts.join(", ")
    }
}

/// How far behind a group is in all partitions together; nothing where it reads none.
fn behind(lags: &[Lag]) -> Option<String> {
    let group = &lags.first()?.group;
    let records: u64 = lags.iter().map(|lag| lag.records).sum();
    let seconds = lags.iter().map(|lag| lag.seconds).fold(0.0, f64::max);
    Some(match records {
        0 => format!("{group} has all"),
        _ => format!("{group} {records} behind ({seconds:.1} s)"),
    })
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
                say(&shown.line().await);
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
        say(&block_on(self.gauges.line()));
    }
}

/// Writes a line to standard error. One that nobody can see changes nothing.
pub fn say(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}

#[cfg(test)]
mod tests {
    use levada::{Levada, prelude::*};

    use super::*;
    use crate::Service;

    #[test]
    fn the_line_shows_how_far_each_group_is_behind() {
        let levada = Levada::in_memory();
        let orders = levada.topic::<u32>("orders").create().unwrap();
        let sending = levada.pipeline("sending");
        sending
            .source(iter([1_u32, 2, 3]))
            .key_by(|n| *n)
            .sink(to_topic(&orders));
        sending.run().unwrap();

        let slow = levada.pipeline("slow");
        let service = Service::taking(Duration::from_hours(1), 1.0);
        slow.source(topic(&orders))
            .map_async("service", Calls::at_most(1), move |n| service.serve(n))
            .sink(discard());
        let running = slow.start().unwrap();
        let mut gauges = Gauges::of(orders.raw());
        assert_eq!(block_on(gauges.line()), "orders: 3 sent");
        gauges.pipelines.push(Arc::clone(running.progress()));
        gauges.rejected.store(2, Ordering::Relaxed);
        let line = block_on(gauges.line());
        let said = "orders: 3 sent, 2 rejected, slow 3 behind (";
        assert!(line.starts_with(said), "{line}");
        running.abort();
    }
}
