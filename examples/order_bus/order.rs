//! The order line: what flows over the bus.

use std::io;

use levada::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Money, civil};

/// The columns of an order file, in the order in which they are written.
pub const COLUMNS: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];

/// One line of an invoice, as messy as its file: nothing is corrected here.
///
/// Which row of the input it was is not part of it, so that an exact repeat is equal.
///
/// # Examples
///
/// ```
/// use order_bus::{OrderLine, civil};
///
/// let line = OrderLine {
///     invoice: "C536379".into(),
///     sku: "D".into(),
///     description: "Discount".into(),
///     quantity: -1,
///     at: civil::parse("2010-12-01 09:41:00").expect("a date that exists"),
///     price: "27.5".parse()?,
///     customer: "14527.0".into(),
///     country: "United Kingdom".into(),
/// };
/// assert!(line.is_cancellation());
/// assert_eq!(line.amount().expect("a small amount").to_string(), "-27.500");
/// # Ok::<(), order_bus::ParseMoneyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OrderLine {
    /// The invoice's number; a letter in front says that it is not a sale.
    pub invoice: String,
    /// The stock code: five digits and letters for goods, anything for the rest.
    pub sku: String,
    /// What the code stands for; may be empty.
    pub description: String,
    /// How many were sold; negative where they came back or were lost.
    pub quantity: i64,
    /// When the line was entered, to the minute: its event time.
    pub at: Timestamp,
    /// The price of one; may be zero or negative.
    pub price: Money,
    /// The customer's number as it stands (`17850.0`), or empty for no customer.
    pub customer: String,
    /// Where the customer lives.
    pub country: String,
}

impl OrderLine {
    /// Quantity times price, or nothing where that is too large to hold: [`Orders`] reads no such
    /// line, and the generator makes none.
    ///
    /// [`Orders`]: crate::Orders
    pub fn amount(&self) -> Option<Money> {
        self.price.checked_mul(self.quantity)
    }

    /// Whether the line takes back an earlier sale.
    pub fn is_cancellation(&self) -> bool {
        self.invoice.starts_with('C')
    }

    /// Whether the line writes off what will not be paid.
    pub fn is_bad_debt(&self) -> bool {
        self.invoice.starts_with('A')
    }
}

/// Writes lines as a CSV file that [`Orders`](crate::Orders) reads back, header first.
///
/// # Errors
///
/// What writing to `out` fails with.
///
/// # Examples
///
/// ```
/// use levada::Seed;
/// use order_bus::{Generator, write_csv};
///
/// let mut file = Vec::new();
/// write_csv(&mut file, Generator::new(Seed::new(1)).map(|(_, line)| line).take(2))?;
/// assert_eq!(String::from_utf8_lossy(&file).lines().count(), 3);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write_csv(
    out: impl io::Write,
    lines: impl IntoIterator<Item = OrderLine>,
) -> io::Result<()> {
    let mut file = csv::Writer::from_writer(out);
    file.write_record(COLUMNS)?;
    for line in lines {
        file.write_record([
            line.invoice.as_str(),
            line.sku.as_str(),
            line.description.as_str(),
            line.quantity.to_string().as_str(),
            civil::format(line.at).as_str(),
            line.price.to_string().as_str(),
            line.customer.as_str(),
            line.country.as_str(),
        ])?;
    }
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> OrderLine {
        OrderLine {
            invoice: "536365".into(),
            sku: "85123A".into(),
            description: "WHITE \"T-LIGHT\" HOLDER, 12cm ".into(),
            quantity: 6,
            at: civil::parse("2010-12-01 08:26:00").unwrap(),
            price: Money::from_thousandths(2_550),
            customer: "17850.0".into(),
            country: "United Kingdom".into(),
        }
    }

    #[test]
    fn an_amount_that_does_not_fit_is_none() {
        let huge = OrderLine {
            quantity: i64::MAX,
            ..line()
        };
        assert_eq!(huge.amount(), None);
        assert_eq!(line().amount(), Some(Money::from_thousandths(15_300)));
    }

    #[test]
    fn the_first_letter_of_the_invoice_tells_its_kind() {
        let numbered = |invoice: &str| OrderLine {
            invoice: invoice.into(),
            ..line()
        };
        assert!(numbered("C536379").is_cancellation() && !numbered("C536379").is_bad_debt());
        assert!(numbered("A563185").is_bad_debt() && !numbered("A563185").is_cancellation());
        assert!(!line().is_cancellation() && !line().is_bad_debt());
    }

    #[test]
    fn an_order_line_survives_its_journey_through_a_topic() {
        let bytes = rmp_serde::to_vec_named(&line()).unwrap();
        assert_eq!(rmp_serde::from_slice::<OrderLine>(&bytes).unwrap(), line());
    }

    #[test]
    fn written_fields_are_quoted_where_they_must_be() {
        let mut file = Vec::new();
        write_csv(&mut file, [line()]).unwrap();
        let expected = "536365,85123A,\"WHITE \"\"T-LIGHT\"\" HOLDER, 12cm \",6,\
            2010-12-01 08:26:00,2.550,17850.0,United Kingdom";
        assert_eq!(
            String::from_utf8(file).unwrap().lines().nth(1),
            Some(expected)
        );
    }
}
