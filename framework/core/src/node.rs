//! A node: an operator's place in a running stage, with its state, side outputs and counts.
//!
//! Programs see the counts; the rest is the engine's.
//!
//! # Examples
//!
//! ```
//! use std::sync::{Arc, atomic::Ordering};
//!
//! use levada::prelude::*;
//!
//! let pipeline = Pipeline::new("numbers");
//! let (numbers, others) = pipeline
//!     .source(iter(["1", "two", "3"].map(str::to_owned)))
//!     .try_map(|text| text.parse::<u32>());
//! numbers.named("parse").sink(discard());
//! others.sink(discard());
//! let running = pipeline.start()?;
//! let progress = Arc::clone(running.progress());
//! running.wait()?;
//! let parse = &progress.operators()[0];
//! assert!(parse.named && parse.name == "parse");
//! assert_eq!(parse.counts.records_in.load(Ordering::Relaxed), 3);
//! assert_eq!(parse.counts.records_out.load(Ordering::Relaxed), 2);
//! # Ok::<(), Error>(())
//! ```

use std::{
    any::{Any, TypeId},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    BoxError, Data, Fault, Open, Seed,
    chain::{Control, Run},
    graph::Grouping,
    key::Key,
    output::{AnyOutput, Output, Wiring},
    record::{Head, Origin},
    state::NodeState,
};

/// What an operator has done, as others may read it at any time.
#[derive(Debug, Default)]
pub struct OperatorCounts {
    /// Records taken.
    pub records_in: AtomicU64,
    /// Records put out, side outputs left out.
    pub records_out: AtomicU64,
    /// Errors of no class: faults that are unclassified, a panic of a call, a sink that failed.
    pub errors: AtomicU64,
    /// Faults by their class.
    classed: [AtomicU64; CLASSES.len()],
}

/// The classes of faults beside those of no class, as metrics show them.
const CLASSES: [&str; 4] = ["retryable", "non_retryable", "backoff", "skip"];

impl OperatorCounts {
    /// Its errors by what kind of error they were: an outage is told from records that are bad.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::Ordering;
    ///
    /// use levada_core::node::OperatorCounts;
    ///
    /// let counts = OperatorCounts::default();
    /// counts.errors.fetch_add(2, Ordering::Relaxed);
    /// let errors: Vec<_> = counts.errors_by_reason().filter(|(_, count)| *count > 0).collect();
    /// assert_eq!(errors, [("unclassified", 2)]);
    /// ```
    pub fn errors_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let classed = CLASSES.into_iter().zip(&self.classed);
        [("unclassified", &self.errors)]
            .into_iter()
            .chain(classed)
            .map(|(reason, count)| (reason, count.load(Ordering::Relaxed)))
    }

    fn of(&self, fault: &Fault) -> &AtomicU64 {
        let [retryable, non_retryable, backoff, skip] = &self.classed;
        match fault {
            Fault::Unclassified(_) => &self.errors,
            Fault::Retryable(_) => retryable,
            Fault::NonRetryable(_) => non_retryable,
            Fault::Backoff(_) => backoff,
            Fault::Skip => skip,
        }
    }
}

/// The same, kept by one copy and published now and then: a record costs no atomic operation.
#[derive(Debug, Default)]
pub(crate) struct LocalCounts {
    pub(crate) records_in: u64,
    pub(crate) records_out: u64,
}

/// An operator's place in a line, without the operator.
pub(crate) struct Node<K> {
    pub(crate) id: u32,
    pub(crate) state: NodeState<K>,
    pub(crate) sides: SideOutputs,
    pub(crate) counts: LocalCounts,
    shared: Arc<OperatorCounts>,
    /// The key of records that have none: there only on streams without keys.
    pub(crate) no_key: Option<K>,
}

impl<K> Node<K> {
    pub(crate) fn publish(&mut self) {
        let LocalCounts {
            records_in,
            records_out,
        } = std::mem::take(&mut self.counts);
        self.shared
            .records_in
            .fetch_add(records_in, Ordering::Relaxed);
        self.shared
            .records_out
            .fetch_add(records_out, Ordering::Relaxed);
    }

    #[cold]
    pub(crate) fn refuse(&mut self, fault: Fault, origin: Origin, run: &Run) {
        self.shared.of(&fault).fetch_add(1, Ordering::Relaxed);
        match fault {
            Fault::Skip => {}
            Fault::Unclassified(reason)
            | Fault::Retryable(reason)
            | Fault::NonRetryable(reason)
            | Fault::Backoff(reason) => {
                self.publish();
                run.fail(origin, reason);
            }
        }
    }
}

/// What the graph knows of an operator.
#[derive(Clone, Debug)]
pub struct OperatorPlan {
    /// Its name within the pipeline, as metrics and errors show it.
    pub name: String,
    /// True if the program named it, so that its state can be found again.
    pub named: bool,
    /// The states that it declares.
    pub states: Vec<&'static str>,
    /// What it has done, over all copies.
    pub counts: Arc<OperatorCounts>,
}

/// Everything that a copy of a stage needs to be built.
pub struct Opening {
    /// By operator number.
    pub operators: Arc<[OperatorPlan]>,
    /// This copy, counted from 0.
    pub copy: u32,
    /// Keyed behind an exchange by key, and on a source's own keys.
    pub grouping: Grouping,
    /// How many key groups the stage's state is dealt into.
    pub key_groups: u32,
    /// The splits that this copy reads; empty where it reads no source.
    pub splits: Vec<u32>,
    /// Where the random choices of this pipeline come from.
    pub seed: Seed,
    /// The edges of side outputs, by operator and name.
    pub sides: Vec<((u32, &'static str), Wiring)>,
    /// What went wrong.
    pub problems: Vec<String>,
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("copy", &self.copy)
            .finish_non_exhaustive()
    }
}

impl Opening {
    /// Opens an operator and makes its place.
    pub(crate) fn node<K: Key>(
        &mut self,
        id: u32,
        open: impl FnOnce(&mut Open<'_>) -> Result<(), BoxError>,
    ) -> Node<K> {
        let plan = &self.operators[id as usize];
        let mut wired = Vec::new();
        while let Some(at) = self.sides.iter().position(|((of, _), _)| *of == id) {
            let ((_, name), wiring) = self.sides.swap_remove(at);
            wired.push((name, wiring));
        }
        let mut sides = SideOutputs::Wired {
            wired,
            outputs: Vec::new(),
        };
        let mut opened = Open::new(&plan.name, self.grouping, &mut sides);
        let result = open(&mut opened);
        let (states, problems) = opened.done();
        let name = &plan.name;
        self.problems.extend(
            problems
                .into_iter()
                .map(|what| format!("operator `{name}`: {what}")),
        );
        if let Err(error) = result {
            self.problems
                .push(format!("operator `{name}` could not be opened: {error}"));
        }
        let no_key: Option<&K> = (&() as &dyn Any).downcast_ref();
        Node {
            id,
            state: NodeState::new(self.key_groups, states.len(), self.rng(name)),
            sides,
            counts: LocalCounts::default(),
            shared: Arc::clone(&plan.counts),
            no_key: no_key.filter(|_| self.grouping == Grouping::Plain).cloned(),
        }
    }

    fn rng(&self, operator: &str) -> crate::Rng {
        self.seed.rng(&format!("{operator}/{}", self.copy))
    }
}

/// A side output as its operator declared it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SidePlan {
    pub(crate) name: &'static str,
    pub(crate) of: TypeId,
}

/// The second outputs of a node: while it is planned, and while it runs.
pub(crate) enum SideOutputs {
    Planned(Vec<SidePlan>),
    Wired {
        /// Not claimed yet.
        wired: Vec<(&'static str, Wiring)>,
        /// By the slot of their handle.
        outputs: Vec<Option<Box<dyn AnyOutput>>>,
    },
}

impl fmt::Debug for SideOutputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Planned(_) => "planned side outputs",
            Self::Wired { .. } => "side outputs",
        })
    }
}

impl SideOutputs {
    pub(crate) fn declare<T: Data>(&mut self, name: &'static str) -> u32 {
        let slot = match self {
            Self::Planned(plans) => {
                plans.push(SidePlan {
                    name,
                    of: TypeId::of::<T>(),
                });
                plans.len()
            }
            Self::Wired { wired, outputs } => {
                let mine = wired.iter().position(|(of, _)| *of == name);
                let wiring = mine.map(|at| wired.swap_remove(at).1);
                let output = wiring.map(|wiring| Output::<T, ()>::new(wiring));
                outputs.push(output.map(|output| Box::new(output) as Box<dyn AnyOutput>));
                outputs.len()
            }
        };
        u32::try_from(slot - 1).expect("an operator has a few side outputs")
    }

    pub(crate) fn push<T: Data>(&mut self, slot: u32, value: T, head: &Head, run: &Run) {
        let Self::Wired { outputs, .. } = self else {
            return;
        };
        let output = outputs[slot as usize]
            .as_mut()
            .expect("every side output is wired");
        let output: &mut Output<T, ()> = output
            .as_any_mut()
            .downcast_mut()
            .expect("a handle keeps its type");
        output.put(value, (), &Head { hash: 0, ..*head }, run);
    }

    pub(crate) fn control(&mut self, control: Control, run: &Run) {
        if let Self::Wired { outputs, .. } = self {
            for output in outputs.iter_mut().flatten() {
                // An output that has no room says so to the run, and takes controls all the same.
                output.handle(control, run);
            }
        }
    }
}
