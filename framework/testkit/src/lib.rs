//! What tests of Levada stand on: seams that a test owns, and that a seed decides.
//!
//! | | is |
//! |---|---|
//! | [`TestClock`] | a clock that a test moves |
//! | [`TestBench`], [`TestRun`] | pipelines on one thread, the same run every time |
//! | [`conformance`] | what every backend must do |
//! | [`vfs`] | files that are lost, torn and refused |
//! | [`Victim`] | a process that is killed |
//!
//! The backend in memory is the engine's: `Levada::in_memory()`, or a [`TestBench`].

mod clock;
pub mod conformance;
mod pipeline;
pub mod vfs;
mod victim;

pub use self::{
    clock::{Sleep, TestClock},
    pipeline::{TestBench, TestRun, TestSpawner},
    victim::{Heard, Victim},
};
