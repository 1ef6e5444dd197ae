//! The canonical bytes of a key: a serializer that writes into one buffer and nothing else.

use serde::{
    Serialize,
    ser::{
        Error as _, Impossible, SerializeSeq, SerializeStruct, SerializeStructVariant,
        SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
    },
};

/// Why a value has no canonical bytes.
///
/// See [`key_bytes`].
#[derive(Debug, thiserror::Error)]
#[error("this cannot be a key: {reason}")]
pub struct KeyError {
    reason: String,
}

impl serde::ser::Error for KeyError {
    fn custom<T: std::fmt::Display>(reason: T) -> Self {
        Self {
            reason: reason.to_string(),
        }
    }
}

/// The canonical bytes of a key, as [the module](super) lays them out.
///
/// # Errors
///
/// When the value holds a float or a map.
///
/// # Examples
///
/// ```
/// use levada_core::key::key_bytes;
///
/// assert_eq!(key_bytes(&7_u16)?, [0, 7]);
/// assert_eq!(key_bytes(&("tea", 7_u16))?, b"\0\0\0\x03tea\0\0\0\x02\0\x07");
///
/// let refused = key_bytes(&0.5).expect_err("it is a float").to_string();
/// assert!(refused.starts_with("this cannot be a key"), "{refused}");
/// # Ok::<(), levada_core::key::KeyError>(())
/// ```
pub fn key_bytes<K: Serialize + ?Sized>(key: &K) -> Result<Vec<u8>, KeyError> {
    let mut bytes = Vec::new();
    write_key(key, &mut bytes)?;
    Ok(bytes)
}

/// Appends the canonical bytes of a key to `out`.
///
/// # Errors
///
/// When the value holds a float or a map.
///
/// # Examples
///
/// ```
/// use levada_core::key::write_key;
///
/// let mut bytes = Vec::new();
/// for key in ["tea", "jam"] {
///     bytes.clear(); // One buffer for all.
///     write_key(key, &mut bytes)?;
///     assert_eq!(bytes, key.as_bytes());
/// }
/// # Ok::<(), levada_core::key::KeyError>(())
/// ```
pub fn write_key<K: Serialize + ?Sized>(key: &K, out: &mut Vec<u8>) -> Result<(), KeyError> {
    key.serialize(Canonical { out })
}

struct Canonical<'a> {
    out: &'a mut Vec<u8>,
}

/// The parts of a composite key, each behind its length.
struct Parts<'a> {
    out: &'a mut Vec<u8>,
}

impl Parts<'_> {
    fn part<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), KeyError> {
        let at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        part.serialize(Canonical { out: self.out })?;
        let length = u32::try_from(self.out.len() - at - 4).map_err(KeyError::custom)?;
        self.out[at..at + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

macro_rules! big_endian {
    ($($method:ident: $int:ty),* $(,)?) => { $(
        fn $method(self, v: $int) -> Result<(), KeyError> {
            self.out.extend_from_slice(&v.to_be_bytes());
            Ok(())
        }
    )* };
}

impl<'a> Serializer for Canonical<'a> {
    type Ok = ();
    type Error = KeyError;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Impossible<(), KeyError>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    big_endian! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_u128: u128,
    }

    fn serialize_bool(self, v: bool) -> Result<(), KeyError> {
        self.out.push(u8::from(v));
        Ok(())
    }

    fn serialize_f32(self, _: f32) -> Result<(), KeyError> {
        Err(KeyError::custom(
            "a float does not always equal itself; use an integer or text",
        ))
    }

    fn serialize_f64(self, _: f64) -> Result<(), KeyError> {
        Err(KeyError::custom(
            "a float does not always equal itself; use an integer or text",
        ))
    }

    fn serialize_char(self, v: char) -> Result<(), KeyError> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, v: &str) -> Result<(), KeyError> {
        self.serialize_bytes(v.as_bytes())
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<(), KeyError> {
        self.out.extend_from_slice(v);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), KeyError> {
        self.serialize_bool(false)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), KeyError> {
        self.out.push(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), KeyError> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), KeyError> {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
    ) -> Result<(), KeyError> {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), KeyError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), KeyError> {
        self.out.extend_from_slice(&index.to_be_bytes());
        Parts { out: self.out }.part(value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, KeyError> {
        Ok(Parts { out: self.out })
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, KeyError> {
        Ok(Parts { out: self.out })
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, KeyError> {
        Ok(Parts { out: self.out })
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, KeyError> {
        self.out.extend_from_slice(&index.to_be_bytes());
        Ok(Parts { out: self.out })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, KeyError> {
        Err(KeyError::custom(
            "a map has no one order; use a sorted list of pairs",
        ))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, KeyError> {
        Ok(Parts { out: self.out })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, KeyError> {
        self.out.extend_from_slice(&index.to_be_bytes());
        Ok(Parts { out: self.out })
    }
}

macro_rules! parts {
    ($($name:ident :: $method:ident),* $(,)?) => { $(
        impl $name for Parts<'_> {
            type Ok = ();
            type Error = KeyError;

            fn $method<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), KeyError> {
                self.part(part)
            }

            fn end(self) -> Result<(), KeyError> {
                Ok(())
            }
        }
    )* };
}

parts! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

macro_rules! named_parts {
    ($($name:ident),* $(,)?) => { $(
        impl $name for Parts<'_> {
            type Ok = ();
            type Error = KeyError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _: &'static str,
                part: &T,
            ) -> Result<(), KeyError> {
                self.part(part)
            }

            fn end(self) -> Result<(), KeyError> {
                Ok(())
            }
        }
    )* };
}

named_parts! { SerializeStruct, SerializeStructVariant }

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn text_is_utf8_and_integers_are_big_endian() {
        assert_eq!(key_bytes("käse").unwrap(), "käse".as_bytes());
        assert_eq!(key_bytes(&258_u32).unwrap(), [0, 0, 1, 2]);
        assert_eq!(key_bytes(&-2_i16).unwrap(), [0xff, 0xfe]);
    }

    #[test]
    fn parts_are_prefixed_so_that_no_two_composite_keys_share_bytes() {
        let one = key_bytes(&("ab", "c")).unwrap();
        let other = key_bytes(&("a", "bc")).unwrap();
        assert_eq!(one, b"\0\0\0\x02ab\0\0\0\x01c");
        assert_ne!(one, other);
        assert_ne!(
            key_bytes(&Some("")).unwrap(),
            key_bytes(&None::<&str>).unwrap()
        );
    }

    #[test]
    fn a_newtype_is_what_it_holds() {
        #[derive(Serialize)]
        struct Invoice(&'static str);
        assert_eq!(key_bytes(&Invoice("536365")).unwrap(), b"536365");
    }

    #[test]
    fn floats_and_maps_are_refused_with_the_reason() {
        assert!(
            key_bytes(&1.5_f64)
                .unwrap_err()
                .to_string()
                .contains("float")
        );
        let map = BTreeMap::from([(1, 2)]);
        assert!(key_bytes(&map).unwrap_err().to_string().contains("map"));
    }
}
