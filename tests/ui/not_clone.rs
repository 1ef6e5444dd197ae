//! Captures what cannot be cloned into every copy.

use levada::prelude::*;

struct Rates(Vec<u64>);

impl Rates {
    fn of(&self, year: usize) -> u64 {
        self.0[year]
    }
}

fn main() -> Result<(), Error> {
    let pipeline = Pipeline::new("rates");
    let rates = Rates(vec![2, 3, 5]);

    pipeline
        .source(iter(0..3))
        .map(move |year| rates.of(year))
        .sink(print());

    pipeline.run()
}
