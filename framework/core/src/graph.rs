//! The graph that a program draws, and the plan that comes of it.
//!
//! A stream under construction owns an open stage; an exchange, a sink or a side output closes it.
//! When the program is done, [`Graph::plan`] names everything that is wrong at once.

use std::{
    cell::RefCell,
    fmt,
    rc::Rc,
    sync::{Arc, Mutex, atomic::AtomicU64},
};

use crate::{
    BoxError, Clock, Open, Operator, Spawner,
    key::{Key, MIN_SLOTS, Slots},
    node::{Opening, OperatorCounts, OperatorPlan, SideOutputs, SidePlan},
    output::Wiring,
    source::{SourceContext, Subscription},
    stage::Stage,
};

/// A stage's number within its pipeline.
pub type StageId = usize;

/// Whether records come with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// They have none.
    Plain,
    /// They have one each: there is state per key.
    Keyed,
}

/// Whether operators with state need names of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateNames {
    /// State must be found again after a restart.
    Needed,
    /// State goes with the process.
    Optional,
}

/// What a copy of a stage is opened with, on the thread that will run it.
pub struct StageOpening {
    /// What its operators need.
    pub opening: Opening,
    /// Where its main output goes; none for a sink.
    pub main: Option<Wiring>,
    /// How many edges come in.
    pub edges: usize,
    /// How many copies there are.
    pub copies: u32,
    /// What a source needs.
    pub source: SourceContext,
    /// The number of its source's first split within the pipeline.
    pub first_split: u32,
    /// The most records that a source reads at once.
    pub read_limit: usize,
    /// Where sources count what they have read.
    pub records_read: Arc<AtomicU64>,
}

impl fmt::Debug for StageOpening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageOpening")
            .field("edges", &self.edges)
            .finish_non_exhaustive()
    }
}

impl StageOpening {
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.source.clock)
    }

    pub(crate) fn spawner(&self) -> Arc<dyn Spawner> {
        Arc::clone(&self.source.spawner)
    }
}

/// Opens a copy of a stage.
pub type OpenStage =
    Arc<Mutex<dyn FnMut(&mut StageOpening) -> Result<Box<dyn Stage>, BoxError> + Send>>;

/// The splits of a source, asked for when the pipeline starts.
pub type ListSplits = Arc<Mutex<dyn FnMut() -> Result<Vec<String>, BoxError> + Send>>;

/// The topic that a source reads, if it reads one.
pub type Subscribes = Arc<Mutex<dyn FnMut(&SourceContext) -> Option<Subscription> + Send>>;

/// How records move from one stage to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Copy *i* to copy *i*, modulo the copies there are.
    Forward,
    /// By the slot of the key.
    ByKey,
    /// By the partition that the key's slot lies in.
    ByPartition(Slots),
    /// Everything to the one copy there is.
    Single,
}

/// One of the outputs of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// What the last operator puts out.
    Main,
    /// A side output of an operator, by name.
    Side(u32, &'static str),
}

/// An edge between two stages: as many queues as the exchange needs.
#[derive(Clone, Debug)]
pub struct EdgePlan {
    /// The stage that sends.
    pub from: StageId,
    /// Which of its outputs.
    pub port: Port,
    /// The stage that receives.
    pub to: StageId,
    /// How records move.
    pub exchange: Exchange,
}

/// A source's part of a stage.
#[derive(Clone)]
pub struct SourcePlan {
    /// Its splits.
    pub splits: ListSplits,
    /// What it reads.
    pub subscribes: Subscribes,
    /// The stream is grouped by the keys that the source's topic was written with.
    pub topic_keys: bool,
}

impl fmt::Debug for SourcePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourcePlan")
            .field("topic_keys", &self.topic_keys)
            .finish_non_exhaustive()
    }
}

/// One stage of a pipeline.
#[derive(Clone)]
pub struct StagePlan {
    /// What it is called in errors and metrics: by its first operator.
    pub name: String,
    /// Its operators.
    pub operators: Vec<u32>,
    /// There where it reads a source.
    pub source: Option<SourcePlan>,
    /// Whether its records have keys.
    pub grouping: Grouping,
    /// It writes a result of the whole input, so that its pipeline starts over each time.
    pub needs_whole_input: bool,
    /// Opens a copy; none while the stream is still open.
    pub open: Option<OpenStage>,
}

impl fmt::Debug for StagePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagePlan")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A pipeline that can be started: every stream leads to a sink.
#[derive(Clone, Debug)]
pub struct Plan {
    /// By number.
    pub operators: Arc<[OperatorPlan]>,
    /// By number.
    pub stages: Vec<StagePlan>,
    /// Between the stages.
    pub edges: Vec<EdgePlan>,
}

impl Plan {
    /// True if it must see its whole input again when it starts again: some operator remembers what
    /// it has seen, or some sink gathers it, and neither is checkpointed yet.
    pub fn starts_over(&self) -> bool {
        self.operators
            .iter()
            .any(|operator| !operator.states.is_empty())
            || self.stages.iter().any(|stage| stage.needs_whole_input)
    }

    /// How many key groups keyed state is dealt into behind an exchange.
    pub const KEY_GROUPS: u32 = MIN_SLOTS;
}

/// Everything that is wrong with a pipeline.
#[derive(Debug, thiserror::Error)]
#[error("pipeline `{pipeline}` cannot be built: {}", .problems.join("; "))]
pub struct BuildError {
    /// The pipeline.
    pub pipeline: String,
    /// What is wrong, a sentence each.
    pub problems: Vec<String>,
}

/// The graph that a program draws.
#[derive(Clone, Debug)]
pub struct Graph {
    inner: Rc<RefCell<Drawing>>,
}

#[derive(Debug)]
struct Drawing {
    pipeline: String,
    operators: Vec<OperatorPlan>,
    /// Side outputs that operators declared, by operator.
    sides: Vec<(u32, SidePlan)>,
    stages: Vec<StagePlan>,
    edges: Vec<EdgePlan>,
    problems: Vec<String>,
}

impl Graph {
    /// An empty graph of this pipeline.
    pub fn new(pipeline: &str) -> Self {
        let drawing = Drawing {
            pipeline: pipeline.to_owned(),
            operators: Vec::new(),
            sides: Vec::new(),
            stages: Vec::new(),
            edges: Vec::new(),
            problems: Vec::new(),
        };
        Self {
            inner: Rc::new(RefCell::new(drawing)),
        }
    }

    /// Opens a stage.
    pub(crate) fn stage(&self, name: &str, grouping: Grouping) -> StageId {
        let mut drawing = self.inner.borrow_mut();
        drawing.stages.push(StagePlan {
            name: name.to_owned(),
            operators: Vec::new(),
            source: None,
            grouping,
            needs_whole_input: false,
            open: None,
        });
        drawing.stages.len() - 1
    }

    pub(crate) fn change_stage(&self, stage: StageId, change: impl FnOnce(&mut StagePlan)) {
        change(&mut self.inner.borrow_mut().stages[stage]);
    }

    /// Closes a stage: it can be opened like this.
    pub(crate) fn close(
        &self,
        stage: StageId,
        open: impl FnMut(&mut StageOpening) -> Result<Box<dyn Stage>, BoxError> + Send + 'static,
    ) {
        self.change_stage(stage, |plan| plan.open = Some(Arc::new(Mutex::new(open))));
    }

    pub(crate) fn edge(&self, from: StageId, port: Port, to: StageId, exchange: Exchange) {
        self.inner.borrow_mut().edges.push(EdgePlan {
            from,
            port,
            to,
            exchange,
        });
    }

    /// Adds an operator to a stage, asking a clone of it what it declares.
    pub(crate) fn operator<T, K: Key, O: Operator<T, K>>(
        &self,
        stage: StageId,
        name: &str,
        operator: &O,
    ) -> u32 {
        let mut operator = operator.clone();
        self.add_operator(stage, name, |open| operator.open(open))
    }

    /// Adds an operator that declares its state like this.
    pub(crate) fn add_operator(
        &self,
        stage: StageId,
        name: &str,
        declare: impl FnOnce(&mut Open<'_>) -> Result<(), BoxError>,
    ) -> u32 {
        let mut drawing = self.inner.borrow_mut();
        let mut sides = SideOutputs::Planned(Vec::new());
        let name = drawing.free_name(name);
        let mut open = Open::new(&name, drawing.stages[stage].grouping, &mut sides);
        let result = declare(&mut open);
        let (states, problems) = open.done();
        let id = u32::try_from(drawing.operators.len()).expect("a pipeline has few operators");
        drawing
            .problems
            .extend(problems.into_iter().map(|what| format!("`{name}`: {what}")));
        if let Err(error) = result {
            drawing
                .problems
                .push(format!("`{name}` cannot be opened: {error}"));
        }
        if let SideOutputs::Planned(plans) = sides {
            drawing
                .sides
                .extend(plans.into_iter().map(|plan| (id, plan)));
        }
        drawing.operators.push(OperatorPlan {
            name,
            named: false,
            states,
            counts: Arc::new(OperatorCounts::default()),
        });
        drawing.stages[stage].operators.push(id);
        id
    }

    /// Gives an operator the name under which its state is found again.
    pub(crate) fn name(&self, operator: Option<u32>, name: &str) {
        let mut drawing = self.inner.borrow_mut();
        let taken = drawing
            .operators
            .iter()
            .any(|other| other.named && other.name == name);
        match operator {
            None => drawing.problem(format!(
                "`.named(\"{name}\")` names the operator before it, and there is none"
            )),
            Some(_) if taken => drawing.problem(format!(
                "two operators are named `{name}`: give each its own name"
            )),
            Some(operator) => {
                let plan = &mut drawing.operators[operator as usize];
                name.clone_into(&mut plan.name);
                plan.named = true;
            }
        }
    }

    pub(crate) fn problem(&self, what: String) {
        self.inner.borrow_mut().problem(what);
    }

    /// What the operators are called and have counted, to show and to test.
    pub(crate) fn has_side(&self, operator: u32, side: &SidePlan) -> bool {
        self.inner.borrow().sides.contains(&(operator, *side))
    }

    /// The plan, if every stream leads to a sink.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn plan(&self, names: StateNames) -> Result<Plan, BuildError> {
        let drawing = self.inner.borrow();
        let mut problems = drawing.problems.clone();
        problems.extend(drawing.dangling());
        if names == StateNames::Needed {
            problems.extend(drawing.unnamed());
        }
        if drawing.stages.is_empty() {
            problems.push("it has no source: begin with `pipeline.source(..)`".to_owned());
        }
        if !problems.is_empty() {
            return Err(BuildError {
                pipeline: drawing.pipeline.clone(),
                problems,
            });
        }
        Ok(Plan {
            operators: drawing.operators.clone().into(),
            stages: drawing.stages.clone(),
            edges: drawing.edges.clone(),
        })
    }
}

impl Drawing {
    fn problem(&mut self, what: String) {
        self.problems.push(what);
    }

    /// The name, or the name with a number where it is taken.
    fn free_name(&self, name: &str) -> String {
        let taken = |name: &str| self.operators.iter().any(|operator| operator.name == name);
        let mut numbered = name.to_owned();
        let mut number = 1;
        while taken(&numbered) {
            number += 1;
            numbered = format!("{name}-{number}");
        }
        numbered
    }

    fn dangling(&self) -> Vec<String> {
        let open = self.stages.iter().filter(|stage| stage.open.is_none());
        let streams = open.map(|stage| {
            let last = stage
                .operators
                .last()
                .map(|id| &self.operators[*id as usize].name);
            let name = last.unwrap_or(&stage.name);
            format!("the stream after `{name}` reaches no sink: end it with `.sink(..)`")
        });
        let taken = |operator: u32, name: &'static str| {
            self.edges
                .iter()
                .any(|edge| edge.port == Port::Side(operator, name))
        };
        let sides = self
            .sides
            .iter()
            .filter(|(of, plan)| !taken(*of, plan.name))
            .map(|(of, plan)| {
                let (operator, side) = (&self.operators[*of as usize].name, plan.name);
                format!(
                    "side output `{side}` of `{operator}` reaches no sink: take it with `.side(..)`"
                )
            });
        streams.chain(sides).collect()
    }

    fn unnamed(&self) -> Vec<String> {
        let stateful = self
            .operators
            .iter()
            .filter(|op| !op.states.is_empty() && !op.named);
        let say = |operator: &OperatorPlan| {
            let (name, states) = (&operator.name, operator.states.join("`, `"));
            format!(
                "`{name}` keeps state (`{states}`) and has no name to find it by after a restart: \
                 add `.named(\"..\")` behind it"
            )
        };
        stateful.map(say).collect()
    }
}
