//! The writer of a sink behind edges.

use std::{
    any::Any,
    fmt,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use super::{Positions, Stage, Work};
use crate::{
    BoxError, Timestamp,
    chain::{Place, Run},
    chunk::{AnyChunk, Chunk, Cursor},
    key::Key,
    node::OperatorCounts,
    port::{Barrier, Credit},
    record::Origin,
    sink::SinkWriter,
};

/// The writer of one copy of a sink, with the chunk it is writing.
pub(crate) struct SinkStage<T, K, W> {
    operator: u32,
    writer: W,
    current: Option<(Cursor<T, K>, Credit)>,
    open_edges: usize,
    counts: Arc<OperatorCounts>,
}

impl<T, K, W> fmt::Debug for SinkStage<T, K, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkStage")
            .field("open_edges", &self.open_edges)
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static, K: Key, W: SinkWriter<T, K>> SinkStage<T, K, W> {
    pub(crate) fn new(operator: u32, writer: W, edges: usize, counts: Arc<OperatorCounts>) -> Self {
        Self {
            operator,
            writer,
            current: None,
            open_edges: edges,
            counts,
        }
    }

    fn write(&mut self, run: &Run, budget: u32, cx: &mut Context<'_>) -> Result<Work, BoxError> {
        let Some((cursor, _)) = &mut self.current else {
            return self.end(cx);
        };
        let mut written = 0;
        let work = loop {
            if written == u64::from(budget) {
                break Work::More;
            }
            run.at(Origin::TIMER);
            if self.writer.poll_ready(cx)?.is_pending() {
                break Work::Idle;
            }
            while cursor.next_step().is_some() {}
            let Some((value, key, head)) = cursor.next_record() else {
                if let Some((cursor, credit)) = self.current.take() {
                    credit.done(cursor.into_spare());
                }
                break Work::More;
            };
            run.at(head.origin);
            self.writer.write(value, &key, &head)?;
            written += 1;
        };
        self.counts.records_in.fetch_add(written, Ordering::Relaxed);
        Ok(work)
    }

    fn end(&mut self, cx: &mut Context<'_>) -> Result<Work, BoxError> {
        if self.open_edges > 0 {
            return Ok(Work::Idle);
        }
        self.writer.flush()?;
        if self.writer.poll_synced(cx)?.is_pending() || self.writer.poll_finished(cx)?.is_pending()
        {
            return Ok(Work::Idle);
        }
        Ok(Work::Ended)
    }

    fn fail(&self, error: BoxError, run: &Run) {
        self.counts.errors.fetch_add(1, Ordering::Relaxed);
        run.fail_here(error);
    }

    /// What follows is the sink's, and of no record.
    fn enter(&self, run: &Run) {
        run.at_place(Place::Step(self.operator));
        run.at(Origin::TIMER);
    }
}

impl<T: Send + 'static, K: Key, W: SinkWriter<T, K>> Stage for SinkStage<T, K, W> {
    fn wants_input(&self) -> bool {
        self.current.is_none()
    }

    fn accept(&mut self, _: usize, chunk: AnyChunk, credit: Credit) {
        let chunk: Box<dyn Any> = chunk;
        let chunk: Box<Chunk<T, K>> = chunk
            .downcast()
            .expect("an edge carries what its stages agreed on");
        self.current = Some((Cursor::from(chunk), credit));
    }

    fn watermark(&mut self, _: usize, _: Timestamp) {}

    fn ended(&mut self, _: usize) {
        self.open_edges -= 1;
    }

    fn work(&mut self, run: &Run, budget: u32, cx: &mut Context<'_>) -> Work {
        self.enter(run);
        self.write(run, budget, cx).unwrap_or_else(|error| {
            self.fail(error, run);
            Work::Blocked
        })
    }

    fn clock(&mut self, _: &Run) -> bool {
        true
    }

    fn flush(&mut self, run: &Run) {
        self.enter(run);
        if let Err(error) = self.writer.flush() {
            self.fail(error, run);
        }
    }

    fn barrier(&mut self, _: Barrier, run: &Run, cx: &mut Context<'_>) -> bool {
        self.flush(run);
        match self.writer.poll_synced(cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(error)) => {
                self.fail(error, run);
                true
            }
        }
    }

    fn look_for_room(&mut self, _: &Run) {}

    fn deadline(&mut self) -> Option<Timestamp> {
        None
    }

    fn positions(&mut self, _: &mut Positions) {}
}
