//! The group `warehouse`: the business per month and country.

use std::{collections::BTreeSet, time::Duration};

use levada::prelude::*;
use serde::{Deserialize, Serialize};

use super::Site;
use crate::{OrderLine, Total, civil};

/// A batch that is not full goes this long after its first record.
const BATCH_WAIT: Duration = Duration::from_millis(100);

/// The business of a month with a country. Sorted by month, then by country.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Business {
    /// The month, as in `2010-12`.
    pub month: String,
    /// The country.
    pub country: String,
    /// Distinct invoices.
    pub invoices: usize,
    /// Lines.
    pub lines: u64,
    /// The sum of quantities.
    pub quantity: i128,
    /// The sum of quantities times prices.
    pub amount: Total,
    /// Distinct customers that have a number.
    pub customers: usize,
}

/// The same, before its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Ledger {
    invoices: BTreeSet<String>,
    lines: u64,
    quantity: i128,
    amount: Total,
    customers: BTreeSet<String>,
}

pub(super) fn draw(site: &Site<'_>) {
    site.served_in_batches(BATCH_WAIT)
        .flat_map(|batch| batch)
        .key_by(|line: &OrderLine| (civil::month(line.at), line.country.clone()))
        .fold(Ledger::default(), enter)
        .at_end()
        .named("ledgers")
        .map(close)
        .sink(site.results());
}

fn enter(ledger: &mut Ledger, line: OrderLine) {
    ledger.lines += 1;
    ledger.quantity += i128::from(line.quantity);
    ledger.amount.add_line(&line);
    ledger.invoices.insert(line.invoice);
    if !line.customer.is_empty() {
        ledger.customers.insert(line.customer);
    }
}

fn close(((month, country), ledger): ((String, String), Ledger)) -> Business {
    Business {
        month,
        country,
        invoices: ledger.invoices.len(),
        lines: ledger.lines,
        quantity: ledger.quantity,
        amount: ledger.amount,
        customers: ledger.customers.len(),
    }
}
