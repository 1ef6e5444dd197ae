//! What a stage takes its records from: edges, async calls, or a source.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Tip;
use crate::{
    BoxError, Data, Source,
    chain::{Chain, Push},
    graph::{Graph, Grouping, SourcePlan, StageOpening},
    key::Key,
    source::SourceContext,
    stage::{CallOrder, CallStage, Caller, Calls, Fused, Keying, NoKey, SourceStage, Stage},
};

/// Puts async calls in front of a line.
type OpenCalls<T, K> =
    Arc<dyn Fn(Box<dyn Push<T, K>>, &StageOpening) -> Box<dyn Stage> + Send + Sync>;

/// The beginning of a chain behind other stages: records come in over edges, or as the results of
/// async calls. A stream that has no operator since is a plain `Stream<T>`.
///
/// See [`Stream::boxed`](crate::Stream::boxed).
pub struct Start<T, K: Key = ()> {
    calls: Option<OpenCalls<T, K>>,
}

impl<T, K: Key> fmt::Debug for Start<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Start")
    }
}

impl<T: 'static, K: Key> Start<T, K> {
    /// Records come in over edges.
    pub(super) fn edges() -> Self {
        Self { calls: None }
    }

    /// Records are what this operator's calls result in.
    pub(super) fn calls<I, J, C>(
        id: u32,
        calls: Calls,
        order: CallOrder,
        caller: impl Fn() -> C + Send + Sync + 'static,
    ) -> Self
    where
        I: Data,
        J: Key,
        C: Caller<I, J, Out = T, OutKey = K>,
        K: Unpin,
    {
        let open: OpenCalls<T, K> = Arc::new(move |line, opening| {
            let operator = (id, opening.counts(id));
            let edges = opening.edges;
            Box::new(CallStage::<I, J, C>::new(
                operator,
                calls,
                order,
                caller(),
                line,
                edges,
            ))
        });
        Self { calls: Some(open) }
    }
}

impl<T: Send + 'static, K: Key> Chain<K> for Start<T, K> {
    type Out = T;

    fn fuse<P: Push<T, K>>(
        &self,
        next: P,
        opening: &mut StageOpening,
    ) -> Result<Box<dyn Stage>, BoxError> {
        Ok(match &self.calls {
            None => Box::new(Fused::new(next, opening.edges)),
            Some(open) => open(Box::new(next), opening),
        })
    }
}

/// The beginning of a chain behind a source: its reader is compiled together with the operators
/// that follow. A helper that takes a plain `Stream<T>` is given one by
/// [`boxed`](crate::Stream::boxed).
pub struct FromSource<S, Y = NoKey> {
    source: Arc<Mutex<S>>,
    keying: Y,
}

impl<S, Y> fmt::Debug for FromSource<S, Y> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromSource")
    }
}

impl<S: Source> FromSource<S> {
    /// Draws a source into a graph.
    pub(super) fn draw(graph: &Graph, name: &str, source: S) -> (Tip, Self) {
        let tip = Tip::new(graph, name, Grouping::Plain);
        let source = Arc::new(Mutex::new(source));
        let (splits, subscribes) = (Arc::clone(&source), Arc::clone(&source));
        let plan = SourcePlan {
            splits: Arc::new(Mutex::new(move || lock(&splits).splits())),
            subscribes: Arc::new(Mutex::new(move |cx: &SourceContext| {
                lock(&subscribes).subscription(cx)
            })),
            topic_keys: false,
        };
        graph.change_stage(tip.stage, |stage| stage.source = Some(plan));
        let keying = NoKey;
        (tip, Self { source, keying })
    }

    /// The same source, with the keys that it has routed its records by.
    pub(super) fn keyed<Y>(self, tip: &Tip, keying: Y) -> FromSource<S, Y> {
        tip.graph.change_stage(tip.stage, |plan| {
            plan.grouping = Grouping::Keyed;
            if let Some(source) = &mut plan.source {
                source.topic_keys = true;
            }
        });
        FromSource {
            source: self.source,
            keying,
        }
    }
}

impl<S, K, Y> Chain<K> for FromSource<S, Y>
where
    S: Source,
    K: Key,
    Y: Keying<S::Item, K>,
{
    type Out = S::Item;

    fn fuse<P: Push<S::Item, K>>(
        &self,
        next: P,
        opening: &mut StageOpening,
    ) -> Result<Box<dyn Stage>, BoxError> {
        let source = lock(&self.source);
        let mut readers = Vec::new();
        for split in &opening.opening.splits {
            let number = *split - opening.first_split;
            readers.push((*split, source.open(number, &opening.source)?));
        }
        let keying = self.keying.clone();
        Ok(Box::new(SourceStage::new(next, readers, keying, opening)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
