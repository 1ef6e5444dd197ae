//! Codes that stand for no goods: postage, fees, vouchers and what was typed by hand.

use levada::Rng;

use super::{
    draw::{Curve, draw, pick},
    mix::Kind,
};
use crate::Money;

/// A code that stands for no goods: what it says and costs, in pennies, and on how many lines of
/// sales, web shop orders and cancellations the year has it.
#[derive(Debug)]
pub(super) struct Odd {
    pub(super) sku: &'static str,
    pub(super) description: &'static str,
    pennies: &'static Curve,
    lines: [u64; 3],
}

impl Odd {
    /// Draws a code as invoices of a kind have them.
    pub(super) fn draw(rng: &mut Rng, kind: Kind) -> &'static Self {
        let column = match kind {
            Kind::Sale | Kind::Adjustment | Kind::BadDebt => 0,
            Kind::Guest => 1,
            Kind::Cancellation => 2,
        };
        pick(rng, &ODD, |odd| odd.lines[column])
    }

    /// Draws what it costs this time.
    pub(super) fn price(&self, rng: &mut Rng) -> Money {
        Money::from_thousandths(10 * draw(rng, self.pennies))
    }
}

static ODD: [Odd; 15] = [
    odd("POST", "POSTAGE", POSTAGE, [1_099, 31, 126]),
    odd("DOT", "DOTCOM POSTAGE", WEB_POSTAGE, [16, 693, 0]),
    odd("M", "Manual", MANUAL, [290, 37, 244]),
    odd("m", "Manual", MANUAL, [0, 3, 0]),
    odd(
        "C2",
        "CARRIAGE",
        &[(0, 5_000), (10_000, 5_000)],
        [133, 9, 0],
    ),
    odd(
        "D",
        "Discount",
        &[(0, 1), (5_000, 2_297), (9_000, 12_990), (10_000, 186_787)],
        [0, 0, 77],
    ),
    odd(
        "S",
        "SAMPLES",
        &[(0, 280), (5_000, 1_950), (9_000, 10_358), (10_000, 57_000)],
        [2, 0, 61],
    ),
    odd(
        "BANK CHARGES",
        "Bank Charges",
        &[(0, 1_500), (10_000, 105_015)],
        [12, 0, 25],
    ),
    odd(
        "AMAZONFEE",
        "AMAZON FEE",
        &[(0, 100), (1_000, 218_504), (10_000, 1_783_646)],
        [0, 2, 32],
    ),
    odd(
        "CRUK",
        "CRUK Commission",
        &[(0, 160), (10_000, 110_044)],
        [0, 0, 16],
    ),
    odd(
        "DCGSSGIRL",
        "GIRLS PARTY BAG",
        &[(0, 329), (10_000, 329)],
        [0, 13, 0],
    ),
    odd(
        "DCGSSBOY",
        "BOYS PARTY BAG",
        &[(0, 329), (10_000, 329)],
        [0, 11, 0],
    ),
    odd(
        "gift_0001_20",
        "Dotcomgiftshop Gift Voucher £20.00",
        &[(0, 1_667), (10_000, 1_667)],
        [0, 34, 0],
    ),
    odd(
        "DCGS0003",
        "BOXED GLASS ASHTRAY",
        &[(0, 125), (10_000, 246)],
        [0, 18, 0],
    ),
    odd(
        "PADS",
        "PADS TO MATCH ALL CUSHIONS",
        &[(0, 1), (10_000, 1)],
        [8, 0, 0],
    ),
];

const POSTAGE: &Curve = &[
    (0, 100),
    (1_000, 1_500),
    (5_000, 1_800),
    (9_000, 4_000),
    (9_950, 16_000),
    (10_000, 814_275),
];
const WEB_POSTAGE: &Curve = &[
    (0, 1_000),
    (1_000, 7_567),
    (5_000, 18_496),
    (9_000, 65_729),
    (9_900, 171_417),
    (10_000, 450_517),
];
const MANUAL: &Curve = &[
    (0, 1),
    (1_000, 36),
    (5_000, 795),
    (9_000, 86_955),
    (9_900, 416_106),
    (10_000, 3_897_000),
];

const fn odd(
    sku: &'static str,
    description: &'static str,
    pennies: &'static Curve,
    lines: [u64; 3],
) -> Odd {
    Odd {
        sku,
        description,
        pennies,
        lines,
    }
}
