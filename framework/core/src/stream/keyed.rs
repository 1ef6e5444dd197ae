//! What can be done with records that have keys.

use std::time::Duration;

use super::{KeyedStream, Start, Stream, tip::Tip, tip::sink_behind};
use crate::{
    Data, Sink,
    chain::Chain,
    graph::{CallsPer, Exchange, Grouping, Port},
    key::Key,
    output::{Output, Rekey, Unkey},
    stage::{CallOrder, Calls, EachCall},
};

impl<K: Key, T: Data, C: Chain<K, Out = T>> KeyedStream<K, T, C> {
    /// Groups by another key: records move to the copy that owns it.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let pipeline = Pipeline::new("visits");
    /// let (visits, visitors) = (["ann", "bob", "ann", "cid"], Collected::new());
    /// pipeline
    ///     .source(iter(visits.map(str::to_owned)))
    ///     .key_by(|name| name.clone())
    ///     .count()
    ///     .at_end()
    ///     .key_by(|(_, visits)| *visits)
    ///     .count()
    ///     .at_end()
    ///     .sink(collect(&visitors));
    /// pipeline.run()?;
    /// assert_eq!(visitors.take_sorted(), [(1, 2), (2, 1)], "two came once, one came twice");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn key_by<L: Key>(
        self,
        key: impl Fn(&T) -> L + Clone + Send + 'static,
    ) -> KeyedStream<L, T> {
        let end = move |wiring| Rekey::new(key.clone(), Output::<T, L>::new(wiring));
        let (graph, stage) = self.tip.close(self.chain, end);
        let tip = Tip::behind(&graph, (stage, Port::Main), "key_by", Exchange::ByKey);
        KeyedStream::new(tip, Start::edges())
    }

    /// Drops the keys.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{prelude::*, sink::Collected};
    ///
    /// let pipeline = Pipeline::new("values");
    /// let counts = Collected::new();
    /// pipeline
    ///     .source(iter(["a", "b", "a"].map(str::to_owned)))
    ///     .key_by(|letter| letter.clone())
    ///     .count()
    ///     .values()
    ///     .filter(|(_, count)| *count > 1)
    ///     .sink(collect(&counts));
    /// pipeline.run()?;
    /// assert_eq!(counts.take(), [("a".to_owned(), 2)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn values(self) -> Stream<T> {
        let end = |wiring| Unkey::new(Output::<T, ()>::new(wiring));
        let (graph, stage) = self.tip.close(self.chain, end);
        let tip = Tip::behind(&graph, (stage, Port::Main), "values", Exchange::Forward);
        Stream::new(tip, Start::edges())
    }

    /// Puts this stream and another of the same keys together: per key in the order of arrival.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let pipeline = Pipeline::new("shops");
    /// let totals = Collected::new();
    /// let sales = |of: [(&str, u64); 2]| {
    ///     let sales = of.map(|(article, n)| (article.to_owned(), n));
    ///     pipeline.source(iter(sales)).key_by(|(article, _)| article.clone())
    /// };
    /// let (here, there) = (sales([("tea", 1), ("jam", 2)]), sales([("tea", 3), ("nut", 4)]));
    /// here.merge(there).fold(0, |sum, (_, n)| *sum += n).at_end().sink(collect(&totals));
    /// pipeline.run()?;
    /// let totals = totals.take_sorted();
    /// assert_eq!(totals.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [2, 4, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn merge<D: Chain<K, Out = T>>(self, other: KeyedStream<K, T, D>) -> KeyedStream<K, T> {
        let (graph, stage) = self.tip.close(self.chain, Output::<T, K>::new);
        let tip = Tip::behind(&graph, (stage, Port::Main), "merge", Exchange::ByKey);
        let (graph, stage) = other.tip.close(other.chain, Output::<T, K>::new);
        graph.edge(stage, Port::Main, tip.stage, Exchange::ByKey);
        KeyedStream::new(tip, Start::edges())
    }

    /// Makes an async call for each record: at most so many at once in a copy, and one at a time
    /// per key, so that results keep its order, unless [`Calls::unordered`].
    ///
    /// Calls run where those of [`Stream::map_async`] run, and may do the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::{prelude::*, sink::Collected};
    /// use std::time::Duration;
    ///
    /// let pipeline = Pipeline::new("accounts");
    /// let booked = Collected::new();
    /// pipeline
    ///     .source(iter([("ann".to_owned(), 9_u64), ("bob".to_owned(), 5), ("ann".to_owned(), 1)]))
    ///     .key_by(|(name, _)| name.clone())
    ///     .map_async("book", Calls::at_most(32), |(name, ms)| async move {
    ///         tokio::time::sleep(Duration::from_millis(ms)).await;
    ///         (name, ms)
    ///     })
    ///     .sink(collect(&booked));
    /// pipeline.run()?;
    /// let of_ann: Vec<u64> =
    ///     booked.take().into_iter().filter(|(name, _)| name == "ann").map(|(_, ms)| ms).collect();
    /// assert_eq!(of_ann, [9, 1]); // In order, though the second call was the faster.
    /// # Ok::<(), Error>(())
    /// ```
    pub fn map_async<U, F, Fut>(self, name: &str, calls: Calls, call: F) -> KeyedStream<K, U>
    where
        K: Unpin,
        U: 'static,
        F: Fn(T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = U> + 'static,
    {
        let from = self.tip.close(self.chain, Output::<T, K>::new);
        let order = calls.order(CallOrder::PerKey);
        let (tip, id) = Tip::calls(from, name, Grouping::Keyed, CallsPer::Record);
        let caller = move || EachCall::<T, K, F>::new(call.clone(), order);
        KeyedStream::new(tip, Start::calls(id, calls, order, caller))
    }

    /// Makes an async call for up to `max` records together, of whatever keys: as many as have
    /// come when a slot is free, once there are `max` or the first has waited for `wait`.
    ///
    /// Calls run where those of [`Stream::map_async`] run, and may do the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use levada::prelude::*;
    ///
    /// let levada = Levada::builder().arbiters(1).in_memory(); // One copy gathers all keys.
    /// let pipeline = levada.pipeline("bulk");
    /// let sizes = Collected::new();
    /// pipeline
    ///     .source(iter(0..5_u32))
    ///     .key_by(|n| n % 2)
    ///     .batch_async("insert", 2, Duration::MAX, Calls::at_most(1), |rows| async move {
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
        self.values().batch_async(name, max, wait, calls, call)
    }

    /// Ends the stream.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada::prelude::*;
    ///
    /// let levada = Levada::in_memory();
    /// let words = levada.topic::<String>("words").partitions(4).create()?;
    /// let pipeline = levada.pipeline("writing");
    /// pipeline
    ///     .source(iter(["tea", "jam", "tea"].map(str::to_owned)))
    ///     .key_by(|word| word.clone())
    ///     .sink(to_topic(&words).sealing()); // A key goes to one partition.
    /// pipeline.run()?;
    /// let sizes: Vec<_> = (0..4).map(|n| words.raw().partition(n).ends().visible).collect();
    /// assert!(sizes.iter().sum::<u64>() == 3 && sizes.iter().any(|size| *size >= 2), "{sizes:?}");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn sink<S: Sink<T, K>>(self, sink: S) {
        let from = self.tip.close(self.chain, Output::<T, K>::new);
        sink_behind(from, sink, Grouping::Keyed);
    }
}
