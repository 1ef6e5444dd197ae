//! The graph that a program draws, and the plan that comes of it.
//!
//! A stream under construction owns an open stage; an exchange, a sink or a side output closes it.
//! When the program is done, [`Graph::plan`] names everything that is wrong at once.
//!
//! Programs draw by streams; plans are the engine's.
//!
//! # Examples
//!
//! ```
//! use levada::{
//!     core::graph::{Exchange, Graph, StateNames},
//!     prelude::*,
//! };
//!
//! let graph = Graph::new("sales");
//! let sales = Stream::from_source(&graph, "source", iter(["tea", "jam"].map(str::to_owned)));
//! let counts = sales.filter(|name| name != "jam").key_by(|name| name.clone()).count();
//!
//! let problems = graph.plan(StateNames::Needed).expect_err("it is half drawn").problems;
//! assert!(problems[0].contains("the stream after `count` reaches no sink"), "{problems:?}");
//! assert!(problems[1].contains("`count` keeps state (`count`) and has no name"), "{problems:?}");
//!
//! counts.named("per-article").sink(discard());
//! let plan = graph.plan(StateNames::Needed)?;
//! let stages: Vec<_> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
//! assert_eq!(stages, ["source", "key_by", "discard"]); // `filter` is in the stage of its source.
//! assert_eq!(plan.edges[0].exchange, Exchange::ByKey);
//! assert!(plan.starts_over(), "it keeps state");
//! # Ok::<(), levada::core::graph::BuildError>(())
//! ```

mod plan;

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, Mutex},
};

pub use self::plan::{
    BuildError, CallsPer, EdgePlan, Exchange, Grouping, ListSplits, OpenStage, Plan, Port,
    SourcePlan, StageId, StageOpening, StagePlan, StateNames, Subscribes,
};
use crate::{
    BoxError, Open, Operator,
    key::Key,
    node::{OperatorCounts, OperatorPlan, SideOutputs, SidePlan},
    stage::Stage,
};

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
            calls: None,
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
                // One that has this name by itself makes way, so that metrics tell the two apart.
                let holder = drawing
                    .operators
                    .iter()
                    .position(|other| other.name == name);
                if let Some(holder) = holder.filter(|holder| *holder != operator as usize) {
                    drawing.operators[holder].name = drawing.free_name(name);
                }
                let plan = &mut drawing.operators[operator as usize];
                name.clone_into(&mut plan.name);
                plan.named = true;
            }
        }
    }

    pub(crate) fn problem(&self, what: String) {
        self.inner.borrow_mut().problem(what);
    }

    /// True if the operator has declared this side output.
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
