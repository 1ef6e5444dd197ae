//! Where each key was last seen, within a bound on memory.

use std::collections::HashMap;

/// About what a key takes besides its bytes: its entry, room for growth, and its allocation.
const ENTRY_BYTES: usize = 80;

/// The offset of the last record of each key. The keys themselves are held: two keys are never
/// taken for one.
#[derive(Debug)]
pub(super) struct Keys {
    last: HashMap<Box<[u8]>, u64>,
    bytes: usize,
    limit: usize,
}

impl Keys {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            last: HashMap::new(),
            bytes: 0,
            limit,
        }
    }

    /// Notes a record; `false` if there is no room for its key. There is for one at least.
    pub(super) fn note(&mut self, key: &[u8], offset: u64) -> bool {
        if let Some(last) = self.last.get_mut(key) {
            *last = offset;
            return true;
        }
        let bytes = key.len() + ENTRY_BYTES;
        if !self.last.is_empty() && self.bytes + bytes > self.limit {
            return false;
        }
        self.bytes += bytes;
        self.last.insert(key.into(), offset);
        true
    }

    /// Whether a later record of the key is known than the one at `offset`.
    pub(super) fn has_later(&self, key: &[u8], offset: u64) -> bool {
        self.last.get(key).is_some_and(|last| *last > offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_a_bound_and_one_fits_always() {
        let mut keys = Keys::new(200);
        assert!(keys.note(&[1; 1000], 1) && keys.note(&[1; 1000], 2));
        assert!(!keys.note(b"b", 3));
        assert!(keys.has_later(&[1; 1000], 1) && !keys.has_later(&[1; 1000], 2));
        assert!(!keys.has_later(b"b", 0));

        let mut keys = Keys::new(200);
        assert!(keys.note(b"a", 1) && keys.note(b"b", 2) && !keys.note(b"c", 3));
    }
}
