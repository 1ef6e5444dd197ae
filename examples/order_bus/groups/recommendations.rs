//! The group `recommendations`: which goods are bought together most often.

use std::{cmp::Reverse, collections::BTreeSet};

use levada::prelude::*;
use serde::{Deserialize, Serialize};

use super::Site;
use crate::OrderLine;

/// Larger baskets are wholesale, and say little about taste.
const MAX_BASKET: usize = 30;
const MOST_FREQUENT: usize = 100;

/// Two codes and how often they stand on one invoice. Sorted by that, the most frequent first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pair {
    /// The number of invoices with both.
    pub together: Reverse<u64>,
    /// The code that comes first.
    pub sku_a: String,
    /// The other code.
    pub sku_b: String,
}

pub(super) fn draw(site: &Site<'_>) {
    site.served()
        .filter(|line| !line.is_cancellation() && line.quantity > 0 && is_article(&line.sku))
        .fold(BTreeSet::new(), put_into)
        .at_end()
        .named("baskets")
        .flat_map(|(_, basket)| pairs(&basket))
        .key_by(Clone::clone)
        .count()
        .at_end()
        .named("pairs")
        // All pairs meet under one key, where only the most frequent are kept.
        .key_by(|_| ())
        .fold(BTreeSet::new(), keep_if_frequent)
        .at_end()
        .named("most-frequent")
        .flat_map(|((), pairs)| pairs)
        .sink(site.results());
}

/// Whether a code is five digits and then letters, if anything: goods, not postage or fees.
fn is_article(sku: &str) -> bool {
    let (Some(digits), Some(letters)) = (sku.get(..5), sku.get(5..)) else {
        return false;
    };
    digits.bytes().all(|digit| digit.is_ascii_digit())
        && letters.bytes().all(|letter| letter.is_ascii_alphabetic())
}

/// Holds one code more than the largest basket that counts, so that larger ones are told apart.
fn put_into(basket: &mut BTreeSet<String>, line: OrderLine) {
    if basket.len() <= MAX_BASKET {
        basket.insert(line.sku);
    }
}

/// All pairs of a basket, or none of one that is too large.
fn pairs(basket: &BTreeSet<String>) -> Vec<(String, String)> {
    if basket.len() > MAX_BASKET {
        return Vec::new();
    }
    let codes: Vec<&String> = basket.iter().collect();
    let with_later = |(place, a): (usize, &&String)| {
        let a = (*a).clone();
        let later = codes[place + 1..].iter();
        later.map(|b| (a.clone(), (*b).clone())).collect::<Vec<_>>()
    };
    codes.iter().enumerate().flat_map(with_later).collect()
}

fn keep_if_frequent(kept: &mut BTreeSet<Pair>, ((sku_a, sku_b), count): ((String, String), u64)) {
    kept.insert(Pair {
        together: Reverse(count),
        sku_a,
        sku_b,
    });
    if kept.len() > MOST_FREQUENT {
        kept.pop_last();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_are_five_digits_and_any_letters() {
        for sku in ["85123A", "22752", "15056BL", "79323GR"] {
            assert!(is_article(sku), "{sku}");
        }
        for sku in ["POST", "1234", "123456", "12345A1", "1234é", "", "m"] {
            assert!(!is_article(sku), "{sku}");
        }
    }

    #[test]
    fn a_basket_that_is_too_large_has_no_pairs() {
        let basket =
            |size: usize| -> BTreeSet<String> { (0..size).map(|n| n.to_string()).collect() };
        assert_eq!(
            pairs(&basket(MAX_BASKET)).len(),
            MAX_BASKET * (MAX_BASKET - 1) / 2
        );
        assert_eq!(pairs(&basket(MAX_BASKET + 1)), []);
    }

    #[test]
    fn only_the_most_frequent_pairs_are_kept_and_ties_go_by_code() {
        let mut kept = BTreeSet::new();
        for n in 0..300_u64 {
            keep_if_frequent(&mut kept, ((format!("{n:03}"), "b".to_owned()), n / 2));
        }
        assert_eq!(kept.len(), MOST_FREQUENT);
        let first: Vec<_> = kept
            .iter()
            .take(2)
            .map(|pair| pair.sku_a.as_str())
            .collect();
        assert_eq!(first, ["298", "299"]);
    }
}
