//! `generate`: makes records from a seed.

use std::task::{Context, Poll};

use levada_core::{BoxError, Data, Incoming, Rng, Seed, Source, SourceContext, SplitReader};

/// Makes `records` records, number *i* by `make(i, rng)`; the same seed makes the same records.
///
/// The offset of a record is its number. Like [`iter`](super::iter) it begins again whenever the
/// pipeline is started.
///
/// # Examples
///
/// ```
/// use levada_core::Seed;
/// use levada_engine::Pipeline;
/// use levada_operators::prelude::*;
///
/// let throw = || -> Result<Vec<u64>, levada_engine::Error> {
///     let pipeline = Pipeline::new("dice");
///     let dice = Collected::new();
///     pipeline
///         .source(generate(Seed::new(7), 100, |_, rng| 1 + rng.below(6)))
///         .sink(collect(&dice));
///     pipeline.run()?;
///     Ok(dice.take())
/// };
/// assert_eq!(throw()?, throw()?);
/// assert!(throw()?.iter().all(|die| (1..=6).contains(die)));
/// # Ok::<(), levada_engine::Error>(())
/// ```
pub fn generate<T, F>(seed: Seed, records: u64, make: F) -> Generate<F>
where
    T: Data,
    F: Fn(u64, &mut Rng) -> T + Clone + Send + 'static,
{
    Generate {
        seed,
        records,
        make,
    }
}

/// See [`generate`].
#[derive(Clone, Debug)]
pub struct Generate<F> {
    seed: Seed,
    records: u64,
    make: F,
}

impl<T, F> Source for Generate<F>
where
    T: Data,
    F: Fn(u64, &mut Rng) -> T + Clone + Send + 'static,
{
    type Item = T;
    type Reader = GenerateReader<F>;

    fn splits(&self) -> Result<Vec<String>, BoxError> {
        Ok(vec!["generate".to_owned()])
    }

    fn open(&self, _: u32, _: &SourceContext) -> Result<Self::Reader, BoxError> {
        let (make, rng) = (self.make.clone(), self.seed.rng("generate"));
        Ok(GenerateReader {
            make,
            rng,
            next: 0,
            end: self.records,
        })
    }
}

/// Makes records from a seed: the reader of [`generate`].
#[derive(Debug)]
pub struct GenerateReader<F> {
    make: F,
    rng: Rng,
    next: u64,
    end: u64,
}

impl<T: 'static, F: Fn(u64, &mut Rng) -> T + 'static> SplitReader<T> for GenerateReader<F> {
    #[inline]
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Incoming<T>>, BoxError>> {
        if self.next == self.end {
            return Poll::Ready(Ok(None));
        }
        let number = self.next;
        self.next += 1;
        let record = (self.make)(number, &mut self.rng);
        Poll::Ready(Ok(Some(Incoming::new(number, record))))
    }
}
