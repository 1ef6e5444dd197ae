//! Levada's contracts and machines: records, keys, time, operators, state and graphs.
//!
//! Nothing here does I/O, starts a thread or names an actor. What runs a pipeline is
//! `levada-engine`; a program uses the `levada` crate, which re-exports what it needs from here.
//!
//! In the order a reader may want them:
//!
//! | module | is |
//! |---|---|
//! | [`Operator`], [`Source`], [`Sink`] | what a user writes |
//! | [`Stream`], [`KeyedStream`], [`graph`] | what a program draws, and the plan that comes of it |
//! | [`key`], [`record`] | what records are grouped by, and what travels with them |
//! | [`chain`], [`stage`] | fused lines of operators, and the machines that drive them |
//! | [`port`] | edges between stages: bounded queues with credit |
//! | [`Clock`], [`Spawner`], [`Seed`], [`Codec`] | the seams |
//!
//! Public for the engine alone are [`assembly`], [`chain`], [`coordinator`], [`graph`], [`node`],
//! [`port`], [`stage`] and [`task`]: a program that composes operators needs none of them. Each has
//! an example of how its piece works.

pub mod assembly;
pub mod backend;
pub mod chain;
mod chunk;
mod clock;
mod codec;
pub mod coordinator;
mod data;
mod event_time;
mod fault;
pub mod graph;
pub mod key;
pub mod node;
mod operator;
mod output;
pub mod port;
pub mod record;
mod seed;
mod sink;
mod source;
mod spawner;
pub mod stage;
mod state;
mod stream;
mod sync;
pub mod task;
mod time;
mod topic;

pub use self::{
    chunk::AnyChunk,
    clock::{Clock, SystemClock},
    codec::{Codec, Json, MessagePack, Raw},
    data::Data,
    event_time::{Timed, TimedPush},
    fault::Fault,
    graph::Grouping,
    operator::{Context, Emit, List, Open, Operator, Side, Value},
    output::{ChunkLimits, Wiring},
    seed::{Rng, Seed},
    sink::{Sink, SinkContext, SinkLayout, SinkWriter},
    source::{Begin, Incoming, Source, SourceContext, SplitReader, Subscription},
    spawner::{Spawner, Threads},
    stage::{CallOrder, Calls},
    state::{Time, Timer},
    stream::{Adjust, Dataflow, FromSource, Keyed, KeyedStream, Start, Stream},
    time::Timestamp,
    topic::{Topic, TopicBuilder},
};

/// Any error, boxed: what user code may return.
///
/// # Examples
///
/// ```
/// use levada_core::BoxError;
///
/// fn quantity(text: &str) -> Result<u32, BoxError> {
///     match text.parse()? {
///         0 => Err("nothing was ordered".into()),
///         quantity => Ok(quantity),
///     }
/// }
/// assert_eq!(quantity("3").ok(), Some(3));
/// assert_eq!(quantity("0").unwrap_err().to_string(), "nothing was ordered");
/// ```
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
