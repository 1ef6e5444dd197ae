//! Sums of money that cannot overflow, however many lines there are.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Money, OrderLine};

/// A sum of amounts, exact. Amounts have 64 bits and so have counts, so 128 bits hold any sum.
///
/// # Examples
///
/// ```
/// use order_bus::Total;
///
/// let mut total = Total::default();
/// total += "2.55".parse()?;
/// total += "-0.30".parse()?;
/// assert_eq!((total.to_string().as_str(), total.floor()), ("2.250", 2));
/// # Ok::<(), order_bus::ParseMoneyError>(())
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Total(i128);

const THOUSAND: u128 = 1_000;

impl Total {
    /// A sum of so many whole units.
    pub const fn from_units(units: i64) -> Self {
        Self(units as i128 * 1_000)
    }

    /// The largest whole number that is not above this sum.
    pub const fn floor(self) -> i128 {
        self.0.div_euclid(1_000)
    }

    /// Adds a line's quantity times its price, even where that product does not fit [`Money`].
    pub fn add_line(&mut self, line: &OrderLine) {
        self.0 += i128::from(line.price.thousandths()) * i128::from(line.quantity);
    }
}

impl From<Money> for Total {
    fn from(amount: Money) -> Self {
        Self(amount.thousandths().into())
    }
}

impl std::ops::AddAssign<Money> for Total {
    fn add_assign(&mut self, amount: Money) {
        self.0 += i128::from(amount.thousandths());
    }
}

/// Prints three places, as the result files have them.
impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let all = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:03}", all / THOUSAND, all % THOUSAND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_goes_beyond_what_an_amount_can_hold() {
        let mut total = Total::default();
        for _ in 0..3 {
            total += Money::from_thousandths(i64::MAX);
        }
        assert_eq!(total.to_string(), "27670116110564327.421");
        assert_eq!(Total::from(Money::from_thousandths(-1)).floor(), -1);
    }

    #[test]
    fn a_sum_survives_its_journey_between_stages() {
        let total = Total(-(1 << 100));
        let bytes = rmp_serde::to_vec_named(&total).unwrap();
        assert_eq!(rmp_serde::from_slice::<Total>(&bytes).unwrap(), total);
    }
}
