//! Operators that remember something of each key.

mod count;
mod dedup;
mod fold;
mod join_latest;
mod when;

pub use self::{
    count::{Count, Counting},
    dedup::{Dedup, Deduplicating},
    fold::{Fold, Folding},
    join_latest::{Either, JoinLatest, Joined, Joining},
    when::{EmitWhen, Every, Gathers, When},
};
