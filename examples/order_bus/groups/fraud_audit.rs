//! The group `fraud_audit`: invoices that somebody should look at.

use levada::prelude::*;
use serde::{Deserialize, Serialize};

use super::Site;
use crate::{Money, OrderLine, Total, civil};

const SUSPICIOUS_TOTAL: Total = Total::from_units(5_000);
const SUSPICIOUS_PRICE: Money = Money::from_thousandths(1_000_000);
const SUSPICIOUS_INVOICES: u64 = 5;

/// Why somebody should look, and at what. Sorted by rule, then by what, then by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Flag {
    /// The rule that it falls under.
    pub rule: String,
    /// The invoice, or the customer.
    pub id: String,
    /// When the invoice began, or the clock hour.
    pub at: Timestamp,
    /// What was too much.
    pub detail: String,
}

/// What an audit needs of an invoice.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Invoice {
    began: Option<Timestamp>,
    total: Total,
    highest_price: Option<Money>,
}

/// An invoice, told apart by its number and its customer.
type Audited = ((String, String), Invoice);

pub(super) fn draw(site: &Site<'_>) {
    let (invoices, of_customers) = site
        .served()
        .key_by(|line| (line.invoice.clone(), line.customer.clone()))
        .fold(Invoice::default(), |invoice, line| enter(invoice, &line))
        .at_end()
        .named("invoices")
        .fork();
    let many = of_customers
        .filter(|((_, customer), _)| !customer.is_empty())
        .key_by(|((_, customer), invoice)| (customer.clone(), invoice.began.map(civil::hour)))
        .count()
        .at_end()
        .named("invoices-per-hour")
        .flat_map(too_many);
    let large = invoices.flat_map(too_much);
    large.values().merge(many.values()).sink(site.results());
}

fn enter(invoice: &mut Invoice, line: &OrderLine) {
    invoice.began.get_or_insert(line.at);
    invoice.total.add_line(line);
    invoice.highest_price = invoice.highest_price.max(Some(line.price));
}

/// The rules that look at one invoice.
fn too_much(((id, _), invoice): Audited) -> Vec<Flag> {
    let Invoice {
        began: Some(at),
        total,
        highest_price: Some(price),
    } = invoice
    else {
        return Vec::new();
    };
    let flag = |rule: &str, detail: String| Flag {
        rule: rule.to_owned(),
        id: id.clone(),
        at,
        detail,
    };
    let mut flags = Vec::new();
    if total >= SUSPICIOUS_TOTAL {
        flags.push(flag("invoice_total_ge_5000", total.to_string()));
    }
    if price >= SUSPICIOUS_PRICE {
        flags.push(flag("unit_price_ge_1000", price.to_string()));
    }
    flags
}

/// The rule that looks at all invoices of a customer in an hour.
fn too_many(((customer, hour), count): ((String, Option<Timestamp>), u64)) -> Option<Flag> {
    let at = hour.filter(|_| count >= SUSPICIOUS_INVOICES)?;
    Some(Flag {
        rule: "invoices_per_customer_1h_ge_5".to_owned(),
        id: customer,
        at,
        detail: count.to_string(),
    })
}
