//! Draws from given distributions, in whole numbers: the same on every machine, for ever.

use levada::Rng;

/// A distribution as points (of 10,000 draws so many are below, value), rising, from 0 to 10,000.
pub(super) type Curve = [(u64, i64)];

/// The scale of a curve's first column.
const WHOLE: u64 = 10_000;
/// Draws are this much finer than the points of a curve, so that long stretches reach each value.
const STEPS: u64 = 10_000;

/// Draws from a curve, going straight from each point to the next.
pub(super) fn draw(rng: &mut Rng, curve: &Curve) -> i64 {
    let place = rng.below(WHOLE * STEPS);
    let upper = curve.partition_point(|&(below, _)| below * STEPS <= place);
    let [(from, low), (to, high)] = [curve[upper - 1], curve[upper]];
    let whole = i64::try_from((to - from) * STEPS).expect("a curve ends at 10,000");
    let part = i64::try_from(place - from * STEPS).expect("a curve ends at 10,000");
    low + (high - low) * part / whole
}

/// Draws one of `choices`, each as often as its weight says.
///
/// # Panics
///
/// If all weights are zero.
pub(super) fn pick<'a, T>(rng: &mut Rng, choices: &'a [T], weight: impl Fn(&T) -> u64) -> &'a T {
    let mut place = rng.below(choices.iter().map(&weight).sum());
    choices
        .iter()
        .find(|choice| {
            let weight = weight(choice);
            let is_here = place < weight;
            place = place.saturating_sub(weight);
            is_here
        })
        .expect("the place is below the sum of the weights")
}

#[cfg(test)]
mod tests {
    use levada::Seed;

    use super::*;

    #[test]
    fn a_curve_is_followed_at_its_points_and_between() {
        let mut rng = Seed::new(1).rng("test");
        let curve = [(0, 1), (5_000, 1), (9_000, 100), (10_000, 1_000)];
        let mut draws: Vec<i64> = (0..100_000).map(|_| draw(&mut rng, &curve)).collect();
        draws.sort_unstable();
        assert_eq!((draws[0], draws[49_000]), (1, 1));
        assert!((48..=53).contains(&draws[70_000]), "{}", draws[70_000]);
        assert!((98..=110).contains(&draws[90_000]), "{}", draws[90_000]);
        assert!((990..1_000).contains(&draws[99_999]), "{}", draws[99_999]);
    }

    #[test]
    fn choices_come_as_often_as_their_weights_say() {
        let mut rng = Seed::new(1).rng("test");
        let choices = [("never", 0), ("one", 1), ("three", 3)];
        let mut counts = [0_u32; 3];
        for _ in 0..40_000 {
            let (name, _) = pick(&mut rng, &choices, |&(_, weight)| weight);
            counts[choices.iter().position(|(other, _)| other == name).unwrap()] += 1;
        }
        assert_eq!(counts[0], 0);
        assert!((9_500..10_500).contains(&counts[1]), "{counts:?}");
    }
}
