//! An order bus: real order lines in a durable topic, and five groups that answer from it.
//!
//! ```text
//! cargo run --release --example order_bus
//! cargo run --release --example order_bus -- --input orders.csv.gz --work 0
//! ```
//!
//! Results are in `order-bus-results`, one file for each group. Stop it with Ctrl-C, or kill it:
//! the next start goes on. `--help` lists what can be changed.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use clap::Parser as _;
use metrics_exporter_prometheus::PrometheusBuilder;
use order_bus::{Config, run, say};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

fn main() -> ExitCode {
    let config = Config::parse();
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    match serve_metrics(&config).and_then(|()| Ok(run(&config)?)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn serve_metrics(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let Some(address) = config.metrics.address else {
        return Ok(());
    };
    let exporter = PrometheusBuilder::new().with_http_listener(address);
    exporter.install().map_err(|error| {
        format!("metrics cannot be served at {address} ({error}): choose another with --metrics")
    })?;
    Ok(())
}
