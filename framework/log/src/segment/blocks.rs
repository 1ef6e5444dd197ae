//! Buffers for what is read, used again once nobody holds what was read before.
//!
//! A new one costs a third of a read: its pages have to be found and cleared.

use bytes::{Bytes, BytesMut};

/// Blocks that are remembered. Whoever goes through a log holds one while the next is read.
const BLOCKS: usize = 4;
/// Larger ones are rare, and not kept.
const MAX_BYTES: usize = 1 << 20;

/// The blocks that were read last; all may still be held by others.
#[derive(Debug, Default)]
pub(crate) struct Blocks(Vec<Bytes>);

impl Blocks {
    /// A buffer of this length with anything in it.
    pub(super) fn take(&mut self, len: usize) -> BytesMut {
        let free = self.0.iter().position(Bytes::is_unique);
        let block = free.and_then(|at| self.0.swap_remove(at).try_into_mut().ok());
        let mut block = block.unwrap_or_default();
        if block.capacity() < len {
            return BytesMut::zeroed(len);
        }
        block.resize(len, 0);
        block
    }

    /// Shares what was read, and remembers it.
    pub(super) fn give(&mut self, block: BytesMut) -> Bytes {
        let block = block.freeze();
        if block.len() <= MAX_BYTES {
            if self.0.len() == BLOCKS {
                self.0.remove(0);
            }
            self.0.push(block.clone());
        }
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_is_used_again_once_nobody_holds_a_part_of_it() {
        let mut blocks = Blocks::default();
        let mut read = |len| {
            let block = blocks.take(len);
            assert_eq!(block.len(), len);
            blocks.give(block)
        };
        let first = read(1000);
        let place = first.as_ptr();
        let part = first.slice(10..20);
        drop(first);
        assert_ne!(read(1000).as_ptr(), place, "a part is still held");
        drop(part);
        let again = [read(500), read(1000)].map(|block| block.as_ptr());
        assert!(again.contains(&place));
    }

    #[test]
    fn few_blocks_are_remembered_and_no_large_one() {
        let mut blocks = Blocks::default();
        for len in [1; 10].into_iter().chain([MAX_BYTES + 1]) {
            let block = BytesMut::zeroed(len);
            blocks.give(block);
        }
        assert_eq!(blocks.0.len(), BLOCKS);
        assert!(blocks.0.iter().all(|block| block.len() == 1));
    }
}
