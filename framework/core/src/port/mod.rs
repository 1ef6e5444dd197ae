//! An edge: one bounded queue from a sender to a receiver, with credit.
//!
//! 1. The window is granted once. A chunk's weight is taken from what is available when it is
//!    sent, and comes back when its [`Credit`] is dropped: after the chunk is done, when it is
//!    thrown away, or when a panic unwinds over it.
//! 2. `available + in flight == granted` at all times, where `available` is what the sender reads
//!    and `in flight` is counted on the receiver's side: what lies in the queue, and what was taken
//!    and is not done.
//! 3. A sender asks for room before it takes a record, and one record's output may go beyond it
//!    (`available` is then negative). So the bound is the window and one record's output.
//! 4. Watermarks, barriers and ends weigh nothing and keep their place. Watermarks in a row replace
//!    each other; barriers in flight are bounded by the coordinator, and there is one end.
//! 5. Each message carries the incarnation of its sender, and a receiver drops those of another.
//! 6. A chunk that was handled goes back to its sender to be filled again: allocating anew for each
//!    would cost more than the records in it. A few are kept, the rest is freed.
//!
//! It is the engine's; chunks are what stages agreed on, and weigh what their records do.
//!
//! # Examples
//!
//! A window of 100 is used up and comes back:
//!
//! ```
//! use levada_core::port::{Message, edge};
//!
//! let (sender, receiver) = edge(100, 1);
//! let chunk = Box::new(["tea", "jam"]);
//! sender.send_chunk(chunk, 80);
//! sender.send(Message::End); // Weighs nothing.
//! assert_eq!((sender.available(), receiver.in_flight()), (20, 80));
//!
//! let Some((Message::Chunk(chunk), credit)) = receiver.take() else { panic!("no chunk") };
//! assert_eq!(sender.available(), 20, "it is not done");
//! credit.done(chunk);
//! assert_eq!((sender.available(), receiver.in_flight()), (100, 0));
//! assert!(matches!(receiver.take(), Some((Message::End, _))));
//!
//! // The chunk is back too, to be filled again.
//! let spare = sender.send_chunk(Box::new(["nut", "fig"]), 120).expect("it was handled");
//! assert!(spare.is::<[&str; 2]>());
//! assert_eq!(sender.available(), -20); // One record's output may go beyond.
//! ```

use std::{
    collections::VecDeque,
    fmt,
    sync::PoisonError,
    task::{Context, Waker},
};

use crate::{
    Timestamp,
    chunk::AnyChunk,
    sync::{Arc, AtomicI64, AtomicWaker, Mutex, MutexGuard, Ordering, register},
};

/// Cuts the stream between two checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// The checkpoint that it belongs to, counted from 1 within an incarnation.
    pub checkpoint: u64,
    /// True for the one that ends a `stop`: nothing follows it.
    pub last: bool,
}

/// What travels between stages.
pub enum Message {
    /// Records.
    Chunk(AnyChunk),
    /// No record before this time is still to come.
    Watermark(Timestamp),
    /// A checkpoint cuts here.
    Barrier(Barrier),
    /// Nothing follows.
    End,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chunk(_) => f.write_str("Chunk"),
            Self::Watermark(at) => write!(f, "Watermark({at})"),
            Self::Barrier(barrier) => barrier.fmt(f),
            Self::End => f.write_str("End"),
        }
    }
}

/// Makes an edge with this window, in units of weight.
///
/// # Panics
///
/// If the window is not positive.
pub fn edge(window: i64, incarnation: u64) -> (Sender, Receiver) {
    assert!(window > 0, "an edge without a window moves nothing");
    let shared = Arc::new(Shared {
        granted: window,
        available: AtomicI64::new(window),
        queue: Mutex::new(Queue::default()),
        room: AtomicWaker::new(),
        arrival: AtomicWaker::new(),
    });
    let sender = Sender {
        shared: Arc::clone(&shared),
        incarnation,
    };
    (
        sender,
        Receiver {
            shared,
            incarnation,
        },
    )
}

#[derive(Debug)]
struct Shared {
    granted: i64,
    available: AtomicI64,
    queue: Mutex<Queue>,
    /// Wakes the sender when there is room again.
    room: AtomicWaker,
    /// Wakes the receiver when the queue is no longer empty.
    arrival: AtomicWaker,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Queued>,
    /// The weight of what was taken and is not done.
    held: i64,
    /// Chunks that were handled, to be filled again.
    spare: Vec<AnyChunk>,
}

/// How many chunks an edge keeps to be filled again: one on each side.
const SPARE: usize = 2;

#[derive(Debug)]
struct Queued {
    message: Message,
    weight: i64,
    incarnation: u64,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic elsewhere cannot leave a queue half changed: each change is one call.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that sends.
#[derive(Debug)]
pub struct Sender {
    shared: Arc<Shared>,
    incarnation: u64,
}

impl Sender {
    /// How much may be sent now; negative after one record put out more than there was room for.
    #[inline]
    pub fn available(&self) -> i64 {
        self.shared.available.load(Ordering::Acquire)
    }

    /// The window.
    pub fn granted(&self) -> i64 {
        self.shared.granted
    }

    /// Sends a chunk, taking its weight from what is available. Gives one that was handled, if
    /// there is one, to be filled again.
    pub fn send_chunk(&self, chunk: AnyChunk, weight: i64) -> Option<AnyChunk> {
        self.shared.available.fetch_sub(weight, Ordering::AcqRel);
        self.enqueue(Message::Chunk(chunk), weight)
    }

    /// Sends what weighs nothing.
    pub fn send(&self, message: Message) {
        debug_assert!(
            !matches!(message, Message::Chunk(_)),
            "a chunk has a weight"
        );
        let _no_spare = self.enqueue(message, 0);
    }

    fn enqueue(&self, message: Message, weight: i64) -> Option<AnyChunk> {
        let incarnation = self.incarnation;
        let mut queue = self.shared.queue();
        match (
            queue.messages.back_mut().map(|queued| &mut queued.message),
            &message,
        ) {
            (Some(Message::Watermark(held)), Message::Watermark(at)) => *held = *at,
            _ => queue.messages.push_back(Queued {
                message,
                weight,
                incarnation,
            }),
        }
        let spare = if weight > 0 { queue.spare.pop() } else { None };
        drop(queue);
        self.shared.arrival.wake();
        spare
    }

    /// Asks to be woken when there is room; look at [`available`](Self::available) afterwards.
    pub fn register(&self, waker: &Waker) {
        register(&self.shared.room, waker);
    }
}

/// The end that receives.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    incarnation: u64,
}

impl Receiver {
    /// Takes the next message, with the credit to give back when it is done.
    pub fn take(&self) -> Option<(Message, Credit)> {
        loop {
            let mut queue = self.shared.queue();
            let queued = queue.messages.pop_front()?;
            queue.held += queued.weight;
            drop(queue);
            let credit = Credit {
                shared: Arc::clone(&self.shared),
                weight: queued.weight,
            };
            if queued.incarnation == self.incarnation {
                return Some((queued.message, credit));
            }
        }
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.shared.queue().messages.is_empty()
    }

    /// Asks to be woken when something arrives; look again afterwards.
    pub fn register(&self, cx: &Context<'_>) {
        register(&self.shared.arrival, cx.waker());
    }

    /// The weight of all that waits here or was taken and is not done.
    pub fn in_flight(&self) -> i64 {
        let queue = self.shared.queue();
        queue.held
            + queue
                .messages
                .iter()
                .map(|queued| queued.weight)
                .sum::<i64>()
    }

    /// What the sender may still send, and the window that it was granted.
    pub fn credit(&self) -> (i64, i64) {
        (
            self.shared.available.load(Ordering::Acquire),
            self.shared.granted,
        )
    }

    /// How many messages wait.
    pub fn depth(&self) -> usize {
        self.shared.queue().messages.len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let thrown_away = std::mem::take(&mut self.shared.queue().messages);
        let weight: i64 = thrown_away.iter().map(|queued| queued.weight).sum();
        self.shared.available.fetch_add(weight, Ordering::AcqRel);
        self.shared.room.wake();
    }
}

/// Weight that goes back to the sender when this is dropped.
#[derive(Debug)]
pub struct Credit {
    shared: Arc<Shared>,
    weight: i64,
}

impl Credit {
    /// True while the sender has none left: what holds this holds up what would come next.
    pub fn is_exhausted(&self) -> bool {
        self.shared.available.load(Ordering::Acquire) <= 0
    }

    /// Gives the weight back, with the emptied chunk, to be filled again.
    pub fn done(self, chunk: AnyChunk) {
        let mut queue = self.shared.queue();
        if queue.spare.len() < SPARE {
            queue.spare.push(chunk);
        }
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        if self.weight == 0 {
            return;
        }
        self.shared.queue().held -= self.weight;
        let before = self
            .shared
            .available
            .fetch_add(self.weight, Ordering::AcqRel);
        if before <= 0 {
            self.shared.room.wake();
        }
    }
}

#[cfg(all(test, feature = "loom"))]
mod every_order;

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn chunk() -> AnyChunk {
        Box::new(())
    }

    #[test]
    fn available_and_in_flight_make_up_the_window_at_each_step() {
        let (sender, receiver) = edge(100, 1);
        let exact = || assert_eq!(sender.available() + receiver.in_flight(), 100);
        sender.send_chunk(chunk(), 70);
        exact();
        sender.send_chunk(chunk(), 70);
        assert_eq!(sender.available(), -40);
        exact();
        let (_, first) = receiver.take().unwrap();
        exact();
        drop(first);
        assert_eq!(sender.available(), 30);
        exact();
        drop(receiver.take());
        exact();
        assert_eq!(receiver.in_flight(), 0);
    }

    #[test]
    fn credit_comes_back_when_a_panic_unwinds_over_a_chunk() {
        let (sender, receiver) = edge(100, 1);
        sender.send_chunk(chunk(), 60);
        let taken = receiver.take();
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = taken;
            panic!("an operator's bug");
        }));
        assert!(unwound.is_err());
        assert_eq!(sender.available(), 100);
    }

    #[test]
    fn credit_comes_back_when_the_receiver_goes() {
        let (sender, receiver) = edge(100, 1);
        sender.send_chunk(chunk(), 60);
        drop(receiver);
        assert_eq!(sender.available(), 100);
    }

    #[test]
    fn watermarks_in_a_row_replace_each_other_and_nothing_else_does() {
        let (sender, receiver) = edge(100, 1);
        let at = Timestamp::from_millis;
        let barrier = Barrier {
            checkpoint: 1,
            last: false,
        };
        for message in [
            Message::Watermark(at(1)),
            Message::Watermark(at(2)),
            Message::Barrier(barrier),
            Message::Watermark(at(3)),
            Message::End,
        ] {
            sender.send(message);
        }
        let seen: Vec<_> = std::iter::from_fn(|| receiver.take())
            .map(|(m, _)| format!("{m:?}"))
            .collect();
        let barrier = format!("{barrier:?}");
        assert_eq!(
            seen,
            ["Watermark(2 ms)", &barrier, "Watermark(3 ms)", "End"]
        );
    }

    #[test]
    fn messages_of_another_incarnation_are_dropped_and_their_credit_returns() {
        let (sender, receiver) = edge(100, 1);
        let older = Sender {
            shared: Arc::clone(&sender.shared),
            incarnation: 0,
        };
        older.send_chunk(chunk(), 50);
        sender.send(Message::End);
        assert!(matches!(receiver.take(), Some((Message::End, _))));
        assert_eq!(sender.available(), 100);
    }
}
