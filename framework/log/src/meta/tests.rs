//! Changes and images come back as they were; what a newer release wrote is refused.

use std::{collections::BTreeMap, path::Path};

use super::*;
use crate::{Error, partition::PartitionId};

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
        ..Image::default()
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
    let mut image = Image::default();
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
        ..Image::default()
    };
    let error = Image::decode(&image.encode(), path).unwrap_err();
    assert!(matches!(error, Error::Newer { feature, .. } if feature == "compaction"));

    let later = rmp_serde::to_vec_named(&BTreeMap::from([("TopicGrown", 16)])).unwrap();
    let error = Change::decode(&later, path).unwrap_err();
    assert!(matches!(error, Error::Newer { feature, .. } if feature == "TopicGrown"));
}
