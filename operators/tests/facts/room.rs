//! The topic sink where the log is slow: it waits for room, and sends no more than it says.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures::{executor::block_on, future::BoxFuture};
use levada_core::{
    Seed, Sink, SinkContext, SinkWriter, Spawner, SystemClock, Threads, Timestamp, Topic,
    graph::Grouping,
    record::{Head, Origin},
};
use levada_engine::{Levada, backend::EmbeddedBackend};
use levada_log::Log;
use levada_operators::prelude::*;
use levada_testkit::vfs::FaultyFs;

const PARTITIONS: u32 = 128;

/// Runs a log's work only when told to, and then on its own threads.
#[derive(Clone, Debug, Default)]
struct Slow(Arc<Mutex<Works>>);

#[derive(Default)]
struct Works {
    waiting: Vec<BoxFuture<'static, ()>>,
}

impl std::fmt::Debug for Works {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Works")
    }
}

impl Spawner for Slow {
    fn spawn(&self, _: &str, work: BoxFuture<'static, ()>) -> io::Result<()> {
        self.0.lock().unwrap().waiting.push(work);
        Ok(())
    }
}

impl Slow {
    /// Gives each work a turn.
    fn turn(&self) {
        let cx = &mut Context::from_waker(Waker::noop());
        let waiting = &mut self.0.lock().unwrap().waiting;
        waiting.retain_mut(|work| work.as_mut().poll(cx).is_pending());
    }

    fn at_full_speed(&self) {
        for work in self.0.lock().unwrap().waiting.drain(..) {
            Threads.spawn("log", work).unwrap();
        }
    }
}

/// A topic of a log that does nothing by itself and takes 16 MiB at once.
struct Bench {
    slow: Slow,
    texts: Topic<String>,
    _levada: Levada,
}

impl Bench {
    fn new() -> Self {
        let files = Arc::new(FaultyFs::new(Seed::new(1)));
        let options = Log::options().vfs(files).queue_bytes(16 << 20);
        let on = |log| Levada::builder().on(Arc::new(EmbeddedBackend::on(log)));
        let made = on(options.clone().open("/log").unwrap());
        let texts = made.topic::<String>("texts").partitions(PARTITIONS);
        drop(texts.create().unwrap());
        made.backend().close();
        let slow = Slow::default();
        let options = options.spawner(Arc::new(slow.clone()));
        let levada = on(options.open("/log").unwrap());
        Self {
            slow,
            texts: levada.topic("texts").open().unwrap(),
            _levada: levada,
        }
    }

    /// How many batches a partition has.
    fn batches(&self, partition: u32) -> usize {
        let all = self.texts.raw().partition(partition).fetch(0, usize::MAX);
        block_on(all).unwrap().batches.len()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The log is closed next, and waits for its work.
        self.slow.at_full_speed();
    }
}

/// A writer and the waker of the task that would have it.
struct Writing {
    writer: Box<dyn SinkWriter<String, u32>>,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Writing {
    fn to(topic: &Topic<String>) -> Self {
        let sink = to_topic(topic);
        let writer = Sink::<String, u32>::open(
            &sink,
            &SinkContext {
                copy: 0,
                copies: 1,
                grouping: Grouping::Keyed,
                clock: Arc::new(SystemClock::new()),
                spawner: Arc::new(Threads),
            },
        );
        Self {
            writer: Box::new(writer.unwrap()),
            woken: Arc::default(),
        }
    }

    /// Writes a record to a partition: its hash says which.
    fn write(&mut self, partition: u32, value: String) {
        let waker = Waker::from(Arc::clone(&self.woken));
        let ready = self.writer.poll_ready(&mut Context::from_waker(&waker));
        assert!(matches!(ready, Poll::Ready(Ok(()))), "no batch is full");
        let head = Head {
            at: Timestamp::MIN,
            hash: partition,
            origin: Origin::TIMER,
        };
        self.writer.write(value, &partition, &head).unwrap();
    }

    /// Passes a barrier, as its task would: whenever it is woken, and not otherwise.
    fn sync(&mut self, slow: &Slow) {
        let waker = Waker::from(Arc::clone(&self.woken));
        loop {
            self.writer.flush().unwrap();
            if let Poll::Ready(synced) = self.writer.poll_synced(&mut Context::from_waker(&waker)) {
                return synced.unwrap();
            }
            let mut turns = 0;
            while !self.woken.0.swap(false, Ordering::Relaxed) {
                slow.turn();
                turns += 1;
                assert!(turns < 1_000, "nobody wakes it");
            }
        }
    }
}

#[test]
fn a_barrier_waits_until_the_log_has_room_for_all_that_was_gathered() {
    let bench = Bench::new();
    let mut writing = Writing::to(&bench.texts);
    // Just not full, and twice what the log takes at once.
    let text = "x".repeat(255 << 10);
    for partition in 0..PARTITIONS {
        writing.write(partition, text.clone());
    }
    writing.sync(&bench.slow);
    bench.slow.at_full_speed();
    assert!((0..PARTITIONS).all(|partition| bench.batches(partition) == 1));
}

#[test]
fn no_more_than_four_batches_of_a_partition_are_on_their_way() {
    let bench = Bench::new();
    let mut writing = Writing::to(&bench.texts);
    for n in 0..10 {
        writing.write(7, n.to_string());
        writing.writer.flush().unwrap();
    }
    writing.sync(&bench.slow);
    bench.slow.at_full_speed();
    assert_eq!(bench.batches(7), 5, "six records gathered behind the four");
}
