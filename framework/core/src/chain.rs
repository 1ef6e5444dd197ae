//! Fusing: a stage is one monomorphised line of operators.
//!
//! A [`Chain`] is what a stream was told to do since the last exchange, as a type and a prototype.
//! Fusing it to an end gives a [`Push`]: records go down it depth first, one by one, with no queue
//! and no virtual call between operators. Each node owns its state and builds its own context over
//! it, so that `Emit` borrows only the next node.

use std::{
    cell::{Cell, RefCell},
    fmt,
    marker::PhantomData,
    task::Waker,
};

use crate::{
    BoxError, Context, Emit, Fault, Operator, Timestamp,
    key::Key,
    node::{Node, Opening},
    port::{Barrier, Sender},
    record::{Head, Origin},
    state::Time,
};

/// What a line of operators is told besides records. Each node acts, then passes it on.
#[derive(Clone, Copy, Debug)]
pub enum Control {
    /// No record before this time is still to come: timers due by it fire first.
    Watermark(Timestamp),
    /// The clock has moved: processing-time timers that are due fire.
    Clock,
    /// The input has ended for good: say what is left to say.
    Finish,
    /// The input ran dry: let half-full chunks go.
    Flush,
    /// A checkpoint cuts here.
    Barrier(Barrier),
    /// Nothing follows.
    End,
    /// Look whether every output has room, and ask to be woken where one has none.
    Room,
    /// A split of the source has ended: its records hold the watermark back no longer.
    SplitEnd(u32),
}

/// Why a stage cannot go on.
#[derive(Debug)]
pub struct Failure {
    /// The operator's number within the pipeline.
    pub operator: u32,
    /// The record that it was handling.
    pub origin: Origin,
    /// What it said.
    pub reason: BoxError,
}

/// One turn of a stage: the time, and what its nodes have to say to the loop that drives them.
#[derive(Debug)]
pub struct Run {
    now: Cell<Timestamp>,
    /// Some output has no room, or the stage has failed: take no further record.
    full: Cell<bool>,
    /// A node in the line has raised a watermark of its own.
    raised: Cell<bool>,
    /// The operator and the record that it is at work on.
    operator: Cell<u32>,
    origin: Cell<Origin>,
    failure: RefCell<Option<Failure>>,
    /// Wakes the task that drives the stage.
    waker: RefCell<Waker>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            now: Cell::new(Timestamp::MIN),
            full: Cell::new(false),
            raised: Cell::new(false),
            operator: Cell::new(u32::MAX),
            origin: Cell::new(Origin::TIMER),
            failure: RefCell::new(None),
            waker: RefCell::new(Waker::noop().clone()),
        }
    }
}

impl Run {
    pub(crate) fn now(&self) -> Timestamp {
        self.now.get()
    }

    /// Begins a turn: the time is read once, and what was said about room is forgotten.
    pub(crate) fn begin(&self, now: Timestamp, waker: &Waker) {
        self.now.set(now);
        self.waker.borrow_mut().clone_from(waker);
        self.forget_room();
    }

    /// Forgets what was said about room, to look again.
    pub(crate) fn forget_room(&self) {
        self.full.set(self.failure.borrow().is_some());
    }

    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        !self.full.get()
    }

    pub(crate) fn set_full(&self) {
        self.full.set(true);
    }

    pub(crate) fn look_for_room(&self, sender: &Sender) {
        if sender.available() <= 0 {
            // Registered before the last look, so that room made in between is not missed.
            sender.register(&self.waker.borrow());
            if sender.available() <= 0 {
                self.set_full();
            }
        }
    }

    pub(crate) fn raise(&self) {
        self.raised.set(true);
    }

    #[inline]
    pub(crate) fn take_raised(&self) -> bool {
        self.raised.get() && self.raised.replace(false)
    }

    /// The record that the stage goes on with.
    #[inline]
    pub(crate) fn at(&self, origin: Origin) {
        self.origin.set(origin);
    }

    pub(crate) fn at_operator(&self, operator: u32) {
        self.operator.set(operator);
    }

    /// Stops the stage because user code panicked on the record at hand.
    pub(crate) fn panicked(&self, payload: &(dyn std::any::Any + Send)) {
        self.fail(
            self.origin.get(),
            format!("panicked: {}", panic_text(payload)).into(),
        );
    }

    /// Stops the stage: the first failure counts.
    pub(crate) fn fail(&self, origin: Origin, reason: BoxError) {
        let mut failure = self.failure.borrow_mut();
        if failure.is_none() {
            *failure = Some(Failure {
                operator: self.operator.get(),
                origin,
                reason,
            });
        }
        self.full.set(true);
    }

    pub(crate) fn take_failure(&self) -> Option<Failure> {
        self.failure.borrow_mut().take()
    }
}

/// What a panic said.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// A line of operators, or its end: what takes records of one type.
pub trait Push<T, K: Key>: 'static {
    /// Handles one record, and all that follows from it down the line.
    fn push(&mut self, value: T, key: &K, head: &Head, run: &Run);

    /// Acts on what is not a record. False if it ran out of room on the way: then it is called
    /// again, with the same word, once there is room.
    fn control(&mut self, control: Control, run: &Run) -> bool;

    /// The earliest processing time that a timer in the line waits for.
    fn deadline(&mut self) -> Option<Timestamp>;
}

impl<T: 'static, K: Key> Push<T, K> for Box<dyn Push<T, K>> {
    fn push(&mut self, value: T, key: &K, head: &Head, run: &Run) {
        (**self).push(value, key, head, run);
    }

    fn control(&mut self, control: Control, run: &Run) -> bool {
        (**self).control(control, run)
    }

    fn deadline(&mut self) -> Option<Timestamp> {
        (**self).deadline()
    }
}

/// What a stream was told to do since the last exchange, as a type and a prototype.
pub trait Chain<K: Key>: Clone + Send + 'static {
    /// What the first operator takes.
    type In: 'static;
    /// What the last operator puts out.
    type Out: 'static;
    /// The line that this becomes in front of `P`.
    type Fused<P: Push<Self::Out, K>>: Push<Self::In, K>;

    /// Puts this line in front of `next`.
    fn fuse<P: Push<Self::Out, K>>(self, next: P, opening: &mut Opening) -> Self::Fused<P>;
}

/// No operator yet.
pub struct Start<T>(PhantomData<fn() -> T>);

impl<T> Start<T> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for Start<T> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<T> fmt::Debug for Start<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Start")
    }
}

impl<T: 'static, K: Key> Chain<K> for Start<T> {
    type In = T;
    type Out = T;
    type Fused<P: Push<T, K>> = P;

    fn fuse<P: Push<T, K>>(self, next: P, _: &mut Opening) -> P {
        next
    }
}

/// An operator after a chain.
#[derive(Clone, Debug)]
pub struct Applied<C, O> {
    pub(crate) chain: C,
    pub(crate) operator: O,
    /// Its number within the pipeline.
    pub(crate) id: u32,
}

impl<K: Key, C: Chain<K>, O: Operator<C::Out, K>> Chain<K> for Applied<C, O> {
    type In = C::In;
    type Out = O::Out;
    type Fused<P: Push<O::Out, K>> = C::Fused<ApplyPush<O, P, K>>;

    fn fuse<P: Push<O::Out, K>>(self, next: P, opening: &mut Opening) -> Self::Fused<P> {
        let mut operator = self.operator;
        let node = opening.node(self.id, |open| operator.open(open));
        self.chain.fuse(
            ApplyPush {
                operator,
                next,
                node,
                finished: false,
            },
            opening,
        )
    }
}

/// An operator in its place in a line.
pub struct ApplyPush<O, P, K> {
    operator: O,
    next: P,
    node: Node<K>,
    finished: bool,
}

impl<O, P, K> fmt::Debug for ApplyPush<O, P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operator {}", self.node.id)
    }
}

/// Passes on what an operator puts out, with the key and head of what it came from.
struct Next<'a, P, K> {
    line: &'a mut P,
    key: &'a K,
    head: &'a Head,
    run: &'a Run,
    count: u64,
}

impl<T, K: Key, P: Push<T, K>> Emit<T> for Next<'_, P, K> {
    #[inline]
    fn emit(&mut self, value: T) {
        self.count += 1;
        self.line.push(value, self.key, self.head, self.run);
    }
}

/// Calls an operator in its context, and settles afterwards.
macro_rules! call {
    ($self:ident, $key:expr, $head:expr, $run:expr, |$cx:ident, $out:ident| $call:expr) => {{
        let (key, head, run): (&K, &Head, &Run) = ($key, $head, $run);
        let before = run.operator.replace($self.node.id);
        let Node { state, sides, .. } = &mut $self.node;
        let mut $out = Next {
            line: &mut $self.next,
            key,
            head,
            run,
            count: 0,
        };
        let $cx = &mut Context {
            key,
            head,
            run,
            state,
            sides,
        };
        let result: Result<(), Fault> = $call;
        $self.node.counts.records_out += $out.count;
        $self.node.state.settle();
        if let Err(fault) = result {
            $self.node.refuse(fault, head.origin, run);
        }
        run.operator.set(before);
    }};
}

impl<O, P, K: Key> ApplyPush<O, P, K> {
    /// Fires the timers that are due, one by one; false if it ran out of room.
    fn fire<T: 'static>(&mut self, time: Time, limit: Timestamp, run: &Run) -> bool
    where
        O: Operator<T, K>,
        P: Push<O::Out, K>,
    {
        while self.node.state.is_due(time, limit) {
            if !run.has_room() {
                return false;
            }
            let Some(fired) = self.node.state.pop_due(time, limit) else {
                break;
            };
            let at = match time {
                Time::Event => fired.timer.at,
                Time::Processing => self.node.state.watermark,
            };
            let head = Head {
                at,
                hash: fired.hash,
                origin: Origin::TIMER,
            };
            run.at(Origin::TIMER);
            call!(self, &fired.key, &head, run, |cx, out| {
                self.operator.timer(fired.timer, cx, &mut out)
            });
        }
        true
    }

    /// Lets the operator say its last words, once; false if there is no room for them.
    fn finish<T: 'static>(&mut self, run: &Run) -> bool
    where
        O: Operator<T, K>,
        P: Push<O::Out, K>,
    {
        let Some(key) = self.node.no_key.as_ref().filter(|_| !self.finished) else {
            return true;
        };
        if !run.has_room() {
            return false;
        }
        let at = self.node.state.watermark;
        let head = Head {
            at,
            hash: 0,
            origin: Origin::TIMER,
        };
        let before = run.operator.replace(self.node.id);
        let mut out = Next {
            line: &mut self.next,
            key,
            head: &head,
            run,
            count: 0,
        };
        let result = self.operator.finish(&mut out);
        self.node.counts.records_out += out.count;
        if let Err(fault) = result {
            self.node.refuse(fault, head.origin, run);
        }
        run.operator.set(before);
        self.finished = true;
        true
    }
}

impl<T, K, O, P> Push<T, K> for ApplyPush<O, P, K>
where
    T: 'static,
    K: Key,
    O: Operator<T, K>,
    P: Push<O::Out, K>,
{
    #[inline]
    fn push(&mut self, value: T, key: &K, head: &Head, run: &Run) {
        self.node.counts.records_in += 1;
        call!(self, key, head, run, |cx, out| self
            .operator
            .record(value, cx, &mut out));
    }

    fn control(&mut self, control: Control, run: &Run) -> bool {
        let done = match control {
            Control::Watermark(at) => {
                let done = self.fire(Time::Event, at, run);
                if done {
                    self.node.state.watermark = self.node.state.watermark.max(at);
                }
                done
            }
            Control::Clock => self.fire(Time::Processing, run.now(), run),
            Control::Finish => self.finish(run),
            Control::Barrier(_) => {
                self.node.state.seal();
                true
            }
            Control::Flush | Control::End | Control::Room | Control::SplitEnd(_) => true,
        };
        if !done {
            return false;
        }
        if matches!(control, Control::Flush | Control::Barrier(_) | Control::End) {
            self.node.publish();
        }
        self.node.sides.control(control, run);
        self.next.control(control, run)
    }

    fn deadline(&mut self) -> Option<Timestamp> {
        let own = self.node.state.next_deadline();
        let next = self.next.deadline();
        own.into_iter().chain(next).min()
    }
}
