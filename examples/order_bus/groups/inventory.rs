//! The group `inventory`: how the stock of each code changes.

use levada::prelude::*;
use serde::{Deserialize, Serialize};

use super::Site;
use crate::OrderLine;

/// The stock change of a code, and of how many lines it is made. Sorted by code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StockChange {
    /// The stock code.
    pub sku: String,
    /// Minus what was sold: 128 bits hold the sum of any number of quantities.
    pub change: i128,
    /// Lines that name the code.
    pub lines: u64,
}

pub(super) fn draw(site: &Site<'_>) {
    site.served()
        .key_by(|line| line.sku.clone())
        .fold(
            (0, 0),
            |(change, lines): &mut (i128, u64), line: OrderLine| {
                *change -= i128::from(line.quantity);
                *lines += 1;
            },
        )
        .at_end()
        .named("stock-changes")
        .map(|(sku, (change, lines))| StockChange { sku, change, lines })
        .sink(site.results());
}
