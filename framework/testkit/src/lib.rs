//! What tests of Levada stand on: seams that a test owns, and that a seed decides.
//!
//! | | is |
//! |---|---|
//! | [`TestClock`] | a clock that a test moves |
//! | [`TestBench`], [`TestPipeline`] | pipelines on one thread, the same run every time |
//! | [`conformance`] | what every backend must do |
//! | [`vfs`] | files that are lost, torn and refused |
//! | [`Victim`] | a process that is killed |
//!
//! The backend in memory is the engine's: `Levada::in_memory()`, or a [`TestBench`].
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use levada::prelude::*;
//! use levada_testkit::TestBench;
//!
//! let bench = TestBench::new();
//! let pipeline = bench.levada().pipeline("lookups");
//! let found = Collected::new();
//! let clock = bench.clock().clone();
//! pipeline
//!     .source(iter([1_u32, 2]))
//!     .map_async("look up", Calls::at_most(1), move |id| {
//!         let wait = clock.sleep(Duration::from_secs(10)); // A slow service, in a test's time.
//!         async move {
//!             wait.await;
//!             id
//!         }
//!     })
//!     .sink(collect(&found));
//! let mut run = bench.start(pipeline)?;
//! run.until_idle();
//! assert!(found.is_empty());
//! run.advance(Duration::from_secs(10));
//! assert_eq!(found.take(), [1]);
//! run.advance(Duration::from_secs(10));
//! assert_eq!(found.take(), [2]);
//! # Ok::<(), Error>(())
//! ```

mod clock;
pub mod conformance;
mod pipeline;
pub mod vfs;
mod victim;

pub use self::{
    clock::{Sleep, TestClock},
    pipeline::{TestBench, TestPipeline, TestSpawner},
    victim::{Heard, Victim},
};
