//! Times as the order files write them: `2010-12-01 08:26:00`, read as UTC.
//!
//! The calendar is Gregorian throughout; days are counted as in Howard Hinnant's "chrono-compatible
//! low-level date algorithms", with years that start in March, so that the leap day comes last.

use std::time::Duration;

use levada::Timestamp;

const HOUR_MILLIS: i64 = 60 * 60 * 1_000;
const DAY_SECONDS: i64 = 24 * 60 * 60;
/// A cycle of the Gregorian calendar: 400 years have this many days.
const ERA_DAYS: i64 = 146_097;
/// From 0000-03-01 to the Unix epoch.
const EPOCH_DAYS: i64 = 719_468;

/// Reads a time such as `2010-12-01 08:26:00`; nothing else, and no date that does not exist.
///
/// # Examples
///
/// ```
/// use order_bus::civil;
///
/// let at = civil::parse("2010-12-01 08:26:00").expect("a date that exists");
/// assert_eq!(at.as_millis(), 1_291_191_960_000);
/// assert_eq!(civil::parse("2010-02-30 08:26:00"), None);
/// ```
pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let punctuation = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if bytes.len() != 19
        || punctuation
            .iter()
            .any(|&(place, sign)| bytes[place] != sign)
    {
        return None;
    }
    let year = number(&bytes[0..4])?;
    let month = number(&bytes[5..7])?;
    let day = number(&bytes[8..10])?;
    let [hour, minute, second] = [&bytes[11..13], &bytes[14..16], &bytes[17..19]].map(number);
    let (hour, minute, second) = (hour?, minute?, second?);
    let exists = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let seconds = days_before(year, month, day) * DAY_SECONDS + (hour * 60 + minute) * 60 + second;
    exists.then(|| Timestamp::from_millis(seconds * 1_000))
}

/// Writes a time as [`parse`] reads it, to the second.
///
/// # Examples
///
/// ```
/// use levada::Timestamp;
/// use order_bus::civil;
///
/// assert_eq!(civil::format(Timestamp::from_millis(0)), "1970-01-01 00:00:00");
/// ```
pub fn format(at: Timestamp) -> String {
    let seconds = at.as_millis().div_euclid(1_000);
    let (year, month, day) = date(seconds.div_euclid(DAY_SECONDS));
    let of_day = seconds.rem_euclid(DAY_SECONDS);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// The month of a time, as in `2010-12`.
///
/// # Examples
///
/// ```
/// use order_bus::civil;
///
/// let at = civil::parse("2010-12-31 23:59:59").expect("a date that exists");
/// assert_eq!(civil::month(at), "2010-12");
/// ```
pub fn month(at: Timestamp) -> String {
    let (year, month, _) = date(at.as_millis().div_euclid(DAY_SECONDS * 1_000));
    format!("{year:04}-{month:02}")
}

/// The start of the clock hour that a time lies in.
///
/// # Examples
///
/// ```
/// use order_bus::civil;
///
/// let at = civil::parse("2010-12-01 08:26:00").expect("a date that exists");
/// assert_eq!(civil::format(civil::hour(at)), "2010-12-01 08:00:00");
/// ```
pub fn hour(at: Timestamp) -> Timestamp {
    let into_the_hour = at.as_millis().rem_euclid(HOUR_MILLIS).unsigned_abs();
    at - Duration::from_millis(into_the_hour)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + i64::from(digit - b'0'))
    })
}

fn days_in(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the Unix epoch to a date.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let year_of_era = year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    year.div_euclid(400) * ERA_DAYS + day_of_era - EPOCH_DAYS
}

/// The year, month and day that lie so many days after the Unix epoch.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = days.div_euclid(ERA_DAYS) * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_of_four_centuries_follows_the_one_before() {
        let months = (1800..2200).flat_map(|year| (1..=12).map(move |month| (year, month)));
        let mut expected = days_before(1800, 1, 1);
        for (year, month) in months {
            for day in 1..=days_in(year, month) {
                assert_eq!(days_before(year, month, day), expected);
                assert_eq!(date(expected), (year, month, day));
                expected += 1;
            }
        }
        assert_eq!(expected - days_before(1800, 1, 1), ERA_DAYS);
    }

    #[test]
    fn times_are_written_as_they_were_read() {
        let texts = [
            "2010-12-01 08:26:00",
            "2000-02-29 23:59:59",
            "0001-01-01 00:00:00",
        ];
        for text in texts {
            assert_eq!(format(parse(text).unwrap()), text);
        }
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for text in [
            "2011-02-29 00:00:00",
            "2010-13-01 00:00:00",
            "2010-00-01 00:00:00",
            "2010-12-00 00:00:00",
            "2010-12-01 24:00:00",
            "2010-12-01 08:60:00",
            "2010-12-01 08:26:60",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn other_ways_to_write_a_time_are_refused() {
        for text in [
            "",
            "2010-12-01",
            "2010-12-01T08:26:00",
            "2010-12-01 08:26:00Z",
            "2010-12-01 8:26:00",
            "01/12/2010 08:26:00",
            "2010-12-01 08:2é:00",
            "+010-12-01 08:26:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn hours_and_months_before_the_epoch_start_before_their_times() {
        let at = Timestamp::from_millis(-1);
        assert_eq!(format(hour(at)), "1969-12-31 23:00:00");
        assert_eq!(month(at), "1969-12");
    }
}
