//! What the log promises, one module per promise.
//!
//! | module | promise |
//! |---|---|
//! | [`round_trip`] | what was appended comes back: same offsets, same bytes, after a restart too |
//! | [`zero_copy`] | a fetched record lies in the fetched buffer; no allocation per record |
//! | [`groups`] | positions are durable; a sealed topic stays sealed; names are checked |
//! | [`one_process`] | one log at a time has a data folder |
//! | [`moved`] | a folder that is not its log's any more, or older than was known, is noticed |
//! | [`memory`] | a log that gets no more memory has lost nothing that was acknowledged |
//! | [`quotas`] | no more is appended than a quota allows, and no less |
//! | [`stopped_group`] | a group that stops costs the others no time, and no memory |
//! | [`seek`] | groups are moved by plans, nothing by mistake, and new ones join live |
//! | [`ahead`] | who goes through is read ahead for, and sees nothing else of it |
//! | [`time`] | a partition can be read from a time on |
//! | [`torn`] | a torn last group commit is cut and reported, at whatever byte it was torn |
//! | [`compressed`] | what was compressed comes back, and lies about it cost no memory |
//! | [`damage`] | other damage stops its partition, or the log, and changes nothing |
//! | [`endless`] | a time that never comes is no limit, and costs nothing |
//! | [`hostile`] | sizes that somebody else wrote cost neither a panic nor memory |
//! | [`describe`] | what is said about a topic is what is there |
//! | [`failed_sync`] | after a failed sync there is no other, and nothing is acknowledged |
//! | [`retention`] | only what has expired goes, whatever the clock and the machine do |
//! | [`outlived`] | retention may overtake a transaction that is open, and nobody is lost |
//! | [`compaction`] | a compacted topic is a map, whatever is removed of it |
//! | [`space`] | a full disk is told before, refuses, and is made room on |
//! | [`flush`] | a flush is gentle, until whoever appends would have to wait for it |
//! | [`faults`] | full disks, short writes |
//! | [`format`] | what an earlier release wrote opens, and holds what it held |
//! | [`acks`] | what a topic acknowledges early is lost with the power only |
//! | [`producers`] | repeats are known, gaps, resets and zombies refused |
//! | [`transactions`] | all or nothing, for readers of committed records |
//! | [`backup`] | a backup holds one moment of a running log, or it is none |
//! | [`busy`] | the same each second, while everything happens at once |
//! | [`check`] | a check names whatever is damaged, and changes nothing |
//! | [`repair`] | a repair loses exactly what it names |
//! | [`read_only`] | a folder is read beside the log that writes it, and nothing is changed |
//! | [`open_files`] | few open files serve many partitions, and running out kills nothing |

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose scene cannot be set has failed"
)]

mod acks;
mod ahead;
mod backup;
mod busy;
mod check;
mod compaction;
mod compressed;
mod damage;
mod describe;
mod endless;
mod failed_sync;
mod faults;
mod flush;
mod folders;
mod format;
mod groups;
mod hostile;
mod machine;
mod memory;
mod moved;
mod one_process;
mod open_files;
mod outlived;
mod producers;
mod quotas;
mod read_only;
mod repair;
mod retention;
mod round_trip;
mod seek;
mod space;
mod spoilt;
mod stopped_group;
mod support;
mod time;
mod torn;
mod transactions;
mod zero_copy;
