//! Nexmark's bids: made once, kept in a pool, and cloned for each event as every peer does.

use std::sync::LazyLock;

use nexmark::{
    EventGenerator,
    config::NexmarkConfig,
    event::{Event, EventType},
};
use serde::{Deserialize, Serialize};

/// A bid in an auction: 172 bytes of payload, three of its fields on the heap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bid {
    /// What is bid for.
    pub auction: u64,
    /// Who bids.
    pub bidder: u64,
    /// How much.
    pub price: u64,
    /// Where the bid was made.
    pub channel: String,
    /// The page it was made on.
    pub url: String,
    /// Event time in milliseconds.
    pub date_time: u64,
    /// Padding, as the benchmark prescribes.
    pub extra: String,
}

/// How many bids the pool holds.
pub const POOL: u64 = 1_000_000;

#[expect(
    clippy::redundant_clone,
    reason = "the strings of the clone lie in the order in which they are read"
)]
static BIDS: LazyLock<Vec<Bid>> = LazyLock::new(|| {
    let made: Vec<Bid> = EventGenerator::new(NexmarkConfig::default())
        .with_type_filter(EventType::Bid)
        .filter_map(bid)
        .take(usize::try_from(POOL).expect("a pool fits into memory"))
        .collect();
    made.clone()
});

/// The pool. The first call makes it, which takes about a second.
///
/// # Examples
///
/// ```
/// let pool = levada_benches::bids::pool();
/// let kept = pool.iter().filter(|bid| bid.auction % 123 == 0).count();
/// assert!((7_000..9_000).contains(&kept));
/// ```
pub fn pool() -> &'static [Bid] {
    &BIDS
}

/// Event number `i`: a clone from the pool, with the event time of 9,200 bids a second.
#[inline]
pub fn bid_at(pool: &[Bid], i: u64) -> Bid {
    Bid {
        date_time: i * 5 / 46,
        ..pool[place(i)].clone()
    }
}

/// The auction of event number `i`, without the bid.
#[inline]
pub fn auction_at(pool: &[Bid], i: u64) -> u64 {
    pool[place(i)].auction
}

#[inline]
fn place(i: u64) -> usize {
    (i % POOL) as usize
}

fn bid(event: Event) -> Option<Bid> {
    match event {
        Event::Bid(bid) => Some(Bid {
            auction: bid.auction as u64,
            bidder: bid.bidder as u64,
            price: bid.price as u64,
            channel: bid.channel,
            url: bid.url,
            date_time: bid.date_time,
            extra: bid.extra,
        }),
        Event::Person(_) | Event::Auction(_) => None,
    }
}
