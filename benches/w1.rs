//! W1: filter and map whole bids, and sum what is left. What does a stage cost without keys?
//!
//! ```text
//! cargo bench -p levada-benches --bench w1 [-- --check [--peers DIR]] [-- --smoke]
//! ```

use std::process::ExitCode;

use levada::prelude::*;
use levada_benches::{
    bids::{Bid, bid_at, pool},
    paired::{self, Bar, Peer, Sums, Workload},
    workload::{Sum, add, events},
};

fn main() -> ExitCode {
    paired::main(env!("CARGO_TARGET_TMPDIR"), &[W1])
}

const W1: Workload = Workload {
    name: "w1",
    prepare: || _ = pool(),
    run: filter_and_map,
    truth: by_hand,
    sums: Sums::Equal,
    peers: &[
        Peer::new("hand, 1 thread", "hand-bench", &["w1"]),
        Peer::new("hand, 2 threads", "hand-bench", &["w1x2"]),
        Peer::new("renoir", "renoir-bench", &["w1"]),
        Peer::new("timely", "timely-bench", &["w1"]),
    ],
    bars: &[
        Bar {
            against: &["renoir"],
            must: 1.0,
            aim: 1.1,
        },
        Bar {
            against: &["hand, 2 threads"],
            must: 0.8,
            aim: 0.8,
        },
    ],
};

fn filter_and_map(count: u64) -> Result<u64, Error> {
    let (pool, sum) = (pool(), Sum::default());
    let pipeline = Pipeline::new("w1");
    pipeline
        .source(events(count, |i| bid_at(pool, i)))
        .filter(|bid| bid.auction % 123 == 0)
        .map(in_dollars)
        .sink(add(&sum, |bid: Bid| bid.price + 1));
    pipeline.run()?;
    Ok(sum.total())
}

fn by_hand(count: u64) -> u64 {
    let bids = (0..count).map(|i| bid_at(pool(), i));
    let kept = bids.filter(|bid| bid.auction % 123 == 0).map(in_dollars);
    kept.map(|bid| bid.price + 1).sum()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "Nexmark's query 1 converts like this"
)]
fn in_dollars(bid: Bid) -> Bid {
    Bid {
        price: (bid.price as f64 * 0.908) as u64,
        ..bid
    }
}
