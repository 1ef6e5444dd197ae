//! What records are grouped by, and where a key belongs.
//!
//! A key has *canonical bytes* ([`key_bytes`]). They decide its partition and travel to files; they
//! are never the key in memory. They are the same on every machine, release and backend:
//!
//! | type | bytes |
//! |---|---|
//! | text, `char` | UTF-8 |
//! | `bool` | one byte, 0 or 1 |
//! | integers | big-endian, in their own width |
//! | byte strings | as they are |
//! | a part of a tuple, struct, sequence or variant | its length as a big-endian `u32`, then it |
//! | `Option` | one byte, 0 or 1, then the value |
//! | an enum | the variant's index as a big-endian `u32`, then its parts |
//! | a newtype | as what it holds |
//! | floats, maps | refused: not every value equals itself, or has one order |
//!
//! So a text key has the bytes that Kafka's `StringSerializer` gives it, and lands where Kafka's
//! default partitioner puts it.

mod bytes;
mod murmur2;
mod slots;

use std::hash::Hash;

pub use self::{
    bytes::{KeyError, key_bytes, write_key},
    murmur2::murmur2,
    slots::{MIN_SLOTS, Slots},
};
use crate::Data;

/// What records are grouped by.
///
/// Order is kept, and state is held, per key. Implemented for every [`Data`] that can be compared
/// and hashed; floats cannot, and maps are refused when the first key is routed.
///
/// A key owns what it holds, since it goes on when the record that it was taken from is gone. So
/// `.key_by(|line| line.as_str())` does not compile: the first message says that a lifetime may
/// not live long enough, and those behind it follow from that. Write `.key_by(String::clone)`, or
/// take something small and owned, as in `.key_by(|order| order.id)`.
///
/// # Examples
///
/// ```
/// use levada_core::key::{Slots, key_bytes, murmur2};
///
/// // Text has the bytes that Kafka gives it, so it lands where Kafka puts it.
/// assert_eq!(key_bytes(&"foobar".to_owned())?, b"foobar");
/// assert_eq!(murmur2(b"foobar").cast_signed(), -790_332_482);
/// assert_eq!(Slots::for_partitions(8).partition(murmur2(b"foobar")), 6);
/// # Ok::<(), levada_core::key::KeyError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    label = "a key needs `Serialize + DeserializeOwned + Clone + Eq + Hash + Send + 'static`",
    note = "floats are no keys: not every float equals itself; use an integer or text"
)]
pub trait Key: Data + Clone + Eq + Hash {}

#[diagnostic::do_not_recommend]
impl<T: Data + Clone + Eq + Hash> Key for T {}
