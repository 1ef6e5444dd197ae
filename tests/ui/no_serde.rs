//! Sends what serde cannot write to another stage.

use levada::prelude::*;

struct Order {
    id: u64,
}

fn main() -> Result<(), Error> {
    let pipeline = Pipeline::new("orders");

    let orders = pipeline.source(iter(0..10)).map(|id| Order { id });
    orders.key_by(|order| order.id).count().sink(print());

    pipeline.run()
}
