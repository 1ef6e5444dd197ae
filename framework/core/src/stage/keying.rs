//! Where records get their key behind a source: nowhere, or from what the source routed them by.

use std::fmt;

use crate::{
    BoxError,
    chain::{Place, Run},
    key::Key,
    output::hash_of,
};

/// Gives what was read the key that the stream is grouped by, with its hash.
///
/// See [`Stream::keyed`](crate::Stream::keyed).
pub trait Keying<T, K>: Clone + Send + 'static {
    /// The key of a record, and the hash that it is routed by.
    ///
    /// # Errors
    ///
    /// When the record cannot have this key.
    fn key(&mut self, value: &T, routed: Option<u32>, run: &Run) -> Result<(K, u32), BoxError>;
}

/// Leaves records without a key.
///
/// See [`Stream::keyed`](crate::Stream::keyed) for the other case.
#[derive(Clone, Copy, Debug)]
pub struct NoKey;

impl<T> Keying<T, ()> for NoKey {
    #[inline]
    fn key(&mut self, _: &T, _: Option<u32>, _: &Run) -> Result<((), u32), BoxError> {
        Ok(((), 0))
    }
}

/// Gives records the key that their source has routed them by, and makes sure that it has.
///
/// See [`Stream::keyed`](crate::Stream::keyed).
#[derive(Clone)]
pub struct RoutedKey<F> {
    key: F,
    bytes: Vec<u8>,
}

impl<F> fmt::Debug for RoutedKey<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoutedKey")
    }
}

impl<F> RoutedKey<F> {
    pub(crate) fn new(key: F) -> Self {
        Self {
            key,
            bytes: Vec::new(),
        }
    }
}

impl<T, K: Key, F: Fn(&T) -> K + Clone + Send + 'static> Keying<T, K> for RoutedKey<F> {
    fn key(&mut self, value: &T, routed: Option<u32>, run: &Run) -> Result<(K, u32), BoxError> {
        run.at_place(Place::Closure("keyed"));
        let key = (self.key)(value);
        let hash = hash_of(&key, &mut self.bytes)?;
        if routed == Some(hash) {
            run.at_place(Place::Reader);
            return Ok((key, hash));
        }
        match routed {
            Some(_) => Err(
                "it was written under another key than `.keyed(..)` gives: correct the closure, \
                 or group anew with `.key_by(..)`"
                    .into(),
            ),
            None => Err("it was written without a key: group it with `.key_by(..)`".into()),
        }
    }
}
