//! Gives texts to a sink of numbers.

use levada::prelude::*;

fn main() -> Result<(), Error> {
    let pipeline = Pipeline::new("lengths");
    let lengths = Collected::<usize>::new();

    pipeline
        .source(lines("poem.txt"))
        .filter(|line| !line.is_empty())
        .sink(collect(&lengths));

    pipeline.run()
}
