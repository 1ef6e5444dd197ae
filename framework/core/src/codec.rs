//! How values become bytes in a topic, and values again.

use std::{fmt, marker::PhantomData};

use crate::{BoxError, Data};

/// Turns values of one type into bytes and back.
///
/// A topic's metadata names its codec, so that a reader with another one is refused instead of
/// handed nonsense.
///
/// # Examples
///
/// Numbers as decimal text:
///
/// ```
/// use levada::{BoxError, Codec, prelude::*};
///
/// #[derive(Debug)]
/// struct Decimal;
///
/// impl Codec<u64> for Decimal {
///     fn name(&self) -> &'static str {
///         "decimal/1"
///     }
///
///     fn encode(&self, value: &u64, out: &mut Vec<u8>) -> Result<(), BoxError> {
///         out.extend_from_slice(value.to_string().as_bytes());
///         Ok(())
///     }
///
///     fn decode(&self, bytes: &[u8]) -> Result<u64, BoxError> {
///         Ok(std::str::from_utf8(bytes)?.parse()?)
///     }
/// }
///
/// assert!(Decimal.decode(b"many").is_err());
///
/// let levada = Levada::in_memory();
/// let numbers = levada.topic::<u64>("numbers").codec(Decimal).create()?;
/// let (writing, reading) = (levada.pipeline("writing"), levada.pipeline("reading"));
/// let read = Collected::new();
/// writing.source(iter([7, 8])).sink(to_topic(&numbers).sealing());
/// reading.source(topic(&numbers)).sink(collect(&read));
/// levada.run([writing, reading])?;
/// assert_eq!(read.take_sorted(), [7, 8]);
/// # Ok::<(), Error>(())
/// ```
pub trait Codec<T>: fmt::Debug + Send + Sync + 'static {
    /// What the topic's metadata calls this codec, with its version, as in `msgpack/1`.
    fn name(&self) -> &'static str;

    /// Appends the bytes of `value` to `out`.
    ///
    /// # Errors
    ///
    /// When the value has no such form.
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), BoxError>;

    /// Reads a value back.
    ///
    /// # Errors
    ///
    /// When the bytes are no such value. That is data, not a broken log.
    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError>;
}

/// `MessagePack` with fields by name: compact, and open to new fields. The default.
///
/// # Examples
///
/// ```
/// use levada_core::{Codec, MessagePack};
///
/// let mut bytes = Vec::new();
/// MessagePack.encode(&("tea".to_owned(), 3_u32), &mut bytes)?;
/// assert_eq!(Codec::<(String, u32)>::decode(&MessagePack, &bytes)?, ("tea".to_owned(), 3));
/// # Ok::<(), levada_core::BoxError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MessagePack;

/// Deeper than any sensible record, and shallow enough for a small stack.
const MAX_DEPTH: usize = 64;

impl<T: Data> Codec<T> for MessagePack {
    fn name(&self) -> &'static str {
        "msgpack/1"
    }

    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(rmp_serde::encode::write_named(out, value)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError> {
        let mut reader = rmp_serde::Deserializer::new(std::io::Cursor::new(bytes));
        reader.set_max_depth(MAX_DEPTH);
        let value = T::deserialize(&mut reader)?;
        match reader.position() {
            read if read == bytes.len() as u64 => Ok(value),
            read => Err(format!("{} bytes follow the value", bytes.len() as u64 - read).into()),
        }
    }
}

/// JSON: readable by everything, larger and slower than [`MessagePack`].
///
/// # Examples
///
/// ```
/// use levada_core::{Codec, Json};
///
/// let mut bytes = Vec::new();
/// Json.encode(&("tea".to_owned(), 3_u32), &mut bytes)?;
/// assert_eq!(bytes, br#"["tea",3]"#);
/// # Ok::<(), levada_core::BoxError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<T: Data> Codec<T> for Json {
    fn name(&self) -> &'static str {
        "json/1"
    }

    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(serde_json::to_writer(out, value)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// Bytes as they are, for `Vec<u8>`.
///
/// # Examples
///
/// ```
/// use levada_core::{Codec, Raw};
///
/// let mut bytes = b"before ".to_vec();
/// Raw::default().encode(&b"after".to_vec(), &mut bytes)?;
/// assert_eq!(bytes, b"before after");
/// # Ok::<(), levada_core::BoxError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw(PhantomData<()>);

impl Codec<Vec<u8>> for Raw {
    fn name(&self) -> &'static str {
        "raw/1"
    }

    fn encode(&self, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, BoxError> {
        Ok(bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_after_the_value_are_an_error() {
        let mut bytes = Vec::new();
        MessagePack.encode(&7_u32, &mut bytes).unwrap();
        bytes.push(0);
        assert!(Codec::<u32>::decode(&MessagePack, &bytes).is_err());
    }

    #[test]
    fn a_depth_bomb_is_an_error_and_not_a_stack_overflow() {
        let bomb = vec![0x91_u8; 100_000];
        assert!(Codec::<serde_json::Value>::decode(&MessagePack, &bomb).is_err());
    }
}
