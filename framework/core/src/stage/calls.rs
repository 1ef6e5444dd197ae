//! Async calls, with a line of operators behind them.
//!
//! 1. What waits and what runs is state: a barrier passes it, and its origins are reported as
//!    unfinished. So a slow call never holds a checkpoint back, and is made again after a restart.
//! 2. A chunk's credit goes back when the last of its records is done. So what waits is bounded by
//!    the windows of the edges, and a stage of calls can always take the next message.
//! 3. A watermark waits for the records that came before it.
//! 4. With [`CallOrder::PerKey`] one call per key runs at a time, in the order of the records.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap, VecDeque, hash_map},
    fmt,
    panic::AssertUnwindSafe,
    pin::Pin,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    FutureExt as _, StreamExt as _,
    future::{CatchUnwind, LocalBoxFuture},
    stream::FuturesUnordered,
};

use super::{LowestWatermark, Positions, Stage, Work};
use crate::{
    Timestamp,
    chain::{Control, Push, Run, panic_text},
    chunk::{AnyChunk, Chunk, Cursor},
    key::Key,
    node::OperatorCounts,
    port::{Barrier, Credit},
    record::{Head, Origin},
};

/// In which order the results of async calls go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOrder {
    /// One call per key at a time, so that results keep the order of each key.
    PerKey,
    /// Calls overlap, and results wait for those before them.
    Input,
    /// Results go on as they come.
    Unordered,
}

/// How async calls are made: how many at once, and in which order results go on.
///
/// The order is kept by default: per key on a keyed stream, of the input on any other.
///
/// # Examples
///
/// ```
/// use levada_core::Calls;
///
/// let calls = Calls::at_most(32).unordered();
/// assert_eq!(calls.max_in_flight(), 32);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Calls {
    max_in_flight: usize,
    unordered: bool,
}

impl Calls {
    /// At most so many calls run at once in each parallel copy; 0 is taken as 1.
    pub const fn at_most(max_in_flight: usize) -> Self {
        let max_in_flight = if max_in_flight == 0 { 1 } else { max_in_flight };
        Self {
            max_in_flight,
            unordered: false,
        }
    }

    /// Lets results go on as they come. Default: the order is kept.
    pub const fn unordered(self) -> Self {
        Self {
            unordered: true,
            ..self
        }
    }

    /// How many calls run at once in each parallel copy.
    pub const fn max_in_flight(self) -> usize {
        self.max_in_flight
    }

    pub(crate) const fn order(self, kept: CallOrder) -> CallOrder {
        if self.unordered {
            CallOrder::Unordered
        } else {
            kept
        }
    }
}

/// A record on its way to a call.
pub(crate) struct Waiting<T, K> {
    value: T,
    key: K,
    head: Head,
    /// Its place in the input.
    sequence: u64,
    arrived: Timestamp,
}

/// A call that is to be made, or was.
pub(crate) struct Call<U, K> {
    future: LocalBoxFuture<'static, U>,
    key: K,
    head: Head,
    sequences: Vec<u64>,
}

/// Whether more records may come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputState {
    Open,
    Ended,
}

/// Chooses which call comes next.
pub(crate) trait Caller<T, K>: 'static {
    type Out: 'static;
    type OutKey: Key;

    fn wait(&mut self, record: Waiting<T, K>);
    /// The next call, if one may start now.
    fn start(&mut self, now: Timestamp, input: InputState)
    -> Option<Call<Self::Out, Self::OutKey>>;
    /// Learns that a call of this key is done.
    fn done(&mut self, key: &Self::OutKey);
    /// When a call may start that may not start now.
    fn deadline(&self) -> Option<Timestamp>;
}

/// One call for each record.
pub(crate) struct EachCall<T, K, F> {
    call: F,
    per_key: bool,
    ready: VecDeque<Waiting<T, K>>,
    /// Keys that have a call ready or running, and what waits behind it.
    busy: HashMap<K, VecDeque<Waiting<T, K>>>,
}

impl<T, K, F> EachCall<T, K, F> {
    pub(crate) fn new(call: F, order: CallOrder) -> Self {
        let per_key = order == CallOrder::PerKey;
        Self {
            call,
            per_key,
            ready: VecDeque::new(),
            busy: HashMap::new(),
        }
    }
}

impl<T, K, U, F, Fut> Caller<T, K> for EachCall<T, K, F>
where
    T: 'static,
    K: Key,
    U: 'static,
    F: Fn(T) -> Fut + 'static,
    Fut: Future<Output = U> + 'static,
{
    type Out = U;
    type OutKey = K;

    fn wait(&mut self, record: Waiting<T, K>) {
        if !self.per_key {
            self.ready.push_back(record);
            return;
        }
        match self.busy.entry(record.key.clone()) {
            hash_map::Entry::Occupied(mut queue) => queue.get_mut().push_back(record),
            hash_map::Entry::Vacant(free) => {
                free.insert(VecDeque::new());
                self.ready.push_back(record);
            }
        }
    }

    fn start(&mut self, _: Timestamp, _: InputState) -> Option<Call<U, K>> {
        let Waiting {
            value,
            key,
            head,
            sequence,
            ..
        } = self.ready.pop_front()?;
        let future = (self.call)(value).boxed_local();
        Some(Call {
            future,
            key,
            head,
            sequences: vec![sequence],
        })
    }

    fn done(&mut self, key: &K) {
        if !self.per_key {
            return;
        }
        let queue = self
            .busy
            .get_mut(key)
            .expect("a key is busy until its last call is done");
        match queue.pop_front() {
            Some(next) => self.ready.push_back(next),
            None => drop(self.busy.remove(key)),
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        None
    }
}

/// One call for many records: as many as have come when a slot is free.
pub(crate) struct BatchCall<T, K, F> {
    call: F,
    max: usize,
    wait: Duration,
    held: VecDeque<Waiting<T, K>>,
}

impl<T, K, F> BatchCall<T, K, F> {
    pub(crate) fn new(call: F, max: usize, wait: Duration) -> Self {
        Self {
            call,
            max: max.max(1),
            wait,
            held: VecDeque::new(),
        }
    }
}

impl<T, K, U, F, Fut> Caller<T, K> for BatchCall<T, K, F>
where
    T: 'static,
    K: 'static,
    U: 'static,
    F: Fn(Vec<T>) -> Fut + 'static,
    Fut: Future<Output = U> + 'static,
{
    type Out = U;
    type OutKey = ();

    fn wait(&mut self, record: Waiting<T, K>) {
        self.held.push_back(record);
    }

    fn start(&mut self, now: Timestamp, input: InputState) -> Option<Call<U, ()>> {
        let due = self.deadline().is_some_and(|at| at <= now);
        if self.held.is_empty()
            || !(due || input == InputState::Ended || self.held.len() >= self.max)
        {
            return None;
        }
        let batch = self.held.drain(..self.max.min(self.held.len()));
        let (mut values, mut sequences) = (Vec::new(), Vec::new());
        let mut head: Option<Head> = None;
        for record in batch {
            let at = head.map_or(record.head.at, |head| head.at.max(record.head.at));
            let origin = head.map_or(record.head.origin, |head| head.origin);
            head = Some(Head {
                at,
                hash: 0,
                origin,
            });
            values.push(record.value);
            sequences.push(record.sequence);
        }
        let head = head.expect("a batch has a record");
        Some(Call {
            future: (self.call)(values).boxed_local(),
            key: (),
            head,
            sequences,
        })
    }

    fn done(&mut self, (): &()) {}

    fn deadline(&self) -> Option<Timestamp> {
        self.held.front().map(|first| first.arrived + self.wait)
    }
}

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
            results: BTreeMap::new(),
            watermark: LowestWatermark::new(edges),
            watermarks: VecDeque::new(),
            open_edges: edges,
            now: Timestamp::MIN,
            of: std::marker::PhantomData,
        }
    }

    fn start_calls(&mut self) {
        let input = if self.open_edges == 0 {
            InputState::Ended
        } else {
            InputState::Open
        };
        while self.running.len() < self.max_in_flight {
            let Some(call) = self.caller.start(self.now, input) else {
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
                run.at_operator(self.operator);
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
            if !self.line.control(last, run) {
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
        self.counts
            .records_in
            .fetch_add(chunk.len() as u64, Ordering::Relaxed);
        let mut cursor = Cursor::from(*chunk);
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
            self.start_calls();
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
