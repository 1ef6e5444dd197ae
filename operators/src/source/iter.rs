//! `iter`: reads what an iterator gives.

use std::task::{Context, Poll};

use levada_core::{BoxError, Data, Intake, Read, Source, SourceContext, SplitReader};

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

    fn splits(&self) -> Result<Vec<String>, BoxError> {
        Ok(vec!["iter".to_owned()])
    }

    fn open(&self, _: u32, _: &SourceContext) -> Result<Box<dyn SplitReader<I::Item>>, BoxError> {
        Ok(Box::new(Reader {
            items: self.items.clone().into_iter(),
            offset: 0,
        }))
    }
}

struct Reader<I> {
    items: I,
    offset: u64,
}

impl<T, I: Iterator<Item = T>> SplitReader<T> for Reader<I> {
    fn poll_read(
        &mut self,
        _: &mut Context<'_>,
        limit: usize,
        intake: &mut Intake<T>,
    ) -> Poll<Result<Read, BoxError>> {
        intake.reserve(limit);
        for _ in 0..limit {
            let Some(item) = self.items.next() else {
                return Poll::Ready(Ok(Read::End));
            };
            intake.push(self.offset, item);
            self.offset += 1;
        }
        Poll::Ready(Ok(Read::More))
    }
}
