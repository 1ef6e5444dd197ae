//! The stage that makes calls: what runs, what waits, and what may go on.

use std::{
    any::Any,
    collections::{BTreeMap, VecDeque},
    fmt,
    panic::AssertUnwindSafe,
    pin::Pin,
    rc::{Rc, Weak},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use futures::{
    FutureExt as _, StreamExt as _,
    future::{CatchUnwind, LocalBoxFuture},
    stream::FuturesUnordered,
};

use super::{CallOrder, Caller, Calls, InputState, Waiting};
use crate::{
    Timestamp,
    chain::{Control, Place, Push, Run, panic_text},
    chunk::{AnyChunk, Chunk, Cursor},
    key::Key,
    node::OperatorCounts,
    port::{Barrier, Credit},
    record::{Head, Origin},
    stage::{LowestWatermark, Positions, Stage, Work},
};

/// A running call, with what it belongs to.
struct Running<U, K> {
    future: CatchUnwind<AssertUnwindSafe<LocalBoxFuture<'static, U>>>,
    of: Option<(K, Head, Vec<u64>)>,
}

type Panic = Box<dyn Any + Send>;

struct Done<U, K> {
    result: Result<U, Panic>,
    key: K,
    head: Head,
    sequences: Vec<u64>,
}

impl<U, K: Unpin> Future for Running<U, K> {
    type Output = Done<U, K>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(result) = self.future.poll_unpin(cx) else {
            return Poll::Pending;
        };
        let (key, head, sequences) = self
            .of
            .take()
            .expect("a future is not polled after its end");
        Poll::Ready(Done {
            result,
            key,
            head,
            sequences,
        })
    }
}

/// A result that may go on, with its key and head.
type Outcome<U, K> = (U, K, Head);

/// Async calls, with a line of operators behind them.
pub(crate) struct CallStage<T, K, C: Caller<T, K>> {
    operator: u32,
    counts: Arc<OperatorCounts>,
    max_in_flight: usize,
    order: CallOrder,
    caller: C,
    running: FuturesUnordered<Running<C::Out, C::OutKey>>,
    line: Box<dyn Push<C::Out, C::OutKey>>,
    /// Records that are not done, by their place in the input.
    held: BTreeMap<u64, (Origin, Rc<Credit>)>,
    next_sequence: u64,
    /// What came last on each edge.
    newest: Vec<Weak<Credit>>,
    /// Results that wait for those before them.
    results: BTreeMap<u64, Outcome<C::Out, C::OutKey>>,
    watermark: LowestWatermark,
    /// Watermarks that wait for the records before them.
    watermarks: VecDeque<(u64, Timestamp)>,
    open_edges: usize,
    now: Timestamp,
    of: std::marker::PhantomData<fn(T, K)>,
}

impl<T, K, C: Caller<T, K>> fmt::Debug for CallStage<T, K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallStage")
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

impl<T, K, C: Caller<T, K>> CallStage<T, K, C> {
    pub(crate) fn new(
        (operator, counts): (u32, Arc<OperatorCounts>),
        calls: Calls,
        order: CallOrder,
        caller: C,
        line: Box<dyn Push<C::Out, C::OutKey>>,
        edges: usize,
    ) -> Self {
        Self {
            operator,
            counts,
            max_in_flight: calls.max_in_flight(),
            order,
            caller,
            running: FuturesUnordered::new(),
            line,
            held: BTreeMap::new(),
            next_sequence: 0,
            newest: (0..edges).map(|_| Weak::new()).collect(),
            results: BTreeMap::new(),
            watermark: LowestWatermark::new(edges),
            watermarks: VecDeque::new(),
            open_edges: edges,
            now: Timestamp::MIN,
            of: std::marker::PhantomData,
        }
    }

    /// Whether more records may come while none of those that wait is done.
    fn input(&self) -> InputState {
        if self.open_edges == 0 {
            return InputState::Ended;
        }
        // The newest credit of each edge says how much the edge has left. While a call runs, more
        // comes back when it is done.
        let mut newest = self.newest.iter().filter_map(Weak::upgrade);
        if self.running.is_empty() && newest.any(|credit| credit.is_exhausted()) {
            InputState::HeldUp
        } else {
            InputState::Open
        }
    }

    fn start_calls(&mut self, run: &Run) {
        run.at_place(Place::Step(self.operator));
        let input = self.input();
        while self.running.len() < self.max_in_flight {
            let Some(call) = self.caller.start(self.now, input, run) else {
                break;
            };
            let of = Some((call.key, call.head, call.sequences));
            let future = AssertUnwindSafe(call.future).catch_unwind();
            self.running.push(Running { future, of });
        }
    }

    fn done(&mut self, done: Done<C::Out, C::OutKey>, run: &Run) {
        let Done {
            result,
            key,
            head,
            sequences,
        } = done;
        let value = match result {
            Ok(value) => value,
            Err(panic) => {
                self.counts.errors.fetch_add(1, Ordering::Relaxed);
                run.at_place(Place::Step(self.operator));
                run.fail(
                    head.origin,
                    format!("panicked: {}", panic_text(&*panic)).into(),
                );
                return;
            }
        };
        self.caller.done(&key);
        match self.order {
            CallOrder::PerKey | CallOrder::Unordered => {
                self.emit((value, key, head), &sequences, run);
            }
            CallOrder::Input => {
                let sequence = sequences[0];
                self.results.insert(sequence, (value, key, head));
            }
        }
    }

    fn emit(&mut self, outcome: Outcome<C::Out, C::OutKey>, sequences: &[u64], run: &Run) {
        let (value, key, head) = outcome;
        run.at(head.origin);
        self.counts.records_out.fetch_add(1, Ordering::Relaxed);
        self.line.push(value, &key, &head, run);
        for sequence in sequences {
            self.held.remove(sequence);
        }
    }

    /// Lets results go on that waited for their turn.
    fn emit_in_order(&mut self, run: &Run) {
        while run.has_room() {
            let Some((first, _)) = self.held.first_key_value() else {
                break;
            };
            let first = *first;
            let Some(outcome) = self.results.remove(&first) else {
                break;
            };
            self.emit(outcome, &[first], run);
        }
    }

    /// Passes on the watermarks whose records are done; false if there was no room.
    fn advance(&mut self, run: &Run) -> bool {
        let lowest = self
            .held
            .first_key_value()
            .map_or(u64::MAX, |(sequence, _)| *sequence);
        while let Some((sequence, at)) = self.watermarks.front().copied() {
            if sequence > lowest {
                break;
            }
            if !self.line.control(Control::Watermark(at), run) {
                return false;
            }
            self.watermarks.pop_front();
        }
        true
    }

    fn raise(&mut self, edge: usize, at: Timestamp) {
        if self.watermark.raise(edge, at) {
            self.watermarks
                .push_back((self.next_sequence, self.watermark.lowest()));
        }
    }

    fn end(&mut self, run: &Run) -> Work {
        for last in [Control::Watermark(Timestamp::MAX), Control::Finish] {
            // After a failure the end must not go on: a half result would pass for a whole one.
            if !self.line.control(last, run) || run.has_failed() {
                return Work::Blocked;
            }
        }
        self.line.control(Control::End, run);
        Work::Ended
    }
}

impl<T: Send + 'static, K: Key, C: Caller<T, K>> Stage for CallStage<T, K, C>
where
    C::OutKey: Unpin,
{
    fn wants_input(&self) -> bool {
        true
    }

    fn accept(&mut self, edge: usize, chunk: AnyChunk, credit: Credit) {
        let chunk: Box<dyn Any> = chunk;
        let chunk: Box<Chunk<T, K>> = chunk
            .downcast()
            .expect("an edge carries what its stages agreed on");
        let credit = Rc::new(credit);
        self.newest[edge] = Rc::downgrade(&credit);
        self.counts
            .records_in
            .fetch_add(chunk.len() as u64, Ordering::Relaxed);
        let mut cursor = Cursor::from(chunk);
        loop {
            while let Some(at) = cursor.next_step() {
                self.raise(edge, at);
            }
            let Some((value, key, head)) = cursor.next_record() else {
                break;
            };
            let sequence = self.next_sequence;
            self.next_sequence += 1;
            self.held
                .insert(sequence, (head.origin, Rc::clone(&credit)));
            self.caller.wait(Waiting {
                value,
                key,
                head,
                sequence,
                arrived: self.now,
            });
        }
    }

    fn watermark(&mut self, edge: usize, at: Timestamp) {
        self.raise(edge, at);
    }

    fn ended(&mut self, edge: usize) {
        self.open_edges -= 1;
        if self.open_edges > 0 {
            self.raise(edge, Timestamp::MAX);
        }
    }

    fn work(&mut self, run: &Run, budget: u32, cx: &mut Context<'_>) -> Work {
        self.now = run.now();
        for _ in 0..budget {
            self.start_calls(run);
            self.emit_in_order(run);
            if !run.has_room() || !self.advance(run) {
                return Work::Blocked;
            }
            match self.running.poll_next_unpin(cx) {
                Poll::Ready(Some(done)) => self.done(done, run),
                Poll::Ready(None) if self.open_edges == 0 && self.held.is_empty() => {
                    return self.end(run);
                }
                Poll::Ready(None) | Poll::Pending => return Work::Idle,
            }
        }
        Work::More
    }

    fn clock(&mut self, run: &Run) -> bool {
        self.line.control(Control::Clock, run)
    }

    fn flush(&mut self, run: &Run) {
        self.line.control(Control::Flush, run);
    }

    fn barrier(&mut self, barrier: Barrier, run: &Run, _: &mut Context<'_>) -> bool {
        self.line.control(Control::Barrier(barrier), run)
    }

    fn look_for_room(&mut self, run: &Run) {
        self.line.control(Control::Room, run);
    }

    fn deadline(&mut self) -> Option<Timestamp> {
        let has_slot = self.running.len() < self.max_in_flight;
        let own = self.caller.deadline().filter(|_| has_slot);
        own.into_iter().chain(self.line.deadline()).min()
    }

    fn positions(&mut self, positions: &mut Positions) {
        for (origin, _) in self.held.values() {
            positions.unfinished(*origin);
        }
    }
}
