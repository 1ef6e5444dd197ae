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
//! | [`retention`] | only what has expired goes, whatever the clock and the machine do |
//! | [`compaction`] | a compacted topic is a map, whatever is removed of it |
//! | [`space`] | a full disk is told before, refuses, and is made room on |
//! | [`faults`] | full disks, short writes |

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose scene cannot be set has failed"
)]

mod compaction;
mod damage;
mod failed_sync;
mod faults;
mod groups;
mod hostile;
mod one_process;
mod retention;
mod round_trip;
mod space;
mod support;
mod torn;
mod zero_copy;
