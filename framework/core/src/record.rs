//! What travels with a record: when it happened, where its key belongs, where it came from.
//!
//! # Examples
//!
//! A sink is told with each record:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use levada::{BoxError, Sink, SinkContext, SinkWriter, prelude::*, record::Head};
//!
//! #[derive(Clone, Default)]
//! struct Origins(Arc<Mutex<Vec<String>>>);
//!
//! impl Sink<char> for Origins {
//!     type Writer = Self;
//!
//!     fn open(&self, _: &SinkContext) -> Result<Self, BoxError> {
//!         Ok(self.clone())
//!     }
//! }
//!
//! impl SinkWriter<char> for Origins {
//!     fn write(&mut self, letter: char, _: &(), head: &Head) -> Result<(), BoxError> {
//!         assert_eq!(head.at, Timestamp::MIN, "the stream has no event time");
//!         self.0.lock().unwrap().push(format!("`{letter}` is {}", head.origin));
//!         Ok(())
//!     }
//! }
//!
//! let origins = Origins::default();
//! let pipeline = Pipeline::new("letters");
//! pipeline.source(iter("ab".chars())).sink(origins.clone());
//! pipeline.run()?;
//! let origins = origins.0.lock().unwrap();
//! assert_eq!(*origins, ["`a` is record 0 of split 0", "`b` is record 1 of split 0"]);
//! # Ok::<(), Error>(())
//! ```

use std::fmt;

use crate::Timestamp;

/// Where a record entered the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The split of the source, numbered within the pipeline; see [`Origin::TIMER`].
    pub split: u32,
    /// Its offset in the split.
    pub offset: u64,
}

impl Origin {
    /// The origin of what a timer put out: no record, so no place in a source.
    pub const TIMER: Self = Self {
        split: u32::MAX,
        offset: 0,
    };
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TIMER => f.write_str("a timer, or the end of the input"),
            Self { split, offset } => write!(f, "record {offset} of split {split}"),
        }
    }
}

/// What travels with a record through a stage.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Event time; [`Timestamp::MIN`] where the stream has none.
    pub at: Timestamp,
    /// The hash of the key's canonical bytes; 0 on a stream without keys.
    pub hash: u32,
    /// Where it came from.
    pub origin: Origin,
}
