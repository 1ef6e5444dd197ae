//! Keys go where Kafka sends them: 10,000 of them, as a second program computed it.
//!
//! `tests/vectors/murmur2/make.py` makes the table, and checks itself against the vectors that
//! Kafka publishes.

use std::{collections::HashMap, fmt};

use levada::{Levada, prelude::*, sink::Collected};
use levada_core::key::{Slots, key_bytes, murmur2};
use levada_log::{Log, TopicOptions};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const TABLE: &str = include_str!("vectors/murmur2/keys.csv");

/// A row of the table.
struct Vector {
    /// What the bytes are: `bytes`, `utf8`, or an integer type.
    kind: &'static str,
    key: Vec<u8>,
    /// The hash as Java prints it.
    hash: i32,
    /// The partition among so many, as (how many, which).
    partitions: Vec<(u32, u32)>,
}

fn table() -> Vec<Vector> {
    let mut lines = TABLE.lines();
    let header = lines
        .next()
        .expect("the table has a header")
        .split(',')
        .skip(3);
    let counts: Vec<u32> = header
        .map(|name| name.strip_prefix("of_").unwrap().parse().unwrap())
        .collect();
    let vectors: Vec<_> = lines.map(|line| vector(line, &counts)).collect();
    assert_eq!(
        (vectors.len(), &counts[..]),
        (10_000, &[1, 3, 8, 12, 256][..])
    );
    vectors
}

fn vector(line: &'static str, counts: &[u32]) -> Vector {
    let fields: Vec<_> = line.split(',').collect();
    let digits = fields[1]
        .as_bytes()
        .chunks(2)
        .map(|pair| str::from_utf8(pair).unwrap());
    let chosen = fields[3..].iter().map(|field| field.parse().unwrap());
    Vector {
        kind: fields[0],
        key: digits
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect(),
        hash: fields[2].parse().unwrap(),
        partitions: counts.iter().copied().zip(chosen).collect(),
    }
}

#[test]
fn keys_have_kafkas_hash() {
    for Vector { key, hash, .. } in table() {
        assert_eq!(murmur2(&key).cast_signed(), hash, "of {key:02x?}");
    }
}

#[test]
fn keys_go_where_kafka_sends_them() {
    for Vector {
        key, partitions, ..
    } in table()
    {
        for (count, partition) in partitions {
            let chosen = Slots::for_partitions(count).partition(murmur2(&key));
            assert_eq!(chosen, partition, "of {count}, for {key:02x?}");
        }
    }
}

#[test]
fn text_and_integers_have_the_bytes_that_kafka_serialises() {
    let mut kinds = Vec::new();
    for Vector { kind, key, .. } in table() {
        let bytes = match kind {
            "utf8" => key_bytes(str::from_utf8(&key).unwrap()),
            "u32" => key_bytes(&u32::from_be_bytes(key[..].try_into().unwrap())),
            "u64" => key_bytes(&u64::from_be_bytes(key[..].try_into().unwrap())),
            "i32" => key_bytes(&i32::from_be_bytes(key[..].try_into().unwrap())),
            "i64" => key_bytes(&i64::from_be_bytes(key[..].try_into().unwrap())),
            other => {
                assert_eq!(other, "bytes", "a kind that this test does not know");
                continue;
            }
        };
        assert_eq!(bytes.unwrap(), key, "{kind}");
        kinds.push(kind);
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(
        kinds,
        ["i32", "i64", "u32", "u64", "utf8"],
        "each kind is in the table"
    );
}

/// A key whose canonical bytes are its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // In MessagePack, which these tests read, bytes are bytes.
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// The partitions in which a topic of twelve has each key.
fn partitions_of(levada: &Levada) -> HashMap<Vec<u8>, u32> {
    let keys = levada.topic::<Bytes>("keys").partitions(12).open().unwrap();
    let reading = levada.pipeline("reading");
    let found = Collected::new();
    let source = topic(&keys).with(|info, Bytes(key)| (key, info.partition()));
    reading.source(source).sink(collect(&found));
    reading.run().unwrap();
    found.take().into_iter().collect()
}

fn write_all(levada: &Levada) {
    let keys = levada
        .topic::<Bytes>("keys")
        .partitions(12)
        .create()
        .unwrap();
    let writing = levada.pipeline("writing");
    let source = iter(
        table()
            .into_iter()
            .map(|v| Bytes(v.key))
            .collect::<Vec<_>>(),
    );
    writing
        .source(source)
        .key_by(Bytes::clone)
        .sink(to_topic(&keys).sealing());
    writing.run().unwrap();
}

#[test]
fn both_backends_keep_each_key_where_kafka_would_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Levada::in_memory();
    write_all(&memory);
    write_all(&Levada::open(folder.path()).unwrap());
    let reopened = Levada::open(folder.path()).unwrap();
    for levada in [memory, reopened] {
        let found = partitions_of(&levada);
        for Vector {
            key, partitions, ..
        } in table()
        {
            let (_, want) = partitions.into_iter().find(|(of, _)| *of == 12).unwrap();
            assert_eq!(found.get(&key), Some(&want), "of {key:02x?}");
        }
    }
}

#[test]
fn a_topic_whose_keys_lie_elsewhere_is_refused_and_the_partitioner_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    let other = TopicOptions::new()
        .codec("msgpack")
        .partitioner("java-hash/1");
    log.create_topic("keys", other.partitions(12))
        .wait()
        .unwrap();
    log.close().wait().unwrap();
    drop(log);
    let levada = Levada::open(folder.path()).unwrap();
    let topic = || levada.topic::<Bytes>("keys").partitions(12);
    for refused in [topic().create(), topic().open()] {
        let sentence = refused.unwrap_err().to_string();
        let names = [
            "`keys`",
            "partitioner `java-hash/1`",
            "partitioner `murmur2/1`",
        ];
        assert!(
            names.iter().all(|name| sentence.contains(name)),
            "{sentence}"
        );
    }
}
