//! `lines`: reads the lines of a text file.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use levada_core::{BoxError, Source, SourceContext, SplitReader};

use super::Handover;

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
    }
}

/// See [`lines`].
#[derive(Clone, Debug)]
pub struct Lines {
    path: PathBuf,
}

impl Lines {
    fn open_file(&self) -> Result<File, BoxError> {
        let say = |error| format!("`{}` cannot be read: {error}", self.path.display());
        File::open(&self.path).map_err(|error| say(error).into())
    }
}

impl Source for Lines {
    type Item = String;

    fn splits(&self) -> Result<Vec<String>, BoxError> {
        self.open_file()?;
        Ok(vec![self.path.display().to_string()])
    }

    fn open(&self, _: u32, cx: &SourceContext) -> Result<Box<dyn SplitReader<String>>, BoxError> {
        let (file, path) = (self.open_file()?, self.path.clone());
        let reader = Handover::start(&*cx.spawner, "levada-lines", move |offer| async move {
            for (number, line) in BufReader::new(file).lines().enumerate() {
                let say = |error| format!("line {} of `{}`: {error}", number + 1, path.display());
                offer.put(number as u64, line.map_err(say)?).await?;
            }
            Ok(())
        })?;
        Ok(Box::new(reader))
    }
}
