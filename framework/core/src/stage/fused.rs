//! A line of operators behind edges.

use std::{any::Any, fmt, task::Context};

use super::{LowestWatermark, Positions, Stage, Work};
use crate::{
    Timestamp,
    chain::{Control, Push, Run},
    chunk::{AnyChunk, Chunk, Cursor},
    key::Key,
    port::{Barrier, Credit},
};

/// How far a stage is with ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    /// The last watermark fires every timer.
    Watermark,
    /// Operators say what is left to say.
    Finish,
    Done,
}

/// A line of operators, the chunk it is handling, and the watermark it has come to.
pub(crate) struct Fused<T, K, P> {
    line: P,
    current: Option<(Cursor<T, K>, Option<Credit>)>,
    /// Which edge the current chunk came in on.
    edge: usize,
    watermark: LowestWatermark,
    open_edges: usize,
    /// The line has not taken the lowest watermark in full yet.
    advancing: bool,
    ending: Ending,
}

impl<T, K, P> fmt::Debug for Fused<T, K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fused")
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static, K: Key, P: Push<T, K>> Fused<T, K, P> {
    pub(crate) fn new(line: P, edges: usize) -> Self {
        Self {
            line,
            current: None,
            edge: 0,
            watermark: LowestWatermark::new(edges),
            open_edges: edges,
            advancing: false,
            ending: Ending::No,
        }
    }

    /// Handles these records next.
    pub(crate) fn take(&mut self, chunk: Chunk<T, K>, credit: Option<Credit>) {
        debug_assert!(self.current.is_none(), "one chunk at a time");
        self.current = Some((Cursor::from(chunk), credit));
    }

    /// The record that it will handle next, of those it was given.
    pub(crate) fn cursor(&mut self) -> Option<&mut Cursor<T, K>> {
        self.current.as_mut().map(|(cursor, _)| cursor)
    }

    pub(crate) fn line(&mut self) -> &mut P {
        &mut self.line
    }

    /// Nothing more comes at all.
    pub(crate) fn end(&mut self) {
        self.ending = Ending::Watermark;
    }

    /// Takes the line to the lowest watermark; false if it ran out of room.
    fn advance(&mut self, run: &Run) -> bool {
        self.advancing = !self
            .line
            .control(Control::Watermark(self.watermark.lowest()), run);
        !self.advancing
    }

    /// Handles records until the chunk, the budget or the room is used up.
    fn handle(&mut self, run: &Run, mut budget: u32) -> Work {
        loop {
            if (run.take_raised() || self.advancing) && !self.advance(run) {
                return Work::Blocked;
            }
            let Some((cursor, _)) = &mut self.current else {
                return Work::Idle;
            };
            if !run.has_room() {
                return Work::Blocked;
            }
            if let Some(step) = cursor.next_step() {
                self.advancing = self.watermark.raise(self.edge, step);
                continue;
            }
            if budget == 0 {
                return Work::More;
            }
            budget -= 1;
            match cursor.next_record() {
                Some((value, key, head)) => {
                    run.at(head.origin);
                    self.line.push(value, &key, &head, run);
                }
                None => self.current = None,
            }
        }
    }

    /// Goes on with ending, step by step.
    fn finish(&mut self, run: &Run) -> Work {
        if self.ending == Ending::Watermark {
            if !self.line.control(Control::Watermark(Timestamp::MAX), run) {
                return Work::Blocked;
            }
            self.ending = Ending::Finish;
        }
        if self.ending == Ending::Finish {
            if !self.line.control(Control::Finish, run) {
                return Work::Blocked;
            }
            self.line.control(Control::End, run);
            self.ending = Ending::Done;
        }
        Work::Ended
    }
}

impl<T: Send + 'static, K: Key, P: Push<T, K>> Stage for Fused<T, K, P> {
    fn wants_input(&self) -> bool {
        self.current.is_none() && !self.advancing && self.ending == Ending::No
    }

    fn accept(&mut self, edge: usize, chunk: AnyChunk, credit: Credit) {
        let chunk: Box<dyn Any> = chunk;
        let chunk = chunk
            .downcast()
            .expect("an edge carries what its stages agreed on");
        self.edge = edge;
        self.take(*chunk, Some(credit));
    }

    fn watermark(&mut self, edge: usize, at: Timestamp) {
        self.advancing |= self.watermark.raise(edge, at);
    }

    fn ended(&mut self, edge: usize) {
        self.open_edges -= 1;
        if self.open_edges == 0 {
            self.end();
        } else {
            self.watermark(edge, Timestamp::MAX);
        }
    }

    fn work(&mut self, run: &Run, budget: u32, _: &mut Context<'_>) -> Work {
        match self.handle(run, budget) {
            Work::Idle if self.ending != Ending::No => self.finish(run),
            work => work,
        }
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
        self.line.deadline()
    }

    fn positions(&mut self, _: &mut Positions) {}
}
