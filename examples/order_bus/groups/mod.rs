//! The five groups that read the orders, each for itself: operators with keyed state.

use std::{fmt, path::Path, time::Duration};

use levada::{Topic, prelude::*, sink::Files};

use crate::{OrderLine, Service, format::ResultRow};

mod fraud_audit;
mod inventory;
mod loyalty;
mod recommendations;
mod warehouse;

pub use self::{
    fraud_audit::Flag, inventory::StockChange, loyalty::Points, recommendations::Pair,
    warehouse::Business,
};

/// How many calls of a group run at once in each parallel copy.
const CALLS: Calls = Calls::at_most(32);

/// A group of readers: it sees every order line, whatever the others do.
///
/// # Examples
///
/// ```
/// use order_bus::Group;
///
/// assert_eq!(Group::FraudAudit.name(), "fraud_audit");
/// assert_eq!(Group::FraudAudit.cost().as_millis(), 50);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Group {
    /// The stock change of each code.
    Inventory,
    /// The points of each customer.
    Loyalty,
    /// What is bought together.
    Recommendations,
    /// What somebody should look at.
    FraudAudit,
    /// The business per month and country, stored in batches.
    Warehouse,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Inventory,
        Self::Loyalty,
        Self::Recommendations,
        Self::FraudAudit,
        Self::Warehouse,
    ];

    /// What it is called, on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Loyalty => "loyalty",
            Self::Recommendations => "recommendations",
            Self::FraudAudit => "fraud_audit",
            Self::Warehouse => "warehouse",
        }
    }

    /// How long its service takes for a record, or for a batch of the warehouse.
    pub const fn cost(self) -> Duration {
        Duration::from_millis(match self {
            Self::Inventory => 2,
            Self::Loyalty => 5,
            Self::Recommendations => 10,
            Self::FraudAudit => 50,
            Self::Warehouse => 200,
        })
    }

    /// Draws its operators, from the orders to its result file.
    pub fn draw(self, site: &Site<'_>) {
        match self {
            Self::Inventory => inventory::draw(site),
            Self::Loyalty => loyalty::draw(site),
            Self::Recommendations => recommendations::draw(site),
            Self::FraudAudit => fraud_audit::draw(site),
            Self::Warehouse => warehouse::draw(site),
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a group is drawn: its pipeline, what it reads, what it waits for, where its results go.
#[derive(Debug)]
pub struct Site<'a> {
    /// The pipeline, which has the name of the group.
    pub pipeline: &'a Pipeline,
    /// What it reads.
    pub orders: &'a Topic<OrderLine>,
    /// What it waits for.
    pub service: Service,
    /// The largest batch of the warehouse.
    pub warehouse_batch: usize,
    /// The folder of the result files.
    pub results: &'a Path,
}

impl Site<'_> {
    /// The orders by invoice, each after a call to the service; an invoice's lines in their order.
    ///
    /// The topic was written by invoice, so no exchange is needed.
    fn served(&self) -> KeyedStream<String, OrderLine> {
        let service = self.service;
        let orders = self.pipeline.source(topic(self.orders));
        orders
            .keyed(|line| line.invoice.clone())
            .map_async("service", CALLS, move |line| service.serve(line))
    }

    /// The orders, after a call to the service for each batch, one at a time in a copy.
    fn served_in_batches(&self, wait: Duration) -> Stream<Vec<OrderLine>> {
        let service = self.service;
        let orders = self.pipeline.source(topic(self.orders));
        orders.batch_async(
            "service",
            self.warehouse_batch,
            wait,
            Calls::at_most(1),
            move |batch| service.serve(batch),
        )
    }

    /// The file of its results: whole, sorted, or not there.
    fn results<R: ResultRow>(&self) -> Files<R> {
        let path = self
            .results
            .join(self.pipeline.name())
            .with_extension("csv");
        files(path, R::line).header(R::COLUMNS).sorted()
    }
}
