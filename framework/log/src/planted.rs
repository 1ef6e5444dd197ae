//! Bugs that campaigns plant, to see that they are caught: only in a build with `--cfg planted`.
//!
//! Such a build has all of them, and the environment says which one is on. In any other build there
//! is none, and the compiler leaves out what would ask.

/// Whether this bug is planted.
#[cfg(not(planted))]
pub(crate) const fn planted(_bug: &str) -> bool {
    false
}

/// Whether this bug is planted.
#[cfg(planted)]
pub(crate) fn planted(bug: &str) -> bool {
    static PLANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let on = PLANTED.get_or_init(|| std::env::var("LEVADA_PLANTED").ok());
    on.as_deref() == Some(bug)
}
