//! A line of operators behind edges.

use std::{any::Any, fmt, task::Context};

use super::{Line, Positions, Stage, Work};
use crate::{
    Timestamp,
    chain::{Control, Push, Run},
    chunk::{AnyChunk, Chunk, Cursor},
    key::Key,
    port::{Barrier, Credit},
    state::LOOK_AHEAD,
};

/// A line of operators, and the chunk that it is handling.
pub(crate) struct Fused<T, K, P> {
    line: Line<T, K, P>,
    /// The chunk's credit goes back with it.
    current: Option<(Cursor<T, K>, Credit)>,
    /// Which edge the current chunk came in on.
    edge: usize,
    open_edges: usize,
}

impl<T, K, P> fmt::Debug for Fused<T, K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fused")
            .field("open_edges", &self.open_edges)
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static, K: Key, P: Push<T, K>> Fused<T, K, P> {
    pub(crate) fn new(push: P, edges: usize) -> Self {
        Self {
            line: Line::new(push, edges),
            current: None,
            edge: 0,
            open_edges: edges,
        }
    }

    /// The chunk is done: its credit goes back, and it with it.
    fn put_back(&mut self) {
        if let Some((cursor, credit)) = self.current.take() {
            credit.done(cursor.into_spare());
        }
    }

    /// Handles records until the chunk, the budget or the room is used up.
    fn handle(&mut self, run: &Run, mut budget: u32) -> Work {
        while self.line.advance(run) {
            let Some((cursor, _)) = &mut self.current else {
                return Work::Idle;
            };
            if !run.has_room() {
                break;
            }
            if let Some(step) = cursor.next_step() {
                self.line.raise(self.edge, step);
                continue;
            }
            if budget == 0 {
                return Work::More;
            }
            budget -= 1;
            if let Some((keys, hashes)) = cursor.keys_ahead(LOOK_AHEAD) {
                self.line.push.look_ahead(keys, hashes);
            }
            match cursor.next_record() {
                Some((value, key, head)) => {
                    run.at(head.origin);
                    self.line.push.push(value, &key, &head, run);
                }
                None => self.put_back(),
            }
        }
        Work::Blocked
    }
}

impl<T: Send + 'static, K: Key, P: Push<T, K>> Stage for Fused<T, K, P> {
    fn wants_input(&self) -> bool {
        self.current.is_none() && self.line.is_open()
    }

    fn accept(&mut self, edge: usize, chunk: AnyChunk, credit: Credit) {
        let chunk: Box<dyn Any> = chunk;
        let chunk: Box<Chunk<T, K>> = chunk
            .downcast()
            .expect("an edge carries what its stages agreed on");
        debug_assert!(self.current.is_none(), "one chunk at a time");
        self.edge = edge;
        self.current = Some((Cursor::from(chunk), credit));
    }

    fn watermark(&mut self, edge: usize, at: Timestamp) {
        self.line.raise(edge, at);
    }

    fn ended(&mut self, edge: usize) {
        self.open_edges -= 1;
        if self.open_edges == 0 {
            self.line.end();
        } else {
            self.line.raise(edge, Timestamp::MAX);
        }
    }

    fn work(&mut self, run: &Run, budget: u32, _: &mut Context<'_>) -> Work {
        match self.handle(run, budget) {
            Work::Idle if self.line.is_ending() => self.line.finish(run),
            work => work,
        }
    }

    fn clock(&mut self, run: &Run) -> bool {
        self.line.push.control(Control::Clock, run)
    }

    fn flush(&mut self, run: &Run) {
        self.line.push.control(Control::Flush, run);
    }

    fn barrier(&mut self, barrier: Barrier, run: &Run, _: &mut Context<'_>) -> bool {
        self.line.push.control(Control::Barrier(barrier), run)
    }

    fn look_for_room(&mut self, run: &Run) {
        self.line.push.control(Control::Room, run);
    }

    fn deadline(&mut self) -> Option<Timestamp> {
        self.line.push.deadline()
    }

    fn positions(&mut self, _: &mut Positions) {}
}
