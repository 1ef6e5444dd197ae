//! W4: drop what was seen in the last minute of event time, among a million keys.
//!
//! What do event time, timers and state that does not fit into a cache cost?
//!
//! ```text
//! cargo bench -p levada-benches --bench w4 [-- --check [--peers DIR]] [-- --smoke]
//! ```

use std::{collections::HashMap, process::ExitCode, time::Duration};

use levada::{Timestamp, prelude::*};
use levada_benches::{
    paired::{self, Bar, Peer, Sums, Workload},
    workload::{Sum, add, events},
};

fn main() -> ExitCode {
    paired::main(env!("CARGO_TARGET_TMPDIR"), &[W4])
}

const W4: Workload = Workload {
    name: "w4",
    prepare: || (),
    run: dedup,
    truth: by_hand,
    // Which of two records counts as the first depends on how far one reader is ahead of the other.
    // Ours is within 0.3 % of the plain loop. Timely's workers are held back by nobody: on a busy
    // machine its sum was up to 11 % lower.
    sums: Sums::Within {
        truth: 0.01,
        peers: 0.15,
    },
    peers: &[
        Peer::new("hand, 1 thread", "hand-bench", &["w4"]),
        Peer::new("timely", "timely-bench", &["w4"]),
        Peer::new("tokio, 256", "tokio-bench", &["tokio-w4"]).with("256"),
        Peer::new("renoir", "renoir-bench", &["w4"]),
    ],
    bars: &[Bar {
        against: &["timely"],
        must: 0.9,
        aim: 1.1,
    }],
};

const SPAN: Duration = Duration::from_mins(1);

fn dedup(count: u64) -> Result<u64, Error> {
    let sum = Sum::default();
    let pipeline = Pipeline::new("w4");
    pipeline
        .source(events(count, event))
        .event_time(Duration::ZERO, |(_, millis)| {
            Timestamp::from_millis(*millis)
        })
        .key_by(|(id, _)| *id)
        .dedup(SPAN)
        .sink(add(&sum, |_| 1));
    pipeline.run()?;
    Ok(sum.total())
}

fn by_hand(count: u64) -> u64 {
    let mut passed = HashMap::new();
    let mut sum = 0;
    for (id, millis) in (0..count).map(event) {
        let at = Timestamp::from_millis(millis);
        if passed.get(&id).is_none_or(|first| at >= *first + SPAN) {
            passed.insert(id, at);
            sum += 1;
        }
    }
    sum
}

/// An id out of a million, and the event time of 100,000 events a second.
fn event(i: u64) -> (u64, i64) {
    (mix(i) % 1_000_000, (i / 100).cast_signed())
}

/// `SplitMix64`, as the peers have it.
fn mix(i: u64) -> u64 {
    let z = i.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
