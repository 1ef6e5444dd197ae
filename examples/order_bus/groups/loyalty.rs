//! The group `loyalty`: the points that each customer has earned.

use levada::prelude::*;
use serde::{Deserialize, Serialize};

use super::Site;
use crate::{OrderLine, Total};

/// What a customer has earned. Sorted by customer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Points {
    /// The customer's number.
    pub customer: String,
    /// Invoices with a total above zero.
    pub orders: u64,
    /// One point for each whole unit of each of these totals.
    pub points: i128,
}

pub(super) fn draw(site: &Site<'_>) {
    // An invoice may go on at any time, so its total is known at the end of the input alone.
    site.served()
        .filter(|line| !line.is_cancellation() && !line.is_bad_debt())
        .filter(|line| !line.customer.is_empty())
        .key_by(|line| (line.invoice.clone(), line.customer.clone()))
        .fold(Total::default(), |total, line: OrderLine| {
            total.add_line(&line);
        })
        .at_end()
        .named("invoice-totals")
        .filter(|(_, total)| *total > Total::default())
        .key_by(|((_, customer), _)| customer.clone())
        .fold((0, 0), |(orders, points): &mut (u64, i128), (_, total)| {
            *orders += 1;
            *points += total.floor();
        })
        .at_end()
        .named("points")
        .map(|(customer, (orders, points))| Points {
            customer,
            orders,
            points,
        })
        .sink(site.results());
}
