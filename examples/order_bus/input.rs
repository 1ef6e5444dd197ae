//! Reads order lines from CSV files; a row that is no order line costs itself alone.
//!
//! A row is one line of the file. CSV would let a quoted field go on over lines; then one stray
//! quote could swallow the rest of the file as a single field, so an open quote ends with its line.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{COLUMNS, OrderLine, Rejected, lines::Lines, row::Parser};

/// What ends the reading of an input: each sentence names the thing and the fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The file is not there, may not be read, or is no file.
    #[error("cannot open input `{path}` ({source}): name an order file that can be read")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The header does not name all columns that an order line is made of.
    #[error("input `{path}` lacks {columns}: its first line must name {}", COLUMNS.join(","))]
    MissingColumns {
        /// The file.
        path: PathBuf,
        /// The columns that are not there, separated by commas.
        columns: String,
    },
    /// The file ends in the middle: a gzip file whose copy did not finish.
    #[error("input `{path}` is cut off after {rows} rows: copy the whole file again")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// How many rows were read before.
        rows: u64,
    },
    /// The file cannot be read on.
    #[error("cannot read input `{path}` after {rows} rows ({source}): replace it by a sound copy")]
    Read {
        /// The file.
        path: PathBuf,
        /// How many rows were read before.
        rows: u64,
        /// What is wrong.
        source: io::Error,
    },
}

impl InputError {
    pub(crate) fn open(path: &Path, source: io::Error) -> Self {
        Self::Open {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn read(path: &Path, rows: u64, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated { path, rows },
            _ => Self::Read { path, rows, source },
        }
    }
}

/// A row's number, counted from 0 over all rows, rejected ones included, and what it holds.
pub type Row = (u64, Result<OrderLine, Rejected>);

/// The rows of an order file, in its order; an error is the last thing that it yields.
///
/// Columns are found by their names, in any order; others are ignored. Blank lines are no rows.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use order_bus::{COLUMNS, Orders};
///
/// let file = format!(
///     "{}\n536365,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,United Kingdom\n\
///      536365,22752,BOXES,two,2010-12-01 08:26:00,7.65,17850.0,United Kingdom\n",
///     COLUMNS.join(","),
/// );
/// let rows: Vec<_> = Orders::from_reader("orders.csv", io::Cursor::new(file))?
///     .collect::<Result<_, _>>()?;
/// let (number, line) = &rows[0];
/// assert_eq!((*number, line.as_ref().expect("a good row").quantity), (0, 6));
/// let (_, rejected) = &rows[1];
/// let sentence = rejected.as_ref().expect_err("a row that is no order line").to_string();
/// assert_eq!(sentence, "line 3, column Quantity: not a whole number");
/// # Ok::<(), order_bus::InputError>(())
/// ```
#[derive(Debug)]
pub struct Orders {
    path: PathBuf,
    lines: Lines,
    parser: Parser,
    next_row: u64,
    has_failed: bool,
}

impl Orders {
    /// Opens a file, plain or gzip, and checks its header.
    ///
    /// # Errors
    ///
    /// Where the file cannot be opened or its header cannot be read or lacks a column.
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let lines = Lines::open(path).map_err(|source| InputError::open(path, source))?;
        Self::new(path, lines)
    }

    /// Reads from anything that can be read, plain or gzip, named `name` in errors.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_reader(
        name: impl Into<PathBuf>,
        input: impl io::Read + Send + 'static,
    ) -> Result<Self, InputError> {
        let name = name.into();
        let lines = Lines::over(input).map_err(|source| InputError::open(&name, source))?;
        Self::new(&name, lines)
    }

    fn new(path: &Path, mut lines: Lines) -> Result<Self, InputError> {
        let header = match lines.next() {
            Ok(header) => header.map_or(&[][..], |line| line.bytes),
            Err(source) => return Err(InputError::read(path, 0, source)),
        };
        match Parser::from_header(header) {
            Ok(parser) => {
                let path = path.to_owned();
                Ok(Self {
                    path,
                    lines,
                    parser,
                    next_row: 0,
                    has_failed: false,
                })
            }
            Err(missing) => Err(InputError::MissingColumns {
                path: path.to_owned(),
                columns: missing.join(", "),
            }),
        }
    }
}

impl Iterator for Orders {
    type Item = Result<Row, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        match self.lines.next() {
            Ok(line) => {
                let row = (self.next_row, self.parser.parse(&line?));
                self.next_row += 1;
                Some(Ok(row))
            }
            Err(source) => {
                self.has_failed = true;
                Some(Err(InputError::read(&self.path, self.next_row, source)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use flate2::{Compression, write::GzEncoder};
    use levada::Seed;

    use super::*;
    use crate::{Generator, write_csv};

    const GOOD: &str = "1,2,3,4,2010-02-01 00:00:00,6,7,8";

    fn file(rows: &[&str]) -> Vec<u8> {
        format!("{}\n{}\n", COLUMNS.join(","), rows.join("\n")).into_bytes()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn generated(count: usize) -> (Vec<OrderLine>, Vec<u8>) {
        let lines: Vec<_> = Generator::new(Seed::new(3))
            .take(count)
            .map(|(_, line)| line)
            .collect();
        let mut file = Vec::new();
        write_csv(&mut file, lines.clone()).unwrap();
        (lines, file)
    }

    #[test]
    fn rejected_rows_keep_their_number_and_the_rest_flows() {
        let file = file(&[GOOD, "1,2", "", GOOD, "\"", GOOD]);
        let rows: Vec<Row> = Orders::from_reader("a.csv", Cursor::new(file))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let outcome: Vec<_> = rows
            .iter()
            .map(|(row, line)| (*row, line.is_ok()))
            .collect();
        assert_eq!(
            outcome,
            [(0, true), (1, false), (2, true), (3, false), (4, true)]
        );
        let rejected_lines: Vec<_> = rows
            .iter()
            .filter_map(|(_, line)| line.as_ref().err())
            .map(|r| r.line)
            .collect();
        assert_eq!(rejected_lines, [3, 6]);
    }

    #[test]
    fn generated_lines_are_read_back_as_they_were_plain_or_packed() {
        let (lines, file) = generated(5_000);
        for bytes in [gzip(&file), file] {
            let orders = Orders::from_reader("a.csv", Cursor::new(bytes)).unwrap();
            let read: Vec<_> = orders.map(|row| row.unwrap().1.unwrap()).collect();
            assert_eq!(read, lines);
        }
    }

    #[test]
    fn a_cut_gzip_yields_what_it_holds_and_then_one_error() {
        let (lines, file) = generated(5_000);
        let mut packed = gzip(&file);
        packed.truncate(packed.len() / 2);
        let mut orders = Orders::from_reader("cut.gz", Cursor::new(packed)).unwrap();
        let mut read = Vec::new();
        let failure = loop {
            match orders.next().expect("an error comes before the end") {
                Ok((_, line)) => read.push(line.unwrap()),
                Err(failure) => break failure,
            }
        };
        assert!(
            read.len() > 1_000,
            "only {} rows came before the cut",
            read.len()
        );
        assert_eq!(read, lines[..read.len()]);
        let rows = read.len();
        assert_eq!(
            failure.to_string(),
            format!("input `cut.gz` is cut off after {rows} rows: copy the whole file again")
        );
        assert!(orders.next().is_none());
    }

    #[test]
    fn a_damaged_gzip_is_an_error_that_says_so() {
        let mut packed = gzip(&generated(5_000).1);
        let middle = packed.len() / 2;
        packed[middle..middle + 64].fill(0xff);
        let last = Orders::from_reader("bad.gz", Cursor::new(packed))
            .unwrap()
            .last()
            .unwrap();
        assert!(matches!(last, Err(InputError::Read { .. })), "{last:?}");
    }

    #[test]
    fn a_header_without_the_columns_is_refused_and_they_are_named() {
        let refused = |bytes: &[u8]| {
            Orders::from_reader("a.csv", Cursor::new(bytes.to_vec()))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refused(b"InvoiceNo,StockCode,Description,InvoiceDate,UnitPrice,CustomerID\n1\n"),
            "input `a.csv` lacks Quantity, Country: its first line must name InvoiceNo,StockCode,\
             Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
        );
        assert!(refused(b"").contains("lacks InvoiceNo, StockCode"));
    }

    #[test]
    fn what_cannot_be_opened_is_named() {
        let missing = Orders::open(Path::new("no-such-file.csv"))
            .unwrap_err()
            .to_string();
        assert!(
            missing.starts_with("cannot open input `no-such-file.csv` ("),
            "{missing}"
        );
        let folder = Orders::open(Path::new(".")).unwrap_err().to_string();
        assert!(folder.contains("not a regular file"), "{folder}");
    }
}
