//! Counts the words of a text file: the program of the README, on a file of your own.
//!
//! ```text
//! cargo run --release --example word_count -- README.md
//! ```

use std::env;

use levada::prelude::*;

fn main() -> Result<(), Error> {
    let path = env::args().nth(1).unwrap_or_else(|| "README.md".to_owned());
    let pipeline = Pipeline::new("word-count");

    pipeline
        .source(lines(path))
        .flat_map(|line| words(&line))
        .key_by(String::clone)
        .count()
        .at_end()
        .sink(print());

    pipeline.run()
}

/// The words of a line, in lower case and without what surrounds them.
fn words(line: &str) -> Vec<String> {
    let words = line.split(|c: char| !c.is_alphanumeric() && c != '\'');
    words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}
