//! Changes and images come back as they were; what a newer release wrote is refused.

use std::{collections::BTreeMap, path::Path, thread};

use super::*;
use crate::{Error, MAX_PARTITIONS, partition::PartitionId};

/// The image of a new log.
fn empty() -> Image {
    Image {
        commit: 1,
        ..Image::default()
    }
}

fn created() -> Change {
    Change::TopicCreated {
        id: 1,
        name: "orders".to_owned(),
        partitions: 2,
        settings: Settings::default(),
    }
}

#[test]
fn changes_and_images_come_back() {
    let path = Path::new("x");
    let mut image = Image {
        instance: 3,
        ..empty()
    };
    image.apply(created());
    let id = PartitionId {
        topic: 1,
        partition: 1,
    };
    let moved = Change::PositionsMoved {
        group: "g".to_owned(),
        positions: vec![(id, 9)],
    };
    assert_eq!(Change::decode(&moved.encode(), path).unwrap(), moved);
    image.apply(moved);
    assert_eq!(Image::decode(&image.encode(), path).unwrap(), image);
}

#[test]
fn next_offset_lies_above_every_named_position() {
    let mut image = empty();
    image.apply(created());
    let id = PartitionId {
        topic: 1,
        partition: 1,
    };
    image.apply(Change::PositionsMoved {
        group: "g".to_owned(),
        positions: vec![(id, 9)],
    });
    image
        .partition_mut(PartitionId {
            topic: 1,
            partition: 0,
        })
        .unwrap()
        .end = 4;
    image.lift_next_offsets();
    let nexts: Vec<_> = image.topics[&1].partitions.iter().map(|p| p.next).collect();
    assert_eq!(nexts, [4, 9]);
}

#[test]
fn what_a_newer_release_requires_is_refused_by_name() {
    let path = Path::new("x");
    let image = Image {
        requires: vec!["compaction".to_owned()],
        ..empty()
    };
    let error = Image::decode(&image.encode(), path).unwrap_err();
    assert!(matches!(error, Error::Newer { feature, .. } if feature == "compaction"));

    let later = rmp_serde::to_vec_named(&BTreeMap::from([("TopicGrown", 16)])).unwrap();
    let error = Change::decode(&later, path).unwrap_err();
    assert!(matches!(error, Error::Newer { feature, .. } if feature == "TopicGrown"));
}

/// An image as `MessagePack` that has one field more.
fn image_with(field: &[u8]) -> Vec<u8> {
    let mut bytes = empty().encode();
    assert_eq!(bytes[0] & 0xf0, 0x80, "a map of up to 15 fields");
    bytes[0] += 1;
    bytes.extend_from_slice(b"\xa5later");
    bytes.extend_from_slice(field);
    bytes
}

/// A change of this kind, as `MessagePack`.
fn change_of(body: &[u8]) -> Vec<u8> {
    [b"\x81\xaaTopicGrown".as_slice(), body].concat()
}

/// A front of `MessagePack`, so many times.
const LEVELS: [&[u8]; 4] = [
    b"\x91",                     // An array.
    b"\x81\xa1x",                // A map from a word,
    b"\x81",                     // and from a map.
    b"\xdd\xff\xff\xff\xff\x91", // One that says it is very long.
];

/// Asserts that these are refused as an image, and as a change.
fn assert_unusable(bytes: &[u8]) {
    let path = Path::new("x");
    let image = Image::decode(bytes, path).map(drop);
    let change = Change::decode(bytes, path).map(drop);
    for refused in [image, change] {
        let is_unusable = matches!(refused, Err(Error::Unusable { .. }));
        assert!(is_unusable, "{refused:?}");
    }
}

#[test]
fn nesting_overflows_no_small_stack_takes_no_memory_and_what_is_not_deep_is_passed_over() {
    let path = Path::new("x");
    let tried = thread::Builder::new().stack_size(256 << 10).spawn(move || {
        for (level, deep) in LEVELS[..2]
            .iter()
            .flat_map(|it| [1, 8, 25].map(|n| (it, n)))
        {
            let nested = [&level.repeat(deep)[..], b"\xc0"].concat();
            let image = Image::decode(&image_with(&nested), path);
            assert_eq!(image.unwrap(), empty());
            let refused = Change::decode(&change_of(&nested), path).unwrap_err();
            assert!(matches!(refused, Error::Newer { .. }), "{refused}");
        }
        for (level, deep) in LEVELS
            .iter()
            .flat_map(|it| [40, 1000, 100_000].map(|n| (it, n)))
        {
            let bomb = level.repeat(deep);
            let enough = 2 * bomb.len() as u64 + (64 << 10);
            for bytes in [image_with(&bomb), change_of(&bomb), bomb] {
                let measured = allocation_counter::measure(|| assert_unusable(&bytes));
                assert!(measured.bytes_max < enough, "{measured:?} for {enough}");
            }
        }
    });
    tried.unwrap().join().unwrap();
}

#[test]
fn lists_that_say_they_are_long_take_little_memory() {
    let path = Path::new("x");
    let bytes = empty().encode();
    for field in [
        "requires",
        "kept_journals",
        "topics",
        "groups",
        "producers",
        "dropped",
    ] {
        let name = bytes
            .windows(field.len())
            .position(|at| at == field.as_bytes());
        let (front, back) = bytes.split_at(name.unwrap() + field.len());
        for head in [0xdb, 0xc6, 0xdd, 0xdf] {
            let lie = [front, &[head, 0xff, 0xff, 0xff, 0xff], &back[1..]].concat();
            let measured = allocation_counter::measure(|| {
                let refused = Image::decode(&lie, path).unwrap_err();
                assert!(matches!(refused, Error::Unusable { .. }), "{refused}");
            });
            // What a list says is believed up to a mebibyte.
            assert!(measured.bytes_max < 2 << 20, "{field}: {measured:?}");
        }
    }
}

#[test]
fn topic_of_more_partitions_than_there_can_be_is_refused() {
    let of = |partitions| Change::TopicCreated {
        id: 1,
        name: "orders".to_owned(),
        partitions,
        settings: Settings::default(),
    };
    let decode = |change: Change| Change::decode(&change.encode(), Path::new("x"));
    assert!(decode(of(MAX_PARTITIONS)).is_ok());
    for many in [MAX_PARTITIONS + 1, u32::MAX] {
        let refused = decode(of(many)).unwrap_err();
        assert!(matches!(refused, Error::Unusable { .. }), "{refused}");
    }
}

/// Numbers that were forged: adding to them would overflow.
#[test]
fn number_that_no_log_comes_to_is_refused() {
    let (path, most) = (Path::new("x"), u64::MAX);
    let id = PartitionId {
        topic: 1,
        partition: 0,
    };
    let opened = |id, epoch| Change::ProducerOpened {
        id,
        name: "import".to_owned(),
        epoch,
    };
    let moved = |at| Change::PositionsMoved {
        group: "g".to_owned(),
        positions: vec![(id, at)],
    };
    let ended = |end, at| Change::TransactionEnded {
        producer: 1,
        epoch: 1,
        outcome: Outcome::Aborted,
        ranges: vec![(id, 0..end)],
        positions: vec![("g".to_owned(), vec![(id, at)])],
    };
    let decoded = |change: Change| Change::decode(&change.encode(), path);
    for sound in [opened(1, 1), moved(1), ended(1, 1)] {
        assert_eq!(decoded(sound.clone()).unwrap(), sound);
    }
    let forged = [
        opened(most, 1),
        opened(1, most),
        moved(most),
        ended(most, 1),
        ended(1, most),
    ];
    for change in forged {
        let what = format!("{change:?}");
        let refused = decoded(change).unwrap_err();
        assert!(
            matches!(refused, Error::Unusable { .. }),
            "{what}: {refused}"
        );
    }

    let mut image = empty();
    image.apply(created());
    let forge: [fn(&mut Image); 8] = [
        |image| image.commit = 0,
        |image| image.instance = u64::MAX,
        |image| image.journal = u64::MAX,
        |image| image.commit = u64::MAX,
        |image| image.next_producer = u64::MAX,
        |image| {
            image
                .topics
                .extend(image.topics.clone().into_values().map(|it| (u32::MAX, it)));
        },
        |image| image.topics.get_mut(&1).unwrap().partitions[0].next = u64::MAX,
        |image| {
            image.apply(Change::TransactionBegun {
                producer: 1,
                epoch: u64::MAX,
            });
        },
    ];
    image.apply(opened(1, 1));
    assert_eq!(Image::decode(&image.encode(), path).unwrap(), image);
    for (number, forge) in forge.iter().enumerate() {
        let mut forged = image.clone();
        forge(&mut forged);
        let refused = Image::decode(&forged.encode(), path).unwrap_err();
        assert!(
            matches!(refused, Error::Unusable { .. }),
            "{number}: {refused}"
        );
    }
}
