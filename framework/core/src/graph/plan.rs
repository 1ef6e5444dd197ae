//! What comes of a graph: stages that can be opened, and the edges between them.

use std::{
    fmt,
    sync::{Arc, Mutex, atomic::AtomicU64},
};

use crate::{
    BoxError, Clock, Spawner,
    key::{MIN_SLOTS, Slots},
    node::{Opening, OperatorCounts, OperatorPlan},
    output::Wiring,
    source::{SourceContext, Subscription},
    stage::Stage,
};

/// A stage's number within its pipeline.
pub type StageId = usize;

/// Whether records come with a key.
///
/// See [`Stream::key_by`](crate::Stream::key_by), which changes it.
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

    pub(crate) fn counts(&self, operator: u32) -> Arc<OperatorCounts> {
        Arc::clone(&self.opening.operators[operator as usize].counts)
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

/// What an async call is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallsPer {
    /// One record.
    Record,
    /// Many records together.
    Batch,
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
    /// It makes async calls.
    pub calls: Option<CallsPer>,
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
    /// it has seen, some sink gathers it, or some calls are made for results of batches. None of
    /// these is checkpointed yet.
    pub fn starts_over(&self) -> bool {
        self.operators
            .iter()
            .any(|operator| !operator.states.is_empty())
            || self.stages.iter().any(|stage| stage.needs_whole_input)
            || self.holds_batches()
    }

    /// True if calls are made for what comes of batches. While such a call runs, the records of its
    /// batch are in flight; it has the origin of the first alone, and positions cannot say more.
    fn holds_batches(&self) -> bool {
        // Edges lead from earlier stages to later ones.
        let mut is_behind = vec![false; self.stages.len()];
        for edge in &self.edges {
            is_behind[edge.to] |=
                is_behind[edge.from] || self.stages[edge.from].calls == Some(CallsPer::Batch);
        }
        let behind = self.stages.iter().zip(is_behind);
        behind
            .into_iter()
            .any(|(stage, behind)| behind && stage.calls.is_some())
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
