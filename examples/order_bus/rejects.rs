//! The file of the rows that were no order lines.

use std::{
    fs::File,
    io::{self, LineWriter, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{Rejected, ResultRow as _};

/// Writes rejected rows line by line as they come: however a run ends, those until then are there.
///
/// A restart reads the input from its first row, and so writes the file anew.
///
/// # Examples
///
/// ```
/// use std::{fs, sync::atomic::Ordering};
///
/// use order_bus::{Rejected, Rejects};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("rejected.csv");
/// let mut rejects = Rejects::create(&path)?;
/// let (column, reason) = ("Quantity".to_owned(), "not a whole number".to_owned());
/// rejects.write(&Rejected { line: 51, column, reason, raw: Vec::new() })?;
/// let written = fs::read_to_string(&path)?;
/// assert_eq!(written, "line,column,reason\n51,Quantity,not a whole number\n");
/// assert_eq!(rejects.count().load(Ordering::Relaxed), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Rejects {
    path: PathBuf,
    file: LineWriter<File>,
    count: Arc<AtomicU64>,
}

impl Rejects {
    /// Begins the file with the names of its columns.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = LineWriter::new(File::create(path)?);
        writeln!(file, "{}", Rejected::COLUMNS)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            count: Arc::default(),
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// When it cannot be written, with the name of the file.
    pub fn write(&mut self, rejected: &Rejected) -> io::Result<()> {
        self.count.fetch_add(1, Ordering::Relaxed);
        let written = writeln!(self.file, "{}", rejected.line());
        written.map_err(|error| {
            let said = format!("{} cannot be written: {error}", self.path.display());
            io::Error::new(error.kind(), said)
        })
    }

    /// Counts its rows, for others to look at.
    pub fn count(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.count)
    }
}
