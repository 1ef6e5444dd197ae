//! From one line of a file to an order line, or to what is wrong with it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    COLUMNS, Money, OrderLine, civil,
    lines::{Line, MAX_LINE_BYTES},
    splitter::{Split, Splitter, without_line_break},
};

/// A row that is not an order line, and where and why. Sorted by line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rejected {
    /// Its line in the file, counted from 1 with the header.
    pub line: u64,
    /// The column that is wrong.
    pub column: String,
    /// What is wrong with it.
    pub reason: String,
    /// The line as it was found, without its line break; the first 64 KiB of a longer one.
    pub raw: Vec<u8>,
}

/// Says where and why, in a sentence that fits behind the name of the file.
impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.reason
        )
    }
}

/// Knows where a file's header put each column, and reads its rows.
#[derive(Debug)]
pub(crate) struct Parser {
    splitter: Splitter,
    names: Vec<String>,
    /// Where each of [`COLUMNS`] stands in a row.
    places: [usize; COLUMNS.len()],
}

/// The place of a column in a row, and what is wrong with it.
type Defect = (usize, String);

impl Parser {
    /// Takes the header's columns, or gives the names that it lacks.
    pub(crate) fn from_header(line: &[u8]) -> Result<Self, Vec<&'static str>> {
        let mut splitter = Splitter::new();
        let (Split::Whole(count) | Split::OpenQuote(count) | Split::TooLong(count)) =
            splitter.split(line);
        let names: Vec<String> = (0..count)
            .map(|place| String::from_utf8_lossy(splitter.field(place)).into_owned())
            .collect();
        let find = |column: &str| names.iter().position(|name| name == column);
        let missing: Vec<_> = COLUMNS
            .into_iter()
            .filter(|column| find(column).is_none())
            .collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let places = COLUMNS.map(|column| find(column).expect("no column is missing"));
        Ok(Self {
            splitter,
            names,
            places,
        })
    }

    /// Reads a row.
    pub(crate) fn parse(&mut self, line: &Line<'_>) -> Result<OrderLine, Rejected> {
        let result = if line.is_cut {
            Err((0, format!("the row is longer than {MAX_LINE_BYTES} bytes")))
        } else {
            self.split(line.bytes).and_then(|()| self.order_line())
        };
        result.map_err(|(place, reason)| Rejected {
            line: line.number,
            column: self.names[place].clone(),
            reason,
            raw: without_line_break(line.bytes).to_owned(),
        })
    }

    fn split(&mut self, line: &[u8]) -> Result<(), Defect> {
        let width = self.names.len();
        match self.splitter.split(line) {
            Split::OpenQuote(place) => Err((
                place.min(width - 1),
                "a quote that is not closed in its line".to_owned(),
            )),
            Split::Whole(count) if count < width => Err((
                count,
                format!("missing: the row has {count} columns instead of {width}"),
            )),
            Split::Whole(count) if count == width => Ok(()),
            Split::Whole(count) | Split::TooLong(count) => Err((
                width - 1,
                format!("the row has {count} columns instead of {width}"),
            )),
        }
    }

    fn order_line(&self) -> Result<OrderLine, Defect> {
        let [
            invoice,
            sku,
            description,
            quantity,
            at,
            price,
            customer,
            country,
        ] = self.places;
        let line = OrderLine {
            invoice: self.text(invoice)?.to_owned(),
            sku: self.text(sku)?.to_owned(),
            description: self.text(description)?.to_owned(),
            quantity: match self.text(quantity)?.parse() {
                Ok(number) => number,
                Err(_) => return Err((quantity, "not a whole number".to_owned())),
            },
            at: civil::parse(self.text(at)?)
                .ok_or_else(|| (at, "not a time such as 2010-12-01 08:26:00".to_owned()))?,
            price: self
                .text(price)?
                .parse::<Money>()
                .map_err(|error| (price, error.to_string()))?,
            customer: self.text(customer)?.to_owned(),
            country: self.text(country)?.to_owned(),
        };
        match line.amount() {
            Some(_) => Ok(line),
            None => Err((price, "quantity times price is out of range".to_owned())),
        }
    }

    fn text(&self, place: usize) -> Result<&str, Defect> {
        match str::from_utf8(self.splitter.field(place)) {
            Ok(text) => Ok(text),
            Err(_) => Err((place, "not valid UTF-8".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splitter::MAX_COLUMNS;

    fn parse(bytes: &[u8]) -> Result<OrderLine, Rejected> {
        let mut parser = Parser::from_header(COLUMNS.join(",").as_bytes()).unwrap();
        parser.parse(&Line {
            number: 7,
            bytes,
            is_cut: false,
        })
    }

    fn reject(bytes: &[u8]) -> String {
        let rejected = parse(bytes).unwrap_err();
        assert_eq!(rejected.raw, without_line_break(bytes));
        rejected.to_string()
    }

    #[test]
    fn a_row_is_read_as_it_stands() {
        let row = "536365,85123A, \"a\",6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\r\n";
        let line = parse(row.as_bytes()).unwrap();
        assert_eq!(
            (line.invoice.as_str(), line.sku.as_str()),
            ("536365", "85123A")
        );
        assert_eq!((line.description.as_str(), line.quantity), (" \"a\"", 6));
        assert_eq!(civil::format(line.at), "2010-12-01 08:26:00");
        assert_eq!(line.price, Money::from_thousandths(2_550));
        assert_eq!(
            (line.customer.as_str(), line.country.as_str()),
            ("17850.0", "United Kingdom")
        );
    }

    #[test]
    fn quoted_fields_may_hold_commas_and_quotes() {
        let row = br#"C1,"a,b","12"" PLATE",-1,2010-12-01 08:26:00,0,,EIRE"#;
        let line = parse(row).unwrap();
        assert_eq!(
            (line.sku.as_str(), line.description.as_str()),
            ("a,b", "12\" PLATE")
        );
        assert_eq!((line.customer.as_str(), line.quantity), ("", -1));
    }

    #[test]
    fn each_kind_of_defect_names_its_column_and_reason() {
        for (row, sentence) in [
            (
                "1,2,3",
                "line 7, column Quantity: missing: the row has 3 columns instead of 8",
            ),
            (
                "1,2,3,4,5,6,7,8,9",
                "line 7, column Country: the row has 9 columns instead of 8",
            ),
            (
                "1,2,\"3,4,5,6,7,8",
                "line 7, column Description: a quote that is not closed in its line",
            ),
            (
                "1,2,3,4.0,5,6,7,8",
                "line 7, column Quantity: not a whole number",
            ),
            (
                "1,2,3,4,2010-02-30 00:00:00,6,7,8",
                "line 7, column InvoiceDate: not a time such as 2010-12-01 08:26:00",
            ),
            (
                "1,2,3,4,2010-02-01 00:00:00,x,7,8",
                "line 7, column UnitPrice: not a decimal number",
            ),
            (
                "1,2,3,4,2010-02-01 00:00:00,0.0001,7,8",
                "line 7, column UnitPrice: more than 3 decimal places",
            ),
            (
                "1,2,3,9223372036854775807,2010-02-01 00:00:00,1,7,8",
                "line 7, column UnitPrice: quantity times price is out of range",
            ),
        ] {
            assert_eq!(reject(row.as_bytes()), sentence, "{row}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_name_their_column() {
        let row = b"1,2,caf\xe9,4,2010-02-01 00:00:00,6,7,8\n";
        assert_eq!(reject(row), "line 7, column Description: not valid UTF-8");
    }

    #[test]
    fn a_defect_does_not_touch_the_next_row() {
        let mut parser = Parser::from_header(COLUMNS.join(",").as_bytes()).unwrap();
        let mut parse = |bytes| {
            parser.parse(&Line {
                number: 2,
                bytes,
                is_cut: false,
            })
        };
        let good = b"1,2,3,4,2010-02-01 00:00:00,6,7,8";
        let many = b",".repeat(MAX_COLUMNS + 10);
        for bad in [b"1,\"2".as_slice(), b"\"", &many] {
            assert!(parse(bad).is_err());
            assert_eq!(parse(good).unwrap().quantity, 4);
        }
    }

    #[test]
    fn a_line_that_was_cut_is_refused_however_it_starts() {
        let mut parser = Parser::from_header(COLUMNS.join(",").as_bytes()).unwrap();
        let bytes = b"1,2,3,4,2010-02-01 00:00:00,6,7,8";
        let rejected = parser
            .parse(&Line {
                number: 2,
                bytes,
                is_cut: true,
            })
            .unwrap_err();
        assert_eq!(rejected.reason, "the row is longer than 65536 bytes");
    }

    #[test]
    fn columns_are_found_by_name_behind_a_byte_order_mark() {
        let header = "\u{feff}Country,Extra,CustomerID,UnitPrice,InvoiceDate,Quantity,\
            Description,StockCode,InvoiceNo\r\n";
        let mut parser = Parser::from_header(header.as_bytes()).unwrap();
        let bytes = b"EIRE,\xff,17850.0,2.5,2010-12-01 08:26:00,6,CAT,22752,536365\n";
        let line = parser
            .parse(&Line {
                number: 2,
                bytes,
                is_cut: false,
            })
            .unwrap();
        assert_eq!(
            (line.country.as_str(), line.invoice.as_str()),
            ("EIRE", "536365")
        );
    }

    #[test]
    fn missing_columns_are_named() {
        let header = b"InvoiceNo,stockcode,Description,InvoiceDate,UnitPrice,CustomerID,Country";
        assert_eq!(
            Parser::from_header(header).unwrap_err(),
            ["StockCode", "Quantity"]
        );
    }
}
