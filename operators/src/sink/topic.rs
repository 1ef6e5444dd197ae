//! `topic`: appends to a topic.
//!
//! 1. Keyed records go to the partition of their key, and one copy alone appends to a partition, so
//!    that they keep their order there. Records without a key are dealt in turn to the partitions
//!    of their copy: where one goes follows from its place, and not from when others were sent.
//! 2. A batch is sent when it is full, or when the input runs dry; but only while fewer than
//!    [`IN_FLIGHT`] batches of its partition are on their way, and the backend has room. Until then
//!    a full one holds up the edge, and another one gathers more.
//! 3. With [`sealing`](TopicSink::sealing) the copy that finishes last seals the topic.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};

use levada_core::{
    BoxError, Codec, Data, Grouping, Sink, SinkContext, SinkLayout, SinkWriter, Topic,
    backend::{Batch, NewRecord, Partition, Ticket},
    key::{Key, Slots, write_key},
    record::Head,
};

/// Records in a batch, at most.
const BATCH_RECORDS: usize = 1000;

/// Bytes in a batch, about.
const BATCH_BYTES: usize = 256 << 10;

/// Batches of one partition that are on their way at once.
const IN_FLIGHT: usize = 4;

type HeaderValue<T> = Arc<dyn Fn(&T, &Head) -> Vec<u8> + Send + Sync>;

/// Appends to a topic.
///
/// # Examples
///
/// ```
/// use levada_engine::Levada;
/// use levada_operators::prelude::*;
///
/// let levada = Levada::in_memory();
/// let numbers = levada.topic::<u32>("numbers").partitions(1).create()?;
///
/// let writing = levada.pipeline("writing");
/// let sink = to_topic(&numbers).header("square", |n, _| (n * n).to_string().into_bytes());
/// writing.source(iter(1..=3_u32)).sink(sink.sealing());
///
/// let reading = levada.pipeline("reading");
/// let squares = Collected::new();
/// let read = topic(&numbers).with(|info, _| {
///     String::from_utf8_lossy(info.header("square").unwrap_or_default()).into_owned()
/// });
/// reading.source(read).sink(collect(&squares));
///
/// levada.run([writing, reading])?;
/// assert_eq!(squares.take(), ["1", "4", "9"]);
/// # Ok::<(), levada_engine::Error>(())
/// ```
pub fn to_topic<T: Data>(topic: &Topic<T>) -> TopicSink<T> {
    TopicSink {
        topic: topic.clone(),
        headers: Vec::new(),
        seals: None,
    }
}

/// See [`to_topic`].
#[must_use = "a sink writes nothing until a stream has it"]
pub struct TopicSink<T> {
    topic: Topic<T>,
    headers: Vec<(String, HeaderValue<T>)>,
    /// Copies that have not finished, where the last one seals the topic; `u32::MAX` until the
    /// first is opened.
    seals: Option<Arc<AtomicU32>>,
}

impl<T> fmt::Debug for TopicSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicSink")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl<T: Data> TopicSink<T> {
    /// Gives each record a header of this name, made of its value and of what travels with it, such
    /// as the [origin](Head::origin).
    pub fn header(
        mut self,
        name: &str,
        value: impl Fn(&T, &Head) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        self.headers.push((name.to_owned(), Arc::new(value)));
        self
    }

    /// Seals the topic when the input has ended: those who read it then end too. Default: it stays
    /// open.
    pub fn sealing(self) -> Self {
        Self {
            seals: Some(Arc::new(AtomicU32::new(u32::MAX))),
            ..self
        }
    }
}

impl<T: Data, K: Key> Sink<T, K> for TopicSink<T> {
    type Writer = TopicWriter<T>;

    fn layout(&self) -> SinkLayout {
        SinkLayout::ByPartition(self.topic.raw().slots())
    }

    fn name(&self) -> String {
        format!("to_topic {}", self.topic.name())
    }

    fn open(&self, cx: &SinkContext) -> Result<TopicWriter<T>, BoxError> {
        if let Some(left) = &self.seals {
            // The first copy says how many there are; none finishes before all are opened, since
            // each waits for the end of its input.
            let first =
                left.compare_exchange(u32::MAX, cx.copies, Ordering::AcqRel, Ordering::Acquire);
            tracing::trace!(first = first.is_ok(), "a copy of a sealing sink is open");
        }
        let topic = self.topic.raw();
        let outlet = |number| Outlet {
            partition: topic.partition(number),
            batch: Batch::default(),
            in_flight: VecDeque::new(),
        };
        let partitions = self.topic.partitions();
        // Where there are more copies than partitions, some share one.
        let turns = (0..partitions).filter(|number| number % cx.copies == cx.copy % partitions);
        Ok(TopicWriter {
            codec: Arc::clone(self.topic.codec()),
            headers: self.headers.clone(),
            slots: topic.slots(),
            grouping: cx.grouping,
            outlets: (0..partitions).map(outlet).collect(),
            turns: turns.map(|number| number as usize).collect(),
            turn: 0,
            full: None,
            waker: Waker::noop().clone(),
            key: Vec::new(),
            value: Vec::new(),
            header_values: Vec::new(),
            topic: self.topic.clone(),
            seals: self.seals.clone(),
            sealing: None,
        })
    }
}

/// What goes to one partition.
struct Outlet {
    partition: Arc<dyn Partition>,
    batch: Batch,
    /// Oldest first; appends of a partition complete in their order.
    in_flight: VecDeque<Ticket<u64>>,
}

impl Outlet {
    fn is_full(&self) -> bool {
        self.batch.len() >= BATCH_RECORDS || self.batch.bytes() >= BATCH_BYTES
    }

    /// Sends what was gathered; `Pending` while it must wait, and then there will be a wake.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if !self.batch.is_empty() {
            ready!(self.poll_acks(IN_FLIGHT - 1, cx))?;
            ready!(self.partition.poll_room(cx));
            let batch = std::mem::take(&mut self.batch);
            self.in_flight.push_back(self.partition.append(batch));
        }
        Poll::Ready(Ok(()))
    }

    /// Takes in what was acknowledged; `Pending` while more than `most` are on their way.
    fn poll_acks(&mut self, most: usize, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        while let Some(oldest) = self.in_flight.front_mut() {
            match oldest.as_mut().poll(cx) {
                Poll::Ready(acknowledged) => {
                    self.in_flight.pop_front();
                    acknowledged?;
                }
                Poll::Pending if self.in_flight.len() > most => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// One copy of a [`TopicSink`].
pub struct TopicWriter<T> {
    codec: Arc<dyn Codec<T>>,
    headers: Vec<(String, HeaderValue<T>)>,
    slots: Slots,
    grouping: Grouping,
    /// By partition.
    outlets: Vec<Outlet>,
    /// The partitions that records without a key are dealt to.
    turns: Vec<usize>,
    turn: usize,
    /// The partition whose batch is full, and must be sent before the next record.
    full: Option<usize>,
    /// Wakes the task that writes: what cannot be sent at once is tried again after a wake.
    waker: Waker,
    key: Vec<u8>,
    value: Vec<u8>,
    header_values: Vec<Vec<u8>>,
    topic: Topic<T>,
    seals: Option<Arc<AtomicU32>>,
    sealing: Option<Ticket<()>>,
}

impl<T> fmt::Debug for TopicWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicWriter")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl<T: Data> TopicWriter<T> {
    /// The partition that a record goes to.
    fn outlet(&mut self, head: &Head) -> usize {
        if self.grouping == Grouping::Keyed {
            return self.slots.partition(head.hash) as usize;
        }
        let at = self.turns[self.turn];
        self.turn = (self.turn + 1) % self.turns.len();
        at
    }

    /// Adds a record to the batch of its partition.
    fn add(&mut self, at: usize, head: &Head) {
        let headers: Vec<(&str, &[u8])> = self
            .headers
            .iter()
            .zip(&self.header_values)
            .map(|((name, _), value)| (name.as_str(), value.as_slice()))
            .collect();
        let outlet = &mut self.outlets[at];
        outlet.batch.push(NewRecord {
            key: (self.grouping == Grouping::Keyed).then_some(&self.key),
            value: &self.value,
            event_time: head.at,
            headers: &headers,
        });
        if outlet.is_full() {
            self.full = Some(at);
        }
    }

    /// Sends what all have gathered, as far as it can go now.
    fn poll_send_all(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let mut sent = Poll::Ready(Ok(()));
        for outlet in &mut self.outlets {
            if outlet.poll_send(cx)?.is_pending() {
                sent = Poll::Pending;
            }
        }
        sent
    }
}

impl<T: Data, K: Key> SinkWriter<T, K> for TopicWriter<T> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.waker.clone_from(cx.waker());
        if let Some(full) = self.full {
            ready!(self.outlets[full].poll_send(cx))?;
            self.full = None;
        }
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, value: T, key: &K, head: &Head) -> Result<(), BoxError> {
        self.key.clear();
        self.value.clear();
        if self.grouping == Grouping::Keyed {
            write_key(key, &mut self.key)?;
        }
        self.codec.encode(&value, &mut self.value)?;
        self.header_values.clear();
        self.header_values
            .extend(self.headers.iter().map(|(_, of)| of(&value, head)));
        let at = self.outlet(head);
        self.add(at, head);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BoxError> {
        // Nobody asks again before the next record, so all that can go goes now. Where much is on
        // its way, the wake that comes when there is room leads here again.
        let waker = self.waker.clone();
        match self.poll_send_all(&mut Context::from_waker(&waker)) {
            Poll::Ready(sent) => sent,
            Poll::Pending => Ok(()),
        }
    }

    fn poll_synced(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        ready!(self.poll_send_all(cx))?;
        for outlet in &mut self.outlets {
            ready!(outlet.poll_acks(0, cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if let Some(left) = self.seals.take()
            && left.fetch_sub(1, Ordering::AcqRel) == 1
        {
            self.sealing = Some(self.topic.raw().seal());
        }
        match &mut self.sealing {
            Some(sealed) => Poll::Ready(ready!(sealed.as_mut().poll(cx)).map_err(Into::into)),
            None => Poll::Ready(Ok(())),
        }
    }
}
