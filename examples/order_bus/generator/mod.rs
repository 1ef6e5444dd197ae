//! Made-up order lines, as messy as a year of real ones, for ever the same per seed.
//!
//! Shares of each kind of mess are those of the real data: repeats, missing customers and
//! descriptions, cancellations, losses, free goods, odd codes. What happens a few times a year
//! there happens a few times in 100,000 lines here, so that no rule is left without a case.

mod catalogue;
mod draw;
mod mix;
mod odd;
mod shop;
mod sizes;

use std::{collections::VecDeque, time::Duration};

use levada::{Rng, Seed, Timestamp};

use self::{
    draw::{Curve, draw},
    mix::{Kind, Mix},
    shop::{Sheet, Shop},
};
use crate::{Identity, OrderLine};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The first invoice of the real data: 2010-12-01 08:26:00, number 536365.
const FIRST_TIME: Timestamp = Timestamp::from_millis(1_291_191_960_000);
const FIRST_INVOICE: u64 = 536_365;

/// Minutes between invoices: 6.5 on average, about 85 invoices a day.
const GAPS: &Curve = &[
    (0, 0),
    (1_500, 1),
    (5_000, 4),
    (8_000, 10),
    (9_500, 20),
    (10_000, 45),
];

/// Of 10,000 lines, so many are entered twice.
const REPEATS: u64 = 98;

/// Makes up order lines without end: take as many as are wanted.
///
/// The shop opens from 8 to 18 o'clock except on Saturdays; times never go back. The same seed
/// gives the same lines on every machine and in every release with the same [`VERSION`].
///
/// [`VERSION`]: Self::VERSION
///
/// # Examples
///
/// ```
/// use levada::Seed;
/// use order_bus::Generator;
///
/// let lines: Vec<_> = Generator::new(Seed::new(7)).take(100).collect();
/// let again: Vec<_> = Generator::new(Seed::new(7)).take(100).collect();
/// assert_eq!(lines, again);
/// assert_eq!(lines[99].0, 99, "each line comes with its row number");
/// ```
#[derive(Clone, Debug)]
pub struct Generator {
    seed: Seed,
    rng: Rng,
    mix: Mix,
    shop: Shop,
    now: Timestamp,
    next_invoice: u64,
    next_row: u64,
    /// Lines that are made but not given out: at most two invoices and their repeats.
    ready: VecDeque<OrderLine>,
    /// The second part of an invoice that another one interrupts.
    interrupted: Vec<OrderLine>,
    spree: Option<Spree>,
}

/// A customer who sends one invoice after the other: what a fraud audit looks for.
#[derive(Clone, Debug)]
struct Spree {
    customer: usize,
    invoices_left: u64,
}

impl Generator {
    /// Which lines a seed stands for: goes up when a change to the generator changes them.
    pub const VERSION: u32 = 1;

    /// A generator whose lines follow from `seed`.
    pub fn new(seed: Seed) -> Self {
        Self {
            seed,
            rng: seed.rng("orders"),
            mix: Mix::default(),
            shop: Shop::new(seed),
            now: FIRST_TIME,
            next_invoice: FIRST_INVOICE,
            next_row: 0,
            ready: VecDeque::new(),
            interrupted: Vec::new(),
            spree: None,
        }
    }

    /// What tells these lines from those of other inputs.
    pub fn identity(&self) -> Identity {
        Identity::Generator {
            seed: self.seed.number(),
            version: Self::VERSION,
        }
    }

    /// Makes the lines of one more invoice.
    fn fill(&mut self) {
        let (kind, customer) = self.next_customer();
        let sheet = Sheet {
            kind,
            number: self.next_invoice,
            at: self.now,
        };
        self.next_invoice += 1;
        let mut lines = self.shop.invoice(&sheet, customer);
        self.mix.count(kind, lines.len());

        // Entering a long invoice may take until the next minute.
        if lines.len() >= 20 && self.rng.chance(1, 150) {
            self.now = self.now + MINUTE;
            let half = lines.len() / 2;
            for line in &mut lines[half..] {
                line.at = self.now;
            }
        }
        let is_interrupting = !self.interrupted.is_empty();
        if lines.len() >= 2 && !is_interrupting && self.rng.chance(1, 300) {
            self.interrupted = lines.split_off(lines.len() / 2);
        }
        self.enter(lines);
        if is_interrupting {
            let mut rest = std::mem::take(&mut self.interrupted);
            for line in &mut rest {
                line.at = self.now;
            }
            self.enter(rest);
        }
    }

    /// Moves to the time of the next invoice and chooses whose it is.
    fn next_customer(&mut self) -> (Kind, usize) {
        let is_hurried = self.spree.is_some() || !self.interrupted.is_empty();
        if is_hurried {
            return self.hurried_customer();
        }
        let gap = draw(&mut self.rng, GAPS).unsigned_abs();
        self.now = opening_time(self.now + Duration::from_mins(gap));
        // A spree fits into one clock hour, where the audit counts it.
        let minute = self.now.as_millis() / 60_000 % 60;
        if minute < 30 && self.rng.chance(1, 200) {
            let invoices_left = 5 + self.rng.below(3);
            self.spree = Some(Spree {
                customer: self.shop.draw_customer(),
                invoices_left,
            });
            return self.hurried_customer();
        }
        (self.mix.draw(&mut self.rng), self.shop.draw_customer())
    }

    /// The next invoice of a spree, or the one that interrupts another: in the same minute or so.
    fn hurried_customer(&mut self) -> (Kind, usize) {
        self.now = self.now + MINUTE * u32::from(self.rng.chance(1, 2));
        let Some(spree) = &mut self.spree else {
            return (self.mix.draw(&mut self.rng), self.shop.draw_customer());
        };
        let customer = spree.customer;
        spree.invoices_left -= 1;
        if spree.invoices_left == 0 {
            self.spree = None;
        }
        (Kind::Sale, customer)
    }

    /// Hands lines over; the hand slips now and then, and a line is entered twice.
    fn enter(&mut self, lines: Vec<OrderLine>) {
        for line in lines {
            if self.rng.chance(REPEATS, 10_000) {
                self.ready.push_back(line.clone());
            }
            self.ready.push_back(line);
        }
    }
}

impl Iterator for Generator {
    type Item = (u64, OrderLine);

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            self.fill();
        }
        let row = self.next_row;
        self.next_row += 1;
        self.ready.pop_front().map(|line| (row, line))
    }
}

/// The time itself where the shop is open, or else the next morning when it opens.
fn opening_time(at: Timestamp) -> Timestamp {
    let millis = at.as_millis();
    let day_millis = i64::try_from(DAY.as_millis()).expect("a day is short");
    let midnight = Timestamp::from_millis(millis - millis.rem_euclid(day_millis));
    if at.since(midnight) < HOUR * 18 {
        return at;
    }
    // Days count from a Thursday.
    let is_friday = millis.div_euclid(day_millis).rem_euclid(7) == 1;
    midnight + DAY * if is_friday { 2 } else { 1 } + HOUR * 8
}

#[cfg(test)]
mod tests;
