//! The open stage that a stream ends in, without the types of what it carries.

use std::any::TypeId;

use super::{Start, Stream};
use crate::{
    BoxError, Data, Operator, Side,
    chain::{Chain, Push},
    graph::{CallsPer, Exchange, Graph, Grouping, Port, StageId, StageOpening},
    key::Key,
    node::SidePlan,
    output::Wiring,
    sink::{Sink, SinkContext, SinkLayout},
    stage::{SinkStage, Stage},
};

/// The open stage that a stream ends in.
pub(super) struct Tip {
    pub(super) graph: Graph,
    pub(super) stage: StageId,
    /// The operator that was added last.
    pub(super) last: Option<u32>,
}

impl Tip {
    pub(super) fn new(graph: &Graph, name: &str, grouping: Grouping) -> Self {
        Self {
            stage: graph.stage(name, grouping),
            graph: graph.clone(),
            last: None,
        }
    }

    /// A stage that one output of another feeds.
    pub(super) fn behind(
        graph: &Graph,
        from: (StageId, Port),
        name: &str,
        exchange: Exchange,
    ) -> Self {
        let grouping = match exchange {
            Exchange::ByKey => Grouping::Keyed,
            Exchange::Forward | Exchange::ByPartition(_) | Exchange::Single => Grouping::Plain,
        };
        let tip = Self::new(graph, name, grouping);
        graph.edge(from.0, from.1, tip.stage, exchange);
        tip
    }

    /// A stage of async calls behind another, with the number of its operator.
    pub(super) fn calls(
        (graph, from): (Graph, StageId),
        name: &str,
        grouping: Grouping,
        per: CallsPer,
    ) -> (Self, u32) {
        let mut tip = Self::new(&graph, name, grouping);
        graph.change_stage(tip.stage, |plan| plan.calls = Some(per));
        graph.edge(from, Port::Main, tip.stage, Exchange::Forward);
        let id = graph.add_operator(tip.stage, name, |_| Ok(()));
        tip.last = Some(id);
        (tip, id)
    }

    pub(super) fn apply<T, K: Key, O: Operator<T, K>>(
        self,
        name: &str,
        operator: &O,
    ) -> (Self, u32) {
        let id = self.graph.operator::<T, K, O>(self.stage, name, operator);
        let last = Some(id);
        (Self { last, ..self }, id)
    }

    pub(super) fn named(&self, name: &str) {
        self.graph.name(self.last, name);
    }

    pub(super) fn side<S: Data>(&self, side: &Side<S>) -> Stream<S> {
        let name = side.name();
        let plan = SidePlan {
            name,
            of: TypeId::of::<S>(),
        };
        let operator = self
            .last
            .filter(|operator| self.graph.has_side(*operator, &plan));
        if operator.is_none() {
            self.graph.problem(format!(
                "the operator before `.side(..)` has no side output `{name}`"
            ));
        }
        let port = Port::Side(operator.unwrap_or(u32::MAX), name);
        let from = (self.stage, port);
        let tip = Self::behind(&self.graph, from, name, Exchange::Forward);
        Stream::new(tip, Start::edges())
    }

    /// Closes the stage with this line and end.
    pub(super) fn close<K, C, P>(
        self,
        chain: C,
        end: impl Fn(Wiring) -> P + Send + 'static,
    ) -> (Graph, StageId)
    where
        K: Key,
        C: Chain<K>,
        P: Push<C::Out, K>,
    {
        self.graph.close(self.stage, move |opening| {
            let main = opening
                .main
                .take()
                .expect("a stage that is no sink has an output");
            chain.fuse(end(main), opening)
        });
        (self.graph, self.stage)
    }
}

/// Adds the stage of a sink.
pub(super) fn sink_behind<T: Data, K: Key, S: Sink<T, K>>(
    (graph, from): (Graph, StageId),
    sink: S,
    grouping: Grouping,
) {
    let exchange = match sink.layout() {
        SinkLayout::ByPartition(slots) if grouping == Grouping::Keyed => {
            Exchange::ByPartition(slots)
        }
        SinkLayout::PerCopy | SinkLayout::ByPartition(_) => Exchange::Forward,
        SinkLayout::Single => Exchange::Single,
    };
    let name = sink.name();
    let stage = graph.stage(&name, grouping);
    graph.change_stage(stage, |plan| {
        plan.needs_whole_input = sink.needs_whole_input();
    });
    graph.edge(from, Port::Main, stage, exchange);
    let id = graph.add_operator(stage, &name, |_| Ok(()));
    graph.close(stage, move |opening| {
        open_sink::<T, K, S>(&sink, grouping, id, opening)
    });
}

fn open_sink<T: Data, K: Key, S: Sink<T, K>>(
    sink: &S,
    grouping: Grouping,
    id: u32,
    opening: &StageOpening,
) -> Result<Box<dyn Stage>, BoxError> {
    let writer = sink.open(&SinkContext {
        copy: opening.opening.copy,
        copies: opening.copies,
        grouping,
        clock: opening.clock(),
        spawner: opening.spawner(),
    })?;
    let counts = opening.counts(id);
    let stage = SinkStage::<T, K, S::Writer>::new(id, writer, opening.edges, counts);
    Ok(Box::new(stage))
}
