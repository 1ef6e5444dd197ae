//! One call for each record.

use std::collections::{HashMap, VecDeque, hash_map};

use futures::FutureExt as _;

use super::{Call, CallOrder, Caller, InputState, Waiting};
use crate::{Timestamp, chain::Run, key::Key};

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

    fn start(&mut self, _: Timestamp, _: InputState, run: &Run) -> Option<Call<U, K>> {
        let Waiting {
            value,
            key,
            head,
            sequence,
            ..
        } = self.ready.pop_front()?;
        run.at(head.origin);
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
