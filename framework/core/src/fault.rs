//! Why a record failed.

use std::fmt;

use crate::BoxError;

/// Why a record failed, in classes that decide what happens to it.
///
/// Any error becomes [`Unclassified`](Fault::Unclassified) by `?`.
///
/// # Examples
///
/// ```
/// use levada_core::Fault;
///
/// fn parse(text: &str) -> Result<u32, Fault> {
///     Ok(text.parse()?)
/// }
/// assert!(matches!(parse("7"), Ok(7)));
/// assert!(matches!(parse("seven"), Err(Fault::Unclassified(_))));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Nobody said: retried where a retry is given, a dead letter elsewhere.
    Unclassified(BoxError),
    /// Trying again may help.
    Retryable(BoxError),
    /// Trying again cannot help.
    NonRetryable(BoxError),
    /// What the record needs is down: hold everything back rather than give records up.
    Backoff(BoxError),
    /// The record is not wanted.
    Skip,
}

impl<E: Into<BoxError>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Unclassified(error.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclassified(error)
            | Self::Retryable(error)
            | Self::NonRetryable(error)
            | Self::Backoff(error) => error.fmt(f),
            Self::Skip => f.write_str("the record is not wanted"),
        }
    }
}
