//! What the benches share: the workloads, and a runner that pairs our programs with their peers.
//!
//! A bench is one file with one question; `cargo bench -p levada-benches --bench w1` answers it.
//! The runner is a library, so that its verdicts are tested like anything else.

pub mod bids;
pub mod paired;
pub mod workload;

/// Compiles C: behind a feature that nothing else switches on.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The allocator that the benches and, in a paired run, the peers are built with.
pub const ALLOCATOR_NAME: &str = if cfg!(feature = "mimalloc") {
    "mimalloc"
} else if cfg!(target_env = "gnu") {
    "glibc"
} else {
    "the system's"
};
