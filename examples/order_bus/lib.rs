//! The order bus: order lines, the groups that answer from them, and the wiring between.
//!
//! The `order_bus` example is [`run`] with a command line around it; all of it is a library so that
//! tests and benchmarks run on the same lines. In the order a reader may want it:
//!
//! | | is |
//! |---|---|
//! | [`run`], [`Config`] | the wiring, and what the command line says |
//! | [`Group`], [`Site`] | the logic of the five groups: operators with keyed state |
//! | [`Feed`], [`Held`], [`Claim`] | the source: what is sent, what was, and into which folder |
//! | [`Rejects`] | the file of the rows that are no order lines |
//! | [`OrderLine`], [`Orders`], [`Generator`] | the lines, read from files or made up |
//! | [`ResultRow`], [`Gauges`] | how results and progress look |

mod bus;
pub mod civil;
mod claim;
mod config;
mod error;
mod feed;
mod format;
mod generator;
mod groups;
mod held;
mod identity;
mod input;
mod lines;
mod money;
mod order;
mod pace;
mod progress;
mod rejects;
mod row;
mod service;
mod splitter;
mod total;

pub use bus::run;
pub use claim::{Claim, ClaimError};
pub use config::{BackendKind, Config, InputArgs, MetricsArgs};
pub use error::BusError;
pub use feed::{Feed, Input, Malformed};
pub use format::ResultRow;
pub use generator::Generator;
pub use groups::{Business, Flag, Group, Pair, Points, Site, StockChange};
pub use held::{Held, ROW_HEADER};
pub use identity::Identity;
pub use input::{InputError, Orders, Row};
pub use money::{Money, ParseMoneyError};
pub use order::{COLUMNS, OrderLine, write_csv};
pub use progress::{Gauges, Ticker, say};
pub use rejects::Rejects;
pub use row::Rejected;
pub use service::Service;
pub use total::Total;
