//! Money as exact decimals: sums of prices must not depend on the order in which they are added.
//!
//! Floats lose loyalty points on five invoices of the year, so there is none here.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Total;

/// The smallest unit is a thousandth: some prices of the real data are `0.001`, none is finer.
const PLACES: usize = 3;
const THOUSAND: i64 = 1_000;

/// An exact amount of money, kept as a whole number of thousandths.
///
/// # Examples
///
/// ```
/// use order_bus::Money;
///
/// let price: Money = "2.55".parse()?;
/// let amount = price.checked_mul(-6).expect("small amounts fit");
/// assert_eq!(amount.to_string(), "-15.300");
/// assert_eq!(amount.floor(), -16);
/// # Ok::<(), order_bus::ParseMoneyError>(())
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Money(i64);

impl Money {
    /// Nothing: where a sum starts.
    pub const ZERO: Self = Self(0);

    /// An amount of `count` thousandths.
    pub const fn from_thousandths(count: i64) -> Self {
        Self(count)
    }

    /// This amount in thousandths.
    pub const fn thousandths(self) -> i64 {
        self.0
    }

    /// The largest whole number that is not above this amount.
    pub const fn floor(self) -> i64 {
        self.0.div_euclid(THOUSAND)
    }

    /// The sum of two amounts, or nothing where it is too large to hold.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// This amount `quantity` times, or nothing where that is too large to hold.
    #[must_use]
    pub const fn checked_mul(self, quantity: i64) -> Option<Self> {
        match self.0.checked_mul(quantity) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }
}

/// Prints three places, as the result files have them.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Total::from(*self).fmt(f)
    }
}

/// Why a text is not an amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseMoneyError {
    /// The text is not digits with at most one sign in front and one point inside.
    #[error("not a decimal number")]
    Malformed,
    /// The text is a number, but a finer one than can be kept exactly.
    #[error("more than 3 decimal places")]
    TooFine,
    /// The text is a number, but too large to hold.
    #[error("number out of range")]
    OutOfRange,
}

impl FromStr for Money {
    type Err = ParseMoneyError;

    fn from_str(text: &str) -> Result<Self, ParseMoneyError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) {
            return Err(ParseMoneyError::Malformed);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > PLACES {
            return Err(ParseMoneyError::TooFine);
        }
        let padded = format!("{fraction:0<PLACES$}");
        let part: i64 = padded.parse().expect("three digits are a number");
        // Negative numbers are built downwards, because the lowest has no positive counterpart.
        let sign = if negative { -1 } else { 1 };
        let out_of_range = ParseMoneyError::OutOfRange;
        let whole: i64 = whole.parse().ok().ok_or(out_of_range)?;
        let units = whole.checked_mul(sign * THOUSAND).ok_or(out_of_range)?;
        units.checked_add(sign * part).map(Self).ok_or(out_of_range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_printed_with_three_places() {
        for (text, printed) in [
            ("2.55", "2.550"),
            ("38970.0", "38970.000"),
            ("0.001", "0.001"),
            ("-11062.06", "-11062.060"),
            ("-0.5", "-0.500"),
            ("7", "7.000"),
            ("1.25000", "1.250"),
            ("-0.0", "0.000"),
        ] {
            assert_eq!(money(text).to_string(), printed, "{text}");
        }
    }

    #[test]
    fn the_lowest_and_highest_amounts_survive_printing_and_parsing() {
        for thousandths in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
            let amount = Money::from_thousandths(thousandths);
            assert_eq!(money(&amount.to_string()), amount);
        }
    }

    #[test]
    fn what_is_not_a_decimal_number_is_refused() {
        for text in [
            "", "-", ".", "1.", ".5", "+1", "1,5", "1e3", " 1", "--1", "1.-5", "NaN", "١",
        ] {
            assert_eq!(
                text.parse::<Money>(),
                Err(ParseMoneyError::Malformed),
                "{text}"
            );
        }
    }

    #[test]
    fn amounts_that_would_be_rounded_are_refused() {
        assert_eq!("0.0001".parse::<Money>(), Err(ParseMoneyError::TooFine));
    }

    #[test]
    fn amounts_that_do_not_fit_are_refused() {
        let texts = [
            "9223372036854775.808",
            "9223372036854776",
            "-9223372036854775.809",
            "99999999999999999999",
        ];
        for text in texts {
            assert_eq!(
                text.parse::<Money>(),
                Err(ParseMoneyError::OutOfRange),
                "{text}"
            );
        }
        let most = Money::from_thousandths(i64::MAX);
        assert_eq!(most.checked_add(Money::from_thousandths(1)), None);
        assert_eq!(most.checked_mul(2), None);
    }

    #[test]
    fn floor_goes_down_below_zero_too() {
        assert_eq!(money("0.999").floor(), 0);
        assert_eq!(money("230.0").floor(), 230);
        assert_eq!(money("-0.001").floor(), -1);
    }
}
