//! Forgets where the results go.

#![deny(unused_must_use)]

use levada::prelude::*;

fn main() -> Result<(), Error> {
    let pipeline = Pipeline::new("lengths");

    pipeline.source(lines("poem.txt")).map(|line| line.len());

    pipeline.run()
}
