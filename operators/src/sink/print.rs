//! `print`: writes each record as a line of standard output.

use std::{
    fmt,
    io::{Write as _, stdout},
};

use levada_core::{BoxError, Sink, SinkContext, SinkWriter, key::Key, record::Head};

/// Lines that wait to be written, in bytes, before they are written whatever comes next.
const BUFFER: usize = 8 << 10;

/// Writes each record as a line of standard output, as its `Debug` form.
///
/// Lines of one copy keep their order and never break into each other.
///
/// # Examples
///
/// ```
/// use levada_engine::Pipeline;
/// use levada_operators::prelude::*;
///
/// let pipeline = Pipeline::new("hello");
/// pipeline.source(iter([("hello", 1)].map(|(word, n)| (word.to_owned(), n)))).sink(print());
/// assert!(pipeline.run().is_ok()); // ("hello", 1)
/// ```
pub fn print() -> Print {
    Print { lines: Vec::new() }
}

/// See [`print()`].
#[derive(Debug)]
pub struct Print {
    lines: Vec<u8>,
}

impl Print {
    fn write_out(&mut self) -> Result<(), BoxError> {
        if !self.lines.is_empty() {
            let mut out = stdout().lock();
            out.write_all(&self.lines)?;
            out.flush()?;
            self.lines.clear();
        }
        Ok(())
    }
}

impl<T: fmt::Debug + 'static, K: Key> Sink<T, K> for Print {
    type Writer = Self;

    fn name(&self) -> String {
        "print".to_owned()
    }

    fn open(&self, _: &SinkContext) -> Result<Self, BoxError> {
        Ok(print())
    }
}

impl<T: fmt::Debug + 'static, K: Key> SinkWriter<T, K> for Print {
    fn write(&mut self, value: T, _: &K, _: &Head) -> Result<(), BoxError> {
        writeln!(self.lines, "{value:?}")?;
        if self.lines.len() >= BUFFER {
            self.write_out()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), BoxError> {
        self.write_out()
    }
}
