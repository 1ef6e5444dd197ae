//! What a program holds while it draws: a stream, with or without keys.

use std::{fmt, sync::Arc, sync::Mutex, time::Duration};

use crate::{
    BoxError, Data, Operator, Side, Source, Timestamp,
    chain::{Applied, Chain, Push, Start},
    event_time::Timed,
    graph::{Exchange, Graph, Grouping, Port, SourcePlan, StageId, StageOpening},
    key::Key,
    node::SidePlan,
    output::{Output, Rekey, Unkey, Wiring},
    sink::{Sink, SinkContext, SinkLayout},
    source::SourceContext,
    stage::{
        BatchCall, CallOrder, CallStage, Calls, EachCall, Fused, SinkStage, SourceCopy,
        SourceStage, Stage, keyed, unkeyed,
    },
};

/// Opens the splits that a copy reads.
type OpenSplits<T> = Arc<dyn Fn(&StageOpening) -> Result<SourceCopy<T>, BoxError> + Send + Sync>;

/// Puts async calls in front of a line.
type OpenCalls<T, K> =
    Arc<dyn Fn(Box<dyn Push<T, K>>, &StageOpening) -> Box<dyn Stage> + Send + Sync>;

/// What stands before the line of an open stage.
enum Entry<T, K: Key> {
    Edges,
    Source(
        OpenSplits<T>,
        Arc<dyn Fn() -> crate::stage::Keying<T, K> + Send + Sync>,
    ),
    Calls(OpenCalls<T, K>),
}

/// The open stage of a stream.
struct Open<T, K: Key> {
    graph: Graph,
    stage: StageId,
    entry: Entry<T, K>,
    /// The operator that was added last.
    last: Option<u32>,
}

impl<T: 'static, K: Key> Open<T, K> {
    /// A stage that one output of another feeds.
    fn behind(graph: &Graph, from: (StageId, Port), name: &str, exchange: Exchange) -> Self {
        let grouping = match exchange {
            Exchange::ByKey => Grouping::Keyed,
            Exchange::Forward | Exchange::ByPartition(_) | Exchange::Single => Grouping::Plain,
        };
        let stage = graph.stage(name, grouping);
        graph.edge(from.0, from.1, stage, exchange);
        Self {
            graph: graph.clone(),
            stage,
            entry: Entry::Edges,
            last: None,
        }
    }
}

impl<T: Send + 'static, K: Key> Open<T, K> {
    /// Closes the stage with this line and end.
    fn close<C, P>(self, chain: C, end: impl Fn(Wiring) -> P + Send + 'static) -> (Graph, StageId)
    where
        C: Chain<K, In = T>,
        P: Push<C::Out, K>,
    {
        let Self {
            graph,
            stage,
            entry,
            ..
        } = self;
        graph.close(stage, move |opening| {
            let main = opening
                .main
                .take()
                .expect("a stage that is no sink has an output");
            let line = chain.clone().fuse(end(main), &mut opening.opening);
            Ok(match &entry {
                Entry::Edges => Box::new(Fused::new(line, opening.edges)),
                Entry::Source(open, keying) => {
                    let splits = open(opening)?;
                    Box::new(SourceStage::new(line, splits, keying(), opening))
                }
                Entry::Calls(open) => open(Box::new(line), opening),
            })
        });
        (graph, stage)
    }
}

/// Records without keys.
///
/// A stream does nothing by itself: it says what is to be done, and [`sink`](Self::sink) ends it.
#[must_use = "a stream does nothing until it reaches a sink: end it with `.sink(..)`"]
pub struct Stream<T: 'static, C: Chain<(), Out = T> = Start<T>> {
    open: Open<C::In, ()>,
    chain: C,
}

/// Records with keys: order is kept, and state is held, per key.
#[must_use = "a stream does nothing until it reaches a sink: end it with `.sink(..)`"]
pub struct KeyedStream<K: Key, T: 'static, C: Chain<K, Out = T> = Start<T>> {
    open: Open<C::In, K>,
    chain: C,
}

impl<T: 'static, C: Chain<(), Out = T>> fmt::Debug for Stream<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("stage", &self.open.stage)
            .finish_non_exhaustive()
    }
}

impl<K: Key, T: 'static, C: Chain<K, Out = T>> fmt::Debug for KeyedStream<K, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedStream")
            .field("stage", &self.open.stage)
            .finish_non_exhaustive()
    }
}

/// What plain and keyed streams have in common: operators are applied to them.
///
/// The operators of `levada-operators` are traits on top of this one, and so can yours be.
pub trait Dataflow: Sized {
    /// What the stream carries.
    type Item: 'static;
    /// What it is grouped by: `()` on a plain stream.
    type Key: Key;
    /// The stream after an operator.
    type Applied<O: Operator<Self::Item, Self::Key>>: Dataflow<Item = O::Out, Key = Self::Key>;

    /// Applies an operator. Its name is what metrics and errors call it.
    fn apply<O: Operator<Self::Item, Self::Key>>(self, name: &str, operator: O)
    -> Self::Applied<O>;

    /// Takes a second output of the last operator, by the handle that it declares.
    fn side<S: Data>(&self, side: &Side<S>) -> Stream<S>;

    /// Names the last operator: its state is found by this name after a restart.
    fn named(self, name: &str) -> Self;
}

/// A stream whose records have keys, so that there is state for each.
///
/// An operator that works per key asks for it, so that the compiler can say what is missing.
///
/// # Examples
///
/// ```
/// use levada_core::{Dataflow, Keyed, Operator};
///
/// trait PerKey: Dataflow {
///     /// Applies an operator that makes no sense without keys.
///     fn per_key<O>(self, operator: O) -> Self::Applied<O>
///     where
///         Self: Keyed,
///         O: Operator<Self::Item, Self::Key>,
///     {
///         self.apply("per_key", operator)
///     }
/// }
///
/// impl<D: Dataflow> PerKey for D {}
/// ```
#[diagnostic::on_unimplemented(
    message = "this stream has no keys: call `.key_by(..)` first",
    label = "works per key"
)]
pub trait Keyed: Dataflow {}

impl<K: Key, T: 'static, C: Chain<K, Out = T>> Keyed for KeyedStream<K, T, C> {}

/// A stream whose last step is an operator that can still be adjusted.
pub trait Adjust<O>: Sized {
    /// Changes the last operator, before anything runs.
    fn adjust(self, change: impl FnOnce(&mut O)) -> Self;
}

impl<T: 'static, C: Chain<()>, O: Operator<C::Out, Out = T>> Adjust<O>
    for Stream<T, Applied<C, O>>
{
    fn adjust(mut self, change: impl FnOnce(&mut O)) -> Self {
        change(&mut self.chain.operator);
        self
    }
}

impl<K: Key, T: 'static, C: Chain<K>, O: Operator<C::Out, K, Out = T>> Adjust<O>
    for KeyedStream<K, T, Applied<C, O>>
{
    fn adjust(mut self, change: impl FnOnce(&mut O)) -> Self {
        change(&mut self.chain.operator);
        self
    }
}

fn side_of<I: 'static, K: Key, S: Data>(open: &Open<I, K>, side: &Side<S>) -> Stream<S> {
    let plan = SidePlan {
        name: side.name(),
        of: std::any::TypeId::of::<S>(),
    };
    let name = side.name();
    let operator = open
        .last
        .filter(|operator| open.graph.has_side(*operator, &plan));
    if operator.is_none() {
        open.graph.problem(format!(
            "the operator before `.side(..)` has no side output `{name}`"
        ));
    }
    let port = Port::Side(operator.unwrap_or(u32::MAX), name);
    let open = Open::behind(&open.graph, (open.stage, port), name, Exchange::Forward);
    Stream {
        open,
        chain: Start::new(),
    }
}

impl<T: 'static, C: Chain<(), Out = T>> Dataflow for Stream<T, C> {
    type Item = T;
    type Key = ();
    type Applied<O: Operator<T>> = Stream<O::Out, Applied<C, O>>;

    fn apply<O: Operator<T>>(mut self, name: &str, operator: O) -> Self::Applied<O> {
        let id = self
            .open
            .graph
            .operator::<T, (), O>(self.open.stage, name, &operator);
        self.open.last = Some(id);
        Stream {
            open: self.open,
            chain: Applied {
                chain: self.chain,
                operator,
                id,
            },
        }
    }

    fn side<S: Data>(&self, side: &Side<S>) -> Stream<S> {
        side_of(&self.open, side)
    }

    fn named(self, name: &str) -> Self {
        self.open.graph.name(self.open.last, name);
        self
    }
}

impl<K: Key, T: 'static, C: Chain<K, Out = T>> Dataflow for KeyedStream<K, T, C> {
    type Item = T;
    type Key = K;
    type Applied<O: Operator<T, K>> = KeyedStream<K, O::Out, Applied<C, O>>;

    fn apply<O: Operator<T, K>>(mut self, name: &str, operator: O) -> Self::Applied<O> {
        let id = self
            .open
            .graph
            .operator::<T, K, O>(self.open.stage, name, &operator);
        self.open.last = Some(id);
        KeyedStream {
            open: self.open,
            chain: Applied {
                chain: self.chain,
                operator,
                id,
            },
        }
    }

    fn side<S: Data>(&self, side: &Side<S>) -> Stream<S> {
        side_of(&self.open, side)
    }

    fn named(self, name: &str) -> Self {
        self.open.graph.name(self.open.last, name);
        self
    }
}

impl<T: Data> Stream<T> {
    /// Draws a source into a graph.
    pub fn from_source<S: Source<Item = T>>(graph: &Graph, name: &str, source: S) -> Self {
        let stage = graph.stage(name, Grouping::Plain);
        let source = Arc::new(Mutex::new(source));
        let (splits, subscribes) = (Arc::clone(&source), Arc::clone(&source));
        let plan = SourcePlan {
            splits: Arc::new(Mutex::new(move || lock(&splits).splits())),
            subscribes: Arc::new(Mutex::new(move |cx: &SourceContext| {
                lock(&subscribes).subscription(cx)
            })),
            topic_keys: false,
        };
        graph.change_stage(stage, |stage| stage.source = Some(plan));
        let open: OpenSplits<T> = Arc::new(move |opening| {
            let source = lock(&source);
            let own = opening.opening.splits.iter();
            own.map(|split| {
                let number = *split - opening.first_split;
                Ok((*split, source.open(number, &opening.source)?))
            })
            .collect()
        });
        let entry = Entry::Source(open, Arc::new(unkeyed));
        let open = Open {
            graph: graph.clone(),
            stage,
            entry,
            last: None,
        };
        Self {
            open,
            chain: Start::new(),
        }
    }

    /// Groups by the key that the topic was written with: no exchange is needed.
    ///
    /// Only directly behind a topic that was written by key. The key that `key` gives is compared
    /// with the one that each record was written under, and a difference stops the pipeline.
    pub fn keyed<K: Key>(
        self,
        key: impl Fn(&T) -> K + Clone + Send + Sync + 'static,
    ) -> KeyedStream<K, T> {
        let Open {
            graph,
            stage,
            entry,
            ..
        } = self.open;
        let Entry::Source(open, _) = entry else {
            graph.problem(
                "`.keyed(..)` stands only directly behind a topic: use `.key_by(..)`".into(),
            );
            return Self {
                open: Open {
                    graph,
                    stage,
                    entry,
                    last: None,
                },
                chain: Start::new(),
            }
            .key_by(key);
        };
        graph.change_stage(stage, |plan| {
            plan.grouping = Grouping::Keyed;
            if let Some(source) = &mut plan.source {
                source.topic_keys = true;
            }
        });
        let entry = Entry::Source(open, Arc::new(move || keyed(key.clone())));
        KeyedStream {
            open: Open {
                graph,
                stage,
                entry,
                last: None,
            },
            chain: Start::new(),
        }
    }
}

impl<T: Data, C: Chain<(), Out = T>> Stream<T, C>
where
    C::In: Send,
{
    /// Groups by a key: records move to the copy that owns it.
    ///
    /// Panics are none of its own; a key that holds a float or a map stops the pipeline with an
    /// error at the first record.
    pub fn key_by<K: Key>(
        self,
        key: impl Fn(&T) -> K + Clone + Send + 'static,
    ) -> KeyedStream<K, T> {
        let end = move |wiring| Rekey::new(key.clone(), Output::<T, K>::new(wiring));
        let (graph, stage) = self.open.close(self.chain, end);
        let open = Open::behind(&graph, (stage, Port::Main), "key_by", Exchange::ByKey);
        KeyedStream {
            open,
            chain: Start::new(),
        }
    }

    /// Reads event time from each record; no record is expected more than `max_lateness` behind
    /// the latest of its split.
    pub fn event_time<F>(self, max_lateness: Duration, time: F) -> Stream<T, Timed<C, F>>
    where
        F: Fn(&T) -> Timestamp + Clone + Send + 'static,
    {
        Stream {
            open: self.open,
            chain: Timed {
                chain: self.chain,
                time,
                max_lateness,
            },
        }
    }

    /// Forgets the chain, so that a helper can take a plain `Stream<T>`: one more stage from here.
    pub fn boxed(self) -> Stream<T> {
        let (graph, stage) = self.open.close(self.chain, Output::<T, ()>::new);
        let open = Open::behind(&graph, (stage, Port::Main), "boxed", Exchange::Forward);
        Stream {
            open,
            chain: Start::new(),
        }
    }

    /// Puts this stream and another together, in the order of arrival.
    pub fn merge<D: Chain<(), Out = T>>(self, other: Stream<T, D>) -> Stream<T>
    where
        D::In: Send,
    {
        let merged = self.boxed();
        let (graph, stage) = other.open.close(other.chain, Output::<T, ()>::new);
        graph.edge(stage, Port::Main, merged.open.stage, Exchange::Forward);
        merged
    }

    /// Makes an async call for each record: at most so many at once, results in input order
    /// unless [`Calls::unordered`].
    pub fn map_async<U, F, Fut>(self, name: &str, calls: Calls, call: F) -> Stream<U>
    where
        U: 'static,
        F: Fn(T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = U> + 'static,
    {
        let (graph, stage) = self.open.close(self.chain, Output::<T, ()>::new);
        let order = calls.order(CallOrder::Input);
        let behind = (stage, Port::Main);
        let make = move || EachCall::<T, (), F>::new(call.clone(), order);
        let open = calls_behind::<T, (), _>(&graph, behind, name, calls, order, make);
        Stream {
            open,
            chain: Start::new(),
        }
    }

    /// Makes an async call for up to `max` records together: as many as have come when a slot is
    /// free, once there are `max` or the first has waited for `wait`.
    pub fn batch_async<U, F, Fut>(
        self,
        name: &str,
        (max, wait): (usize, Duration),
        calls: Calls,
        call: F,
    ) -> Stream<U>
    where
        U: 'static,
        F: Fn(Vec<T>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = U> + 'static,
    {
        let (graph, stage) = self.open.close(self.chain, Output::<T, ()>::new);
        let behind = (stage, Port::Main);
        let make = move || BatchCall::<T, (), F>::new(call.clone(), max, wait);
        let open =
            calls_behind::<T, (), _>(&graph, behind, name, calls, CallOrder::Unordered, make);
        Stream {
            open,
            chain: Start::new(),
        }
    }

    /// Ends the stream.
    pub fn sink<S: Sink<T>>(self, sink: S) {
        let (graph, stage) = self.open.close(self.chain, Output::<T, ()>::new);
        sink_behind(&graph, stage, sink, Grouping::Plain);
    }
}

impl<K: Key, T: Data, C: Chain<K, Out = T>> KeyedStream<K, T, C>
where
    C::In: Send,
{
    /// Groups by another key.
    pub fn key_by<L: Key>(
        self,
        key: impl Fn(&T) -> L + Clone + Send + 'static,
    ) -> KeyedStream<L, T> {
        let end = move |wiring| Rekey::new(key.clone(), Output::<T, L>::new(wiring));
        let (graph, stage) = self.open.close(self.chain, end);
        let open = Open::behind(&graph, (stage, Port::Main), "key_by", Exchange::ByKey);
        KeyedStream {
            open,
            chain: Start::new(),
        }
    }

    /// Drops the keys.
    pub fn values(self) -> Stream<T> {
        let end = |wiring| Unkey::new(Output::<T, ()>::new(wiring));
        let (graph, stage) = self.open.close(self.chain, end);
        let open = Open::behind(&graph, (stage, Port::Main), "values", Exchange::Forward);
        Stream {
            open,
            chain: Start::new(),
        }
    }

    /// Puts this stream and another of the same keys together: per key in the order of arrival.
    pub fn merge<D: Chain<K, Out = T>>(self, other: KeyedStream<K, T, D>) -> KeyedStream<K, T>
    where
        D::In: Send,
    {
        let (graph, stage) = self.open.close(self.chain, Output::<T, K>::new);
        let open = Open::behind(&graph, (stage, Port::Main), "merge", Exchange::ByKey);
        let (graph, stage) = other.open.close(other.chain, Output::<T, K>::new);
        graph.edge(stage, Port::Main, open.stage, Exchange::ByKey);
        KeyedStream {
            open,
            chain: Start::new(),
        }
    }

    /// Makes an async call for each record: at most so many at once in a copy, and one at a time
    /// per key, so that results keep its order, unless [`Calls::unordered`].
    pub fn map_async<U, F, Fut>(self, name: &str, calls: Calls, call: F) -> KeyedStream<K, U>
    where
        K: Unpin,
        U: 'static,
        F: Fn(T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = U> + 'static,
    {
        let (graph, stage) = self.open.close(self.chain, Output::<T, K>::new);
        let order = calls.order(CallOrder::PerKey);
        let behind = (stage, Port::Main);
        let make = move || EachCall::<T, K, F>::new(call.clone(), order);
        let mut open = calls_behind::<T, K, _>(&graph, behind, name, calls, order, make);
        graph.change_stage(open.stage, |plan| plan.grouping = Grouping::Keyed);
        open.graph = graph;
        KeyedStream {
            open,
            chain: Start::new(),
        }
    }

    /// Makes an async call for up to `max` records together, of whatever keys: as many as have
    /// come when a slot is free, once there are `max` or the first has waited for `wait`.
    pub fn batch_async<U, F, Fut>(
        self,
        name: &str,
        limits: (usize, Duration),
        calls: Calls,
        call: F,
    ) -> Stream<U>
    where
        U: 'static,
        F: Fn(Vec<T>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = U> + 'static,
    {
        self.values().batch_async(name, limits, calls, call)
    }

    /// Ends the stream.
    pub fn sink<S: Sink<T, K>>(self, sink: S) {
        let (graph, stage) = self.open.close(self.chain, Output::<T, K>::new);
        sink_behind(&graph, stage, sink, Grouping::Keyed);
    }
}

fn calls_behind<T: Data, K: Key, C>(
    graph: &Graph,
    from: (StageId, Port),
    name: &str,
    calls: Calls,
    order: CallOrder,
    make: impl Fn() -> C + Send + Sync + 'static,
) -> Open<C::Out, C::OutKey>
where
    C: crate::stage::Caller<T, K>,
    C::OutKey: Unpin,
{
    let mut open = Open::behind(graph, from, name, Exchange::Forward);
    let id = graph.add_operator(open.stage, name, |_| Ok(()));
    open.last = Some(id);
    open.entry = Entry::Calls(Arc::new(move |line, opening| {
        let counts = Arc::clone(&opening.opening.operators[id as usize].counts);
        let operator = (id, counts);
        let edges = opening.edges;
        Box::new(CallStage::<T, K, C>::new(
            operator,
            calls,
            order,
            make(),
            line,
            edges,
        ))
    }));
    open
}

fn sink_behind<T: Data, K: Key, S: Sink<T, K>>(
    graph: &Graph,
    from: StageId,
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
        let writer = sink.open(&SinkContext {
            copy: opening.opening.copy,
            copies: opening.copies,
            grouping,
            clock: opening.clock(),
            spawner: opening.spawner(),
        })?;
        let counts = Arc::clone(&opening.opening.operators[id as usize].counts);
        Ok(Box::new(SinkStage::<T, K, S::Writer>::new(
            id,
            writer,
            opening.edges,
            counts,
        )))
    });
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
