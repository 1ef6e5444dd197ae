//! `lines`: reads the lines of a text file.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
};

use levada_core::{BoxError, Source, SourceContext};

use super::Handover;

/// The longest line that is taken by default, in bytes.
const LONGEST: usize = 1 << 20;

/// Reads the lines of a text file, without their line ends, on a thread of its own.
///
/// The offset of a line is its number, counted from 0. A file is read from its first line whenever
/// the pipeline is started: what it fills a topic with is appended again, unless
/// [only what is missing is sent](super#how-a-topic-is-filled-once).
///
/// # Examples
///
/// ```
/// use levada_engine::Pipeline;
/// use levada_operators::prelude::*;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("orders.txt");
/// std::fs::write(&path, "tea\njam\n")?;
///
/// let pipeline = Pipeline::new("lines");
/// let read = Collected::new();
/// pipeline.source(lines(&path)).sink(collect(&read));
/// pipeline.run()?;
/// assert_eq!(read.take(), ["tea", "jam"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn lines(path: impl AsRef<Path>) -> Lines {
    Lines {
        path: path.as_ref().to_owned(),
        longest: LONGEST,
        encoding: Encoding::Utf8,
    }
}

/// See [`lines`].
#[derive(Clone, Debug)]
pub struct Lines {
    path: PathBuf,
    /// In bytes.
    longest: usize,
    encoding: Encoding,
}

/// What is done with bytes that are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// They stop the pipeline.
    Utf8,
    /// They are replaced.
    Lossy,
}

impl Lines {
    /// Takes lines of up to so many bytes; a longer one stops the pipeline. Default: 1 MiB.
    pub fn longest(self, bytes: usize) -> Self {
        Self {
            longest: bytes,
            ..self
        }
    }

    /// Puts U+FFFD where a line is not UTF-8. Default: such a line stops the pipeline.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::{prelude::*, sink::Collected};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("latin1.txt");
    /// std::fs::write(&path, b"caf\xe9\n")?;
    ///
    /// let pipeline = Pipeline::new("latin1");
    /// let read = Collected::new();
    /// pipeline.source(lines(&path).lossy()).sink(collect(&read));
    /// pipeline.run()?;
    /// assert_eq!(read.take(), ["caf\u{fffd}"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lossy(self) -> Self {
        Self {
            encoding: Encoding::Lossy,
            ..self
        }
    }

    /// The next line without its end, or what is wrong with it.
    fn next_line(&self, file: &mut impl BufRead) -> Result<Option<String>, String> {
        let mut line = Vec::new();
        // One more than fits, so that a line that does not is known before the rest is read.
        let most = self.longest as u64 + 2;
        let read = file.take(most).read_until(b'\n', &mut line);
        if read.map_err(|error| format!("cannot be read: {error}"))? == 0 {
            return Ok(None);
        }
        if line.pop_if(|last| *last == b'\n').is_some() {
            line.pop_if(|last| *last == b'\r');
        }
        if line.len() > self.longest {
            return Err(format!(
                "is longer than {} bytes: allow more with `.longest(..)`",
                self.longest
            ));
        }
        match self.encoding {
            Encoding::Lossy => Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            Encoding::Utf8 => String::from_utf8(line).map(Some).map_err(|error| {
                let at = error.utf8_error().valid_up_to() + 1;
                format!("is not UTF-8 from byte {at} on: read it with `.lossy()`")
            }),
        }
    }

    fn open_file(&self) -> Result<File, BoxError> {
        let say = |error| format!("`{}` cannot be read: {error}", self.path.display());
        File::open(&self.path).map_err(|error| say(error).into())
    }
}

impl Source for Lines {
    type Item = String;
    type Reader = Handover<String>;

    fn splits(&self) -> Result<Vec<String>, BoxError> {
        self.open_file()?;
        Ok(vec![self.path.display().to_string()])
    }

    fn open(&self, _: u32, cx: &SourceContext) -> Result<Handover<String>, BoxError> {
        let mut file = BufReader::new(self.open_file()?);
        let lines = self.clone();
        Handover::start(&*cx.spawner, "levada-lines", move |offer| async move {
            for number in 0.. {
                let line = lines.next_line(&mut file).map_err(|what| {
                    format!("line {} of `{}` {what}", number + 1, lines.path.display())
                })?;
                let Some(line) = line else { break };
                offer.put(number, line).await?;
            }
            Ok(())
        })
    }
}
