//! Groups by a float.

use levada::prelude::*;

fn main() -> Result<(), Error> {
    let pipeline = Pipeline::new("prices");

    pipeline
        .source(iter([1.25_f64, 2.5, 1.25]))
        .key_by(|price| *price)
        .sink(print());

    pipeline.run()
}
