//! Async calls, with a line of operators behind them.
//!
//! 1. What waits and what runs is state: a barrier passes it, and its origins are reported as
//!    unfinished. So a slow call never holds a checkpoint back, and is made again after a restart.
//! 2. A chunk's credit goes back when the last of its records is done. So what waits is bounded by
//!    the windows of the edges, and a stage of calls can always take the next message.
//! 3. A watermark waits for the records that came before it.
//! 4. With [`CallOrder::PerKey`] one call per key runs at a time, in the order of the records.

mod batch;
mod each;
mod stage;

use futures::future::LocalBoxFuture;

pub(crate) use self::{batch::BatchCall, each::EachCall, stage::CallStage};
use crate::{Timestamp, chain::Run, key::Key, record::Head};

/// In which order the results of async calls go on.
///
/// See [`Stream::map_async`](crate::Stream::map_async) and
/// [`KeyedStream::map_async`](crate::KeyedStream::map_async).
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
    /// Not before some of what waits is done: it holds all the credit there is.
    HeldUp,
    Ended,
}

/// Chooses which call comes next.
pub(crate) trait Caller<T, K>: 'static {
    type Out: 'static;
    type OutKey: Key;

    fn wait(&mut self, record: Waiting<T, K>);
    /// The next call, if one may start now; says which record it is at work on.
    fn start(
        &mut self,
        now: Timestamp,
        input: InputState,
        run: &Run,
    ) -> Option<Call<Self::Out, Self::OutKey>>;
    /// Learns that a call of this key is done.
    fn done(&mut self, key: &Self::OutKey);
    /// When a call may start that may not start now.
    fn deadline(&self) -> Option<Timestamp>;
}
