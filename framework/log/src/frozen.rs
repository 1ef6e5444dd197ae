//! Format version 1 is frozen: what is encoded from fixed values is what it was, byte for byte.
//!
//! The bytes are in `tests/fixtures/v1/encoded`, and are never changed. What a log wrote with them
//! is beside them; `tests/format` opens it.

use std::{fmt::Debug, fs, path::Path, path::PathBuf};

use bytes::Bytes;
use levada_core::Timestamp;

use crate::{
    Acks, Batch, Compression, Record, Retention,
    batch::{
        Place,
        header::{How, Produced},
    },
    image,
    journal::frame::{self, Entry, JournalId},
    mark::Marked,
    meta::{
        Aborted, Change, Image, OpenTransaction, Outcome, PartitionImage, ProducerImage, Segment,
        SegmentName, Sequenced, Settings, Swept, TopicImage,
    },
    partition::PartitionId,
};

/// Holds bytes against those of the fixture.
///
/// One that is not there is written if the environment has `LEVADA_FREEZE`: how a new version gets
/// its fixtures.
pub(crate) fn assert_frozen(name: &str, bytes: &[u8]) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1/encoded");
    let path = folder.join(name);
    if !path.exists() && std::env::var_os("LEVADA_FREEZE").is_some() {
        fs::create_dir_all(&folder).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    let frozen = fs::read(&path).unwrap();
    let at = frozen.iter().zip(bytes).position(|(was, is)| was != is);
    assert!(
        frozen == bytes,
        "{name} is {} bytes and was {}, they differ from {at:?} on: another format has another \
         version number and fixtures of its own, and these are never changed",
        bytes.len(),
        frozen.len()
    );
}

const TIME: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn id(topic: u32, partition: u32) -> PartitionId {
    PartitionId { topic, partition }
}

fn batch(how: Option<How>) -> Bytes {
    let mut batch = Batch::new();
    let full = Record {
        key: Some(b"536365"),
        value: b"white lantern",
        headers: &[("trace", b"\x01\xff"), ("", b"")],
        event_time: TIME,
        tombstone: false,
    };
    let earlier = Record {
        event_time: Timestamp::from_millis(-1),
        ..Record::of(&[7; 200])
    };
    for record in [full, Record::tombstone(b"gone"), earlier] {
        batch.push(&record).unwrap();
    }
    let place = Place {
        id: id(3, 1),
        incarnation: 5,
        previous_end: 1 << 33,
        base_offset: (1 << 33) + 2,
        append_time: TIME,
        produced: how.map(|how| Produced {
            producer: 9,
            epoch: 4,
            how,
        }),
    };
    batch.seal(&place).1
}

fn settings() -> Settings {
    Settings {
        codec: "json".to_owned(),
        partitioner: "murmur2".to_owned(),
        acks: Acks::Written,
        compression: Compression::Lz4,
        retention: retention(),
    }
}

fn retention() -> Retention {
    let second = std::time::Duration::from_secs(1);
    Retention::forever()
        .age(second)
        .bytes(1 << 20)
        .tombstones(2 * second)
}

/// An image in which nothing is left out.
fn full_image() -> Image {
    let segment = Segment {
        base: 10,
        end: 20,
        bytes: 1000,
        generation: 2,
        first_append: TIME,
        last_append: TIME,
    };
    let sequenced = Sequenced {
        first: 4,
        last: 5,
        offsets: 18..20,
        append_time: TIME,
    };
    let partition = PartitionImage {
        start: 10,
        end: 20,
        next: 21,
        append_time: TIME,
        segments: vec![segment],
        failed: Some("a bit has flipped".to_owned()),
        aborted: vec![Aborted {
            producer: 9,
            epoch: 3,
            range: 11..13,
        }],
        sequences: [(8, [sequenced].into())].into(),
        compacted: 15,
        swept: Some(Swept {
            upto: 14,
            at: TIME,
            tombstones: 1,
        }),
    };
    let topic = TopicImage {
        name: "orders".to_owned(),
        settings: settings(),
        sealed: true,
        partitions: vec![partition, PartitionImage::default()],
    };
    let open = OpenTransaction {
        epoch: 4,
        ranges: [(id(3, 1), 19..20)].into(),
    };
    let producer = ProducerImage {
        name: "shop".to_owned(),
        epoch: 4,
        open: Some(open),
    };
    let name = SegmentName {
        base: 0,
        generation: 1,
    };
    Image {
        requires: Vec::new(),
        nonce: u64::MAX,
        instance: 5,
        journal: 7,
        commit: 70,
        kept_journals: vec![6],
        topics: [(3, topic)].into(),
        groups: [("readers".to_owned(), [(id(3, 1), 12)].into())].into(),
        producers: [(9, producer)].into(),
        next_producer: 10,
        dropped: vec![(id(3, 0), name)],
    }
}

/// One change of each kind.
fn changes() -> Vec<Change> {
    let positions = vec![(id(3, 0), 1), (id(3, 1), 2)];
    let created = Change::TopicCreated {
        id: 3,
        name: "orders".to_owned(),
        partitions: 2,
        settings: settings(),
    };
    let ended = |outcome| Change::TransactionEnded {
        producer: 9,
        epoch: 4,
        outcome,
        ranges: vec![(id(3, 1), 19..20)],
        positions: vec![("readers".to_owned(), positions.clone())],
    };
    vec![
        created,
        Change::RetentionChanged {
            id: 3,
            retention: retention(),
        },
        Change::PositionsMoved {
            group: "readers".to_owned(),
            positions: positions.clone(),
        },
        Change::TopicSealed {
            id: 3,
            ends: vec![20, 0],
        },
        Change::ProducerOpened {
            id: 9,
            name: "shop".to_owned(),
            epoch: 3,
        },
        Change::ProducerForgotten { id: 8 },
        Change::TransactionBegun {
            producer: 9,
            epoch: 4,
        },
        ended(Outcome::Committed),
        ended(Outcome::Aborted),
        Change::Stopped,
    ]
}

#[test]
fn batches_are_encoded_as_in_version_1() {
    assert_frozen("batch", &batch(None));
    assert_frozen("batch-sequenced", &batch(Some(How::Sequenced(6, 8))));
    assert_frozen("batch-transactional", &batch(Some(How::Transactional)));
}

#[test]
fn frames_and_changes_are_encoded_as_in_version_1() {
    let mut entries = vec![Entry::Batch {
        id: id(3, 1),
        end: (1 << 33) + 5,
        body: batch(None),
    }];
    for change in changes() {
        let bytes = change.encode();
        assert_same(
            &Change::decode(&bytes, Path::new("a journal")).unwrap(),
            &change,
        );
        entries.push(Entry::Change(bytes.into()));
    }
    let journal = JournalId {
        nonce: u64::MAX,
        instance: 5,
        number: 7,
    };
    let (head, directory) = frame::front(journal, 70, 69, &entries);
    let mut bytes = [&head[..], &directory].concat();
    for entry in &entries {
        bytes.extend_from_slice(entry.body());
    }
    assert_frozen("frame", &bytes);
}

#[test]
fn images_are_encoded_as_in_version_1() {
    let image = full_image();
    let decoded = Image::decode(&image.encode(), Path::new("an image")).unwrap();
    assert_same(&decoded, &image);
    assert_frozen("image", &image::bytes(&image));
}

#[test]
fn marks_are_encoded_as_in_version_1() {
    let marked = Marked {
        instance: 5,
        commit: 70,
        durable: 69,
    };
    assert_frozen("mark", &marked.encode());
}

fn assert_same<T: PartialEq + Debug>(decoded: &T, encoded: &T) {
    assert_eq!(decoded, encoded, "what is written is what is read");
}
