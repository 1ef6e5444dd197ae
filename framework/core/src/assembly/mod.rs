//! From a plan to tasks: how many copies, which edges, who reads which split.
//!
//! Nothing runs yet: a [`Blueprint`] opens its task on whatever thread it is taken to.
//!
//! It is the engine's; a program meets it when it drives tasks by a loop of its own.
//!
//! # Examples
//!
//! ```
//! use std::sync::Arc;
//!
//! use levada::{
//!     ChunkLimits, SystemClock, Threads,
//!     core::{
//!         assembly::{Settings, assemble},
//!         graph::{Graph, StateNames},
//!     },
//!     prelude::*,
//! };
//!
//! let graph = Graph::new("parities");
//! Stream::from_source(&graph, "source", iter(0..4_u32)).key_by(|n| n % 2).sink(discard());
//! let settings = Settings {
//!     pipeline: "parities".into(),
//!     parallelism: 2,
//!     window: 256 << 10,
//!     limits: ChunkLimits::default(),
//!     clock: Arc::new(SystemClock::new()),
//!     spawner: Arc::new(Threads),
//!     seed: Seed::new(1),
//!     incarnation: 1,
//! };
//! let assembly = assemble(&graph.plan(StateNames::Optional)?, &settings)?;
//! let tasks: Vec<_> = assembly.tasks.iter().map(|task| format!("{task:?}")).collect();
//! // One split, so one copy reads.
//! assert_eq!(tasks, ["source/0", "key_by/0", "key_by/1", "discard/0", "discard/1"]);
//! assert_eq!((assembly.sources, assembly.splits[0].name.as_str()), (vec![0], "iter"));
//! # Ok::<(), levada::BoxError>(())
//! ```

mod layout;
mod wires;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, atomic::AtomicU64},
};

use self::{layout::Layout, wires::Wires};
use crate::{
    BoxError, ChunkLimits, Clock, Seed, Spawner, Subscription,
    chain::panic_text,
    graph::{OpenStage, Plan, StageOpening},
    node::{Opening, OperatorPlan},
    port::Receiver,
    source::SourceContext,
    task::{CommandPort, Report, ReportPort, Task},
};

/// What a pipeline is run with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name.
    pub pipeline: Arc<str>,
    /// How many copies a stage has, at most.
    pub parallelism: u32,
    /// The window of an edge, in bytes of weight.
    pub window: i64,
    /// How large chunks grow.
    pub limits: ChunkLimits,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where work that blocks goes.
    pub spawner: Arc<dyn Spawner>,
    /// Where random choices come from.
    pub seed: Seed,
    /// The life of this commit unit.
    pub incarnation: u64,
}

/// One split of a source, as metrics and errors name it.
#[derive(Clone, Debug)]
pub struct SplitPlan {
    /// Its name, as in `orders/3`.
    pub name: String,
    /// Its number within its source: the partition of a topic.
    pub number: u32,
    /// The topic and group that it belongs to.
    pub subscription: Option<Arc<Subscription>>,
}

/// A pipeline taken apart into tasks.
#[derive(Debug)]
pub struct Assembly {
    /// By number.
    pub tasks: Vec<Blueprint>,
    /// Which tasks read a source.
    pub sources: Vec<usize>,
    /// How each task is told.
    pub commands: Vec<CommandPort>,
    /// Where all report.
    pub reports: ReportPort,
    /// By number.
    pub splits: Arc<[SplitPlan]>,
    /// By number.
    pub operators: Arc<[OperatorPlan]>,
    /// How many records its sources have read.
    pub records_read: Arc<AtomicU64>,
}

/// A task that is ready to be opened.
pub struct Blueprint {
    /// Its number within the pipeline.
    pub number: usize,
    /// The name of its stage.
    pub stage: String,
    /// Which copy of it, counted from 0.
    pub copy: u32,
    open: OpenStage,
    opening: StageOpening,
    receivers: Vec<Receiver>,
    commands: CommandPort,
    reports: ReportPort,
}

impl fmt::Debug for Blueprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stage, self.copy)
    }
}

impl Blueprint {
    /// Opens the task, on the thread that will run it. Where it cannot be opened, its coordinator
    /// is told.
    pub fn open(mut self) -> Option<Task> {
        let clock = Arc::clone(&self.opening.source.clock);
        let opening = &mut self.opening;
        // What a user's `open` does is a user's code: a panic must not go without a word.
        let stage = catch_unwind(AssertUnwindSafe(|| {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open(opening)
        }));
        let stage = stage
            .unwrap_or_else(|panic| Err(format!("it panicked: {}", panic_text(&*panic)).into()));
        let mut problems = std::mem::take(&mut self.opening.opening.problems);
        match stage {
            Ok(stage) if problems.is_empty() => {
                let ports = (self.commands, self.reports);
                return Some(Task::new(self.number, stage, self.receivers, clock, ports));
            }
            Ok(_) => {}
            Err(error) => problems.push(format!("`{}` cannot be opened: {error}", self.stage)),
        }
        self.reports
            .tell(self.number, Report::NotOpened(problems.join("; ")));
        None
    }
}

/// Takes a plan apart into tasks, asking each source for its splits.
///
/// # Errors
///
/// When a source has nothing to read from.
///
/// # Panics
///
/// Not by what a caller does: a plan comes from [`Graph::plan`](crate::graph::Graph::plan).
pub fn assemble(plan: &Plan, settings: &Settings) -> Result<Assembly, BoxError> {
    let cx = SourceContext {
        pipeline: Arc::clone(&settings.pipeline),
        clock: Arc::clone(&settings.clock),
        spawner: Arc::clone(&settings.spawner),
        resume: !plan.starts_over(),
    };
    let layout = Layout::of(plan, settings.parallelism, &cx)?;
    let mut wires = Wires::new(plan, &layout, settings);
    let (reports, records_read) = (ReportPort::default(), Arc::new(AtomicU64::new(0)));
    let (mut tasks, mut commands, mut sources) = (Vec::new(), Vec::new(), Vec::new());
    for (id, stage) in plan.stages.iter().enumerate() {
        for copy in 0..layout.copies[id] {
            let number = tasks.len();
            if stage.source.is_some() {
                sources.push(number);
            }
            let receivers = wires.receivers(id, copy);
            let opening = StageOpening {
                opening: Opening {
                    operators: Arc::clone(&plan.operators),
                    copy,
                    grouping: stage.grouping,
                    key_groups: layout.key_groups[id],
                    splits: layout.splits_of(id, copy),
                    seed: settings.seed,
                    sides: wires.sides(id, copy),
                    problems: Vec::new(),
                },
                main: wires.main(id, copy),
                edges: receivers.len(),
                copies: layout.copies[id],
                source: cx.clone(),
                first_split: layout.first_split[id],
                read_limit: settings.limits.records,
                records_read: Arc::clone(&records_read),
            };
            let port = CommandPort::default();
            commands.push(port.clone());
            tasks.push(Blueprint {
                number,
                stage: stage.name.clone(),
                copy,
                open: stage.open.clone().expect("a plan has no open stage"),
                opening,
                receivers,
                commands: port,
                reports: reports.clone(),
            });
        }
    }
    let operators = Arc::clone(&plan.operators);
    Ok(Assembly {
        tasks,
        sources,
        commands,
        reports,
        splits: layout.splits.into(),
        operators,
        records_read,
    })
}
