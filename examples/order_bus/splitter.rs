//! Takes a line of a CSV file apart into its fields.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

/// The most columns that a header may have; a choice, many times what an order line needs.
pub(crate) const MAX_COLUMNS: usize = 256;

/// Takes a line apart, whatever its bytes, into buffers that are used again.
#[derive(Debug)]
pub(crate) struct Splitter {
    csv: Reader,
    line: Vec<u8>,
    fields: Vec<u8>,
    ends: [usize; MAX_COLUMNS],
}

/// How a line came apart, and into how many whole columns.
pub(crate) enum Split {
    Whole(usize),
    OpenQuote(usize),
    TooLong(usize),
}

impl Splitter {
    pub(crate) fn new() -> Self {
        // Carriage returns before the line break are cut off here; others are part of a field.
        let csv = ReaderBuilder::new()
            .terminator(Terminator::Any(b'\n'))
            .build();
        Self {
            csv,
            line: Vec::new(),
            fields: Vec::new(),
            ends: [0; MAX_COLUMNS],
        }
    }

    /// Takes apart `line`, with or without its line break.
    pub(crate) fn split(&mut self, line: &[u8]) -> Split {
        self.line.clear();
        self.line.extend_from_slice(without_line_break(line));
        self.line.push(b'\n');
        self.fields.resize(self.line.len() + 1, 0);
        let (result, _, _, count) =
            self.csv
                .read_record(&self.line, &mut self.fields, &mut self.ends);
        let split = match result {
            ReadRecordResult::Record => return Split::Whole(count),
            ReadRecordResult::OutputEndsFull => Split::TooLong(count),
            // The line break did not end the row, so it belongs to a quoted field.
            ReadRecordResult::InputEmpty | ReadRecordResult::End => Split::OpenQuote(count),
            ReadRecordResult::OutputFull => unreachable!("fields are no longer than their line"),
        };
        // Else the next line would go on where this one stopped.
        self.csv.reset();
        split
    }

    /// A whole column of the latest line, counted from 0.
    pub(crate) fn field(&self, place: usize) -> &[u8] {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.fields[start..self.ends[place]]
    }
}

/// A line without its line break, of one or two bytes.
pub(crate) fn without_line_break(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
