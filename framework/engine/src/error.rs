//! Why a pipeline did not start, or did not come to its end.

use std::{fmt, io, path::PathBuf};

use levada_core::{BoxError, backend::BackendError, graph::BuildError};

/// Why a pipeline did not start, or did not come to its end.
///
/// Its `Debug` form is its sentence too, since that is what a `main` that returns it prints.
///
/// # Examples
///
/// Its sentence says where to look and what to do:
///
/// ```
/// use levada::prelude::*;
///
/// let levada = Levada::in_memory();
/// let unknown = levada.topic::<String>("orders").open().map(drop).map_err(Error::from);
/// let said = unknown.expect_err("nobody made it").to_string();
/// assert_eq!(said, "there is no topic `orders`: create it first, or check the name");
///
/// let pipeline = levada.pipeline("orders");
/// pipeline.source(iter([1, 0])).map(|n: u32| 6 / n).sink(discard());
/// match pipeline.run() {
///     Err(Error::Stage { operator, record, .. }) => {
///         assert_eq!((operator.as_str(), record.as_str()), ("map", "iter@1"));
///     }
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something is wrong with what the program drew.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The backend refused or failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The data folder could not be opened.
    #[error("data folder {} cannot be opened: {source}", .path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: BoxError,
    },
    /// The operating system gave no threads.
    #[error("the threads that run pipelines could not be started: {0}")]
    Threads(#[source] io::Error),
    /// A source, an operator or a sink could not be opened.
    #[error("pipeline `{pipeline}` could not start: {reason}")]
    Start {
        /// The pipeline.
        pipeline: String,
        /// What could not be opened, and why.
        reason: BoxError,
    },
    /// A record could not be handled, and the pipeline stopped.
    #[error("pipeline `{pipeline}` stopped: `{operator}` failed on {record}: {reason}")]
    Stage {
        /// The pipeline.
        pipeline: String,
        /// The operator, source or sink.
        operator: String,
        /// The record, as in `orders/3@17`, or what else it was handling.
        record: String,
        /// What it said.
        #[source]
        reason: BoxError,
    },
    /// Two pipelines that are to run together have one name.
    #[error("two pipelines are named `{name}`, and would read topics as one group: rename one")]
    SameName {
        /// The name.
        name: String,
    },
    /// It was told to stop at once.
    #[error("pipeline `{pipeline}` was aborted")]
    Aborted {
        /// The pipeline.
        pipeline: String,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_main_that_returns_an_error_prints_its_sentence() {
        let error = Error::Aborted {
            pipeline: "orders".to_owned(),
        };
        assert_eq!(format!("{error:?}"), "pipeline `orders` was aborted");
    }
}
