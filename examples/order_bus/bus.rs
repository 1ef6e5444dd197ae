//! The wiring: rows of an input go to a topic, and groups read it.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use futures::executor::block_on;
use levada::{Ended, Levada, Pipeline, Topic, prelude::*};

use crate::{
    BusError, Claim, Config, Feed, Gauges, Group, Held, Input, OrderLine, ROW_HEADER, Rejects,
    Service, Site, Ticker, config::BackendKind, say,
};

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
    // What is wrong with the input is said before anything is made.
    let identity = input.as_ref().map(Input::identity).transpose()?;
    if config.read_only && config.backend == BackendKind::Embedded && !log_of(config).is_dir() {
        return Err(BusError::NothingToRead(config.data.clone()));
    }
    let results = &config.results;
    fs::create_dir_all(results).map_err(|source| BusError::results(results, source))?;
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

    let mut gauges = Gauges::of(orders.raw());
    let mut feeding = None;
    if let Some(input) = input {
        let path = results.join("rejected.csv");
        let created = Rejects::create(&path);
        let rejects = created.map_err(|source| BusError::results(&path, source))?;
        gauges.rejected = rejects.count();
        let held = block_on(Held::by(orders.raw()))?;
        let (malformed, rate) = (config.input.malformed(), config.input.rate());
        let feed = Feed::new(input, malformed, rate, held, rejects);
        feeding = Some(ingest(&levada, feed, &orders));
    }
    let mut pipelines = Vec::new();
    // Each once, however often it was named.
    for group in Group::ALL
        .iter()
        .filter(|group| config.groups.contains(group))
    {
        let pipeline = levada.pipeline(group.name());
        group.draw(&Site {
            pipeline: &pipeline,
            orders: &orders,
            service: Service::taking(group.cost(), config.work),
            warehouse_batch: config.warehouse_batch.get(),
            results,
        });
        pipelines.push(pipeline);
    }
    // Last, so that groups that are new have nothing behind them when they start.
    pipelines.extend(feeding);
    let ended = run_and_show(&levada, pipelines, gauges)?;
    if ended == Ended::Finished {
        say(&format!("the answers are in `{}`", results.display()));
    }
    if config.metrics.linger && ended == Ended::Finished {
        say("all is done: metrics are served until this is told to stop");
        levada.wait_until_told()?;
    }
    Ok(ended)
}

/// Runs pipelines to their end, and says every second how far they have come.
fn run_and_show(
    levada: &Levada,
    pipelines: Vec<Pipeline>,
    mut gauges: Gauges,
) -> Result<Ended, BusError> {
    let running = levada.start(pipelines)?;
    let progress = running
        .iter()
        .map(|pipeline| Arc::clone(pipeline.progress()));
    gauges.pipelines = progress.collect();
    let ticker = Ticker::start(gauges).map_err(BusError::Progress)?;
    let ended = levada.wait(running);
    drop(ticker);
    Ok(ended?)
}

/// Where the log lies in the data folder.
fn log_of(config: &Config) -> PathBuf {
    config.data.join("log")
}

fn open(config: &Config) -> Result<Levada, BusError> {
    let mut builder = Levada::builder();
    if let Some(arbiters) = config.arbiters {
        builder = builder.arbiters(arbiters.get());
    }
    Ok(match config.backend {
        BackendKind::Embedded => builder.open(log_of(config))?,
        BackendKind::Memory => builder.in_memory(),
    })
}

/// Sends what the topic lacks, and seals it when the input has ended.
fn ingest(levada: &Levada, feed: Feed, orders: &Topic<OrderLine>) -> Pipeline {
    let pipeline = levada.pipeline("ingest");
    pipeline
        .source(feed)
        .event_time(Duration::ZERO, |line| line.at)
        .key_by(|line| line.invoice.clone())
        .sink(
            to_topic(orders)
                // The feed gives each row its number as its offset.
                .header(ROW_HEADER, |_, head| head.origin.offset.to_be_bytes().to_vec())
                .sealing(),
        );
    pipeline
}
