//! When a segment is followed by another.

use std::time::Duration;

use crate::{Retention, batch::header::Header, meta::Segment};

/// When a segment is followed by another.
///
/// Segments go whole, so they must not be large by the measure of what is kept: what is kept too
/// long is at most an eighth of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Roll {
    bytes: u64,
    span: Option<Duration>,
}

/// Part of what is kept that one segment has.
const PART: u32 = 8;
/// However little is kept, there are not more segments than one for these.
const LEAST_BYTES: u64 = 4096;
const LEAST_SPAN: Duration = Duration::from_secs(1);

impl Roll {
    pub(crate) fn of(segment_bytes: u64, retention: &Retention) -> Self {
        let kept = retention.max_bytes().unwrap_or(u64::MAX);
        let ages = [retention.max_age(), retention.tombstone_time()];
        let least = ages.into_iter().flatten().min();
        Self {
            bytes: segment_bytes.min((kept / u64::from(PART)).max(LEAST_BYTES)),
            span: least.map(|age| (age / PART).max(LEAST_SPAN)),
        }
    }

    /// For segments that are compacted: their tombstones go one by one.
    pub(crate) fn compacted(segment_bytes: u64, retention: &Retention) -> Self {
        let age = retention.max_age();
        Self {
            span: age.map(|age| (age / PART).max(LEAST_SPAN)),
            ..Self::of(segment_bytes, retention)
        }
    }

    pub(crate) fn fits(&self, segment: &Segment, batch: &Header) -> bool {
        let lasted = batch.append_time.since(segment.first_append);
        let is_small = segment.bytes + batch.len as u64 <= self.bytes;
        segment.bytes == 0 || (is_small && self.span.is_none_or(|span| lasted <= span))
    }
}

#[cfg(test)]
mod tests {
    use levada_core::Timestamp;

    use super::*;

    #[test]
    fn segment_is_small_by_the_measure_of_what_is_kept() {
        let at = |second| Timestamp::from_millis(0) + Duration::from_secs(second);
        let segment = Segment {
            base: 0,
            end: 1,
            bytes: 10_000,
            generation: 0,
            first_append: at(0),
            last_append: at(0),
        };
        let fits = |retention: &Retention, len, second| {
            let header = Header::example(len, at(second));
            Roll::of(64 << 10, retention).fits(&segment, &header)
        };
        let forever = Retention::forever();
        assert!(fits(&forever, 55_536, 1_000_000) && !fits(&forever, 55_537, 0));
        let minutes = forever.age(Duration::from_mins(8));
        assert!(fits(&minutes, 1000, 60) && !fits(&minutes, 1000, 61));
        let tombstones = forever.tombstones(Duration::from_mins(16));
        assert!(fits(&tombstones, 1000, 120) && !fits(&tombstones, 1000, 121));
        let bytes = forever.bytes(100_000);
        assert!(fits(&bytes, 2_500, 0) && !fits(&bytes, 2_501, 0));
    }
}
