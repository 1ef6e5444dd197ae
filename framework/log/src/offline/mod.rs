//! What is done to a data folder beside a log, or without one.
//!
//! | what | reads | writes |
//! |---|---|---|
//! | [`read_only`] | a folder that may be open, at one moment | nothing |
//! | [`check`] | all of a folder that nobody has open | nothing |
//! | [`repair`] | the same | a new folder |
//! | [`backup`] | the folder of its own log, while that runs | a backup |
//! | [`restore`] | a backup | a new folder |
//!
//! What always holds:
//!
//! 1. What is read from is never changed, whatever goes wrong.
//! 2. A folder that is made is new, and becomes what it is to be with the renaming of one file, at
//!    the end: `image` for a data folder, `backup` for a backup. Left half-way it is neither.
//! 3. All that is read is proven by its checksum before it is believed; what cannot be read is
//!    named, never guessed.

pub(crate) mod backup;
pub(crate) mod check;
mod frames;
mod journals;
mod live;
mod making;
mod manifest;
mod old_journals;
pub(crate) mod read_only;
pub(crate) mod repair;
pub(crate) mod report;
pub(crate) mod restore;
mod salvage;
mod window;

use crate::batch::{
    header::{Header, checksum_holds},
    records,
};

/// The header of the batch that `bytes` are; else what is wrong with them.
fn whole_batch(bytes: &[u8]) -> Result<Header, &'static str> {
    let header = Header::parse(bytes)?;
    if header.len != bytes.len() {
        return Err("a batch is cut short");
    }
    if !checksum_holds(bytes) {
        return Err("the checksum of a batch is wrong");
    }
    if !records::are_in(&header, bytes) {
        return Err("a batch does not hold what its header says");
    }
    Ok(header)
}
