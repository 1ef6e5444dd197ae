//! What the log promises, one module per promise.
//!
//! | module | promise |
//! |---|---|
//! | [`round_trip`] | what was appended comes back: same offsets, same bytes, after a restart too |
//! | [`zero_copy`] | a fetched record lies in the fetched buffer; no allocation per record |
//! | [`groups`] | positions are durable; a sealed topic stays sealed; names are checked |
//! | [`one_process`] | one log at a time has a data folder |
//! | [`torn`] | a torn last group commit is cut and reported, at whatever byte it was torn |
//! | [`damage`] | other damage stops its partition, or the log, and changes nothing |
//! | [`hostile`] | sizes that somebody else wrote cost neither a panic nor memory |
//! | [`failed_sync`] | after a failed sync there is no other, and nothing is acknowledged |
//! | [`faults`] | full disks, short writes |
//! | [`acks`] | what a topic acknowledges early is lost with the power only, and no offset is given twice |
//! | [`producers`] | repeats are known, gaps, resets and zombies refused |
//! | [`transactions`] | all or nothing, for readers of committed records |

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose scene cannot be set has failed"
)]

mod acks;
mod damage;
mod failed_sync;
mod faults;
mod groups;
mod hostile;
mod machine;
mod one_process;
mod producers;
mod round_trip;
mod support;
mod torn;
mod transactions;
mod zero_copy;
