//! `discard`: drops what comes, on purpose.

use levada_core::{BoxError, Sink, SinkContext, SinkWriter, key::Key, record::Head};

/// Drops what comes: for a stream that nobody needs, which would otherwise not build.
///
/// # Examples
///
/// ```
/// use levada_engine::Pipeline;
/// use levada_operators::prelude::*;
///
/// let pipeline = Pipeline::new("small");
/// let small = Collected::new();
/// let (below, above) = pipeline.source(iter(1..=6_u32)).split(|n| *n < 3);
/// below.sink(collect(&small));
/// above.sink(discard());
/// pipeline.run()?;
/// assert_eq!(small.take(), [1, 2]);
/// # Ok::<(), levada_engine::Error>(())
/// ```
pub fn discard() -> Discard {
    Discard
}

/// See [`discard`].
#[derive(Clone, Copy, Debug)]
pub struct Discard;

impl<T: 'static, K: Key> Sink<T, K> for Discard {
    type Writer = Self;

    fn name(&self) -> String {
        "discard".to_owned()
    }

    fn open(&self, _: &SinkContext) -> Result<Self, BoxError> {
        Ok(Self)
    }
}

impl<T: 'static, K: Key> SinkWriter<T, K> for Discard {
    fn write(&mut self, _: T, _: &K, _: &Head) -> Result<(), BoxError> {
        Ok(())
    }
}
