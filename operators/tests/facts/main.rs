//! What operators, sources and sinks promise, on running pipelines.
//!
//! | module | is about |
//! |---|---|
//! | `records` | operators that look at one record at a time |
//! | `gathering` | operators that remember: what they say, and when |
//! | `topics` | the topic source and sink |
//! | `gaps` | a partition whose end lies beyond its last record |
//! | `files` | sources and sinks on files |
//! | `room` | the topic sink where the log is slow |
//! | `failed` | what must not pass for done after a failure |
//! | `stopped` | a log that dies under a pipeline |

#![expect(
    clippy::unwrap_used,
    reason = "what cannot be set up has failed the test"
)]

mod failed;
mod files;
mod gaps;
mod gathering;
mod records;
mod room;
mod stopped;
mod support;
mod topics;
