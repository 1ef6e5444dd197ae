//! `files`: writes a file whole, or not at all.
//!
//! What comes is held in memory until the input has ended; then it is written beside its place,
//! synced, and renamed. So a reader never sees half a file, and what an interrupted run left behind
//! is replaced by the next. A pipeline with such a sink reads from the start whenever it starts, so
//! that the file is always a result of the whole input.

use std::{
    cmp::Ordering,
    fmt,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::{FutureExt as _, channel::oneshot};
use levada_core::{
    BoxError, Sink, SinkContext, SinkLayout, SinkWriter, Spawner, key::Key, record::Head,
};

type Line<T> = Arc<dyn Fn(&T) -> String + Send + Sync>;
type Order<T> = Arc<dyn Fn(&T, &T) -> Ordering + Send + Sync>;

/// Writes a file of lines when the input has ended, `line` making one of each record.
///
/// The folder is created if it is not there. All records are held in memory until then.
///
/// # Examples
///
/// ```
/// use levada_engine::Pipeline;
/// use levada_operators::prelude::*;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("squares.csv");
///
/// let pipeline = Pipeline::new("squares");
/// pipeline
///     .source(iter([3_u32, 1, 2]))
///     .map(|n| (n, n * n))
///     .sink(files(&path, |(n, square)| format!("{n},{square}")).header("n,square").sorted());
/// pipeline.run()?;
/// assert_eq!(std::fs::read_to_string(&path)?, "n,square\n1,1\n2,4\n3,9\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn files<T>(
    path: impl AsRef<Path>,
    line: impl Fn(&T) -> String + Send + Sync + 'static,
) -> Files<T> {
    Files {
        path: path.as_ref().to_owned(),
        header: None,
        line: Arc::new(line),
        order: None,
    }
}

/// See [`files`].
#[must_use = "a sink writes nothing until a stream has it"]
pub struct Files<T> {
    path: PathBuf,
    header: Option<String>,
    line: Line<T>,
    order: Option<Order<T>>,
}

impl<T> Clone for Files<T> {
    fn clone(&self) -> Self {
        Self {
            path: self.path.clone(),
            header: self.header.clone(),
            line: Arc::clone(&self.line),
            order: self.order.clone(),
        }
    }
}

impl<T> fmt::Debug for Files<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl<T: 'static> Files<T> {
    /// Begins the file with this line. Default: none.
    pub fn header(self, header: &str) -> Self {
        Self {
            header: Some(header.to_owned()),
            ..self
        }
    }

    /// Writes records in the order of their values. Default: in the order of arrival.
    pub fn sorted(self) -> Self
    where
        T: Ord,
    {
        self.sorted_by(T::cmp)
    }

    /// Writes records in this order. Default: in the order of arrival.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::prelude::*;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("falling.txt");
    ///
    /// let pipeline = Pipeline::new("falling");
    /// let falling = files(&path, u32::to_string).sorted_by(|a, b| b.cmp(a));
    /// pipeline.source(iter([3_u32, 1, 2])).sink(falling);
    /// pipeline.run()?;
    /// assert_eq!(std::fs::read_to_string(&path)?, "3\n2\n1\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sorted_by(self, order: impl Fn(&T, &T) -> Ordering + Send + Sync + 'static) -> Self {
        Self {
            order: Some(Arc::new(order)),
            ..self
        }
    }

    /// Writes the file beside its place, and puts it there.
    fn write(&self, mut records: Vec<T>) -> io::Result<()> {
        if let Some(order) = &self.order {
            records.sort_by(|a, b| order(a, b));
        }
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder)?;
        let mut beside = self.path.clone().into_os_string();
        beside.push(".part");
        let mut file = BufWriter::new(File::create(&beside)?);
        if let Some(header) = &self.header {
            writeln!(file, "{header}")?;
        }
        for record in &records {
            writeln!(file, "{}", (self.line)(record))?;
        }
        file.into_inner()?.sync_all()?;
        fs::rename(&beside, &self.path)?;
        sync_folder(folder)
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Windows has no way to sync a folder.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

impl<T: Send + 'static, K: Key> Sink<T, K> for Files<T> {
    type Writer = FileWriter<T>;

    fn layout(&self) -> SinkLayout {
        SinkLayout::Single
    }

    fn name(&self) -> String {
        format!("files {}", self.path.display())
    }

    fn needs_whole_input(&self) -> bool {
        true
    }

    fn open(&self, cx: &SinkContext) -> Result<FileWriter<T>, BoxError> {
        Ok(FileWriter {
            files: self.clone(),
            spawner: Arc::clone(&cx.spawner),
            records: Vec::new(),
            written: None,
        })
    }
}

/// What [`files`] has so far.
pub struct FileWriter<T> {
    files: Files<T>,
    spawner: Arc<dyn Spawner>,
    records: Vec<T>,
    written: Option<oneshot::Receiver<io::Result<()>>>,
}

impl<T> fmt::Debug for FileWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileWriter")
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> FileWriter<T> {
    /// Has the file written on a thread that may block.
    fn start(&mut self) -> io::Result<oneshot::Receiver<io::Result<()>>> {
        let (files, records) = (self.files.clone(), std::mem::take(&mut self.records));
        let (done, written) = oneshot::channel();
        let work = async move {
            if done.send(files.write(records)).is_err() {
                tracing::debug!("nobody waits for the file any more");
            }
        };
        self.spawner.spawn("levada-files", Box::pin(work))?;
        Ok(written)
    }
}

impl<T: Send + 'static, K: Key> SinkWriter<T, K> for FileWriter<T> {
    fn write(&mut self, value: T, _: &K, _: &Head) -> Result<(), BoxError> {
        self.records.push(value);
        Ok(())
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.written.is_none() {
            self.written = Some(self.start()?);
        }
        let written = self.written.as_mut().expect("started just now, or before");
        let path = self.files.path.display();
        Poll::Ready(match ready!(written.poll_unpin(cx)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("`{path}` cannot be written: {error}").into()),
            Err(oneshot::Canceled) => Err(format!("`{path}` was not written").into()),
        })
    }
}
