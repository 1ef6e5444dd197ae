//! The campaigns of the log: crashes of a simulated machine, kills of a real process, planted bugs,
//! recorded histories.
//!
//! Where nothing else is said, what was appended, and what was said of it, is kept outside of the
//! log, in a [`ledger`]; an [`audit`] compares a log that was opened again with it:
//!
//! 1. Each acknowledged record is there: at the same offset, with the same bytes.
//! 2. Nothing is there that was not sent, or that was refused.
//! 3. Batches are whole, in the order of the calls, and offsets grow and are never given twice.
//! 4. Positions are those that were acknowledged last, or later ones; sealed topics stay sealed.

mod accounts;
mod audit;
pub(crate) mod compaction;
#[cfg(test)]
mod crash_points;
pub(crate) mod flips;
pub(crate) mod histories;
mod keyed;
pub(crate) mod kills;
mod ledger;
pub(crate) mod payload;
pub(crate) mod planted;
pub(crate) mod power_cuts;
pub(crate) mod recoveries;
#[cfg(test)]
mod regressions;
mod rig;
mod scene;
pub(crate) mod steps;

/// Returns a fault from the function around it unless a promise is kept.
macro_rules! require {
    ($kept:expr, $($words:tt)+) => {
        if !$kept {
            return Err(format!($($words)+).into());
        }
    };
}
pub(crate) use require;
