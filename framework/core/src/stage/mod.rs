//! A stage: the unit that one actor runs, and the machines behind its four forms.
//!
//! `fused` runs a line of operators behind edges, `source` one behind the splits of a source,
//! `calls` async calls with a line behind them, `sink` the writer of a sink. All are plain
//! machines: a task feeds them and asks them to work; they never wait.
//!
//! It is the engine's, and driven by a [`task`](crate::task); a program sees [`Calls`] of it.
//!
//! # Examples
//!
//! What a checkpoint learns of how far copies have come:
//!
//! ```
//! use levada_core::{record::Origin, stage::Positions};
//!
//! // The copy that reads split 0 has read all below offset 10.
//! let mut all = Positions::default();
//! all.read(0, 10);
//! // A call behind it is still at work on the record at 7.
//! let mut calling = Positions::default();
//! calling.unfinished(Origin { split: 0, offset: 7 });
//! all.merge(&calling);
//!
//! let (split, position) = all.iter().next().expect("there is one split");
//! assert_eq!((split, position.read, position.done()), (0, Some(10), Some(7)));
//! ```

mod calls;
mod fused;
mod keying;
mod line;
mod sink;
mod source;

use std::{collections::BTreeMap, task::Context};

pub(crate) use self::{
    calls::{BatchCall, CallStage, Caller, EachCall},
    fused::Fused,
    line::Line,
    sink::SinkStage,
    source::SourceStage,
};
pub use self::{
    calls::{CallOrder, Calls},
    keying::{Keying, NoKey, RoutedKey},
};
use crate::{
    Timestamp,
    chain::Run,
    chunk::AnyChunk,
    port::{Barrier, Credit},
    record::Origin,
};

/// What came of asking a stage to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// There is more to do now.
    More,
    /// Nothing to do until input arrives, or something that it waits for wakes the task.
    Idle,
    /// There is something to do, and no room for what would come of it.
    Blocked,
    /// The input has ended and all that follows from it is done.
    Ended,
}

/// One copy of a stage, as the task that drives it sees it.
pub trait Stage {
    /// True if a message may be given to it.
    fn wants_input(&self) -> bool;

    /// Takes a chunk that came in on an edge. The credit goes back when its records are done.
    fn accept(&mut self, edge: usize, chunk: AnyChunk, credit: Credit);

    /// Learns that no record before `at` is still to come on an edge.
    fn watermark(&mut self, edge: usize, at: Timestamp);

    /// Learns that nothing more comes on an edge.
    fn ended(&mut self, edge: usize);

    /// Handles up to `budget` records of what it has.
    fn work(&mut self, run: &Run, budget: u32, cx: &mut Context<'_>) -> Work;

    /// Fires processing-time timers that are due. False if it ran out of room.
    fn clock(&mut self, run: &Run) -> bool;

    /// Lets half-full chunks go, and publishes counts.
    fn flush(&mut self, run: &Run);

    /// Seals its state and passes the barrier on. False if it must be asked again, after a wake.
    fn barrier(&mut self, barrier: Barrier, run: &Run, cx: &mut Context<'_>) -> bool;

    /// Looks whether every output has room, and asks to be woken where one has none.
    fn look_for_room(&mut self, run: &Run);

    /// The earliest processing time that it waits for.
    fn deadline(&mut self) -> Option<Timestamp>;

    /// Where each of its splits is read on, and which records it still holds.
    fn positions(&mut self, positions: &mut Positions);
}

/// How far the splits of a pipeline have come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    splits: BTreeMap<u32, Position>,
}

/// How far one split has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Everything below this offset was read.
    pub read: Option<u64>,
    /// The lowest record that was read and is not done.
    pub unfinished: Option<u64>,
}

impl Position {
    /// Everything below this offset is done.
    pub fn done(self) -> Option<u64> {
        match (self.read, self.unfinished) {
            (Some(read), Some(unfinished)) => Some(read.min(unfinished)),
            (read, _) => read,
        }
    }
}

impl Positions {
    /// Everything below `offset` of this split was read.
    pub fn read(&mut self, split: u32, offset: u64) {
        self.at(split).read = Some(offset);
    }

    /// This record was read and is not done.
    pub fn unfinished(&mut self, origin: Origin) {
        if origin != Origin::TIMER {
            let held = &mut self.at(origin.split).unfinished;
            *held = Some(held.map_or(origin.offset, |lowest| lowest.min(origin.offset)));
        }
    }

    /// Adds what another copy knows.
    pub fn merge(&mut self, other: &Self) {
        for (split, position) in &other.splits {
            if let Some(read) = position.read {
                self.read(*split, read);
            }
            if let Some(offset) = position.unfinished {
                self.unfinished(Origin {
                    split: *split,
                    offset,
                });
            }
        }
    }

    /// By split.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Position)> + '_ {
        self.splits
            .iter()
            .map(|(split, position)| (*split, *position))
    }

    fn at(&mut self, split: u32) -> &mut Position {
        self.splits.entry(split).or_insert(Position {
            read: None,
            unfinished: None,
        })
    }
}

/// The lowest watermark of several edges. An ended edge counts as the end of time.
#[derive(Debug)]
pub(crate) struct LowestWatermark {
    edges: Vec<Timestamp>,
    lowest: Timestamp,
}

impl LowestWatermark {
    pub(crate) fn new(edges: usize) -> Self {
        Self {
            edges: vec![Timestamp::MIN; edges],
            lowest: Timestamp::MIN,
        }
    }

    /// Raises one edge; true if that raised the lowest.
    #[inline]
    pub(crate) fn raise(&mut self, edge: usize, at: Timestamp) -> bool {
        self.edges[edge] = self.edges[edge].max(at);
        let lowest = self.edges.iter().copied().min().unwrap_or(Timestamp::MIN);
        let rose = lowest > self.lowest;
        self.lowest = lowest;
        rose
    }

    pub(crate) fn lowest(&self) -> Timestamp {
        self.lowest
    }
}
