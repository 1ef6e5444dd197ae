//! `topic`: reads a topic under a group.

use std::{
    collections::VecDeque,
    fmt,
    ops::ControlFlow,
    sync::Arc,
    task::{Context, Poll, ready},
};

use levada_core::{
    Begin, BoxError, Codec, Data, Incoming, Source, SourceContext, SplitReader, Subscription,
    Timestamp, Topic,
    backend::{Fetched, FetchedBatch, Partition, RecordView, Ticket},
    key::murmur2,
};

/// Bytes to fetch at once: enough to fill a few chunks.
const FETCH_BYTES: usize = 256 << 10;

/// Records to decode at once: few enough that they are handled while they are in the cache.
const DECODE: usize = 64;

/// What a topic knows of a record beside its value.
///
/// # Examples
///
/// ```
/// use levada_engine::Levada;
/// use levada_operators::prelude::*;
///
/// let levada = Levada::in_memory();
/// let words = levada.topic::<String>("words").partitions(1).create()?;
/// let writing = levada.pipeline("writing");
/// writing.source(iter(["to", "be"].map(str::to_owned))).sink(to_topic(&words).sealing());
///
/// let reading = levada.pipeline("reading");
/// let places = Collected::new();
/// let read = topic(&words).with(|info, word| (info.partition(), info.offset(), word));
/// reading.source(read).sink(collect(&places));
/// levada.run([writing, reading])?;
/// assert_eq!(places.take(), [(0, 0, "to".to_owned()), (0, 1, "be".to_owned())]);
/// # Ok::<(), levada_engine::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RecordInfo<'a> {
    view: RecordView<'a>,
    partition: u32,
}

impl RecordInfo<'_> {
    /// Its partition.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// Its offset in the partition.
    pub fn offset(&self) -> u64 {
        self.view.offset
    }

    /// When it was appended.
    pub fn append_time(&self) -> Timestamp {
        self.view.append_time
    }

    /// The value of its first header of this name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.view.headers.get(name)
    }
}

type MapRecord<T, U> = Arc<dyn Fn(RecordInfo<'_>, T) -> U + Send + Sync>;

/// Reads a topic from where its group stands, each partition a split, until it is sealed.
///
/// While it is not sealed, reading does not end by itself: the pipeline waits for more until it is
/// told to stop. A partition that stops before its end, as after a failed write, is an error.
///
/// The group is the pipeline's name unless [`group`](TopicSource::group) names another. A pipeline
/// that keeps state reads from the start: until state is checkpointed it must see everything again.
///
/// # Examples
///
/// ```
/// use levada_engine::Levada;
/// use levada_operators::prelude::*;
///
/// let levada = Levada::in_memory();
/// let words = levada.topic::<String>("words").partitions(2).create()?;
///
/// let writing = levada.pipeline("writing");
/// writing
///     .source(iter(["to", "be", "or", "not"].map(str::to_owned)))
///     .key_by(|word| word.clone())
///     .sink(to_topic(&words).sealing());
///
/// let reading = levada.pipeline("reading");
/// let read = Collected::new();
/// reading.source(topic(&words)).keyed(|word| word.clone()).sink(collect(&read));
///
/// levada.run([writing, reading])?;
/// assert_eq!(read.take_sorted(), ["be", "not", "or", "to"]);
/// # Ok::<(), levada_engine::Error>(())
/// ```
pub fn topic<T: Data>(topic: &Topic<T>) -> TopicSource<T> {
    let map: MapRecord<T, T> = Arc::new(|_, value| value);
    TopicSource {
        topic: topic.clone(),
        group: None,
        begin: Begin::Committed,
        map,
    }
}

/// See [`topic`].
#[must_use = "a source reads nothing until a pipeline has it"]
pub struct TopicSource<T, U = T> {
    topic: Topic<T>,
    group: Option<String>,
    begin: Begin,
    map: MapRecord<T, U>,
}

impl<T, U> fmt::Debug for TopicSource<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicSource")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl<T: Data, U: Data> TopicSource<T, U> {
    /// Reads under this group. Default: the pipeline's name.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Levada;
    /// use levada_operators::prelude::*;
    ///
    /// let levada = Levada::in_memory();
    /// let words = levada.topic::<String>("words").partitions(1).create()?;
    /// let writing = levada.pipeline("writing");
    /// writing.source(iter(["to", "be"].map(str::to_owned))).sink(to_topic(&words).sealing());
    /// writing.run()?;
    ///
    /// let read = |pipeline: &str| -> Result<Vec<String>, levada_engine::Error> {
    ///     let (pipeline, read) = (levada.pipeline(pipeline), Collected::new());
    ///     pipeline.source(topic(&words).group("readers")).sink(collect(&read));
    ///     pipeline.run()?;
    ///     Ok(read.take())
    /// };
    /// assert_eq!(read("first")?, ["to", "be"]);
    /// assert!(read("second")?.is_empty(), "its group stands at the end");
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    pub fn group(self, group: &str) -> Self {
        Self {
            group: Some(group.to_owned()),
            ..self
        }
    }

    /// Reads from the first record that is kept, wherever the group stands. Default: from where it
    /// stands.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Levada;
    /// use levada_operators::prelude::*;
    ///
    /// let levada = Levada::in_memory();
    /// let words = levada.topic::<String>("words").partitions(1).create()?;
    /// let writing = levada.pipeline("writing");
    /// writing.source(iter(["to", "be"].map(str::to_owned))).sink(to_topic(&words).sealing());
    /// writing.run()?;
    ///
    /// for _ in 0..2 {
    ///     let (pipeline, read) = (levada.pipeline("audit"), Collected::new());
    ///     pipeline.source(topic(&words).from_start()).sink(collect(&read));
    ///     pipeline.run()?;
    ///     assert_eq!(read.take(), ["to", "be"], "all of it, each time");
    /// }
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    pub fn from_start(self) -> Self {
        Self {
            begin: Begin::Start,
            ..self
        }
    }

    /// Makes something else of each record, with what the topic knows of it: its headers, its
    /// offset.
    ///
    /// See [`RecordInfo`].
    pub fn with<V: Data>(
        self,
        f: impl Fn(RecordInfo<'_>, U) -> V + Send + Sync + 'static,
    ) -> TopicSource<T, V> {
        let before = self.map;
        let map: MapRecord<T, V> = Arc::new(move |info, value| f(info, before(info, value)));
        TopicSource {
            topic: self.topic,
            group: self.group,
            begin: self.begin,
            map,
        }
    }

    fn group_of(&self, cx: &SourceContext) -> String {
        self.group
            .clone()
            .unwrap_or_else(|| cx.pipeline.to_string())
    }
}

impl<T: Data, U: Data> Source for TopicSource<T, U> {
    type Item = U;
    type Reader = TopicReader<T, U>;

    fn splits(&self) -> Result<Vec<String>, BoxError> {
        let name = self.topic.name();
        Ok((0..self.topic.partitions())
            .map(|number| format!("{name}/{number}"))
            .collect())
    }

    fn open(&self, split: u32, cx: &SourceContext) -> Result<Self::Reader, BoxError> {
        let partition = self.topic.raw().partition(split);
        let start = partition.ends().start;
        let committed = self
            .topic
            .committed(&self.group_of(cx), split)?
            .filter(|_| cx.resume && self.begin == Begin::Committed);
        Ok(TopicReader {
            name: format!("{}/{split}", self.topic.name()),
            number: split,
            codec: Arc::clone(self.topic.codec()),
            map: Arc::clone(&self.map),
            partition,
            next: committed.map_or(start, |at| at.max(start)),
            batches: Vec::new(),
            decoded: VecDeque::new(),
            failed: None,
            fetching: None,
        })
    }

    fn subscription(&self, cx: &SourceContext) -> Option<Subscription> {
        Some(Subscription {
            topic: self.topic.name().to_owned(),
            group: self.group_of(cx),
            slots: self.topic.raw().slots().count(),
            keyed: true,
            begin: self.begin,
        })
    }
}

/// A fetch on its way.
struct Fetching {
    ticket: Ticket<Fetched>,
    /// What was visible when it was made: if it finds nothing, all below is a gap.
    visible: u64,
}

/// Reads one partition: the reader of [`topic`].
pub struct TopicReader<T, U> {
    name: String,
    number: u32,
    codec: Arc<dyn Codec<T>>,
    map: MapRecord<T, U>,
    partition: Arc<dyn Partition>,
    /// The offset to decode next.
    next: u64,
    /// Fetched and not decoded to their end, the next one last.
    batches: Vec<Box<dyn FetchedBatch>>,
    /// Decoded and not given out.
    decoded: VecDeque<Incoming<U>>,
    /// Why the record behind these could not be decoded.
    failed: Option<BoxError>,
    fetching: Option<Fetching>,
}

impl<T, U> fmt::Debug for TopicReader<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicReader")
            .field("name", &self.name)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl<T: 'static, U> TopicReader<T, U> {
    /// Decodes some records of what was fetched.
    fn decode(&mut self) {
        let Some(batch) = self.batches.pop() else {
            return;
        };
        let mut seen_all = true;
        batch.each_from(self.next, &mut |record| {
            if self.decoded.len() == DECODE {
                seen_all = false;
                return ControlFlow::Break(());
            }
            match self.read(record) {
                Ok(incoming) => self.decoded.push_back(incoming),
                Err(error) => {
                    self.failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            self.next = record.offset + 1;
            ControlFlow::Continue(())
        });
        if self.failed.is_some() {
            return;
        }
        if seen_all {
            self.next = self.next.max(batch.next_offset());
        } else {
            self.batches.push(batch);
        }
        // The next fetch is on its way while these are handled.
        if self.batches.is_empty() && self.fetching.is_none() {
            let ends = self.partition.ends();
            if ends.visible > self.next {
                self.fetch(ends.visible);
            }
        }
    }

    fn read(&self, record: RecordView<'_>) -> Result<Incoming<U>, BoxError> {
        let value = self.codec.decode(record.value).map_err(|error| {
            let (codec, name, offset) = (self.codec.name(), &self.name, record.offset);
            format!("a record cannot be read with codec {codec}: {name}@{offset}: {error}")
        })?;
        let info = RecordInfo {
            view: record,
            partition: self.number,
        };
        Ok(Incoming {
            offset: record.offset,
            at: record.event_time,
            routed: record.key.map(murmur2),
            value: (self.map)(info, value),
        })
    }

    /// Has something fetched; false at the end, which only a sealed partition has.
    fn poll_fetch(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BoxError>> {
        loop {
            if let Some(Fetching { ticket, visible }) = &mut self.fetching {
                let (fetched, visible) = (ready!(ticket.as_mut().poll(cx)), *visible);
                self.fetching = None;
                self.batches = fetched?.batches;
                self.batches.reverse();
                if self.batches.is_empty() {
                    self.next = self.next.max(visible);
                }
            }
            if !self.batches.is_empty() {
                return Poll::Ready(Ok(true));
            }
            let ends = ready!(self.partition.poll_visible(self.next, cx))?;
            if ends.visible <= self.next {
                return Poll::Ready(if ends.sealed {
                    Ok(false)
                } else {
                    Err(format!("{} gives no more and was not sealed", self.name).into())
                });
            }
            self.fetch(ends.visible);
        }
    }

    fn fetch(&mut self, visible: u64) {
        let ticket = self.partition.fetch(self.next, FETCH_BYTES);
        self.fetching = Some(Fetching { ticket, visible });
    }
}

impl<T: 'static, U: 'static> SplitReader<U> for TopicReader<T, U> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Incoming<U>>, BoxError>> {
        loop {
            if let Some(incoming) = self.decoded.pop_front() {
                return Poll::Ready(Ok(Some(incoming)));
            }
            if let Some(error) = self.failed.take() {
                return Poll::Ready(Err(error));
            }
            if self.batches.is_empty() && !ready!(self.poll_fetch(cx))? {
                return Poll::Ready(Ok(None));
            }
            self.decode();
        }
    }

    fn next_offset(&self) -> Option<u64> {
        let first = self.decoded.front();
        Some(first.map_or(self.next, |incoming| incoming.offset))
    }
}
