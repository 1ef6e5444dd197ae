//! A chain of sixty operators with state, to see how long it takes to build.

use levada::prelude::*;

macro_rules! chain {
    ($stream:expr; $($n:literal)*) => {
        $stream$(
            .fold($n, |most: &mut u64, (_, n): (u64, u64)| *most = n.max(*most))
            .named(concat!("fold-", $n))
        )*
    };
}

fn main() -> Result<(), Error> {
    let pipeline = Pipeline::new("sixty");
    let numbers = pipeline
        .source(iter(0..1_000_u64))
        .key_by(|n| n % 7)
        .map(|n| (n % 7, n));

    chain! { numbers;
        1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27
        28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51
        52 53 54 55 56 57 58 59 60
    }
    .sink(discard());

    pipeline.run()
}
