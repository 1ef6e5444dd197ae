//! The lines of an input file, one at a time, unpacked where the file is gzip.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;

/// The longest line that is read as one: far above any order line (the year's longest has 120
/// bytes), and what a file without line breaks may cost in memory.
pub(crate) const MAX_LINE_BYTES: usize = 64 * 1024;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Reads lines, never holding more than one.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    number: u64,
    buffer: Vec<u8>,
}

/// A line that is not blank.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    /// Its place in the file, counted from 1 as editors do, blank lines included.
    pub(crate) number: u64,
    /// What stands in it, with the line break as it was found.
    pub(crate) bytes: &'a [u8],
    /// Whether it went on beyond [`MAX_LINE_BYTES`]; the rest was skipped.
    pub(crate) is_cut: bool,
}

impl Lines {
    /// Opens a file. Only a regular one, because its first rows are read once more to identify it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        Self::over(file)
    }

    /// Reads from `input`, which is gzip if it starts as gzip does, whatever its name.
    pub(crate) fn over(input: impl Read + Send + 'static) -> io::Result<Self> {
        let mut input = BufReader::new(input);
        let is_gzip = input.fill_buf()?.starts_with(&GZIP_MAGIC);
        let input: Box<dyn BufRead + Send> = if is_gzip {
            Box::new(BufReader::new(MultiGzDecoder::new(input)))
        } else {
            Box::new(input)
        };
        Ok(Self {
            input,
            number: 0,
            buffer: Vec::new(),
        })
    }

    /// The next line that is not blank, or nothing at the end of the input.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut is_cut;
        loop {
            self.buffer.clear();
            let mut window = (&mut self.input).take(MAX_LINE_BYTES as u64);
            if window.read_until(b'\n', &mut self.buffer)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            is_cut = self.buffer.len() == MAX_LINE_BYTES && !self.buffer.ends_with(b"\n");
            if is_cut {
                self.input.skip_until(b'\n')?;
            }
            if !self.buffer.trim_ascii().is_empty() {
                break;
            }
        }
        Ok(Some(Line {
            number: self.number,
            bytes: &self.buffer,
            is_cut,
        }))
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: Vec<u8>) -> Vec<(u64, String, bool)> {
        let mut lines = Lines::over(io::Cursor::new(bytes)).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push((
                line.number,
                String::from_utf8_lossy(line.bytes).into(),
                line.is_cut,
            ));
        }
        all
    }

    #[test]
    fn blank_lines_are_counted_but_not_read() {
        let lines = read(b"a\n\n \r\nb\r\nc".to_vec());
        let expected = [(1, "a\n"), (4, "b\r\n"), (5, "c")].map(|(n, s)| (n, s.to_owned(), false));
        assert_eq!(lines, expected);
    }

    #[test]
    fn gzip_is_known_by_its_first_bytes_and_may_have_several_members() {
        let mut file = gzip(b"a\nb");
        file.extend(gzip(b"c\nd\n"));
        let texts: Vec<String> = read(file).into_iter().map(|(_, text, _)| text).collect();
        assert_eq!(texts, ["a\n", "bc\n", "d\n"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() {
        let mut file = vec![b'x'; 3 * MAX_LINE_BYTES];
        file.extend(b"\nnext\n");
        let lines = read(file);
        assert_eq!((lines[0].1.len(), lines[0].2), (MAX_LINE_BYTES, true));
        assert_eq!(lines[1], (2, "next\n".to_owned(), false));
    }

    #[test]
    fn a_truncated_gzip_gives_its_whole_lines_and_then_fails() {
        let text: Vec<u8> = (0..10_000)
            .flat_map(|n| format!("line {n}\n").into_bytes())
            .collect();
        let mut file = gzip(&text);
        file.truncate(file.len() / 2);
        let mut lines = Lines::over(io::Cursor::new(file)).unwrap();
        let mut count = 0;
        let failure = loop {
            match lines.next() {
                Ok(Some(line)) => {
                    assert_eq!(line.bytes, format!("line {count}\n").as_bytes());
                    count += 1;
                }
                Ok(None) => panic!("the cut went unnoticed"),
                Err(failure) => break failure,
            }
        };
        assert_eq!(failure.kind(), io::ErrorKind::UnexpectedEof);
        assert!(count > 3_000, "only {count} lines came before the cut");
    }
}
