//! Runs every Rust block of the book as a doctest.
//!
//! A chapter that `SUMMARY.md` lists and this file does not is found by `tests/structure`.

macro_rules! chapters {
    ($($name:ident: $path:literal),* $(,)?) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!($path)]
            mod $name {}
        )*
    };
}

chapters! {
    decisions: "src/decisions.md",
    log: "src/log.md",
    log_format: "src/internals/log-format.md",
    own_operator: "src/own-operator.md",
    starting_again: "src/starting-again.md",
}
