#!/usr/bin/env python3
"""Makes keys.csv: 10,000 keys with the hash and the partitions that Kafka gives them.

This is murmur2 written a second time, from Kafka's definition
(org.apache.kafka.common.utils.Utils.murmur2 and toPositive), so that the Rust
one is not its own judge. Kafka's published vectors are checked before anything
is written; they are those of UtilsTest.testMurmur2, for instance at
https://github.com/apache/kafka/blob/f55581dc73953c3509a4702433aeeeddc2970779/clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java

Usage: make.py writes keys.csv beside itself; make.py --check compares it instead.
"""

import random
import sys
from pathlib import Path

KAFKA_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}

KEYS = 10_000
LONGEST = 300
PARTITIONS = (1, 3, 8, 12, 256)
SEED = 20101201
MASK = 0xFFFFFFFF

# Each alphabet takes another number of bytes in UTF-8: one, two, three, four.
ALPHABETS = ("abcXYZ0189-_./ ", "äéßñЖαω", "日本語キー€", "🌊🏔🚰")
INTEGERS = {"u32": (4, False), "u64": (8, False), "i32": (4, True), "i64": (8, True)}


def murmur2(data: bytes) -> int:
    """The 32-bit hash as an unsigned number."""
    multiplier, length = 0x5BD1E995, len(data)
    hash_ = (0x9747B28C ^ length) & MASK
    whole = length - length % 4
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * multiplier & MASK
        word = (word ^ word >> 24) * multiplier & MASK
        hash_ = hash_ * multiplier & MASK ^ word
    rest = data[whole:]
    if rest:
        hash_ = (hash_ ^ int.from_bytes(rest, "little")) * multiplier & MASK
    hash_ = (hash_ ^ hash_ >> 13) * multiplier & MASK
    return hash_ ^ hash_ >> 15


def partition(hash_: int, partitions: int) -> int:
    """What Kafka's default partitioner chooses: toPositive(hash) % partitions."""
    return (hash_ & 0x7FFFFFFF) % partitions


def text(rng: random.Random) -> bytes:
    """A short text, of one alphabet or of all."""
    alphabet = rng.choice(ALPHABETS + ("".join(ALPHABETS),))
    return "".join(rng.choices(alphabet, k=rng.randint(0, 12))).encode()


def integer(rng: random.Random, kind: str) -> bytes:
    """A big-endian integer of any magnitude; the extremes come up often."""
    size, signed = INTEGERS[kind]
    bits = rng.randint(0, size * 8 - signed)
    number = rng.choice((rng.getrandbits(bits) if bits else 0, (1 << bits) - 1))
    if signed and rng.random() < 0.5:
        number = -number - 1
    return number.to_bytes(size, "big", signed=signed)


def candidates(rng: random.Random):
    """Keys without end, as (kind, bytes); every length to LONGEST comes up at once."""
    for key in KAFKA_VECTORS:
        yield "utf8", key
    for length in range(LONGEST + 1):
        yield "bytes", rng.randbytes(length)
    while True:
        yield "utf8", text(rng)
        yield "bytes", rng.randbytes(rng.randint(1, 24))
        yield "utf8", f"order-{rng.randint(0, 10**9)}".encode()
        for kind in INTEGERS:
            yield kind, integer(rng, kind)


def table() -> str:
    """The whole file. A key stands in it once per kind."""
    rng, seen, lines = random.Random(SEED), set(), []
    for kind, key in candidates(rng):
        if (kind, key) in seen:
            continue
        seen.add((kind, key))
        hash_ = murmur2(key)
        signed = hash_ - (1 << 32) if hash_ >> 31 else hash_
        numbers = (signed, *(partition(hash_, n) for n in PARTITIONS))
        lines.append(",".join((kind, key.hex(), *map(str, numbers))))
        if len(lines) == KEYS:
            break
    header = ",".join(("kind", "key_hex", "murmur2", *(f"of_{n}" for n in PARTITIONS)))
    return "\n".join((header, *lines, ""))


def main() -> None:
    """Checks the hash against Kafka's vectors, then writes or compares the file."""
    for key, expected in KAFKA_VECTORS.items():
        assert murmur2(key) == expected & MASK, f"murmur2({key}) is not Kafka's {expected}"
    file = Path(__file__).with_name("keys.csv")
    if sys.argv[1:] == ["--check"]:
        sys.exit(None if file.read_text() == table() else f"{file} is not what make.py makes")
    file.write_text(table())


if __name__ == "__main__":
    main()
