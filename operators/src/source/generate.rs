//! `generate`: makes records from a seed.

use std::task::{Context, Poll};

use levada_core::{BoxError, Data, Intake, Read, Rng, Seed, Source, SourceContext, SplitReader};

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

    fn splits(&self) -> Result<Vec<String>, BoxError> {
        Ok(vec!["generate".to_owned()])
    }

    fn open(&self, _: u32, _: &SourceContext) -> Result<Box<dyn SplitReader<T>>, BoxError> {
        let (make, rng) = (self.make.clone(), self.seed.rng("generate"));
        Ok(Box::new(Reader {
            make,
            rng,
            next: 0,
            end: self.records,
        }))
    }
}

struct Reader<F> {
    make: F,
    rng: Rng,
    next: u64,
    end: u64,
}

impl<T, F: Fn(u64, &mut Rng) -> T> SplitReader<T> for Reader<F> {
    fn poll_read(
        &mut self,
        _: &mut Context<'_>,
        limit: usize,
        intake: &mut Intake<T>,
    ) -> Poll<Result<Read, BoxError>> {
        intake.reserve(limit);
        let end = self.end.min(self.next + limit as u64);
        while self.next < end {
            intake.push(self.next, (self.make)(self.next, &mut self.rng));
            self.next += 1;
        }
        Poll::Ready(Ok(if self.next == self.end {
            Read::End
        } else {
            Read::More
        }))
    }
}
