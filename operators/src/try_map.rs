//! `try_map`: maps, and gives what failed as a second stream.
//!
//! A record that fails is data: the second stream can be counted, stored and looked at like any
//! other, and a program that forgets it does not build.

use levada_core::{Context, Data, Dataflow, Emit, Fault, Open, Operator, Side, Stream, key::Key};
use serde::{Deserialize, Serialize};

/// A record that was given up on, with the reason.
///
/// # Examples
///
/// ```
/// use levada_engine::Pipeline;
/// use levada_operators::prelude::*;
///
/// let pipeline = Pipeline::new("numbers");
/// let letters = Collected::new();
/// let (numbers, malformed) =
///     pipeline.source(iter(["two".to_owned()])).try_map(|text| text.parse::<u32>());
/// numbers.sink(discard());
/// malformed.sink(collect(&letters));
/// pipeline.run()?;
/// let letter = letters.take().remove(0);
/// assert_eq!((letter.value.as_str(), letter.attempts), ("two", 1));
/// assert_eq!((letter.operator.as_str(), &letter.error[..7]), ("try_map", "invalid"));
/// # Ok::<(), levada_engine::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter<T> {
    /// The record as it came in.
    pub value: T,
    /// What went wrong, as the error says it.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The operator that gave it up, by its name within the pipeline.
    pub operator: String,
}

/// Adds [`try_map`](Self::try_map) to streams.
pub trait TryMap: Dataflow {
    /// Puts out what `f` makes of each record; what fails goes to the second stream.
    ///
    /// `f` borrows the record, so that keeping it costs nothing where all is well. A record that is
    /// to be dropped silently fails with [`Fault::Skip`].
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::prelude::*;
    ///
    /// let pipeline = Pipeline::new("numbers");
    /// let (good, bad) = (Collected::new(), Collected::new());
    /// let (numbers, malformed) = pipeline
    ///     .source(iter(["1", "two", "3"].map(str::to_owned)))
    ///     .try_map(|text| text.parse::<u32>());
    /// numbers.sink(collect(&good));
    /// malformed.sink(collect(&bad));
    /// pipeline.run()?;
    /// assert_eq!(good.take(), [1, 3]);
    /// assert_eq!(bad.take()[0].error, "invalid digit found in string");
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    #[expect(
        clippy::type_complexity,
        reason = "two streams, each with what it was told to do"
    )]
    fn try_map<U, E, F>(
        self,
        f: F,
    ) -> (
        Self::Applied<TryMapping<F, Self::Item>>,
        Stream<DeadLetter<Self::Item>>,
    )
    where
        Self: Dataflow<Item: Data>,
        U: 'static,
        E: Into<Fault>,
        F: Fn(&Self::Item) -> Result<U, E> + Clone + Send + 'static,
    {
        let failed = Side::new("failed");
        let mapped = self.apply(
            "try_map",
            TryMapping {
                f,
                failed: failed.clone(),
                name: String::new(),
            },
        );
        let failures = mapped.side(&failed);
        (mapped, failures)
    }
}

impl<D: Dataflow> TryMap for D {}

/// The operator behind [`try_map`](TryMap::try_map).
#[derive(Debug)]
pub struct TryMapping<F, T> {
    f: F,
    failed: Side<DeadLetter<T>>,
    /// What the pipeline calls it; known once it is opened.
    name: String,
}

impl<F: Clone, T> Clone for TryMapping<F, T> {
    fn clone(&self) -> Self {
        Self {
            f: self.f.clone(),
            failed: self.failed.clone(),
            name: self.name.clone(),
        }
    }
}

impl<T, U, E, K, F> Operator<T, K> for TryMapping<F, T>
where
    T: Data,
    U: 'static,
    E: Into<Fault>,
    K: Key,
    F: Fn(&T) -> Result<U, E> + Clone + Send + 'static,
{
    type Out = U;

    fn open(&mut self, open: &mut Open<'_>) -> Result<(), levada_core::BoxError> {
        open.side(&mut self.failed);
        open.name().clone_into(&mut self.name);
        Ok(())
    }

    fn record(
        &mut self,
        value: T,
        cx: &mut Context<'_, K>,
        out: &mut impl Emit<U>,
    ) -> Result<(), Fault> {
        match (self.f)(&value).map_err(Into::into) {
            Ok(mapped) => out.emit(mapped),
            Err(Fault::Skip) => {}
            Err(fault) => {
                let error = fault.to_string();
                cx.side(
                    &self.failed,
                    DeadLetter {
                        value,
                        error,
                        attempts: 1,
                        operator: self.name.clone(),
                    },
                );
            }
        }
        Ok(())
    }
}
