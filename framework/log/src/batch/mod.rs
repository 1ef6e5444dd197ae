//! Batches: the unit of checksum and atomicity, encoded while records are pushed.
//!
//! A batch is encoded once, by whoever pushes the records. Appending it fills in the header and the
//! checksum; the same bytes then go to the journal, to readers and to a segment.

pub(crate) mod header;
pub(crate) mod lz4;
pub(crate) mod records;
pub(crate) mod rewrite;
pub(crate) mod varint;

use bytes::Bytes;
use levada_core::Timestamp;

use crate::{
    Compression, Error, Result,
    limits::{MAX_BATCH_BYTES, MAX_HEADERS, MAX_KEY_BYTES, MAX_RECORD_BYTES},
    partition::PartitionId,
};
use header::{HEADER_LEN, Header, Produced};

/// A record to be appended, borrowed from whoever has it.
///
/// # Examples
///
/// ```
/// use levada_log::Record;
///
/// let record = Record { key: Some(b"536365"), ..Record::of(b"white lantern") };
/// assert_eq!(record.value, b"white lantern");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    /// What it is grouped by, if anything.
    pub key: Option<&'a [u8]>,
    /// What it carries.
    pub value: &'a [u8],
    /// Names and values beside it.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// When it happened.
    pub event_time: Timestamp,
    /// It has a key and no value, and says that whatever the key stood for is gone. A compacted
    /// topic forgets the key, some time after.
    pub tombstone: bool,
}

impl<'a> Record<'a> {
    /// A record with a value and nothing else, at time zero.
    pub fn of(value: &'a [u8]) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }

    /// A record that says that what a key stood for is gone, at time zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Batch, Error, Record};
    ///
    /// let mut batch = Batch::new();
    /// batch.push(&Record::tombstone(b"536365"))?;
    ///
    /// let with_value = Record { value: b"white lantern", ..Record::tombstone(b"536365") };
    /// assert!(matches!(batch.push(&with_value), Err(Error::BadTombstone { .. })));
    /// assert_eq!(batch.len(), 1);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn tombstone(key: &'a [u8]) -> Self {
        Self {
            key: Some(key),
            tombstone: true,
            ..Self::default()
        }
    }

    /// Whether a tombstone has what it needs, and no more.
    fn check(&self) -> Result<()> {
        let reason = match (self.tombstone, self.key, self.value) {
            (true, None, _) => "it has no key",
            (true, Some(_), [_, ..]) => "it has a value",
            _ => return Ok(()),
        };
        Err(Error::BadTombstone { reason })
    }
}

/// Records to be appended together: all become visible, or none.
///
/// # Examples
///
/// ```
/// use levada_log::{Batch, Record};
///
/// let mut batch = Batch::new();
/// batch.push(&Record::of(b"first"))?;
/// batch.push(&Record::of(b"second"))?;
/// assert_eq!(batch.len(), 2);
///
/// let too_large = vec![0; levada_log::MAX_RECORD_BYTES + 1];
/// assert!(batch.push(&Record::of(&too_large)).is_err());
/// assert_eq!(batch.len(), 2);
/// # Ok::<(), levada_log::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batch {
    /// The header's room, then the records.
    bytes: Vec<u8>,
    count: u32,
    /// Whether some record has no key.
    lacks_key: bool,
    first_event_time: Timestamp,
    max_event_time: Timestamp,
    /// Bytes of the records before they were compressed; once they are, nothing is pushed.
    unpacked: Option<u32>,
}

impl Batch {
    /// A batch without records.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; HEADER_LEN],
            count: 0,
            lacks_key: false,
            first_event_time: Timestamp::MIN,
            max_event_time: Timestamp::MIN,
            unpacked: None,
        }
    }

    /// Adds a record.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] when the record, its key, its headers or the batch would pass its limit,
    /// [`Error::BadTombstone`] for one with a value or without a key. The batch is then as before.
    pub fn push(&mut self, record: &Record<'_>) -> Result<()> {
        record.check()?;
        limit("key size", record.key.map_or(0, <[u8]>::len), MAX_KEY_BYTES)?;
        limit("number of headers", record.headers.len(), MAX_HEADERS)?;
        limit("record size", payload(record), MAX_RECORD_BYTES)?;
        let encoded = payload(record) + overhead(record);
        limit("batch size", self.bytes.len() + encoded, MAX_BATCH_BYTES)?;
        if self.count == 0 {
            self.first_event_time = record.event_time;
        }
        records::put(
            &mut self.bytes,
            u64::from(self.count),
            self.first_event_time,
            record,
        );
        self.max_event_time = self.max_event_time.max(record.event_time);
        self.count += 1;
        self.lacks_key |= record.key.is_none();
        Ok(())
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it has no records.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether some record has no key.
    pub(crate) fn lacks_key(&self) -> bool {
        self.lacks_key
    }

    /// How many bytes it takes, in memory and, unless its topic compresses it, on disk.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// As it is stored: compressed, if its topic wants that and it makes it smaller.
    pub(crate) fn packed(self, compression: Compression) -> Self {
        let packed = match compression {
            Compression::None => None,
            Compression::Lz4 => lz4::pack(&self.bytes),
        };
        let Some(bytes) = packed else {
            return self;
        };
        let unpacked = u32::try_from(self.bytes.len() - HEADER_LEN);
        Self {
            bytes,
            unpacked: Some(unpacked.expect("a batch is below its limit")),
            ..self
        }
    }

    /// Gives the batch its place, fills in the header and the checksum.
    pub(crate) fn seal(mut self, place: &Place) -> (Header, Bytes) {
        assert!(self.count > 0, "an empty batch is never sealed");
        let header = Header {
            len: self.bytes.len(),
            id: place.id,
            incarnation: place.incarnation,
            previous_end: place.previous_end,
            base_offset: place.base_offset,
            last_offset_delta: self.count - 1,
            count: self.count,
            append_time: place.append_time,
            first_event_time: self.first_event_time,
            max_event_time: self.max_event_time,
            unpacked: self.unpacked,
            produced: place.produced,
        };
        header.seal(&mut self.bytes);
        (header, self.bytes.into())
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

/// Where and when a batch is appended.
pub(crate) struct Place {
    pub(crate) id: PartitionId,
    pub(crate) incarnation: u64,
    pub(crate) previous_end: u64,
    pub(crate) base_offset: u64,
    pub(crate) append_time: Timestamp,
    pub(crate) produced: Option<Produced>,
}

/// What a record carries, in bytes: what its limit is about.
fn payload(record: &Record<'_>) -> usize {
    let headers = record
        .headers
        .iter()
        .map(|(name, value)| name.len().saturating_add(value.len()));
    headers
        .fold(record.value.len(), usize::saturating_add)
        .saturating_add(record.key.map_or(0, <[u8]>::len))
}

/// More than the numbers between a record's parts can take: a flags byte, five varints, and two
/// for each header.
fn overhead(record: &Record<'_>) -> usize {
    1 + 10 * (5 + 2 * record.headers.len())
}

fn limit(what: &'static str, size: usize, limit: usize) -> Result<()> {
    if size <= limit {
        return Ok(());
    }
    Err(Error::TooLarge {
        what,
        size: size as u64,
        limit: limit as u64,
    })
}
