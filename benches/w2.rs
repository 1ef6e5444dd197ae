//! W2: count bids by auction. What does an exchange cost, with whole bids and with numbers?
//!
//! W2 moves whole bids between copies; W2m maps them to their auction first; in W2p the source
//! yields nothing but auctions.
//!
//! ```text
//! cargo bench -p levada-benches --bench w2 [-- --check [--only w2p]] [-- --smoke]
//! ```

use std::{collections::HashMap, process::ExitCode};

use levada::prelude::*;
use levada_benches::{
    bids::{auction_at, bid_at, pool},
    paired::{self, Bar, Peer, Sums, Workload},
    workload::{Sum, add, events},
};

fn main() -> ExitCode {
    paired::main(env!("CARGO_TARGET_TMPDIR"), &[W2, W2M, W2P])
}

const W2: Workload = Workload {
    name: "w2",
    prepare: || _ = pool(),
    run: count_bids,
    truth: by_hand,
    sums: Sums::Equal,
    peers: &[
        Peer::new("timely", "timely-bench", &["w2"]),
        Peer::new("tokio, 256", "tokio-bench", &["tokio-w2"]).with("256"),
        Peer::new("renoir", "renoir-bench", &["w2"]),
    ],
    bars: &[Bar {
        against: &["timely", "tokio, 256"],
        must: 1.0,
        aim: 1.3,
    }],
};

const W2M: Workload = Workload {
    name: "w2m",
    run: count_mapped,
    peers: &[
        Peer::new("timely", "timely-bench", &["w2m"]),
        Peer::new("renoir", "renoir-bench", &["w2m"]),
    ],
    bars: &[NUMBERS],
    ..W2
};

const W2P: Workload = Workload {
    name: "w2p",
    run: count_auctions,
    peers: &[
        Peer::new("hand, 1 thread", "hand-bench", &["w2p"]),
        Peer::new("timely", "timely-bench", &["w2p"]),
        Peer::new("tokio, 256", "tokio-bench", &["tokio-w2p"]).with("256"),
        Peer::new("renoir", "renoir-bench", &["w2p"]),
    ],
    bars: &[NUMBERS],
    ..W2
};

const NUMBERS: Bar = Bar {
    against: &["timely"],
    must: 0.9,
    aim: 1.1,
};

fn count_bids(count: u64) -> Result<u64, Error> {
    let (pool, sum) = (pool(), Sum::default());
    let pipeline = Pipeline::new("w2");
    pipeline
        .source(events(count, |i| bid_at(pool, i)))
        .key_by(|bid| bid.auction)
        .count()
        .sink(add(&sum, |(_, bids)| bids));
    pipeline.run()?;
    Ok(sum.total())
}

fn count_mapped(count: u64) -> Result<u64, Error> {
    let (pool, sum) = (pool(), Sum::default());
    let pipeline = Pipeline::new("w2m");
    pipeline
        .source(events(count, |i| bid_at(pool, i)))
        .map(|bid| bid.auction)
        .key_by(|auction| *auction)
        .count()
        .sink(add(&sum, |(_, bids)| bids));
    pipeline.run()?;
    Ok(sum.total())
}

fn count_auctions(count: u64) -> Result<u64, Error> {
    let (pool, sum) = (pool(), Sum::default());
    let pipeline = Pipeline::new("w2p");
    pipeline
        .source(events(count, |i| auction_at(pool, i)))
        .key_by(|auction| *auction)
        .count()
        .sink(add(&sum, |(_, bids)| bids));
    pipeline.run()?;
    Ok(sum.total())
}

fn by_hand(count: u64) -> u64 {
    let mut counts = HashMap::new();
    let mut sum = 0;
    for i in 0..count {
        let bids = counts.entry(auction_at(pool(), i)).or_insert(0);
        *bids += 1;
        sum += *bids;
    }
    sum
}
