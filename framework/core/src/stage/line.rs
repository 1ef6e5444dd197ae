//! A line of operators with its watermark and its end.

use std::marker::PhantomData;

use super::{LowestWatermark, Work};
use crate::{
    Timestamp,
    chain::{Control, Push, Run},
    key::Key,
};

/// How far a line is with ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    /// The last watermark fires every timer.
    Watermark,
    /// Operators say what is left to say.
    Finish,
    Done,
}

/// A line of operators, the watermark that it has come to, and how far it is with ending.
pub(crate) struct Line<T, K, P> {
    pub(crate) push: P,
    watermark: LowestWatermark,
    /// The line has not taken the lowest watermark in full yet.
    advancing: bool,
    ending: Ending,
    of: PhantomData<fn(T, K)>,
}

impl<T: 'static, K: Key, P: Push<T, K>> Line<T, K, P> {
    /// A line behind so many edges.
    pub(crate) fn new(push: P, edges: usize) -> Self {
        Self {
            push,
            watermark: LowestWatermark::new(edges),
            advancing: false,
            ending: Ending::No,
            of: PhantomData,
        }
    }

    /// Raises the watermark of an edge.
    #[inline]
    pub(crate) fn raise(&mut self, edge: usize, at: Timestamp) {
        self.advancing |= self.watermark.raise(edge, at);
    }

    /// Takes the line to its watermark, if that has risen; false if it ran out of room.
    #[inline]
    pub(crate) fn advance(&mut self, run: &Run) -> bool {
        let raised = run.take_raised();
        if raised || self.advancing {
            let watermark = Control::Watermark(self.watermark.lowest());
            self.advancing = !self.push.control(watermark, run);
        }
        !self.advancing
    }

    /// True while it may be given records.
    pub(crate) fn is_open(&self) -> bool {
        !self.advancing && self.ending == Ending::No
    }

    /// Nothing more comes at all.
    pub(crate) fn end(&mut self) {
        self.ending = Ending::Watermark;
    }

    /// True when nothing more comes.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending != Ending::No
    }

    /// Goes on with ending, step by step.
    pub(crate) fn finish(&mut self, run: &Run) -> Work {
        if self.ending == Ending::Watermark {
            let last = Control::Watermark(Timestamp::MAX);
            if !self.push.control(last, run) || run.has_failed() {
                return Work::Blocked;
            }
            self.ending = Ending::Finish;
        }
        if self.ending == Ending::Finish {
            // After a failure the end must not go on: a half result would pass for a whole one.
            if !self.push.control(Control::Finish, run) || run.has_failed() {
                return Work::Blocked;
            }
            self.push.control(Control::End, run);
            self.ending = Ending::Done;
        }
        Work::Ended
    }
}
