//! How many lines invoices have, and how many pieces lines are for.

use levada::Rng;

use super::{
    draw::{Curve, draw},
    mix::Kind,
};

/// Lines per invoice.
const SALE_SIZES: &Curve = &[
    (0, 1),
    (1_000, 2),
    (2_000, 5),
    (3_000, 8),
    (4_000, 11),
    (5_000, 15),
    (6_000, 19),
    (7_000, 24),
    (8_000, 32),
    (9_000, 48),
    (9_500, 65),
    (9_900, 111),
    (9_990, 239),
    (10_000, 542),
];
const GUEST_SIZES: &Curve = &[
    (0, 1),
    (1_000, 1),
    (2_000, 2),
    (3_000, 5),
    (4_000, 15),
    (5_000, 36),
    (6_000, 55),
    (7_000, 93),
    (8_000, 174),
    (9_000, 249),
    (9_500, 406),
    (9_900, 622),
    (10_000, 1_114),
];
const CANCELLATION_SIZES: &Curve = &[
    (0, 1),
    (6_000, 2),
    (7_000, 2),
    (8_000, 3),
    (9_000, 4),
    (9_500, 7),
    (9_900, 18),
    (9_990, 41),
    (10_000, 101),
];

/// Of 10,000 lines of a sale, how many are for 1, 2, 3 .. 12 pieces; the others are for more.
const SALE_QUANTITIES: [u64; 12] = [1_842, 1_458, 677, 809, 205, 947, 33, 293, 29, 533, 8, 1_509];
const GUEST_QUANTITIES: [u64; 12] = [5_638, 1_791, 764, 473, 270, 238, 121, 110, 65, 79, 46, 77];
const LARGE_QUANTITIES: &Curve = &[
    (0, 13),
    (5_000, 24),
    (7_500, 48),
    (9_000, 96),
    (9_500, 144),
    (9_900, 400),
    (9_990, 1_296),
    (9_999, 12_000),
    (10_000, 80_000),
];
const ADJUSTED_QUANTITIES: &Curve = &[
    (0, 1),
    (1_000, 1),
    (2_500, 5),
    (5_000, 20),
    (7_500, 67),
    (9_000, 207),
    (9_900, 1_897),
    (10_000, 9_600),
];

/// The price in pennies up to which goods are bought in large numbers.
const CHEAP: i64 = 85;

/// Draws how many lines an invoice has.
pub(super) fn lines(rng: &mut Rng, kind: Kind) -> i64 {
    match kind {
        Kind::Sale => draw(rng, SALE_SIZES),
        Kind::Guest => draw(rng, GUEST_SIZES),
        Kind::Cancellation => draw(rng, CANCELLATION_SIZES),
        Kind::Adjustment | Kind::BadDebt => 1,
    }
}

/// Draws how many pieces a line is for: many only of what is cheap.
pub(super) fn pieces(rng: &mut Rng, kind: Kind, pennies: i64) -> i64 {
    let small = match kind {
        Kind::Guest => GUEST_QUANTITIES,
        Kind::Adjustment => return draw(rng, ADJUSTED_QUANTITIES),
        Kind::Sale | Kind::Cancellation | Kind::BadDebt => SALE_QUANTITIES,
    };
    let mut place = rng.below(10_000);
    for (pieces, weight) in (1..).zip(small) {
        if place < weight {
            return pieces;
        }
        place -= weight;
    }
    (draw(rng, LARGE_QUANTITIES) * CHEAP / pennies.max(CHEAP)).max(1)
}
