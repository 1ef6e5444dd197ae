//! How many lines of each kind of invoice there are.
//!
//! Invoices differ in size by a factor of a thousand, so drawing each kind at its rate would leave
//! the shares to luck for a long time. Instead kinds are drawn by what is still owed of them over
//! the next few thousand lines: each seed keeps the proportions, and the order stays random.

use levada::Rng;

use super::draw::pick;

/// What an invoice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Goods for a customer.
    Sale,
    /// Goods for nobody in particular: the web shop's orders of a day, often hundreds of lines.
    Guest,
    /// Goods that come back; the number starts with `C`.
    Cancellation,
    /// Stock that was lost or found, at no price, often without a description.
    Adjustment,
    /// What will not be paid; the number starts with `A`.
    BadDebt,
}

/// The kinds with their lines and invoices in a year of real orders, of 541,909 lines.
///
/// The year has 3 lines of bad debt; here they are ten times as many, so that 100,000 lines have
/// some.
const YEAR: [(Kind, i64, i64); 5] = [
    (Kind::Sale, 397_924, 18_536),
    (Kind::Guest, 132_586, 1_427),
    (Kind::Cancellation, 9_288, 3_836),
    (Kind::Adjustment, 2_108, 2_098),
    (Kind::BadDebt, 30, 30),
];

/// All lines of [`YEAR`].
const YEAR_LINES: i64 = {
    let [(_, a, _), (_, b, _), (_, c, _), (_, d, _), (_, e, _)] = YEAR;
    a + b + c + d + e
};

/// How many lines ahead is looked: about 100 invoices, so that the next kind is hard to foresee.
const AHEAD: i64 = 2_000;

/// Counts the lines of each kind and chooses the next one.
#[derive(Clone, Debug, Default)]
pub(super) struct Mix {
    made: [i64; YEAR.len()],
}

impl Mix {
    /// Draws the kind of the next invoice.
    pub(super) fn draw(&self, rng: &mut Rng) -> Kind {
        let total: i64 = self.made.iter().sum();
        let mut owed = [(Kind::Sale, 0); YEAR.len()];
        for ((owed, made), (kind, lines, invoices)) in owed.iter_mut().zip(self.made).zip(YEAR) {
            let lines_owed = (lines * (total + AHEAD) - made * YEAR_LINES).max(0);
            *owed = (kind, (lines_owed * invoices / lines).unsigned_abs());
        }
        pick(rng, &owed, |&(_, invoices_owed)| invoices_owed).0
    }

    /// Counts the lines of an invoice.
    pub(super) fn count(&mut self, kind: Kind, lines: usize) {
        let lines = i64::try_from(lines).expect("an invoice has few lines");
        for (made, (other, ..)) in self.made.iter_mut().zip(YEAR) {
            if other == kind {
                *made += lines;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use levada::Seed;

    use super::*;

    #[test]
    fn shares_hold_for_every_seed_however_large_the_invoices() {
        for seed in 0..50 {
            let mut rng = Seed::new(seed).rng("test");
            let mut mix = Mix::default();
            while mix.made.iter().sum::<i64>() < 100_000 {
                let kind = mix.draw(&mut rng);
                // One invoice of the web shop in two is huge.
                let is_huge = kind == Kind::Guest && rng.chance(1, 2);
                mix.count(kind, 1 + 400 * usize::from(is_huge));
            }
            let total: i64 = mix.made.iter().sum();
            for ((kind, lines, _), made) in YEAR.into_iter().zip(mix.made) {
                let expected = lines * total / YEAR_LINES;
                let is_near = (made - expected).abs() * 20 <= expected.max(100);
                assert!(
                    is_near,
                    "seed {seed}, {kind:?}: {made} lines instead of {expected}"
                );
            }
        }
    }
}
