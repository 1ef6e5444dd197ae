//! Sources: where records enter.

mod csv;
mod generate;
mod handover;
mod iter;
mod lines;
mod topic;

pub use self::{
    csv::{CsvSource, Row, csv},
    generate::{Generate, GenerateReader, generate},
    handover::{Handover, NotWanted, Offer},
    iter::{Iter, IterReader, iter},
    lines::{Lines, lines},
    topic::{RecordInfo, TopicReader, TopicSource, topic},
};
