//! The wiring: rows of an input go to a topic, and groups read it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::executor::block_on;
use levada::{Ended, Levada, Pipeline, Topic, core::backend::BackendError, prelude::*};

use crate::{
    Claim, ClaimError, Config, Feed, Gauges, Held, Input, InputError, OrderLine, ROW_HEADER,
    Rejected, ResultRow, Service, Site, Ticker, config::BackendKind, progress::say,
};

/// Why an order bus did not come to its end: each sentence names the thing and the fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The input cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The data folder is for something else.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// A topic cannot be used.
    #[error(transparent)]
    Topic(#[from] BackendError),
    /// A pipeline did not start, or stopped.
    #[error(transparent)]
    Pipeline(#[from] Error),
    /// The results have nowhere to go.
    #[error(
        "results folder {} cannot be made ({source}): choose another with --results",
        .path.display()
    )]
    Results {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no thread to show progress.
    #[error("progress cannot be shown: {0}")]
    Progress(#[source] io::Error),
}

/// Runs an order bus until its input has ended and all groups have answered, or until the process
/// is told to stop.
///
/// # Errors
///
/// What is wrong with the input, the folders, the topic or a pipeline.
///
/// # Examples
///
/// ```
/// use clap::Parser as _;
/// use order_bus::{Config, run};
///
/// let results = tempfile::tempdir()?;
/// let args = ["order_bus", "--backend", "memory", "--records", "500", "--work", "0"];
/// let folder = results.path().to_str().expect("a plain name");
/// run(&Config::parse_from(args.into_iter().chain(["--rate", "0", "--results", folder])))?;
/// let answers = std::fs::read_to_string(results.path().join("loyalty.csv"))?;
/// assert!(answers.starts_with("cust,orders,points\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run(config: &Config) -> Result<Ended, BusError> {
    let input = (!config.read_only).then(|| config.input.input());
    let identity = input.as_ref().map(Input::identity).transpose()?;
    let results = || config.results.clone();
    fs::create_dir_all(results()).map_err(|source| BusError::Results {
        path: results(),
        source,
    })?;
    let levada = open(config)?;
    if let Some(identity) = identity.filter(|_| config.backend == BackendKind::Embedded) {
        Claim::new(identity, config.partitions.get()).hold(&config.data)?;
    }
    let topic = levada.topic::<OrderLine>(&config.topic);
    let orders = if config.read_only {
        topic.open()?
    } else {
        topic.partitions(config.partitions.get()).create()?
    };

    let held = block_on(Held::by(orders.raw()))?;
    if held.count() > 0 {
        say("the topic holds records: groups with state read it again from offset 0");
    }
    let mut gauges = Gauges::of(orders.raw());
    let mut pipelines = Vec::new();
    if let Some(input) = input {
        let feed = Feed::new(input, config.input.malformed(), config.input.rate(), held);
        gauges.rejected = feed.rejected();
        pipelines.push(ingest(&levada, feed, &orders, &config.results));
    }
    for group in &config.groups {
        let pipeline = levada.pipeline(group.name());
        let service = Service::taking(group.cost(), config.work);
        group.draw(&Site {
            pipeline: &pipeline,
            orders: &orders,
            service: &service,
            warehouse_batch: config.warehouse_batch.get(),
            results: &config.results,
        });
        gauges.groups.push((*group, service));
        pipelines.push(pipeline);
    }
    let ticker = Ticker::start(gauges).map_err(BusError::Progress)?;
    let ended = levada.run(pipelines);
    drop(ticker);
    Ok(ended?)
}

fn open(config: &Config) -> Result<Levada, BusError> {
    let mut builder = Levada::builder();
    if let Some(arbiters) = config.arbiters {
        builder = builder.arbiters(arbiters.get());
    }
    Ok(match config.backend {
        BackendKind::Embedded => builder.open(config.data.join("log"))?,
        BackendKind::Memory => builder.in_memory(),
    })
}

/// Sends what the topic lacks, and seals it when the input has ended.
fn ingest(levada: &Levada, feed: Feed, orders: &Topic<OrderLine>, results: &Path) -> Pipeline {
    let pipeline = levada.pipeline("ingest");
    let (lines, rejected) = pipeline.source(feed).split(|(_, line)| line.is_ok());
    lines
        .flat_map(|(_, line)| line.ok())
        .event_time(Duration::ZERO, |line| line.at)
        .key_by(|line| line.invoice.clone())
        .sink(
            to_topic(orders)
                // The feed gives each row its number as its offset.
                .header(ROW_HEADER, |_, head| head.origin.offset.to_be_bytes().to_vec())
                .sealing(),
        );
    rejected
        .flat_map(|(_, line)| line.err())
        .sink(files(results.join("rejected.csv"), Rejected::line).header(Rejected::COLUMNS));
    pipeline
}
