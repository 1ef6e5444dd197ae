//! An operator in a chain, and in its place in a line.

use std::fmt;

use super::{Chain, Control, Place, Push, Run};
use crate::{
    BoxError, Context, Emit, Fault, Operator, Timestamp,
    graph::StageOpening,
    key::Key,
    node::Node,
    record::{Head, Origin},
    stage::Stage,
    state::Time,
};

/// An operator after a chain.
#[derive(Clone, Debug)]
pub struct Applied<C, O> {
    pub(crate) chain: C,
    pub(crate) operator: O,
    /// Its number within the pipeline.
    pub(crate) id: u32,
}

impl<K: Key, C: Chain<K>, O: Operator<C::Out, K>> Chain<K> for Applied<C, O> {
    type Out = O::Out;

    fn fuse<P: Push<O::Out, K>>(
        &self,
        next: P,
        opening: &mut StageOpening,
    ) -> Result<Box<dyn Stage>, BoxError> {
        let mut operator = self.operator.clone();
        let node = opening.opening.node(self.id, |open| operator.open(open));
        let line = ApplyPush {
            operator,
            next,
            node: Box::new(node),
            finished: false,
        };
        self.chain.fuse(line, opening)
    }
}

/// An operator in its place in a line.
pub struct ApplyPush<O, P, K> {
    operator: O,
    next: P,
    /// On the heap, so that a long line is a small value while it is put together.
    node: Box<Node<K>>,
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

impl<O, P, K: Key> ApplyPush<O, P, K> {
    /// Calls the operator in its context, and settles afterwards.
    #[inline]
    fn call(
        &mut self,
        key: &K,
        head: &Head,
        run: &Run,
        call: impl FnOnce(&mut O, &mut Context<'_, K>, &mut Next<'_, P, K>) -> Result<(), Fault>,
    ) {
        let Node {
            id, state, sides, ..
        } = &mut *self.node;
        let before = run.enter(Place::Step(*id));
        let mut out = Next {
            line: &mut self.next,
            key,
            head,
            run,
            count: 0,
        };
        let cx = &mut Context {
            key,
            head,
            run,
            state,
            sides,
        };
        let result = call(&mut self.operator, cx, &mut out);
        self.node.counts.records_out += out.count;
        self.node.state.settle();
        if let Err(fault) = result {
            self.node.refuse(fault, head.origin, run);
        }
        run.at_place(before);
    }

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
            self.call(&fired.key, &head, run, |operator, cx, out| {
                operator.timer(fired.timer, cx, out)
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
        let Some(key) = self.node.no_key.clone().filter(|_| !self.finished) else {
            return true;
        };
        if !run.has_room() {
            return false;
        }
        let head = Head {
            at: self.node.state.watermark,
            hash: 0,
            origin: Origin::TIMER,
        };
        self.call(&key, &head, run, |operator, _, out| operator.finish(out));
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
        self.call(key, head, run, |operator, cx, out| {
            operator.record(value, cx, out)
        });
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

    fn look_ahead(&mut self, keys: &[K], hashes: &[u32]) {
        self.node.state.look_ahead(keys, hashes);
        self.next.look_ahead(keys, hashes);
    }
}
