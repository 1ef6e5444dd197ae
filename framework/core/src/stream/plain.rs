//! What can be done with records that have no keys.

use std::time::Duration;

use super::{FromSource, KeyedStream, Start, Stream, tip::Tip, tip::sink_behind};
use crate::{
    Data, Sink, Source, Timestamp,
    chain::Chain,
    event_time::Timed,
    graph::{CallsPer, Exchange, Graph, Grouping, Port},
    key::Key,
    output::{Output, Rekey},
    stage::{BatchCall, CallOrder, Calls, EachCall, RoutedKey},
};

impl<S: Source> Stream<S::Item, FromSource<S>> {
    /// Draws a source into a graph.
    ///
    /// See [`graph`](crate::graph).
    pub fn from_source(graph: &Graph, name: &str, source: S) -> Self {
        let (tip, chain) = FromSource::draw(graph, name, source);
        Self::new(tip, chain)
    }

    /// Groups by the key that the topic was written with: no exchange is needed.
    ///
    /// Only directly behind a topic that was written by key. The key that `key` gives is compared
    /// with the one that each record was written under, and a difference stops the pipeline.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{prelude::*, sink::Collected};
    ///
    /// let levada = Levada::in_memory();
    /// let words = levada.topic::<String>("words").create()?;
    /// let writing = levada.pipeline("writing");
    /// writing
    ///     .source(iter(["to", "be", "or", "not", "to", "be"].map(str::to_owned)))
    ///     .key_by(|word| word.clone())
    ///     .sink(to_topic(&words).sealing());
    ///
    /// let counting = levada.pipeline("counting");
    /// let counts = Collected::new();
    /// counting
    ///     .source(topic(&words))
    ///     .keyed(|word| word.clone())
    ///     .count()
    ///     .at_end()
    ///     .sink(collect(&counts));
    /// levada.run([writing, counting])?;
    /// let counts = counts.take_sorted();
    /// assert_eq!(counts[0], ("be".to_owned(), 2));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn keyed<K, F>(self, key: F) -> KeyedStream<K, S::Item, FromSource<S, RoutedKey<F>>>
    where
        K: Key,
        F: Fn(&S::Item) -> K + Clone + Send + 'static,
    {
        let chain = self.chain.keyed(&self.tip, RoutedKey::new(key));
        KeyedStream::new(self.tip, chain)
    }
}

impl<T: Data, C: Chain<(), Out = T>> Stream<T, C> {
    /// Groups by a key: records move to the copy that owns it.
    ///
    /// A key that holds a float or a map stops the pipeline with an error at the first record.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{prelude::*, sink::Collected};
    ///
    /// let pipeline = Pipeline::new("by-length");
    /// let counts = Collected::new();
    /// pipeline
    ///     .source(iter(["tea", "jam", "bread"].map(str::to_owned)))
    ///     .key_by(|word| word.len() as u64)
    ///     .count()
    ///     .at_end()
    ///     .sink(collect(&counts));
    /// pipeline.run()?;
    /// assert_eq!(counts.take_sorted(), [(3, 2), (5, 1)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn key_by<K: Key>(
        self,
        key: impl Fn(&T) -> K + Clone + Send + 'static,
    ) -> KeyedStream<K, T> {
        let end = move |wiring| Rekey::new(key.clone(), Output::<T, K>::new(wiring));
        let (graph, stage) = self.tip.close(self.chain, end);
        let tip = Tip::behind(&graph, (stage, Port::Main), "key_by", Exchange::ByKey);
        KeyedStream::new(tip, Start::edges())
    }

    /// Reads event time from each record; no record is expected more than `max_lateness` behind
    /// the latest of its split.
    ///
    /// It belongs directly behind the source. Behind an exchange or [`boxed`](Self::boxed) the
    /// records of all splits come mixed and count as one split: the one that is ahead then raises
    /// the watermark for those that are behind.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{prelude::*, sink::Collected};
    /// use std::time::Duration;
    ///
    /// // A reading is a repeat if it was seen within the last minute of event time.
    /// let readings = [(0, "a"), (5, "b"), (30, "a"), (95, "a")];
    /// let pipeline = Pipeline::new("readings");
    /// let fresh = Collected::new();
    /// pipeline
    ///     .source(iter(readings.map(|(second, name)| (second, name.to_owned()))))
    ///     .event_time(Duration::ZERO, |(second, _)| Timestamp::from_millis(second * 1000))
    ///     .key_by(|(_, name)| name.clone())
    ///     .dedup(Duration::from_secs(60))
    ///     .sink(collect(&fresh));
    /// pipeline.run()?;
    /// let seconds: Vec<i64> = fresh.take_sorted().into_iter().map(|(second, _)| second).collect();
    /// assert_eq!(seconds, [0, 5, 95]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn event_time<F>(self, max_lateness: Duration, time: F) -> Stream<T, Timed<C, F>>
    where
        F: Fn(&T) -> Timestamp + Clone + Send + 'static,
    {
        let chain = Timed {
            chain: self.chain,
            time,
            max_lateness,
        };
        Stream::new(self.tip, chain)
    }

    /// Forgets the chain, so that a helper can take a plain `Stream<T>`: one more stage from here.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{prelude::*, sink::Collected};
    ///
    /// fn loud(words: Stream<String>) -> Stream<String> {
    ///     words.map(|word| word.to_uppercase()).boxed()
    /// }
    ///
    /// let pipeline = Pipeline::new("loud");
    /// let heard = Collected::new();
    /// let words = pipeline.source(iter(["tea".to_owned()]));
    /// loud(words.boxed()).sink(collect(&heard));
    /// pipeline.run()?;
    /// assert_eq!(heard.take(), ["TEA"]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn boxed(self) -> Stream<T> {
        let (graph, stage) = self.tip.close(self.chain, Output::<T, ()>::new);
        let tip = Tip::behind(&graph, (stage, Port::Main), "boxed", Exchange::Forward);
        Stream::new(tip, Start::edges())
    }

    /// Puts this stream and another together, in the order of arrival.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{prelude::*, sink::Collected};
    ///
    /// let pipeline = Pipeline::new("shops");
    /// let sold = Collected::new();
    /// let (here, there) = (pipeline.source(iter([1, 2])), pipeline.source(iter([3])));
    /// here.merge(there).sink(collect(&sold));
    /// pipeline.run()?;
    /// assert_eq!(sold.take_sorted(), [1, 2, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn merge<D: Chain<(), Out = T>>(self, other: Stream<T, D>) -> Stream<T> {
        let merged = self.boxed();
        let (graph, stage) = other.tip.close(other.chain, Output::<T, ()>::new);
        graph.edge(stage, Port::Main, merged.tip.stage, Exchange::Forward);
        merged
    }

    /// Makes an async call for each record, of a database or a service: at most so many at once
    /// in a copy, results in input order unless [`Calls::unordered`].
    ///
    /// A call runs on its copy's own thread, inside a single-threaded tokio runtime: it may hold
    /// what is not `Send`, and what waits must be awaited, never block. What the call gives goes
    /// on, so a call that can fail gives a `Result`. One that panics stops the pipeline.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{prelude::*, sink::Collected};
    /// use std::time::Duration;
    ///
    /// let pipeline = Pipeline::new("prices");
    /// let prices = Collected::new();
    /// pipeline
    ///     .source(iter([3_u64, 1, 2]))
    ///     .map_async("look up", Calls::at_most(8), |item| async move {
    ///         // A slow service: calls overlap, and results keep the order of their records.
    ///         tokio::time::sleep(Duration::from_millis(item)).await;
    ///         item * 100
    ///     })
    ///     .sink(collect(&prices));
    /// pipeline.run()?;
    /// assert_eq!(prices.take(), [300, 100, 200]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn map_async<U, F, Fut>(self, name: &str, calls: Calls, call: F) -> Stream<U>
    where
        U: 'static,
        F: Fn(T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = U> + 'static,
    {
        let from = self.tip.close(self.chain, Output::<T, ()>::new);
        let order = calls.order(CallOrder::Input);
        let (tip, id) = Tip::calls(from, name, Grouping::Plain, CallsPer::Record);
        let caller = move || EachCall::<T, (), F>::new(call.clone(), order);
        Stream::new(tip, Start::calls(id, calls, order, caller))
    }

    /// Makes an async call for up to `max` records together: as many as have come when a slot is
    /// free, once there are `max` or the first has waited for `wait`.
    ///
    /// Calls run where those of [`map_async`](Self::map_async) run; results go on as they come.
    ///
    /// A batch is no larger than what may be in flight: records that wait hold the credit of their
    /// edge (`Builder::edge_window`), and when that is used up no more can come. If calls follow
    /// that are made for results of batches, the pipeline reads its topics from the first record
    /// when it starts again.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{prelude::*, sink::Collected};
    /// use std::time::Duration;
    ///
    /// let pipeline = Pipeline::new("bulk");
    /// let sizes = Collected::new();
    /// pipeline
    ///     .source(iter(0..5_u32))
    ///     .batch_async("insert", 2, Duration::from_secs(1), Calls::at_most(1), |rows| async move {
    ///         rows.len() as u64
    ///     })
    ///     .sink(collect(&sizes));
    /// pipeline.run()?;
    /// assert_eq!(sizes.take(), [2, 2, 1]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn batch_async<U, F, Fut>(
        self,
        name: &str,
        max: usize,
        wait: Duration,
        calls: Calls,
        call: F,
    ) -> Stream<U>
    where
        U: 'static,
        F: Fn(Vec<T>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = U> + 'static,
    {
        let from = self.tip.close(self.chain, Output::<T, ()>::new);
        let (tip, id) = Tip::calls(from, name, Grouping::Plain, CallsPer::Batch);
        let caller = move || BatchCall::<T, (), F>::new(call.clone(), max, wait);
        Stream::new(tip, Start::calls(id, calls, CallOrder::Unordered, caller))
    }

    /// Ends the stream.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let pipeline = Pipeline::new("numbers");
    /// let all = Collected::new();
    /// pipeline.source(iter([1, 2, 3])).sink(collect(&all));
    /// pipeline.run()?;
    /// assert_eq!(all.take(), [1, 2, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn sink<S: Sink<T>>(self, sink: S) {
        let from = self.tip.close(self.chain, Output::<T, ()>::new);
        sink_behind(from, sink, Grouping::Plain);
    }
}
