//! `csv`: reads the rows of a CSV file.
//!
//! A row that is not what it should be is data: it comes as an `Err` that names its line, and the
//! rows behind it follow.

use std::{
    fs::File,
    marker::PhantomData,
    path::{Path, PathBuf},
};

use levada_core::{BoxError, Data, Source, SourceContext};
use serde::de::DeserializeOwned;

use super::Handover;

/// A row of a CSV file, or a sentence that names the line and what is wrong with it.
///
/// See [`csv()`].
pub type Row<T> = Result<T, String>;

/// Reads the rows of a CSV file with a header line, on a thread of its own.
///
/// The offset of a row is its number, counted from 0 behind the header. Like
/// [`lines`](super::lines) it reads from the first whenever the pipeline is started.
///
/// # Examples
///
/// ```
/// use levada_engine::Pipeline;
/// use levada_operators::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Order {
///     sku: String,
///     quantity: u32,
/// }
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("orders.csv");
/// std::fs::write(&path, "sku,quantity\ntea,3\njam,many\nnut,1\n")?;
///
/// let pipeline = Pipeline::new("orders");
/// let (good, bad) = (Collected::new(), Collected::new());
/// let (orders, malformed) = pipeline
///     .source(csv::<Order>(&path))
///     .try_map(|row| row.as_ref().map(|order| order.quantity).map_err(Clone::clone));
/// orders.sink(collect(&good));
/// malformed.map(|letter| letter.error).sink(collect(&bad));
/// pipeline.run()?;
/// assert_eq!(good.take(), [3, 1]);
/// assert!(bad.take()[0].contains("line: 3"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn csv<T: DeserializeOwned + Data>(path: impl AsRef<Path>) -> CsvSource<T> {
    CsvSource {
        path: path.as_ref().to_owned(),
        of: PhantomData,
    }
}

/// See [`csv()`].
#[derive(Debug)]
pub struct CsvSource<T> {
    path: PathBuf,
    of: PhantomData<fn() -> T>,
}

impl<T> CsvSource<T> {
    fn open_file(&self) -> Result<File, BoxError> {
        File::open(&self.path).map_err(|error| unread(&self.path, &error))
    }
}

impl<T: Data> Source for CsvSource<T> {
    type Item = Row<T>;
    type Reader = Handover<Row<T>>;

    fn splits(&self) -> Result<Vec<String>, BoxError> {
        self.open_file()?;
        Ok(vec![self.path.display().to_string()])
    }

    fn open(&self, _: u32, cx: &SourceContext) -> Result<Self::Reader, BoxError> {
        let (file, path) = (self.open_file()?, self.path.clone());
        Handover::start(&*cx.spawner, "levada-csv", move |offer| async move {
            let mut reader = ::csv::Reader::from_reader(file);
            // Without its header line no row has a meaning.
            reader.headers().map_err(|error| unread(&path, &error))?;
            for (number, row) in reader.deserialize().enumerate() {
                let row = match row {
                    // Not the row is wrong: what follows cannot be read.
                    Err(error) if error.is_io_error() => return Err(unread(&path, &error)),
                    row => row.map_err(|error| error.to_string()),
                };
                offer.put(number as u64, row).await?;
            }
            Ok(())
        })
    }
}

fn unread(path: &Path, error: &dyn std::error::Error) -> BoxError {
    format!("`{}` cannot be read: {error}", path.display()).into()
}
