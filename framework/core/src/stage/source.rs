//! A line of operators behind the splits of a source.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use super::{Keying, Line, Positions, Stage, Work};
use crate::{
    Timestamp,
    chain::{Control, Push, Run},
    chunk::AnyChunk,
    graph::StageOpening,
    key::Key,
    port::{Barrier, Credit},
    record::{Head, Origin},
    source::{Incoming, SplitReader},
};

struct Split<R> {
    number: u32,
    reader: R,
    /// Where reading goes on; none until something was read.
    next: Option<u64>,
    ended: bool,
}

impl<R> Split<R> {
    fn origin(&self, offset: u64) -> Origin {
        Origin {
            split: self.number,
            offset,
        }
    }
}

/// What came of asking a split for records.
enum Asked {
    /// It may have more.
    More,
    /// It has none now, or none any more.
    Dry,
    /// The line has no room, or the stage has failed.
    Blocked,
}

/// The splits of one copy, read in turn, with the line behind them.
pub(crate) struct SourceStage<T, K, P, R, Y> {
    line: Line<T, K, P>,
    splits: Vec<Split<R>>,
    keying: Y,
    /// The split to ask next.
    turn: usize,
    /// The most records of one split before it is another's turn.
    burst: u32,
    /// Records that are left of the burst.
    left: u32,
    records_read: Arc<AtomicU64>,
    /// Told to end early.
    draining: bool,
}

impl<T, K, P, R, Y> fmt::Debug for SourceStage<T, K, P, R, Y> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceStage")
            .field("splits", &self.splits.len())
            .finish_non_exhaustive()
    }
}

impl<T, K, P, R, Y> SourceStage<T, K, P, R, Y>
where
    T: 'static,
    K: Key,
    P: Push<T, K>,
    R: SplitReader<T>,
    Y: Keying<T, K>,
{
    pub(crate) fn new(line: P, readers: Vec<(u32, R)>, keying: Y, opening: &StageOpening) -> Self {
        let split = |(number, reader)| Split {
            number,
            reader,
            next: None,
            ended: false,
        };
        let burst = u32::try_from(opening.read_limit).unwrap_or(u32::MAX).max(1);
        Self {
            line: Line::new(line, 0),
            splits: readers.into_iter().map(split).collect(),
            keying,
            turn: 0,
            burst,
            left: burst,
            records_read: Arc::clone(&opening.records_read),
            draining: false,
        }
    }

    /// Asks one split after the other for records, a burst each, until the budget is used up.
    fn read(&mut self, run: &Run, budget: u32, cx: &mut Context<'_>) -> Work {
        if self.draining {
            self.drain(run);
        }
        let (mut left, mut dry) = (budget, 0);
        while left > 0 && dry < self.splits.len() {
            if self.splits[self.turn].ended {
                dry += 1;
                self.next_turn();
                continue;
            }
            let limit = left.min(self.left);
            let (read, asked) = self.read_split(limit, run, cx);
            left -= read;
            self.left -= read;
            dry = if read > 0 { 0 } else { dry };
            match asked {
                Asked::More if self.left > 0 => {}
                Asked::More => self.next_turn(),
                Asked::Dry => {
                    dry += 1;
                    self.next_turn();
                }
                Asked::Blocked => return Work::Blocked,
            }
        }
        if self.splits.iter().all(|split| split.ended) {
            self.line.end();
            return Work::More;
        }
        if left == 0 { Work::More } else { Work::Idle }
    }

    fn next_turn(&mut self) {
        self.turn = (self.turn + 1) % self.splits.len();
        self.left = self.burst;
    }

    /// Reads up to `limit` records of the split whose turn it is, each down the line at once.
    fn read_split(&mut self, limit: u32, run: &Run, cx: &mut Context<'_>) -> (u32, Asked) {
        let split = &mut self.splits[self.turn];
        let mut read = 0;
        let asked = loop {
            if !self.line.advance(run) || !run.has_room() {
                break Asked::Blocked;
            }
            if read == limit {
                break Asked::More;
            }
            match split.reader.poll_next(cx) {
                Poll::Ready(Ok(Some(incoming))) => {
                    let Incoming {
                        offset,
                        at,
                        routed,
                        value,
                    } = incoming;
                    let origin = split.origin(offset);
                    run.at(origin);
                    match self.keying.key(&value, routed, run) {
                        Ok((key, hash)) => {
                            let head = Head { at, hash, origin };
                            self.line.push.push(value, &key, &head, run);
                        }
                        Err(error) => run.fail(origin, error),
                    }
                    split.next = Some(offset + 1);
                    run.at(split.origin(offset + 1));
                    read += 1;
                }
                Poll::Ready(Ok(None)) => {
                    split.ended = true;
                    self.line.push.control(Control::SplitEnd(split.number), run);
                    break Asked::Dry;
                }
                Poll::Ready(Err(error)) => {
                    run.fail(split.origin(split.next.unwrap_or(0)), error);
                    break Asked::Blocked;
                }
                Poll::Pending => break Asked::Dry,
            }
        };
        self.records_read
            .fetch_add(u64::from(read), Ordering::Relaxed);
        split.next = split.next.max(split.reader.next_offset());
        (read, asked)
    }

    /// Ends every split as if it had no more.
    fn drain(&mut self, run: &Run) {
        for split in self.splits.iter_mut().filter(|split| !split.ended) {
            split.ended = true;
            self.line.push.control(Control::SplitEnd(split.number), run);
        }
    }
}

impl<T, K, P, R, Y> Stage for SourceStage<T, K, P, R, Y>
where
    T: 'static,
    K: Key,
    P: Push<T, K>,
    R: SplitReader<T>,
    Y: Keying<T, K>,
{
    fn wants_input(&self) -> bool {
        false
    }

    fn accept(&mut self, _: usize, _: AnyChunk, _: Credit) {
        unreachable!("nothing sends to a source");
    }

    fn watermark(&mut self, _: usize, _: Timestamp) {}

    fn ended(&mut self, _: usize) {
        self.draining = true;
    }

    fn work(&mut self, run: &Run, budget: u32, cx: &mut Context<'_>) -> Work {
        if self.line.is_ending() {
            return self.line.finish(run);
        }
        self.read(run, budget, cx)
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

    fn positions(&mut self, positions: &mut Positions) {
        for split in &self.splits {
            if let Some(next) = split.next {
                positions.read(split.number, next);
            }
        }
    }
}
