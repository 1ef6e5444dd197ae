//! What the command line says.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
};

use crate::{Group, Input, Malformed};

/// An order bus: order lines go to a durable topic, and five groups of readers answer from it.
///
/// Run it again on the same data folder and it goes on where it stopped.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "order_bus", version)]
pub struct Config {
    /// Where the lines come from.
    #[command(flatten)]
    pub input: InputArgs,
    /// The folder of the log.
    #[arg(long, value_name = "DIR", default_value = "order-bus-data")]
    pub data: PathBuf,
    /// The folder of the result files, and of the rows that were rejected.
    #[arg(long, value_name = "DIR", default_value = "order-bus-results")]
    pub results: PathBuf,
    /// The topic of the orders.
    #[arg(long, value_name = "NAME", default_value = "orders")]
    pub topic: String,
    /// How many partitions the topic has.
    #[arg(long, value_name = "COUNT", default_value = "8")]
    pub partitions: NonZeroU32,
    /// Where topics live.
    #[arg(long, value_name = "KIND", default_value = "embedded")]
    pub backend: BackendKind,
    /// Which groups run.
    #[arg(
        long,
        value_name = "A,B",
        value_delimiter = ',',
        default_values = Group::ALL.map(Group::name)
    )]
    pub groups: Vec<Group>,
    /// Scales what the groups' services cost; 0 for nothing.
    #[arg(long, value_name = "FACTOR", default_value = "1.0", value_parser = work)]
    pub work: f64,
    /// The largest batch of the warehouse.
    #[arg(long, value_name = "RECORDS", default_value = "500")]
    pub warehouse_batch: NonZeroUsize,
    /// How many threads run actors [default: the number of cores].
    #[arg(long, value_name = "COUNT")]
    pub arbiters: Option<NonZeroUsize>,
    /// Where figures can be collected.
    #[command(flatten)]
    pub metrics: MetricsArgs,
    /// Sends nothing: the groups read what the topic of an existing data folder holds. If its
    /// input had ended they answer; else they wait for more, until this is told to stop.
    #[arg(long, conflicts_with_all = ["file", "strict"])]
    pub read_only: bool,
}

/// Where the lines come from.
#[derive(Clone, Debug, clap::Args)]
pub struct InputArgs {
    /// Reads an order file, CSV or gzip, instead of making lines up.
    #[arg(id = "file", long = "input", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// What the lines that are made up follow from.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// How many lines are made up.
    #[arg(long, value_name = "COUNT", default_value_t = 20_000)]
    pub records: u64,
    /// Rows to send in a second; 0 for no limit [default: 400, no limit with --input].
    #[arg(long, value_name = "ROWS")]
    pub rate: Option<u32>,
    /// Ends with an error at the first row that is no order line.
    #[arg(long)]
    pub strict: bool,
}

/// Where figures can be collected.
#[derive(Clone, Debug, clap::Args)]
pub struct MetricsArgs {
    /// Serves metrics for Prometheus: an address, or a port of this machine's own.
    #[arg(id = "metrics", long = "metrics", value_name = "ADDR", value_parser = address)]
    pub address: Option<SocketAddr>,
    /// Serves them on when all is done, until told to stop: the last figures can be collected.
    #[arg(long, requires = "metrics")]
    pub linger: bool,
}

/// Where topics live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendKind {
    /// In the data folder.
    Embedded,
    /// In memory: nothing survives the process.
    Memory,
}

/// A rate that people can follow.
const GENERATOR_RATE: u32 = 400;

impl InputArgs {
    /// The input that they name.
    pub fn input(&self) -> Input {
        match &self.file {
            Some(path) => Input::File(path.clone()),
            None => Input::Generator {
                seed: self.seed,
                records: self.records,
            },
        }
    }

    /// Rows to send in a second; 0 for no limit.
    pub fn rate(&self) -> u32 {
        let default = if self.file.is_some() {
            0
        } else {
            GENERATOR_RATE
        };
        self.rate.unwrap_or(default)
    }

    /// What becomes of rows that are no order lines.
    pub fn malformed(&self) -> Malformed {
        if self.strict {
            Malformed::Refused
        } else {
            Malformed::Rejected
        }
    }
}

fn work(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(factor) if (0.0..=1_000.0).contains(&factor) => Ok(factor),
        _ => Err("not a number between 0 and 1000"),
    }
}

/// Reads an address; a port alone is one of the loopback interface, which others do not reach.
fn address(text: &str) -> Result<SocketAddr, &'static str> {
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
    let loopback = port.map(|port| (Ipv4Addr::LOCALHOST, port).into());
    let address = loopback.or_else(|_| text.parse());
    address
        .ok()
        .ok_or("not an address such as 127.0.0.1:9000, nor a port")
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    fn parse(args: &[&str]) -> Result<Config, clap::Error> {
        Config::try_parse_from([&["order_bus"], args].concat())
    }

    #[test]
    fn the_command_line_is_sound() {
        Config::command().debug_assert();
    }

    #[test]
    fn without_arguments_it_is_the_demonstration() {
        let config = parse(&[]).unwrap();
        let input = Input::Generator {
            seed: 1,
            records: 20_000,
        };
        assert_eq!((config.input.input(), config.input.rate()), (input, 400));
        assert_eq!(
            (config.partitions.get(), config.warehouse_batch.get()),
            (8, 500)
        );
        assert_eq!(config.groups, Group::ALL);
        assert_eq!(config.input.malformed(), Malformed::Rejected);
    }

    #[test]
    fn a_file_is_read_as_fast_as_it_can_be() {
        let config = parse(&["--input", "a.csv", "--groups", "loyalty,fraud_audit"]).unwrap();
        assert_eq!(config.input.rate(), 0);
        assert_eq!(config.groups, [Group::Loyalty, Group::FraudAudit]);
    }

    #[test]
    fn a_port_alone_is_this_machines_own() {
        for text in ["9000", ":9000", "127.0.0.1:9000"] {
            assert_eq!(address(text).unwrap().to_string(), "127.0.0.1:9000");
        }
        assert_eq!(address("0.0.0.0:9000").unwrap().to_string(), "0.0.0.0:9000");
        assert!(address("here").is_err());
    }

    #[test]
    fn what_means_nothing_is_a_usage_error() {
        for args in [
            ["--groups", "billing"],
            ["--partitions", "0"],
            ["--work", "-1"],
            ["--work", "NaN"],
            ["--warehouse-batch", "0"],
            ["--arbiters", "0"],
            ["--metrics", "99999"],
            ["--backend", "paper"],
        ] {
            assert_eq!(parse(&args).unwrap_err().exit_code(), 2, "{args:?}");
        }
    }
}
