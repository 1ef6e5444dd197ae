//! The lines of one invoice: who buys, returns or loses what.

use levada::{Rng, Seed, Timestamp};

use super::{
    catalogue::{Catalogue, HOME, index},
    draw::pick,
    mix::Kind,
    odd::Odd,
    sizes,
};
use crate::{Money, OrderLine};

const REMARKS: [&str; 8] = [
    "check",
    "?",
    "damages",
    "damaged",
    "found",
    "sold as set on dotcom",
    "thrown away",
    "wet?",
];

/// How many sold lines are remembered so that they can be cancelled: about four days' worth.
const MEMORY: usize = 4_096;

/// A sold line that may come back.
#[derive(Clone, Copy, Debug)]
struct Sold {
    customer: usize,
    goods: usize,
    quantity: i64,
}

/// Makes up the lines of invoices.
#[derive(Clone, Debug)]
pub(super) struct Shop {
    rng: Rng,
    catalogue: Catalogue,
    /// The latest sold lines, at most [`MEMORY`], as a ring.
    sold: Vec<Sold>,
    oldest_sold: usize,
    /// The last invoice that had each of the goods: within one, goods differ, so that exact
    /// repeats are only those that are made on purpose.
    last_on: Vec<u64>,
    invoices: u64,
}

impl Shop {
    pub(super) fn new(seed: Seed) -> Self {
        let catalogue = Catalogue::new(&mut seed.rng("catalogue"));
        let last_on = vec![0; catalogue.goods.len()];
        let rng = seed.rng("shop");
        Self {
            rng,
            catalogue,
            sold: Vec::new(),
            oldest_sold: 0,
            last_on,
            invoices: 0,
        }
    }

    /// Draws a customer as invoices have them.
    pub(super) fn draw_customer(&mut self) -> usize {
        Catalogue::draw_customer(&mut self.rng)
    }

    /// The lines of one invoice, all entered at one time.
    pub(super) fn invoice(&mut self, sheet: &Sheet, customer: usize) -> Vec<OrderLine> {
        self.invoices += 1;
        match sheet.kind {
            Kind::Sale => self.sale(sheet, customer),
            Kind::Guest => self.guest(sheet),
            Kind::Cancellation => self.cancellation(sheet, customer),
            Kind::Adjustment => vec![self.adjustment(sheet)],
            Kind::BadDebt => vec![self.bad_debt(sheet)],
        }
    }

    fn sale(&mut self, sheet: &Sheet, customer: usize) -> Vec<OrderLine> {
        // One of 200 buys to sell again: these are among the invoices of 5,000 and more.
        let bulk = if self.rng.chance(1, 200) { 24 } else { 1 };
        (0..sizes::lines(&mut self.rng, sheet.kind))
            .map(|_| {
                let blank = self.for_customer(sheet, customer);
                if self.rng.chance(1_560, 397_924) {
                    return self.odd(sheet.kind, blank);
                }
                let goods = self.draw_goods();
                let quantity = bulk * self.pieces(sheet.kind, goods);
                self.remember(Sold {
                    customer,
                    goods,
                    quantity,
                });
                let is_free = self.rng.chance(40, 397_924);
                let percent = if is_free { 0 } else { 100 };
                self.about(blank, goods, quantity, percent)
            })
            .collect()
    }

    fn guest(&mut self, sheet: &Sheet) -> Vec<OrderLine> {
        let is_abroad = self.rng.chance(1, 100);
        let country = if is_abroad { "EIRE" } else { HOME };
        (0..sizes::lines(&mut self.rng, sheet.kind))
            .map(|_| {
                let blank = sheet.line("", country);
                if self.rng.chance(852, 132_586) {
                    return self.odd(sheet.kind, blank);
                }
                let goods = self.draw_goods();
                let quantity = self.pieces(sheet.kind, goods);
                let is_free = self.rng.chance(367, 132_586);
                // Single pieces cost about twice what customers pay.
                let percent = if is_free { 0 } else { 197 };
                self.about(blank, goods, quantity, percent)
            })
            .collect()
    }

    /// Takes back lines of a sale, where one is remembered, and else anything.
    fn cancellation(&mut self, sheet: &Sheet, customer: usize) -> Vec<OrderLine> {
        let size = sizes::lines(&mut self.rng, sheet.kind);
        let mut place = index(self.rng.below(MEMORY as u64));
        let customer = self.sold.get(place).map_or(customer, |sold| sold.customer);
        let is_anonymous = self.rng.chance(383, 9_288);
        (0..size)
            .map(|_| {
                let blank = if is_anonymous {
                    sheet.line("", HOME)
                } else {
                    self.for_customer(sheet, customer)
                };
                if self.rng.chance(581, 9_288) {
                    let line = self.odd(sheet.kind, blank);
                    return OrderLine {
                        quantity: -line.quantity,
                        ..line
                    };
                }
                let sold = self
                    .sold
                    .get(place)
                    .filter(|sold| sold.customer == customer)
                    .copied();
                place += 1;
                let goods = sold.map_or_else(|| self.draw_goods(), |sold| sold.goods);
                let most =
                    sold.map_or_else(|| self.pieces(sheet.kind, goods), |sold| sold.quantity);
                // Half of what comes back comes back whole.
                let is_whole = self.rng.chance(1, 2);
                let part = 1 + self.rng.below(most.unsigned_abs()).cast_signed();
                self.about(blank, goods, if is_whole { -most } else { -part }, 100)
            })
            .collect()
    }

    fn adjustment(&mut self, sheet: &Sheet) -> OrderLine {
        let goods = self.draw_goods();
        let has_no_description = self.rng.chance(1_454, 2_108);
        let losses = if has_no_description { 862 } else { 1_054 };
        let is_loss = self.rng.chance(losses, 1_454);
        let count = self.pieces(sheet.kind, goods);
        let remark = if has_no_description {
            ""
        } else {
            *pick(&mut self.rng, &REMARKS, |_| 1)
        };
        let quantity = if is_loss { -count } else { count };
        let description = remark.to_owned();
        OrderLine {
            description,
            ..self.about(sheet.line("", HOME), goods, quantity, 0)
        }
    }

    fn bad_debt(&mut self, sheet: &Sheet) -> OrderLine {
        let thousandths = 1_000_000 + 10 * self.rng.below(2_000_000).cast_signed();
        let sign = if self.rng.chance(2, 3) { -1 } else { 1 };
        OrderLine {
            sku: "B".to_owned(),
            description: "Adjust bad debt".to_owned(),
            price: Money::from_thousandths(sign * thousandths),
            ..sheet.line("", HOME)
        }
    }

    /// A line of postage, fees and the like.
    fn odd(&mut self, kind: Kind, blank: OrderLine) -> OrderLine {
        let odd = Odd::draw(&mut self.rng, kind);
        OrderLine {
            sku: odd.sku.to_owned(),
            description: odd.description.to_owned(),
            price: odd.price(&mut self.rng),
            ..blank
        }
    }

    /// A line about goods at so many hundredths of their price; some write the letter behind the
    /// code in lower case.
    fn about(&mut self, blank: OrderLine, goods: usize, quantity: i64, percent: i64) -> OrderLine {
        let is_lower = self.rng.chance(37, 1_000);
        let goods = &self.catalogue.goods[goods];
        OrderLine {
            sku: if is_lower {
                goods.sku.to_lowercase()
            } else {
                goods.sku.clone()
            },
            description: goods.description.clone(),
            quantity,
            price: Money::from_thousandths(goods.pennies * percent / 100 * 10),
            ..blank
        }
    }

    fn for_customer(&self, sheet: &Sheet, customer: usize) -> OrderLine {
        let customer = &self.catalogue.customers[customer];
        sheet.line(&customer.number, customer.country)
    }

    /// Draws goods that the invoice does not have yet: the drawn ones or the next in rank.
    fn draw_goods(&mut self) -> usize {
        let mut goods = Catalogue::draw_goods(&mut self.rng);
        while self.last_on[goods] == self.invoices {
            goods = (goods + 1) % self.last_on.len();
        }
        self.last_on[goods] = self.invoices;
        goods
    }

    fn pieces(&mut self, kind: Kind, goods: usize) -> i64 {
        sizes::pieces(&mut self.rng, kind, self.catalogue.goods[goods].pennies)
    }

    fn remember(&mut self, sold: Sold) {
        if self.sold.len() < MEMORY {
            self.sold.push(sold);
        } else {
            self.sold[self.oldest_sold] = sold;
            self.oldest_sold = (self.oldest_sold + 1) % MEMORY;
        }
    }
}

/// The head of an invoice: what all its lines have in common.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) kind: Kind,
    pub(super) number: u64,
    pub(super) at: Timestamp,
}

impl Sheet {
    /// A line of one piece of nothing for nothing.
    fn line(&self, customer: &str, country: &str) -> OrderLine {
        let letter = match self.kind {
            Kind::Sale | Kind::Guest | Kind::Adjustment => "",
            Kind::Cancellation => "C",
            Kind::BadDebt => "A",
        };
        OrderLine {
            invoice: format!("{letter}{}", self.number),
            sku: String::new(),
            description: String::new(),
            quantity: 1,
            at: self.at,
            price: Money::ZERO,
            customer: customer.to_owned(),
            country: country.to_owned(),
        }
    }
}
