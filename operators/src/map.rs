//! `map`: puts out one value for each record.

use levada_core::{Context, Dataflow, Emit, Fault, Operator, key::Key};

/// Adds [`map`](Self::map) to streams.
pub trait Map: Dataflow {
    /// Puts out what `f` makes of each record.
    ///
    /// The closure is `Fn`: what it remembered would be neither checkpointed nor shared between
    /// copies.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::prelude::*;
    ///
    /// let pipeline = Pipeline::new("squares");
    /// let squares = Collected::new();
    /// pipeline.source(iter(1..=4_u32)).map(|n| n * n).sink(collect(&squares));
    /// pipeline.run()?;
    /// assert_eq!(squares.take(), [1, 4, 9, 16]);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    fn map<U, F>(self, f: F) -> Self::Applied<Mapping<F>>
    where
        U: 'static,
        F: Fn(Self::Item) -> U + Clone + Send + 'static,
    {
        self.apply("map", Mapping { f })
    }

    /// As [`map`](Self::map), with something that each copy owns: a parser, a buffer, a model.
    ///
    /// `init` makes it at the copy's first record. It is no state: it is neither saved nor moved,
    /// so nothing that comes out may depend on what it remembers.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_engine::Pipeline;
    /// use levada_operators::prelude::*;
    ///
    /// let pipeline = Pipeline::new("digits");
    /// let digits = Collected::new();
    /// pipeline
    ///     .source(iter([7_u32, 42, 365]))
    ///     .map_with(String::new, |buffer, n| {
    ///         buffer.clear();
    ///         buffer.push_str(&n.to_string());
    ///         buffer.len()
    ///     })
    ///     .sink(collect(&digits));
    /// pipeline.run()?;
    /// assert_eq!(digits.take(), [1, 2, 3]);
    /// # Ok::<(), levada_engine::Error>(())
    /// ```
    fn map_with<R, U, N, F>(self, init: N, f: F) -> Self::Applied<MappingWith<R, N, F>>
    where
        R: Send + 'static,
        U: 'static,
        N: Fn() -> R + Clone + Send + 'static,
        F: Fn(&mut R, Self::Item) -> U + Clone + Send + 'static,
    {
        let own = None;
        self.apply("map_with", MappingWith { init, f, own })
    }
}

impl<D: Dataflow> Map for D {}

/// The operator behind [`map`](Map::map).
#[derive(Clone, Debug)]
pub struct Mapping<F> {
    f: F,
}

impl<T, U: 'static, K: Key, F: Fn(T) -> U + Clone + Send + 'static> Operator<T, K> for Mapping<F> {
    type Out = U;

    #[inline]
    fn record(
        &mut self,
        value: T,
        _: &mut Context<'_, K>,
        out: &mut impl Emit<U>,
    ) -> Result<(), Fault> {
        out.emit((self.f)(value));
        Ok(())
    }
}

/// The operator behind [`map_with`](Map::map_with).
#[derive(Debug)]
pub struct MappingWith<R, N, F> {
    init: N,
    f: F,
    /// What this copy owns; there from its first record on.
    own: Option<R>,
}

impl<R, N: Clone, F: Clone> Clone for MappingWith<R, N, F> {
    fn clone(&self) -> Self {
        let (init, f) = (self.init.clone(), self.f.clone());
        Self { init, f, own: None }
    }
}

impl<T, U, K, R, N, F> Operator<T, K> for MappingWith<R, N, F>
where
    T: 'static,
    U: 'static,
    K: Key,
    R: Send + 'static,
    N: Fn() -> R + Clone + Send + 'static,
    F: Fn(&mut R, T) -> U + Clone + Send + 'static,
{
    type Out = U;

    #[inline]
    fn record(
        &mut self,
        value: T,
        _: &mut Context<'_, K>,
        out: &mut impl Emit<U>,
    ) -> Result<(), Fault> {
        let own = self.own.get_or_insert_with(&self.init);
        out.emit((self.f)(own, value));
        Ok(())
    }
}
