//! Sources: where records enter.

mod csv;
mod generate;
mod handover;
mod iter;
mod lines;
mod topic;

pub use self::{
    csv::{CsvSource, Row, csv},
    generate::{Generate, generate},
    handover::{Handover, NotWanted, Offer},
    iter::{Iter, iter},
    lines::{Lines, lines},
    topic::{RecordInfo, TopicSource, topic},
};
