//! Records inside a batch: how they are written, and how they are read without copying.
//!
//! A record is: offset delta, zigzag event time delta, a byte of flags, then if a key is present
//! its length and bytes, unless it is a tombstone the value's length and bytes, the number of
//! headers, and for each the name's length and bytes and the value's length and bytes. All numbers
//! are varints.

use bytes::Bytes;
use levada_core::Timestamp;

use super::{
    Record,
    header::{HEADER_LEN, Header},
    lz4, varint,
};
use crate::limits::MAX_HEADERS;

/// Flag of a record that has a key. The other bits are zero; a reader refuses what it does not
/// know.
const KEY_PRESENT: u8 = 1;
/// Flag of a tombstone, which also has a key.
const VALUE_ABSENT: u8 = 2;
const TOMBSTONE: u8 = KEY_PRESENT | VALUE_ABSENT;

/// Appends a record.
pub(crate) fn put(bytes: &mut Vec<u8>, offset_delta: u64, first: Timestamp, record: &Record<'_>) {
    varint::put(bytes, offset_delta);
    let time_delta = record
        .event_time
        .as_millis()
        .wrapping_sub(first.as_millis());
    varint::put(bytes, varint::zigzag(time_delta));
    let key = record.key.map_or(0, |_| KEY_PRESENT);
    bytes.push(key | if record.tombstone { VALUE_ABSENT } else { 0 });
    if let Some(key) = record.key {
        put_slice(bytes, key);
    }
    if !record.tombstone {
        put_slice(bytes, record.value);
    }
    varint::put(bytes, record.headers.len() as u64);
    for (name, value) in record.headers {
        put_slice(bytes, name.as_bytes());
        put_slice(bytes, value);
    }
}

fn put_slice(bytes: &mut Vec<u8>, slice: &[u8]) {
    varint::put(bytes, slice.len() as u64);
    bytes.extend_from_slice(slice);
}

/// A record of the log, borrowed from the bytes that were fetched.
///
/// # Examples
///
/// ```
/// use levada_core::Timestamp;
/// use levada_log::{Batch, Log, Record, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
/// let mut batch = Batch::new();
/// let event_time = Timestamp::from_millis(1_000);
/// let headers: &[(&str, &[u8])] = &[("row", b"17")];
/// batch.push(&Record { key: Some(b"536365"), event_time, headers, ..Record::of(b"lantern") })?;
/// orders.append(batch).wait()?;
///
/// let fetched = orders.fetch(0, 1 << 20).wait()?;
/// let record = fetched.records().next().expect("it was appended");
/// assert_eq!((record.offset, record.event_time), (0, event_time));
/// assert_eq!((record.key, record.value), (Some(&b"536365"[..]), &b"lantern"[..]));
/// assert_eq!(record.headers.get("row"), Some(&b"17"[..]));
/// assert_eq!(record.headers.get("line"), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RecordView<'a> {
    /// Its offset in the partition.
    pub offset: u64,
    /// When it was appended, by the log's clock; never goes back within a partition.
    pub append_time: Timestamp,
    /// When it happened, as its producer said.
    pub event_time: Timestamp,
    /// What it is grouped by, if anything.
    pub key: Option<&'a [u8]>,
    /// What it carries; nothing, if it is a tombstone.
    pub value: &'a [u8],
    /// Names and values beside it.
    pub headers: Headers<'a>,
    /// It says that what its key stood for is gone.
    pub tombstone: bool,
}

/// The headers of a record: an iterator that parses as it goes.
///
/// See [`RecordView`].
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    left: u64,
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    /// The value of the first header called `name`.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.clone()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = std::str::from_utf8(take_slice(&mut self.bytes)?).ok()?;
        Some((name, take_slice(&mut self.bytes)?))
    }
}

/// The records of a batch, in order.
///
/// See [`FetchedBatch`](crate::FetchedBatch).
#[derive(Clone, Debug)]
pub struct Records<'a> {
    header: Header,
    /// What has not been read yet.
    bytes: &'a [u8],
    /// Records before this offset are left out.
    from: u64,
}

impl<'a> Records<'a> {
    /// Of `bytes` that hold them, decompressed and without the header.
    pub(crate) fn of(header: Header, bytes: &'a [u8], from: u64) -> Self {
        Self {
            header,
            bytes,
            from,
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = RecordView<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordView<'a>> {
        loop {
            if self.bytes.is_empty() {
                return None;
            }
            let record = take(&mut self.bytes, &self.header)
                .expect("a batch is checked before its records are handed out");
            if record.offset >= self.from {
                return Some(record);
            }
        }
    }
}

/// The records of a whole batch as it is stored, decompressed; shared if they need not be.
pub(crate) fn unpacked(header: &Header, batch: &Bytes) -> Option<Bytes> {
    let stored = batch.slice(HEADER_LEN..);
    match header.unpacked {
        None => Some(stored),
        Some(len) => lz4::unpack(&stored, len as usize).map(Bytes::from),
    }
}

/// The records of a whole batch, if they are what its header says: a checksum proves that the bytes
/// are those that were written, not that whoever wrote them wrote a batch.
pub(crate) fn checked(header: &Header, batch: &Bytes) -> Option<Bytes> {
    unpacked(header, batch).filter(|records| are_sound(header, records))
}

/// Whether a whole batch holds the records that its header says.
pub(crate) fn are_in(header: &Header, batch: &[u8]) -> bool {
    let stored = &batch[HEADER_LEN..];
    match header.unpacked {
        None => are_sound(header, stored),
        Some(len) => {
            lz4::unpack(stored, len as usize).is_some_and(|records| are_sound(header, &records))
        }
    }
}

fn are_sound(header: &Header, mut bytes: &[u8]) -> bool {
    let mut next = header.base_offset;
    for _ in 0..header.count {
        match take(&mut bytes, header) {
            Some(record) if record.offset >= next => {
                next = record.offset + 1;
                let headers = record.headers.left;
                if record.headers.count() as u64 != headers {
                    return false;
                }
            }
            _ => return false,
        }
    }
    bytes.is_empty() && next == header.end()
}

/// Takes a record off the front of `bytes`.
#[inline]
fn take<'a>(bytes: &mut &'a [u8], header: &Header) -> Option<RecordView<'a>> {
    let offset_delta = varint::take(bytes)?;
    if offset_delta > u64::from(header.last_offset_delta) {
        return None;
    }
    let time_delta = varint::unzigzag(varint::take(bytes)?);
    let flags = take_byte(bytes)?;
    let (key, value) = match flags {
        0 => (None, take_slice(bytes)?),
        KEY_PRESENT => (Some(take_slice(bytes)?), take_slice(bytes)?),
        TOMBSTONE => (Some(take_slice(bytes)?), &[][..]),
        _ => return None,
    };
    let left = varint::take(bytes)?;
    if left > MAX_HEADERS as u64 {
        return None;
    }
    let headers = Headers { left, bytes };
    for _ in 0..left {
        take_slice(bytes)?;
        take_slice(bytes)?;
    }
    Some(RecordView {
        offset: header.base_offset + offset_delta,
        append_time: header.append_time,
        event_time: Timestamp::from_millis(
            header.first_event_time.as_millis().wrapping_add(time_delta),
        ),
        key,
        value,
        headers,
        tombstone: flags == TOMBSTONE,
    })
}

#[inline]
fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (&byte, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(byte)
}

#[inline]
fn take_slice<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(varint::take(bytes)?).ok()?;
    let (slice, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, batch::Place, partition::PartitionId};

    fn sealed(batch: Batch) -> (Header, Bytes) {
        let (header, bytes) = batch.seal(&Place {
            id: PartitionId {
                topic: 1,
                partition: 0,
            },
            incarnation: 1,
            previous_end: 100,
            base_offset: 100,
            append_time: Timestamp::from_millis(5),
            produced: None,
        });
        (header, bytes.slice(HEADER_LEN..))
    }

    #[test]
    fn records_come_back_with_all_their_parts() {
        let mut batch = Batch::new();
        let headers: &[(&str, &[u8])] = &[("row", b"7"), ("empty", b"")];
        let extremes = [Timestamp::MIN, Timestamp::MAX, Timestamp::from_millis(0)];
        for (event_time, key) in extremes
            .into_iter()
            .zip([None, Some(&b""[..]), Some(b"\xff")])
        {
            batch
                .push(&Record {
                    key,
                    value: b"v",
                    headers,
                    event_time,
                    tombstone: false,
                })
                .unwrap();
        }
        let (header, bytes) = sealed(batch);
        assert!(are_sound(&header, &bytes));

        let all: Vec<_> = Records::of(header, &bytes, 0).collect();
        assert_eq!(
            all.iter().map(|r| r.offset).collect::<Vec<_>>(),
            [100, 101, 102]
        );
        assert_eq!(
            all.iter().map(|r| r.event_time).collect::<Vec<_>>(),
            extremes
        );
        assert_eq!(
            all.iter().map(|r| r.key).collect::<Vec<_>>(),
            [None, Some(&b""[..]), Some(b"\xff")]
        );
        assert_eq!(all[1].headers.get("row"), Some(&b"7"[..]));
        assert_eq!(all[1].headers.clone().count(), 2);
        assert_eq!(Records::of(header, &bytes, 102).count(), 1);
    }

    #[test]
    fn tombstone_is_not_a_record_with_an_empty_value() {
        let mut batch = Batch::new();
        let empty = Record {
            key: Some(b"k"),
            ..Record::of(b"")
        };
        let headers: &[(&str, &[u8])] = &[("why", b"gone")];
        let tombstone = Record {
            headers,
            ..Record::tombstone(b"k")
        };
        batch.push(&empty).unwrap();
        batch.push(&tombstone).unwrap();
        let (header, bytes) = sealed(batch);
        assert!(are_sound(&header, &bytes));
        let all: Vec<_> = Records::of(header, &bytes, 0).collect();
        let seen: Vec<_> = all.iter().map(|r| (r.key, r.value, r.tombstone)).collect();
        let key = Some(&b"k"[..]);
        assert_eq!(seen, [(key, &b""[..], false), (key, b"", true)]);
        assert_eq!(all[1].headers.get("why"), Some(&b"gone"[..]));

        // A tombstone without a key would say that nothing is gone.
        let one = Header {
            last_offset_delta: 0,
            count: 1,
            ..header
        };
        for (flags, sound) in [(VALUE_ABSENT, false), (TOMBSTONE, true)] {
            let mut batch = vec![0, 0, flags];
            batch.extend(sound.then_some(0));
            batch.push(0);
            assert_eq!(are_sound(&one, &batch), sound, "{flags}");
        }
    }

    #[test]
    fn batch_that_is_not_what_its_header_says_is_refused() {
        let mut batch = Batch::new();
        batch.push(&Record::of(b"one")).unwrap();
        batch.push(&Record::of(b"two")).unwrap();
        let (header, bytes) = sealed(batch);
        let places = (0..bytes.len()).flat_map(|at| [0, 1, 0x7f, 0x80].map(|v| (at, v)));
        for (at, value) in places {
            let mut changed = bytes.to_vec();
            changed[at] = value;
            // Whatever the bytes: refused, or as many records as the header says.
            let sound = are_sound(&header, &changed);
            assert!(
                !sound || Records::of(header, &changed, 0).count() == 2,
                "{at}"
            );
        }
        assert!(!are_sound(&header, &bytes[..bytes.len() - 1]));
        assert!(!are_sound(&Header { count: 1, ..header }, &bytes));
        assert!(!are_sound(
            &Header {
                last_offset_delta: 2,
                ..header
            },
            &bytes
        ));
    }
}
