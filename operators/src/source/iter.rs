//! `iter`: reads what an iterator gives.

use std::task::{Context, Poll};

use levada_core::{BoxError, Data, Incoming, Source, SourceContext, SplitReader};

/// Reads what `items` gives, in one split, until it ends.
///
/// The iterator runs on an arbiter's thread, so it must not block. It is cloned for each start and
/// begins again: what it fills a topic with is appended again, unless
/// [only what is missing is sent](super#how-a-topic-is-filled-once). The offset of an item is its
/// number, counted from 0.
///
/// # Examples
///
/// ```
/// use levada_engine::Pipeline;
/// use levada_operators::prelude::*;
///
/// let pipeline = Pipeline::new("few");
/// let few = Collected::new();
/// pipeline.source(iter(["a", "b"].map(str::to_owned))).sink(collect(&few));
/// pipeline.run()?;
/// assert_eq!(few.take(), ["a", "b"]);
/// # Ok::<(), levada_engine::Error>(())
/// ```
pub fn iter<I>(items: I) -> Iter<I>
where
    I: IntoIterator<Item: Data, IntoIter: 'static> + Clone + Send + 'static,
{
    Iter { items }
}

/// See [`iter`].
#[derive(Clone, Debug)]
pub struct Iter<I> {
    items: I,
}

impl<I> Source for Iter<I>
where
    I: IntoIterator<Item: Data, IntoIter: 'static> + Clone + Send + 'static,
{
    type Item = I::Item;
    type Reader = IterReader<I::IntoIter>;

    fn splits(&self) -> Result<Vec<String>, BoxError> {
        Ok(vec!["iter".to_owned()])
    }

    fn open(&self, _: u32, _: &SourceContext) -> Result<Self::Reader, BoxError> {
        Ok(IterReader {
            items: self.items.clone().into_iter(),
            offset: 0,
        })
    }
}

/// Reads what an iterator gives: the reader of [`iter`].
#[derive(Debug)]
pub struct IterReader<I> {
    items: I,
    offset: u64,
}

impl<T: 'static, I: Iterator<Item = T> + 'static> SplitReader<T> for IterReader<I> {
    #[inline]
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Incoming<T>>, BoxError>> {
        let offset = self.offset;
        self.offset += 1;
        let item = self.items.next();
        Poll::Ready(Ok(item.map(|item| Incoming::new(offset, item))))
    }
}
