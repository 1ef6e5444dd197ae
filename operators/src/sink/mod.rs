//! Sinks: where records leave.

mod collect;
mod discard;
mod files;
mod print;
mod topic;

pub use self::{
    collect::{CollectSink, Collected, collect},
    discard::{Discard, discard},
    files::{Files, files},
    print::{Print, print},
    topic::{TopicSink, to_topic},
};
