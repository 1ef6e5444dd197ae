//! Batches with fewer records: what compaction writes.

use bytes::Bytes;

use super::{
    Record,
    header::{HEADER_LEN, Header},
    lz4,
    records::{self, RecordView, Records},
};

/// The batch with only the records that are kept, after a batch that ends at `previous_end`; `None`
/// if none is.
///
/// What is kept keeps its offset, times, headers and producer. The header's first event time stays
/// too: the records' times are written as differences from it, and none gets longer.
pub(crate) fn rewrite(
    header: &Header,
    batch: &Bytes,
    previous_end: u64,
    mut keeps: impl FnMut(&RecordView<'_>) -> bool,
) -> Option<(Header, Bytes)> {
    let records = records::unpacked(header, batch);
    let records = records.expect("a batch is checked before it is rewritten");
    let all = Records::of(*header, &records, 0);
    let kept: Vec<RecordView<'_>> = all.filter(|record| keeps(record)).collect();
    let (first, last) = (kept.first()?, kept.last()?);
    if kept.len() == header.count as usize {
        return Some(moved(header, batch, previous_end));
    }
    let mut bytes = vec![0; HEADER_LEN];
    for record in &kept {
        let headers: Vec<(&str, &[u8])> = record.headers.clone().collect();
        let delta = record.offset - first.offset;
        let whole = Record {
            key: record.key,
            value: record.value,
            headers: &headers,
            event_time: record.event_time,
            tombstone: record.tombstone,
        };
        records::put(&mut bytes, delta, header.first_event_time, &whole);
    }
    // As the topic wants it: what was compressed is so again.
    let packed = header.unpacked.and_then(|_| lz4::pack(&bytes));
    let unpacked = packed.as_ref().map(|_| bytes.len() - HEADER_LEN);
    let mut bytes = packed.unwrap_or(bytes);
    let delta = u32::try_from(last.offset - first.offset);
    let times = kept.iter().map(|record| record.event_time);
    let header = Header {
        len: bytes.len(),
        previous_end,
        base_offset: first.offset,
        last_offset_delta: delta.expect("it was within the batch before"),
        count: u32::try_from(kept.len()).expect("there are fewer than before"),
        max_event_time: times.max().expect("there is one"),
        unpacked: unpacked.map(|len| u32::try_from(len).expect("it is below its limit")),
        ..*header
    };
    header.seal(&mut bytes);
    Some((header, bytes.into()))
}

/// The same batch, after another.
fn moved(header: &Header, batch: &Bytes, previous_end: u64) -> (Header, Bytes) {
    if header.previous_end == previous_end {
        return (*header, batch.clone());
    }
    let header = Header {
        previous_end,
        ..*header
    };
    let mut bytes = batch.to_vec();
    header.seal(&mut bytes);
    (header, bytes.into())
}

#[cfg(test)]
mod tests {
    use levada_core::Timestamp;

    use super::*;
    use crate::{
        Batch, Compression,
        batch::{
            Place,
            header::{How, Produced, checksum_holds},
            records::are_in,
        },
        partition::PartitionId,
    };

    fn example(compression: Compression) -> (Header, Bytes) {
        let mut batch = Batch::new();
        for (key, time) in [(&b"a"[..], 9), (b"b", 5), (b"a", 7), (b"c", 1)] {
            let headers: &[(&str, &[u8])] = &[("row", key)];
            batch
                .push(&Record {
                    key: Some(key),
                    headers,
                    event_time: Timestamp::from_millis(time),
                    ..Record::of(&[b'v'; 100])
                })
                .unwrap();
        }
        batch.push(&Record::tombstone(b"b")).unwrap();
        batch.packed(compression).seal(&Place {
            id: PartitionId {
                topic: 1,
                partition: 0,
            },
            incarnation: 3,
            previous_end: 90,
            base_offset: 100,
            append_time: Timestamp::from_millis(5),
            produced: Some(Produced {
                producer: 8,
                epoch: 9,
                how: How::Sequenced(10, 14),
            }),
        })
    }

    fn seen(header: Header, bytes: &Bytes) -> Vec<String> {
        let records = records::unpacked(&header, bytes).unwrap();
        let all = Records::of(header, &records, 0).map(|mut record| {
            record.append_time = Timestamp::from_millis(0);
            let headers: Vec<_> = record.headers.clone().collect();
            let parts = (record.key, record.value, record.tombstone, headers);
            format!("{} {:?} {parts:?}", record.offset, record.event_time)
        });
        all.collect()
    }

    #[test]
    fn what_is_kept_is_as_it_was_whatever_else_is_dropped() {
        for compression in [Compression::None, Compression::Lz4] {
            every_choice(compression);
        }
    }

    fn every_choice(compression: Compression) {
        let (header, bytes) = example(compression);
        let before = seen(header, &bytes);
        for kept in 1..32_u32 {
            let keeps = |offset: u64| kept & (1 << (offset - 100)) != 0;
            let rewritten = rewrite(&header, &bytes, 95, |record| keeps(record.offset));
            let (new, batch) = rewritten.unwrap();
            assert!(checksum_holds(&batch) && are_in(&new, &batch), "{kept}");
            assert_eq!(Header::parse(&batch), Ok(new));
            let expected = (100..105).zip(&before).filter(|(offset, _)| keeps(*offset));
            let expected: Vec<_> = expected.map(|(_, record)| record.clone()).collect();
            assert_eq!(seen(new, &batch), expected);
            assert_eq!((new.previous_end, new.produced), (95, header.produced));
            assert_eq!(new.append_time, header.append_time);
            assert!(batch.len() <= bytes.len());
        }
        assert!(rewrite(&header, &bytes, 95, |_| false).is_none());
    }
}
