//! What operators, sources and sinks promise, on running pipelines.
//!
//! | module | is about |
//! |---|---|
//! | `records` | operators that look at one record at a time |
//! | `gathering` | operators that remember: what they say, and when |
//! | `topics` | the topic source and sink |
//! | `gaps` | a partition whose end lies beyond its last record |
//! | `files` | sources and sinks on files |

mod files;
mod gaps;
mod gathering;
mod records;
mod support;
mod topics;
