//! How result rows look in their files: the columns and their order, as CSV.

use levada::Data;

use crate::{
    Rejected, civil,
    groups::{Business, Flag, Pair, Points, StockChange},
};

/// A row of a result file. The order of rows is that of `Ord`.
///
/// # Examples
///
/// ```
/// use order_bus::{ResultRow, StockChange};
///
/// let row = StockChange { sku: "12\" PLATE".into(), change: -251, lines: 30 };
/// assert_eq!(StockChange::COLUMNS, "sku,stock_change,lines_n");
/// assert_eq!(row.line(), "\"12\"\" PLATE\",-251,30");
/// ```
pub trait ResultRow: Data + Clone + Ord {
    /// The first line of the file.
    const COLUMNS: &'static str;

    /// The row's fields, one for each column.
    fn fields(&self) -> Vec<String>;

    /// The row as a line of its file, without a line break.
    fn line(&self) -> String {
        csv_line(&self.fields())
    }
}

fn csv_line(fields: &[String]) -> String {
    let mut line = csv::Writer::from_writer(Vec::new());
    line.write_record(fields)
        .expect("writing to memory does not fail");
    let bytes = line.into_inner().expect("writing to memory does not fail");
    let text = String::from_utf8(bytes).expect("fields are text");
    text.trim_end_matches('\n').to_owned()
}

impl ResultRow for StockChange {
    const COLUMNS: &'static str = "sku,stock_change,lines_n";

    fn fields(&self) -> Vec<String> {
        vec![
            self.sku.clone(),
            self.change.to_string(),
            self.lines.to_string(),
        ]
    }
}

impl ResultRow for Points {
    const COLUMNS: &'static str = "cust,orders,points";

    fn fields(&self) -> Vec<String> {
        vec![
            self.customer.clone(),
            self.orders.to_string(),
            self.points.to_string(),
        ]
    }
}

impl ResultRow for Pair {
    const COLUMNS: &'static str = "sku_a,sku_b,together";

    fn fields(&self) -> Vec<String> {
        vec![
            self.sku_a.clone(),
            self.sku_b.clone(),
            self.together.0.to_string(),
        ]
    }
}

impl ResultRow for Flag {
    const COLUMNS: &'static str = "rule,id,at_,detail";

    fn fields(&self) -> Vec<String> {
        vec![
            self.rule.clone(),
            self.id.clone(),
            civil::format(self.at),
            self.detail.clone(),
        ]
    }
}

impl ResultRow for Business {
    const COLUMNS: &'static str = "month,country,invoices,lines_n,qty,amount,customers";

    fn fields(&self) -> Vec<String> {
        vec![
            self.month.clone(),
            self.country.clone(),
            self.invoices.to_string(),
            self.lines.to_string(),
            self.quantity.to_string(),
            self.amount.to_string(),
            self.customers.to_string(),
        ]
    }
}

/// Where a row was refused, and why. Sorted by line.
impl ResultRow for Rejected {
    const COLUMNS: &'static str = "line,column,reason";

    fn fields(&self) -> Vec<String> {
        vec![
            self.line.to_string(),
            self.column.clone(),
            self.reason.clone(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_quoted_where_it_must_be_and_a_line_has_no_break() {
        let row = Rejected {
            line: 3,
            column: "a,b".into(),
            reason: "not a \"number\"".into(),
            raw: Vec::new(),
        };
        assert_eq!(row.line(), "3,\"a,b\",\"not a \"\"number\"\"\"");
    }
}
