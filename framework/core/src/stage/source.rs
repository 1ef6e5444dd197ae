//! A line of operators behind the splits of a source.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use super::{Fused, Positions, Stage, Work};
use crate::{
    BoxError, Timestamp,
    chain::{Control, Push, Run},
    chunk::{AnyChunk, Chunk},
    graph::StageOpening,
    key::Key,
    output::hash_of,
    port::{Barrier, Credit},
    record::Origin,
    source::{Intake, Read, SplitReader},
};

/// The splits of one copy, opened.
pub(crate) type SourceCopy<T> = Vec<(u32, Box<dyn SplitReader<T>>)>;

/// Gives what was read the keys that the stream is grouped by.
pub(crate) type Keying<T, K> = Box<dyn FnMut(Intake<T>) -> Result<Chunk<T, K>, (Origin, BoxError)>>;

/// Leaves records without a key.
pub(crate) fn unkeyed<T: 'static>() -> Keying<T, ()> {
    Box::new(|intake| Ok(intake.chunk))
}

/// Gives records the key that their source has routed them by, and makes sure that it has.
pub(crate) fn keyed<T: 'static, K: Key>(key: impl Fn(&T) -> K + 'static) -> Keying<T, K> {
    let mut bytes = Vec::new();
    Box::new(move |intake| {
        let routed = intake.hashes;
        intake.chunk.with_keys(|index, value| {
            let key = key(value);
            let hash = hash_of(&key, &mut bytes)?;
            match routed.get(index) {
                Some(routed) if *routed == hash => Ok((key, hash)),
                Some(_) => Err(
                    "it was written under another key than `.keyed(..)` gives: correct the \
                                closure, or group anew with `.key_by(..)`"
                        .into(),
                ),
                None => Err("it was written without a key: group it with `.key_by(..)`".into()),
            }
        })
    })
}

struct Split<T> {
    number: u32,
    reader: Box<dyn SplitReader<T>>,
    /// Where reading goes on; none until something was read.
    next: Option<u64>,
    ended: bool,
}

/// The splits of one copy, read in turn, with the line behind them.
pub(crate) struct SourceStage<T, K, P> {
    fused: Fused<T, K, P>,
    splits: Vec<Split<T>>,
    keying: Keying<T, K>,
    /// The split to ask next.
    turn: usize,
    limit: usize,
    records_read: Arc<AtomicU64>,
    /// Told to end early.
    draining: bool,
}

impl<T, K, P> fmt::Debug for SourceStage<T, K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceStage")
            .field("splits", &self.splits.len())
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static, K: Key, P: Push<T, K>> SourceStage<T, K, P> {
    pub(crate) fn new(
        line: P,
        copy: SourceCopy<T>,
        keying: Keying<T, K>,
        opening: &StageOpening,
    ) -> Self {
        let split = |(number, reader)| Split {
            number,
            reader,
            next: None,
            ended: false,
        };
        Self {
            fused: Fused::new(line, 0),
            splits: copy.into_iter().map(split).collect(),
            keying,
            turn: 0,
            limit: opening.read_limit,
            records_read: Arc::clone(&opening.records_read),
            draining: false,
        }
    }

    /// Asks each split in turn for records, until one has some.
    fn read(&mut self, run: &Run, cx: &mut Context<'_>) -> Work {
        for _ in 0..self.splits.len() {
            let at = self.turn;
            self.turn = (self.turn + 1) % self.splits.len();
            let split = &mut self.splits[at];
            if split.ended {
                continue;
            }
            let mut intake = Intake::new(split.number, split.next.unwrap_or(0));
            let read = if self.draining {
                Poll::Ready(Ok(Read::End))
            } else {
                split.reader.poll_read(cx, self.limit, &mut intake)
            };
            match read {
                Poll::Pending => {}
                Poll::Ready(Ok(read)) => split.ended = read == Read::End,
                Poll::Ready(Err(error)) => {
                    let offset = intake.next;
                    run.fail(
                        Origin {
                            split: split.number,
                            offset,
                        },
                        error,
                    );
                    return Work::Blocked;
                }
            }
            if split.ended {
                self.fused
                    .line()
                    .control(Control::SplitEnd(split.number), run);
            }
            if intake.next > split.next.unwrap_or(0) || !intake.is_empty() {
                split.next = Some(intake.next);
            }
            if !intake.is_empty() {
                return self.take(intake, run);
            }
        }
        if self.splits.iter().all(|split| split.ended) {
            self.fused.end();
            return Work::More;
        }
        Work::Idle
    }

    fn take(&mut self, intake: Intake<T>, run: &Run) -> Work {
        self.records_read
            .fetch_add(intake.len() as u64, Ordering::Relaxed);
        match (self.keying)(intake) {
            Ok(chunk) => {
                self.fused.take(chunk, None);
                Work::More
            }
            Err((origin, error)) => {
                run.fail(origin, error);
                Work::Blocked
            }
        }
    }
}

impl<T: Send + 'static, K: Key, P: Push<T, K>> Stage for SourceStage<T, K, P> {
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
        match self.fused.work(run, budget, cx) {
            Work::Idle if run.has_room() => self.read(run, cx),
            Work::Idle => Work::Blocked,
            work => work,
        }
    }

    fn clock(&mut self, run: &Run) -> bool {
        self.fused.clock(run)
    }

    fn flush(&mut self, run: &Run) {
        self.fused.flush(run);
    }

    fn barrier(&mut self, barrier: Barrier, run: &Run, cx: &mut Context<'_>) -> bool {
        self.fused.barrier(barrier, run, cx)
    }

    fn look_for_room(&mut self, run: &Run) {
        self.fused.look_for_room(run);
    }

    fn deadline(&mut self) -> Option<Timestamp> {
        self.fused.deadline()
    }

    fn positions(&mut self, positions: &mut Positions) {
        let next = self
            .fused
            .cursor()
            .and_then(crate::chunk::Cursor::next_origin);
        for split in &self.splits {
            let Some(read) = split.next else { continue };
            match next {
                // Read, and not handled: it comes after whatever is cut here.
                Some(next) if next.split == split.number => {
                    positions.read(split.number, next.offset);
                }
                _ => positions.read(split.number, read),
            }
        }
    }
}
