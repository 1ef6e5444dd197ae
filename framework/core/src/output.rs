//! Where a stage's records leave it: a buffer for each receiver, and the exchange that chooses.

use std::{any::Any, fmt, io, sync::Arc};

use crate::{
    Data, Timestamp,
    chain::{Control, Place, Push, Run},
    chunk::Chunk,
    key::{Key, murmur2, write_key},
    port::{Message, Sender},
    record::Head,
};

/// How large a chunk may grow before it leaves.
///
/// # Examples
///
/// ```
/// use levada::{ChunkLimits, prelude::*};
///
/// let counted = |records| -> Result<Vec<(u64, u64)>, Error> {
///     let limits = ChunkLimits { records, ..ChunkLimits::default() };
///     let levada = Levada::builder().chunk_limits(limits).in_memory();
///     let (pipeline, counts) = (levada.pipeline("counts"), Collected::new());
///     pipeline.source(iter(0..1000_u64)).key_by(|n| n % 3).count().sink(collect(&counts));
///     pipeline.run()?;
///     Ok(counts.take_sorted())
/// };
/// assert_eq!(counted(1)?, counted(1024)?);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Records. Default: 1,024.
    pub records: usize,
    /// Weight, in bytes. Default: 32 KiB, which is what a network buffer of Flink holds.
    pub bytes: usize,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        Self {
            records: 1024,
            bytes: 32 << 10,
        }
    }
}

/// The least that a record weighs, so that tiny records do not make long queues.
const MIN_WEIGHT: i64 = 64;

/// One record in this many is serialised to a counter, to estimate what records hold on the heap.
const SAMPLE_EVERY: u32 = 256;

/// The edges that one output of one copy sends to.
///
/// It is the engine's: see [`port`](crate::port) for the edges.
pub struct Wiring {
    /// By receiver.
    pub senders: Vec<Sender>,
    /// Which receiver each slot of the keys goes to; empty where there is one receiver.
    pub owner: Arc<[u32]>,
    /// How large chunks grow.
    pub limits: ChunkLimits,
}

impl fmt::Debug for Wiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wiring")
            .field("receivers", &self.senders.len())
            .finish_non_exhaustive()
    }
}

/// The end of a chain: records leave the stage here, with their key.
pub(crate) struct Output<T, K> {
    ports: Vec<OpenChunk<T, K>>,
    owner: Arc<[u32]>,
    limits: ChunkLimits,
    watermark: Timestamp,
    /// The estimated weight of a record, and how many until the next is measured.
    weight: i64,
    until_sample: u32,
}

/// A chunk that is being filled for one receiver.
struct OpenChunk<T, K> {
    sender: Sender,
    chunk: Box<Chunk<T, K>>,
    weight: i64,
}

impl<T: Data, K: Key> Output<T, K> {
    pub(crate) fn new(wiring: Wiring) -> Self {
        let open = |sender| OpenChunk {
            sender,
            chunk: Box::new(Chunk::with_capacity(0)),
            weight: 0,
        };
        Self {
            ports: wiring.senders.into_iter().map(open).collect(),
            owner: wiring.owner,
            limits: wiring.limits,
            watermark: Timestamp::MIN,
            weight: MIN_WEIGHT,
            until_sample: 0,
        }
    }

    #[inline]
    pub(crate) fn put(&mut self, value: T, key: K, head: &Head, run: &Run) {
        if self.until_sample == 0 {
            self.until_sample = SAMPLE_EVERY;
            self.weight = (footprint(&value) + footprint(&key)).max(MIN_WEIGHT);
        }
        self.until_sample -= 1;
        let receiver = match self.owner.len() {
            0 => 0,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "at most 10,000 slots or so"
            )]
            slots => self.owner[((head.hash & 0x7fff_ffff) % slots as u32) as usize] as usize,
        };
        let port = &mut self.ports[receiver];
        port.chunk.push(value, key, head);
        port.weight += self.weight;
        // The open chunk has drawn on the window already, so that it can always be sent.
        let drawn = port.weight >= port.sender.available();
        #[expect(clippy::cast_possible_wrap, reason = "a limit on bytes in memory")]
        let full =
            port.chunk.len() >= self.limits.records || port.weight >= self.limits.bytes as i64;
        if drawn || full {
            port.send(self.limits.records);
            if port.sender.available() <= 0 {
                run.set_full();
            }
        }
    }

    fn raise(&mut self, watermark: Timestamp) {
        if watermark <= self.watermark {
            return;
        }
        self.watermark = watermark;
        for port in &mut self.ports {
            if port.chunk.has_no_records() {
                port.sender.send(Message::Watermark(watermark));
            } else {
                port.chunk.step(watermark);
            }
        }
    }

    fn flush(&mut self) {
        for port in &mut self.ports {
            port.send(self.limits.records);
        }
    }

    fn send_all(&mut self, message: impl Fn() -> Message) {
        self.flush();
        for port in &self.ports {
            port.sender.send(message());
        }
    }

    pub(crate) fn handle(&mut self, control: Control, run: &Run) -> bool {
        match control {
            Control::Watermark(at) => self.raise(at),
            Control::Clock | Control::Finish | Control::SplitEnd(_) => {}
            Control::Flush => self.flush(),
            Control::Barrier(barrier) => self.send_all(|| Message::Barrier(barrier)),
            Control::End => self.send_all(|| Message::End),
            Control::Room => {
                for port in &self.ports {
                    run.look_for_room(&port.sender);
                }
            }
        }
        true
    }
}

impl<T: Data, K: Key> OpenChunk<T, K> {
    fn send(&mut self, limit: usize) {
        if self.chunk.is_empty() {
            return;
        }
        let records = self.chunk.len();
        let chunk = std::mem::replace(&mut self.chunk, Box::new(Chunk::with_capacity(0)));
        let weight = std::mem::take(&mut self.weight);
        let spare = self.sender.send_chunk(chunk, weight);
        let spare = spare.and_then(|spare| spare.downcast().ok());
        // If it is a new one, as large as this: a trickle does not pay for a full chunk.
        self.chunk =
            spare.unwrap_or_else(|| Box::new(Chunk::with_capacity((records * 2).min(limit))));
    }
}

impl<T: Data, K: Key> Push<T, K> for Output<T, K> {
    #[inline]
    fn push(&mut self, value: T, key: &K, head: &Head, run: &Run) {
        self.put(value, key.clone(), head, run);
    }

    fn control(&mut self, control: Control, run: &Run) -> bool {
        self.handle(control, run)
    }

    fn deadline(&mut self) -> Option<Timestamp> {
        None
    }
}

/// The end of a chain where records get a new key.
pub(crate) struct Rekey<T, K, F> {
    key: F,
    bytes: Vec<u8>,
    output: Output<T, K>,
}

impl<T: Data, K: Key, F> Rekey<T, K, F> {
    pub(crate) fn new(key: F, output: Output<T, K>) -> Self {
        Self {
            key,
            bytes: Vec::new(),
            output,
        }
    }
}

impl<T: Data, K: Key, Old: Key, F: Fn(&T) -> K + 'static> Push<T, Old> for Rekey<T, K, F> {
    #[inline]
    fn push(&mut self, value: T, _: &Old, head: &Head, run: &Run) {
        let before = run.enter(Place::Closure("key_by"));
        let key = (self.key)(&value);
        match hash_of(&key, &mut self.bytes) {
            Ok(hash) => {
                run.at_place(before);
                self.output.put(value, key, &Head { hash, ..*head }, run);
            }
            Err(error) => run.fail(head.origin, error.into()),
        }
    }

    fn control(&mut self, control: Control, run: &Run) -> bool {
        self.output.handle(control, run)
    }

    fn deadline(&mut self) -> Option<Timestamp> {
        None
    }
}

/// The end of a chain where records lose their key.
pub(crate) struct Unkey<T> {
    output: Output<T, ()>,
}

impl<T: Data> Unkey<T> {
    pub(crate) fn new(output: Output<T, ()>) -> Self {
        Self { output }
    }
}

impl<T: Data, K: Key> Push<T, K> for Unkey<T> {
    #[inline]
    fn push(&mut self, value: T, _: &K, head: &Head, run: &Run) {
        self.output.put(value, (), &Head { hash: 0, ..*head }, run);
    }

    fn control(&mut self, control: Control, run: &Run) -> bool {
        self.output.handle(control, run)
    }

    fn deadline(&mut self) -> Option<Timestamp> {
        None
    }
}

/// The hash of a key's canonical bytes, by way of a buffer that is used again.
#[inline]
pub(crate) fn hash_of<K: Key>(key: &K, bytes: &mut Vec<u8>) -> Result<u32, crate::key::KeyError> {
    bytes.clear();
    write_key(key, bytes)?;
    Ok(murmur2(bytes))
}

/// About how much memory a value holds: its own size, or that of its serialised form.
fn footprint<T: Data>(value: &T) -> i64 {
    struct Counter(usize);

    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    // What cannot be serialised is found out where it must be; here it only has a size.
    let heap = rmp_serde::encode::write(&mut counter, value).map_or(0, |()| counter.0);
    i64::try_from(size_of::<T>().max(heap)).unwrap_or(i64::MAX)
}

/// A second output of an operator, whose type only its handle knows.
pub(crate) trait AnyOutput: Any {
    fn handle(&mut self, control: Control, run: &Run) -> bool;
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<T: Data> AnyOutput for Output<T, ()> {
    fn handle(&mut self, control: Control, run: &Run) -> bool {
        Output::handle(self, control, run)
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
