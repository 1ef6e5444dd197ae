//! One call for many records.

use std::{collections::VecDeque, time::Duration};

use futures::FutureExt as _;

use super::{Call, Caller, InputState, Waiting};
use crate::{Timestamp, chain::Run, record::Head};

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

    fn start(&mut self, now: Timestamp, input: InputState, run: &Run) -> Option<Call<U, ()>> {
        let due = self.deadline().is_some_and(|at| at <= now);
        if self.held.is_empty()
            || !(due || input != InputState::Open || self.held.len() >= self.max)
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
        run.at(head.origin);
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
