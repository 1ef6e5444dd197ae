//! What a fetch returns: batches as slices of shared buffers, records as views into them.

use bytes::Bytes;
use levada_core::Timestamp;

use crate::{
    Batch,
    batch::{
        Place,
        header::Header,
        records::{self, RecordView, Records},
    },
    partition::PartitionId,
};

/// The batches that a fetch found, in order of their offsets.
///
/// # Examples
///
/// ```
/// use levada_log::{Batch, Log, Record, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
/// let mut batch = Batch::new();
/// for value in ["a", "b", "c"] {
///     batch.push(&Record::of(value.as_bytes()))?;
/// }
/// orders.append(batch).wait()?;
///
/// let fetched = orders.fetch(1, 1 << 20).wait()?;
/// let values: Vec<_> = fetched.records().map(|record| record.value).collect();
/// assert_eq!(values, [b"b", b"c"]);
/// assert_eq!(fetched.next, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The batches; none when the fetch stood at the visible end.
    pub batches: Vec<FetchedBatch>,
    /// Where to fetch next.
    pub next: u64,
}

impl Fetched {
    /// Bytes of all batches, as they are held in memory.
    pub(crate) fn size(&self) -> usize {
        let held = |batch: &FetchedBatch| match batch.header.unpacked {
            None => batch.bytes.len(),
            Some(_) => batch.bytes.len() + batch.records.len(),
        };
        self.batches.iter().map(held).sum()
    }

    /// The records of all batches.
    pub fn records(&self) -> impl Iterator<Item = RecordView<'_>> {
        self.batches.iter().flat_map(FetchedBatch::records)
    }
}

/// One batch of the log: a slice of a buffer that may be shared with others.
///
/// # Examples
///
/// A value that is kept longer than its record, without a copy:
///
/// ```
/// use levada_log::{Batch, Log, Record, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
/// let mut batch = Batch::new();
/// batch.push(&Record::of(b"white"))?;
/// batch.push(&Record::of(b"lantern"))?;
/// orders.append(batch).wait()?;
///
/// let batch = orders.fetch(1, 1 << 20).wait()?.batches.remove(0);
/// assert_eq!((batch.base_offset(), batch.end_offset(), batch.count()), (0, 2, 2));
/// let kept: Vec<_> = batch.records().map(|record| batch.share(record.value)).collect();
/// drop(batch);
/// assert_eq!(kept, [&b"lantern"[..]], "records before offset 1 are left out");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FetchedBatch {
    header: Header,
    bytes: Bytes,
    /// Decompressed if need be, else a part of `bytes`.
    records: Bytes,
    from: u64,
}

impl FetchedBatch {
    /// A batch that was sealed in this process; records before `from` are left out.
    pub(crate) fn new(header: Header, bytes: Bytes, from: u64) -> Self {
        let records = records::unpacked(&header, &bytes);
        Self {
            header,
            bytes,
            records: records.expect("what was compressed here can be decompressed"),
            from,
        }
    }

    /// A batch from a file, whose checksum is right; `None` if it is not what its header says.
    pub(crate) fn read(header: Header, bytes: Bytes, from: u64) -> Option<Self> {
        let records = records::checked(&header, &bytes)?;
        Some(Self {
            header,
            bytes,
            records,
            from,
        })
    }

    /// A batch as readers would see it from this offset on: for who keeps batches elsewhere than in
    /// a log.
    ///
    /// # Panics
    ///
    /// If it has no records.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_core::Timestamp;
    /// use levada_log::{Batch, FetchedBatch, Record};
    ///
    /// let mut batch = Batch::new();
    /// batch.push(&Record::of(b"white lantern"))?;
    /// let kept = FetchedBatch::of(batch, 17, Timestamp::from_millis(5));
    /// let record = kept.records().next().expect("one was pushed");
    /// assert_eq!((record.offset, record.value), (17, &b"white lantern"[..]));
    /// # Ok::<(), levada_log::Error>(())
    /// ```
    pub fn of(batch: Batch, base_offset: u64, append_time: Timestamp) -> Self {
        let (header, bytes) = batch.seal(&Place {
            id: PartitionId {
                topic: 0,
                partition: 0,
            },
            incarnation: 0,
            previous_end: base_offset,
            base_offset,
            append_time,
            produced: None,
        });
        Self::new(header, bytes, base_offset)
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The records, without those before the offset that was asked for.
    pub fn records(&self) -> Records<'_> {
        Records::of(self.header, &self.records, self.from)
    }

    /// The offset of the batch's first record.
    pub fn base_offset(&self) -> u64 {
        self.header.base_offset
    }

    /// The offset after its last record.
    pub fn end_offset(&self) -> u64 {
        self.header.end()
    }

    /// How many records it has, those left out included.
    pub fn count(&self) -> u32 {
        self.header.count
    }

    /// When it was appended.
    pub fn append_time(&self) -> Timestamp {
        self.header.append_time
    }

    /// The latest event time among its records.
    pub fn max_event_time(&self) -> Timestamp {
        self.header.max_event_time
    }

    /// The bytes of the whole batch, as they are on disk: compressed, if it is.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// A key, value or header of this batch as bytes that can be kept: shared, not copied.
    ///
    /// # Panics
    ///
    /// If `part` does not lie in this batch.
    pub fn share(&self, part: &[u8]) -> Bytes {
        self.records.slice_ref(part)
    }
}
