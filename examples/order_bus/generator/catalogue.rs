//! What is sold, and to whom: made up once per seed, with the real data's skew.

use levada::Rng;

use super::draw::{Curve, draw, pick};
/// Goods, as many as the year has codes of.
const GOODS: usize = 4_000;
/// Customers, as many as the year has; a prime, so that multiples of any number reach them all.
const CUSTOMERS: usize = 4_373;

/// Which of the goods a line is about: ten of them are 3 % of all lines, half are 92 %.
const GOODS_RANKS: &Curve = &[
    (0, 0),
    (318, 10),
    (1_882, 100),
    (5_104, 500),
    (7_187, 1_000),
    (9_222, 2_000),
    (10_000, 4_000),
];
/// Which of the customers an invoice is for: ten of them have 6 %, half have 87 %.
const CUSTOMER_RANKS: &Curve = &[
    (0, 0),
    (603, 10),
    (2_103, 100),
    (4_743, 500),
    (6_446, 1_000),
    (10_000, 4_373),
];
/// Prices of goods, in pennies.
const PENNIES: &Curve = &[
    (0, 19),
    (500, 39),
    (1_000, 42),
    (2_500, 125),
    (5_000, 210),
    (7_500, 413),
    (9_000, 795),
    (9_500, 995),
    (9_900, 2_496),
    (10_000, 7_500),
];

pub(super) const HOME: &str = "United Kingdom";

/// Countries by the lines of customers who live there.
const COUNTRIES: [(&str, u64); 24] = [
    (HOME, 362_000),
    ("Germany", 9_495),
    ("France", 8_557),
    ("EIRE", 7_540),
    ("Spain", 2_533),
    ("Netherlands", 2_371),
    ("Belgium", 2_069),
    ("Switzerland", 1_877),
    ("Portugal", 1_519),
    ("Australia", 1_259),
    ("Norway", 1_086),
    ("Italy", 803),
    ("Channel Islands", 758),
    ("Finland", 695),
    ("Cyprus", 622),
    ("Sweden", 462),
    ("Austria", 401),
    ("Denmark", 389),
    ("Japan", 358),
    ("Poland", 341),
    ("Israel", 297),
    ("USA", 291),
    ("Singapore", 229),
    ("Unspecified", 244),
];

const ADJECTIVES: [&str; 16] = [
    "WHITE",
    "RED RETROSPOT",
    "VINTAGE",
    "WOODEN",
    "SET OF 6",
    "PINK",
    "REGENCY",
    "JUMBO",
    "CREAM",
    "HANGING",
    "GLASS",
    "ANTIQUE SILVER",
    "FRENCH BLUE",
    "KNITTED",
    "SMALL",
    "IVORY",
];
const NOUNS: [&str; 16] = [
    "HEART T-LIGHT HOLDER",
    "METAL LANTERN",
    "CAKESTAND 3 TIER",
    "LUNCH BAG",
    "ALARM CLOCK",
    "PARTY BUNTING",
    "PHOTO FRAME",
    "HOT WATER BOTTLE",
    "CAKE CASES",
    "DOORMAT",
    "JAM JAR",
    "TEA TOWEL",
    "STORAGE TIN",
    "WALL CLOCK",
    "GIFT WRAP",
    "COAT HANGER",
];
/// Endings of descriptions: what makes them hard to read, quotes, commas and blanks, among them.
const ENDINGS: [(&str, u64); 8] = [
    ("", 70),
    (" ", 20),
    (" , ASSORTED", 3),
    (" 12\" TALL", 2),
    (",SET/4", 2),
    (" \"HOME\"", 1),
    ("  LARGE", 1),
    (" CAFÉ", 1),
];

/// One kind of goods.
#[derive(Clone, Debug)]
pub(super) struct Goods {
    pub(super) sku: String,
    pub(super) description: String,
    pub(super) pennies: i64,
}

/// One customer.
#[derive(Clone, Debug)]
pub(super) struct Customer {
    pub(super) number: String,
    pub(super) country: &'static str,
}

/// All goods and customers, the busiest first.
#[derive(Clone, Debug)]
pub(super) struct Catalogue {
    pub(super) goods: Vec<Goods>,
    pub(super) customers: Vec<Customer>,
}

impl Catalogue {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let shift = index(rng.below(90_000));
        let goods = (0..GOODS).map(|rank| goods(rng, rank, shift)).collect();
        let customers = (0..CUSTOMERS)
            .map(|rank| Customer {
                number: format!("{}.0", 12_346 + (rank * 1_013 + shift) % CUSTOMERS),
                country: pick(rng, &COUNTRIES, |&(_, lines)| lines).0,
            })
            .collect();
        Self { goods, customers }
    }

    /// Draws goods as lines do.
    pub(super) fn draw_goods(rng: &mut Rng) -> usize {
        index(draw(rng, GOODS_RANKS).unsigned_abs())
    }

    /// Draws a customer as invoices do.
    pub(super) fn draw_customer(rng: &mut Rng) -> usize {
        index(draw(rng, CUSTOMER_RANKS).unsigned_abs())
    }
}

/// Two of 21 codes have a letter behind, and share their digits: variants of one article.
fn goods(rng: &mut Rng, rank: usize, shift: usize) -> Goods {
    let (family, suffix) = match rank % 21 {
        0 if rank % 210 == 42 => (rank, "BL"),
        0 => (rank, "A"),
        1 => (rank - 1, ["B", "C", "D", "G"][rank % 4]),
        _ => (rank, ""),
    };
    // A prime that does not divide 90,000 reaches each number of five digits once.
    let digits = 10_000 + (family * 7_919 + shift) % 90_000;
    let adjective = ADJECTIVES[rank % ADJECTIVES.len()];
    let noun = NOUNS[rank / ADJECTIVES.len() % NOUNS.len()];
    let (ending, _) = pick(rng, &ENDINGS, |&(_, weight)| weight);
    Goods {
        sku: format!("{digits}{suffix}"),
        description: format!("{adjective} {noun}{ending}"),
        pennies: draw(rng, PENNIES),
    }
}

/// A drawn number as a place in a list.
pub(super) fn index(rank: u64) -> usize {
    usize::try_from(rank).expect("ranks are small")
}
