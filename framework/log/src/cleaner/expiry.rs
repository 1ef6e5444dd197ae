//! Which segments have expired, and how long those that have not will stay.
//!
//! Segments go whole and oldest first. By age one goes when its *last* record is older than the
//! age; by size when those after it hold the bytes that are to be kept. So a record stays at least
//! as long as it must, and segments are ended early enough that it does not stay much longer: see
//! [`Roll`](crate::segment::Roll).

use std::time::Duration;

use levada_core::Timestamp;

use crate::{Retention, meta::Segment};

/// How many of the oldest segments have expired.
pub(crate) fn expired(segments: &[Segment], retention: &Retention, now: Timestamp) -> usize {
    let mut after: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let is_expired = |segment: &&Segment| {
        after -= segment.bytes;
        let by_age = retention.max_age().is_some_and(|age| {
            // Strictly: what was appended in this millisecond has not been here for the age yet.
            now > segment.last_append + age
        });
        by_age || retention.max_bytes().is_some_and(|kept| after >= kept)
    };
    segments.iter().take_while(is_expired).count()
}

/// How long the segment at `index` will stay at least, as things are; `None` if for good, or if
/// nobody can tell.
pub(crate) fn stays(
    segments: &[Segment],
    index: usize,
    retention: &Retention,
    now: Timestamp,
) -> Option<Duration> {
    let by_age = retention
        .max_age()
        .map(|age| (segments[index].last_append + age).since(now));
    let by_size = retention
        .max_bytes()
        .and_then(|kept| until_followed_by(kept, segments, index));
    [by_age, by_size].into_iter().flatten().min()
}

/// When the segment at `index` will be followed by so many bytes, if they come as fast as those
/// that are there did.
fn until_followed_by(kept: u64, segments: &[Segment], index: usize) -> Option<Duration> {
    let bytes_of = |segments: &[Segment]| segments.iter().map(|it| it.bytes).sum::<u64>();
    let missing = kept.saturating_sub(bytes_of(&segments[index + 1..]));
    if missing == 0 {
        return Some(Duration::ZERO);
    }
    let (first, last) = (segments.first()?, segments.last()?);
    let took = last.last_append.since(first.first_append).as_millis();
    let there = u128::from(bytes_of(segments));
    if took == 0 || there == 0 {
        return None;
    }
    let millis = u128::from(missing) * took / there;
    Some(Duration::from_millis(
        u64::try_from(millis).unwrap_or(u64::MAX),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of 100 bytes, each filled within a second.
    fn segments(count: u64) -> Vec<Segment> {
        let at = |second: u64| Timestamp::from_millis(0) + Duration::from_secs(second);
        let segment = |number| Segment {
            base: number * 10,
            end: number * 10 + 10,
            bytes: 100,
            generation: 0,
            first_append: at(number),
            last_append: at(number + 1),
        };
        (0..count).map(segment).collect()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn segment_expires_after_the_age_of_its_last_record() {
        let (segments, minute) = (
            segments(3),
            Retention::forever().age(Duration::from_mins(1)),
        );
        for (now, count) in [
            (60_999, 0),
            (61_000, 0),
            (61_001, 1),
            (62_001, 2),
            (999_999, 3),
        ] {
            assert_eq!(expired(&segments, &minute, at(now)), count, "{now}");
        }
        let forever = Retention::forever();
        assert_eq!(expired(&segments, &forever, Timestamp::MAX), 0);
        let stays = |index, now| stays(&segments, index, &minute, at(now)).unwrap();
        assert_eq!(stays(0, 1_000), Duration::from_mins(1));
        assert_eq!(stays(2, 60_000), Duration::from_secs(3));
        assert_eq!(stays(2, 64_000), Duration::ZERO);
    }

    #[test]
    fn segment_expires_when_those_behind_it_hold_what_is_kept() {
        let segments = segments(5);
        for (kept, count) in [(0, 5), (1, 4), (100, 4), (101, 3), (400, 1), (401, 0)] {
            let kept = Retention::forever().bytes(kept);
            assert_eq!(expired(&segments, &kept, at(0)), count, "{kept:?}");
        }
        let (kept, now) = (Retention::forever().bytes(500), at(5_000));
        // A hundred bytes a second: the last needs 500 behind it, the first 100 more than 400.
        let stays = |index| stays(&segments, index, &kept, now);
        assert_eq!(stays(4), Some(Duration::from_secs(5)));
        assert_eq!(stays(0), Some(Duration::from_secs(1)));
    }
}
