//! Quotas: how many bytes a second producers may append, each and all together.
//!
//! 1. A bucket fills at its rate and holds one second's worth. An append takes its bytes out, as
//!    they are stored, or is refused and told how long to wait; nothing is queued for it.
//! 2. A batch larger than the bucket waits until it is full, and takes the rest on credit. So every
//!    batch fits through in the end, and over any time the bytes are those of the rate and one
//!    bucket, or one batch, more.
//! 3. An append takes from the bucket of its producer and from that of all, or from neither.
//! 4. A full bucket says no more than none. So those that have become full are forgotten, and the
//!    table holds the producers that appended within the last seconds, and those with a rate of
//!    their own.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{Error, Result, shared::lock};

/// Buckets are kept in billionths of a byte, so that a nanosecond at any rate is a whole number.
const BYTE: i128 = 1_000_000_000;
/// A table that has grown to this is looked through for buckets that are full.
const SWEEP_FROM: usize = 1024;

/// What may be taken: a bucket that fills at a rate.
#[derive(Debug)]
struct Bucket {
    /// Bytes a second, at least one.
    rate: u64,
    /// What is in it; below zero after a batch that was larger.
    level: i128,
    /// When that was so.
    at: Duration,
}

impl Bucket {
    fn full(rate: u64, now: Duration) -> Self {
        Self {
            rate,
            level: i128::from(rate) * BYTE,
            at: now,
        }
    }

    fn fill(&mut self, now: Duration) {
        let nanos = now.saturating_sub(self.at).as_nanos();
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX);
        let came = nanos.saturating_mul(self.rate.into());
        self.level = self.level.saturating_add(came).min(self.size());
        self.at = self.at.max(now);
    }

    fn size(&self) -> i128 {
        i128::from(self.rate) * BYTE
    }

    /// How long until so many bytes can be taken, after it was filled; zero if they can.
    fn wait(&self, bytes: usize) -> Duration {
        let need = whole(bytes).min(self.size());
        let nanos = (need - self.level).max(0);
        let nanos =
            nanos.div_euclid(self.rate.into()) + i128::from(nanos % i128::from(self.rate) > 0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

fn whole(bytes: usize) -> i128 {
    i128::try_from(bytes).unwrap_or(i128::MAX / BYTE) * BYTE
}

/// Refuses a rate at which nothing would ever be appended.
pub(crate) fn check(option: &'static str, rate: u64) -> Result<()> {
    if rate > 0 {
        return Ok(());
    }
    Err(Error::BadOption {
        option,
        value: 0,
        reason: "nothing could be appended",
    })
}

/// The rates that a log is opened with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    /// Of all appends together.
    pub(crate) all: Option<u64>,
    /// Of each producer that has none of its own.
    pub(crate) producer: Option<u64>,
}

/// All buckets.
#[derive(Debug)]
pub(crate) struct Quotas {
    /// Whether there is any rate: where there is none, no lock is taken.
    limits: AtomicBool,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    all: Option<Bucket>,
    /// The rate of producers that have none of their own.
    producer: Option<u64>,
    own: BTreeMap<String, u64>,
    producers: BTreeMap<String, Bucket>,
    /// How large the table may be before it is looked through.
    sweep_at: usize,
}

impl Quotas {
    pub(crate) fn new(rates: Rates, now: Duration) -> Self {
        Self {
            limits: AtomicBool::new(rates.all.is_some() || rates.producer.is_some()),
            table: Mutex::new(Table {
                all: rates.all.map(|rate| Bucket::full(rate, now)),
                producer: rates.producer,
                own: BTreeMap::new(),
                producers: BTreeMap::new(),
                sweep_at: SWEEP_FROM,
            }),
        }
    }

    /// Gives a producer a rate of its own, or takes it away.
    pub(crate) fn set(&self, producer: &str, rate: Option<u64>) {
        let mut table = lock(&self.table);
        match rate {
            Some(rate) => {
                table.own.insert(producer.to_owned(), rate);
                self.limits.store(true, Ordering::Release);
            }
            None => drop(table.own.remove(producer)),
        }
        let rate = table.rate(producer);
        if let Some(bucket) = table.producers.get_mut(producer) {
            match rate {
                // What was taken on credit is still owed.
                Some(rate) => bucket.rate = rate,
                None => drop(table.producers.remove(producer)),
            }
        }
    }

    /// Takes the bytes of an append, or says how long to wait.
    pub(crate) fn take(&self, producer: Option<&str>, bytes: usize, now: Duration) -> Result<()> {
        if !self.limits.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut table = lock(&self.table);
        table.fill(producer, now);
        let mut longest: Option<(Duration, Error)> = None;
        for (who, bucket) in table.buckets(producer) {
            let wait = bucket.wait(bytes);
            if longest.as_ref().is_none_or(|(longest, _)| wait > *longest) {
                let (producer, limit) = (who.map(Into::into), bucket.rate);
                let throttled = Error::Throttled {
                    producer,
                    limit,
                    wait,
                };
                longest = Some((wait, throttled));
            }
        }
        match longest {
            Some((wait, throttled)) if !wait.is_zero() => Err(throttled),
            _ => {
                table.add(producer, -whole(bytes));
                Ok(())
            }
        }
    }

    /// Puts back what was taken for an append that was then refused.
    pub(crate) fn put_back(&self, producer: Option<&str>, bytes: usize) {
        lock(&self.table).add(producer, whole(bytes));
    }
}

impl Table {
    fn rate(&self, producer: &str) -> Option<u64> {
        self.own.get(producer).copied().or(self.producer)
    }

    /// Brings the buckets that an append takes from up to date.
    fn fill(&mut self, producer: Option<&str>, now: Duration) {
        if let Some(all) = &mut self.all {
            all.fill(now);
        }
        let Some((name, rate)) = producer.and_then(|name| Some((name, self.rate(name)?))) else {
            return;
        };
        if let Some(bucket) = self.producers.get_mut(name) {
            return bucket.fill(now);
        }
        if self.producers.len() >= self.sweep_at {
            self.producers.retain(|_, bucket| {
                bucket.fill(now);
                bucket.level < bucket.size()
            });
            self.sweep_at = SWEEP_FROM.max(2 * self.producers.len());
        }
        let bucket = Bucket::full(rate, now);
        self.producers.insert(name.to_owned(), bucket);
    }

    /// The buckets that an append takes from, and whose they are.
    fn buckets<'a>(
        &'a mut self,
        producer: Option<&'a str>,
    ) -> impl Iterator<Item = (Option<&'a str>, &'a mut Bucket)> {
        let own = producer.and_then(|name| Some((Some(name), self.producers.get_mut(name)?)));
        own.into_iter()
            .chain(self.all.as_mut().map(|all| (None, all)))
    }

    fn add(&mut self, producer: Option<&str>, level: i128) {
        for (_, bucket) in self.buckets(producer) {
            bucket.level = (bucket.level + level).min(bucket.size());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_mins(1);

    fn quotas(all: Option<u64>, producer: Option<u64>) -> Quotas {
        Quotas::new(Rates { all, producer }, SECOND)
    }

    fn wait(taken: Result<()>) -> Duration {
        match taken {
            Err(Error::Throttled { wait, .. }) => wait,
            taken => panic!("{taken:?}"),
        }
    }

    /// How many bytes of batches of these sizes, in turn, come through in a minute.
    fn in_a_minute(quotas: &Quotas, producer: Option<&str>, sizes: &[usize]) -> u64 {
        let (mut now, mut bytes) = (SECOND, 0);
        for size in sizes.iter().cycle() {
            while let Err(error) = quotas.take(producer, *size, now) {
                now += wait(Err(error));
            }
            if now >= SECOND + MINUTE {
                break;
            }
            bytes += *size as u64;
        }
        bytes
    }

    #[test]
    fn bytes_of_a_minute_are_those_of_the_rate_within_five_percent() {
        let sizes = [100, 1_000, 16 << 10, 333_333, 1 << 20];
        let mixed: &[&[usize]] = &[&sizes[..1], &sizes[1..2], &sizes[2..3], &sizes[3..4]];
        for sizes in mixed.iter().copied().chain([&sizes[4..], &sizes[..]]) {
            let largest = sizes.iter().max().copied().unwrap() as u64;
            for rate in [largest.max(5_000), largest * 3 + 17] {
                let minute = 60 * rate;
                for (all, producer) in [(Some(rate), None), (None, Some(rate))] {
                    let bytes = in_a_minute(&quotas(all, producer), Some("till"), sizes);
                    let off = bytes.abs_diff(minute);
                    assert!(
                        off * 20 < minute,
                        "{sizes:?} at {rate}: {bytes}, off by {off}"
                    );
                }
            }
        }
    }

    #[test]
    fn batch_larger_than_a_second_takes_the_rest_on_credit() {
        let quotas = quotas(Some(1000), None);
        quotas.take(None, 10_000, SECOND).unwrap();
        assert_eq!(wait(quotas.take(None, 1, SECOND)).as_millis(), 9_001);
        assert_eq!(wait(quotas.take(None, 10_000, SECOND)), 10 * SECOND);
        quotas.take(None, 10_000, 11 * SECOND).unwrap();
    }

    #[test]
    fn append_takes_from_its_producer_and_from_all_or_from_neither() {
        let quotas = quotas(Some(1000), Some(600));
        quotas.take(Some("a"), 500, SECOND).unwrap();
        let refused = quotas.take(Some("a"), 200, SECOND).unwrap_err();
        let whose = |error| match error {
            Error::Throttled { producer, .. } => producer,
            error => panic!("{error}"),
        };
        assert_eq!(whose(refused).as_deref(), Some("a"));
        // The refused one has taken nothing from all: there are 500 left.
        quotas.take(Some("b"), 400, SECOND).unwrap();
        let refused = quotas.take(Some("b"), 150, SECOND).unwrap_err();
        assert_eq!(whose(refused), None);
        quotas.take(None, 100, SECOND).unwrap();
        wait(quotas.take(None, 1, SECOND));
        quotas.put_back(Some("b"), 400);
        quotas.take(Some("b"), 400, SECOND).unwrap();
    }

    #[test]
    fn producer_has_the_rate_of_its_own_until_it_is_taken_away() {
        let quotas = quotas(None, None);
        quotas.take(Some("a"), usize::MAX, SECOND).unwrap();
        quotas.set("a", Some(10));
        quotas.take(Some("a"), 10, SECOND).unwrap();
        assert_eq!(wait(quotas.take(Some("a"), 10, SECOND)), SECOND);
        quotas.take(Some("b"), 1 << 40, SECOND).unwrap();
        quotas.set("a", Some(20));
        assert_eq!(wait(quotas.take(Some("a"), 10, SECOND)), SECOND / 2);
        quotas.set("a", None);
        quotas.take(Some("a"), 1 << 40, SECOND).unwrap();
        // What was saved up at a higher rate is not kept.
        quotas.set("c", Some(1000));
        quotas.take(Some("c"), 1, SECOND).unwrap();
        quotas.set("c", Some(10));
        quotas.take(Some("c"), 10, SECOND).unwrap();
        assert_eq!(wait(quotas.take(Some("c"), 10, SECOND)), SECOND);
    }

    #[test]
    fn idle_producer_saves_up_one_second_and_no_more() {
        let quotas = quotas(Some(3), None);
        quotas.take(None, 3, MINUTE).unwrap();
        // Rounded up: who waits as long as it was told finds what it needs.
        assert_eq!(wait(quotas.take(None, 1, MINUTE)).as_nanos(), 333_333_334);
    }

    #[test]
    fn producers_that_are_idle_are_forgotten() {
        let quotas = quotas(None, Some(10));
        for i in 0..100_000_u32 {
            let now = Duration::from_millis(i.into());
            quotas.take(Some(&i.to_string()), 5, now).unwrap();
        }
        let kept = lock(&quotas.table).producers.len();
        assert!(kept <= 2 * SWEEP_FROM, "{kept}");
    }

    #[test]
    fn no_rate_and_no_time_overflows() {
        let quotas = quotas(Some(u64::MAX), Some(1));
        for now in [Duration::MAX, Duration::ZERO] {
            drop(quotas.take(Some("a"), usize::MAX, now));
            drop(quotas.take(None, usize::MAX, now));
        }
    }
}
