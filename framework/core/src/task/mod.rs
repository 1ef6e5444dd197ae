//! A task: one copy of a stage with its ports, driven turn by turn.
//!
//! 1. A turn takes at most one message and about 200 µs, by the service time that was measured; it
//!    may stop between any two records, and says so.
//! 2. Without room in its outputs a task takes no input and fires no timer, but it serves commands
//!    and passes barriers.
//! 3. A barrier that has come on one edge stops that edge only: it is not looked at until the
//!    barrier has come on all. Nothing is stashed; what waits there waits under its credit.
//! 4. Wakers are registered before the last look, so that nothing is missed: on every input, on
//!    outputs without room, and on the command port.
//!
//! It is the engine's, whose actors give it its turns.
//!
//! # Examples
//!
//! A task does nothing by itself. A loop drives it as well as an actor does:
//!
//! ```
//! use std::task::{Context, Waker};
//!
//! use levada::{core::{assembly::Blueprint, task::{Task, Turn}}, prelude::*};
//!
//! let pipeline = Pipeline::new("squares");
//! let squares = Collected::new();
//! pipeline.source(iter(1..=3_u32)).map(|n| n * n).sink(collect(&squares));
//!
//! let blueprints = pipeline.prepare()?.tasks;
//! let mut tasks: Vec<Task> = blueprints.into_iter().filter_map(Blueprint::open).collect();
//! assert_eq!(tasks.len(), 2, "the source with `map`, and the sink");
//! let cx = &mut Context::from_waker(Waker::noop());
//! while !tasks.is_empty() {
//!     tasks.retain_mut(|task| task.turn(cx) != Turn::Done);
//! }
//! assert_eq!(squares.take(), [1, 4, 9]);
//! # Ok::<(), Error>(())
//! ```

mod ports;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Context,
    time::Duration,
};

pub use self::ports::{Command, CommandPort, Report, ReportPort};
use crate::{
    Clock, Timestamp,
    chain::Run,
    port::{Barrier, Message, Receiver},
    stage::{Positions, Stage, Work},
};

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There is more to do now.
    Again,
    /// Nothing to do before a wake, or before this processing time.
    Sleep(Option<Timestamp>),
    /// The task is done.
    Done,
}

/// About how long a turn may last.
const TURN: Duration = Duration::from_micros(200);

/// Records in the first step, before anything was measured.
const FIRST_BUDGET: u32 = 64;

/// The most records in a step, however fast they are.
const MAX_BUDGET: u32 = 4096;

struct Input {
    receiver: Receiver,
    state: InputState,
}

/// What may come from an input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InputState {
    Open,
    /// The barrier has come here, and not everywhere yet: nothing is taken.
    Aligned,
    Ended,
}

/// One copy of a stage with its ports.
pub struct Task {
    number: usize,
    stage: Box<dyn Stage>,
    run: Run,
    inputs: Vec<Input>,
    /// The input to look at first.
    turn: usize,
    clock: Arc<dyn Clock>,
    commands: CommandPort,
    reports: ReportPort,
    /// The barrier that has come on some input, or that no input is left to bring.
    barrier: Option<Barrier>,
    /// The barrier that the coordinator has announced.
    announced: Option<Barrier>,
    /// The last checkpoint whose barrier it has passed.
    passed: u64,
    /// Records in the next step: about one turn's worth.
    budget: u32,
    done: bool,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Task {
    /// A task of this number around a stage.
    pub(crate) fn new(
        number: usize,
        stage: Box<dyn Stage>,
        receivers: Vec<Receiver>,
        clock: Arc<dyn Clock>,
        (commands, reports): (CommandPort, ReportPort),
    ) -> Self {
        let input = |receiver| Input {
            receiver,
            state: InputState::Open,
        };
        Self {
            number,
            stage,
            run: Run::default(),
            inputs: receivers.into_iter().map(input).collect(),
            turn: 0,
            clock,
            commands,
            reports,
            barrier: None,
            announced: None,
            passed: 0,
            budget: FIRST_BUDGET,
            done: false,
        }
    }

    /// The edges that come in, to look at their credit.
    pub fn inputs(&self) -> impl Iterator<Item = &Receiver> {
        self.inputs.iter().map(|input| &input.receiver)
    }

    /// Takes one turn. User code that panics stops this task, and nothing else.
    pub fn turn(&mut self, cx: &mut Context<'_>) -> Turn {
        if self.done {
            return Turn::Done;
        }
        let turn = catch_unwind(AssertUnwindSafe(|| self.step(cx)));
        let turn = turn.unwrap_or_else(|panic| {
            self.run.panicked(&*panic);
            Turn::Again
        });
        match self.run.take_failure() {
            Some(failure) => self.finish(Report::Failed(failure)),
            None => turn,
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Turn {
        if let Some(turn) = self.obey(cx) {
            return turn;
        }
        self.run.begin(self.clock.now(), cx.waker());
        self.stage.look_for_room(&self.run);
        if let Some(turn) = self.pass_barrier(cx) {
            return turn;
        }
        // Asked each turn, so that timers fire on time also in a task that never runs dry.
        let due = self.stage.deadline().is_some_and(|at| at <= self.run.now());
        if due && self.run.has_room() {
            self.stage.clock(&self.run);
        }
        let started = self.clock.elapsed();
        let work = self.stage.work(&self.run, self.budget, cx);
        self.measure(work, started);
        match work {
            Work::More => Turn::Again,
            Work::Ended => {
                self.stage.flush(&self.run);
                if self.run.has_failed() {
                    return Turn::Again;
                }
                let positions = self.positions();
                self.finish(Report::Ended(positions))
            }
            Work::Blocked => self.wait_for_room(),
            Work::Idle if !self.stage.wants_input() => {
                self.stage.flush(&self.run);
                self.sleep()
            }
            Work::Idle => self.take_input(cx),
        }
    }

    /// An output filled up in this turn: asks to be woken when it has room, and looks again.
    fn wait_for_room(&mut self) -> Turn {
        self.run.forget_room();
        self.stage.look_for_room(&self.run);
        if self.run.has_room() {
            return Turn::Again;
        }
        // What is meant for receivers that have room does not wait for the one that has none.
        self.stage.flush(&self.run);
        Turn::Sleep(None)
    }

    /// Adapts the budget so that a step takes about a turn.
    fn measure(&mut self, work: Work, started: Duration) {
        let took = self.clock.elapsed().saturating_sub(started);
        if took > TURN {
            self.budget = (self.budget / 2).max(1);
        } else if work == Work::More && took * 2 < TURN {
            self.budget = (self.budget * 2).min(MAX_BUDGET);
        }
    }

    fn obey(&mut self, cx: &Context<'_>) -> Option<Turn> {
        while let Some(command) = self.commands.take(cx) {
            match command {
                Command::Barrier(barrier) => self.announced = Some(barrier),
                Command::Drain => self.stage.ended(0),
                Command::Abort => return Some(self.finish(Report::Aborted)),
            }
        }
        None
    }

    /// Passes the barrier on if it has come on every input that has not ended.
    fn pass_barrier(&mut self, cx: &mut Context<'_>) -> Option<Turn> {
        if self
            .inputs
            .iter()
            .all(|input| input.state == InputState::Ended)
        {
            let announced = self.announced.take();
            self.barrier = self
                .barrier
                .or(announced)
                .filter(|b| b.checkpoint > self.passed);
        }
        let barrier = self.barrier?;
        if self
            .inputs
            .iter()
            .any(|input| input.state == InputState::Open)
        {
            return None;
        }
        if !self.stage.barrier(barrier, &self.run, cx) {
            return Some(Turn::Sleep(None));
        }
        if self.run.has_failed() {
            // What failed did not pass: a checkpoint that counted it would lose it.
            return Some(Turn::Again);
        }
        self.barrier = None;
        self.passed = barrier.checkpoint;
        // The edges open again, and are looked at in this same turn.
        for input in self
            .inputs
            .iter_mut()
            .filter(|i| i.state == InputState::Aligned)
        {
            input.state = InputState::Open;
        }
        let positions = self.positions();
        let report = Report::Passed(barrier, positions);
        if barrier.last {
            return Some(self.finish(report));
        }
        self.reports.tell(self.number, report);
        None
    }

    fn take_input(&mut self, cx: &Context<'_>) -> Turn {
        for input in &self.inputs {
            input.receiver.register(cx);
        }
        let count = self.inputs.len();
        for i in 0..count {
            let edge = (self.turn + i) % count;
            let input = &mut self.inputs[edge];
            if input.state != InputState::Open {
                continue;
            }
            let Some((message, credit)) = input.receiver.take() else {
                continue;
            };
            self.turn = (edge + 1) % count;
            match message {
                Message::Chunk(chunk) => self.stage.accept(edge, chunk, credit),
                Message::Watermark(at) => self.stage.watermark(edge, at),
                Message::Barrier(barrier) => {
                    input.state = InputState::Aligned;
                    self.barrier = Some(barrier);
                }
                Message::End => {
                    input.state = InputState::Ended;
                    self.stage.ended(edge);
                }
            }
            return Turn::Again;
        }
        self.stage.flush(&self.run);
        self.sleep()
    }

    /// Sleeps until a wake, or until a timer is due; without room no timer fires, so then only
    /// until there is room.
    fn sleep(&mut self) -> Turn {
        if !self.run.has_room() {
            return self.wait_for_room();
        }
        let deadline = self.stage.deadline();
        if deadline.is_some_and(|at| at <= self.run.now()) {
            return Turn::Again;
        }
        Turn::Sleep(deadline)
    }

    fn positions(&mut self) -> Positions {
        let mut positions = Positions::default();
        self.stage.positions(&mut positions);
        positions
    }

    fn finish(&mut self, report: Report) -> Turn {
        self.done = true;
        self.reports.tell(self.number, report);
        Turn::Done
    }
}
