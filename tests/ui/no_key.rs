//! Counts per key what has no keys.

use levada::prelude::*;

fn main() -> Result<(), Error> {
    let pipeline = Pipeline::new("lengths");

    pipeline
        .source(lines("poem.txt"))
        .map(|line| line.len())
        .count()
        .sink(print());

    pipeline.run()
}
