//! A table over all of `u64` that takes room only where something is.

use std::{collections::BTreeMap, ops::Range};

/// Entries of a page.
const PAGE: u64 = 1024;

/// A table whose entries are `T::default()` until they are set.
#[derive(Debug, Default)]
pub(super) struct Paged<T>(BTreeMap<u64, Box<[T]>>);

impl<T: Copy + Default> Paged<T> {
    pub(super) fn get(&self, index: u64) -> T {
        let page = self.0.get(&(index / PAGE));
        page.map_or_else(T::default, |page| page[at(index)])
    }

    pub(super) fn entry(&mut self, index: u64) -> &mut T {
        let new = || vec![T::default(); at(PAGE - 1) + 1].into_boxed_slice();
        &mut self.0.entry(index / PAGE).or_insert_with(new)[at(index)]
    }

    /// The entries of a range, but for those of pages that nobody has touched.
    pub(super) fn range(&self, range: Range<u64>) -> impl Iterator<Item = (u64, T)> {
        let pages = if range.is_empty() {
            0..0
        } else {
            range.start / PAGE..range.end.div_ceil(PAGE)
        };
        let entries = self.0.range(pages).flat_map(|(page, entries)| {
            let indices = page * PAGE..=page * PAGE + (PAGE - 1);
            indices.zip(entries.iter().copied())
        });
        entries.filter(move |(index, _)| range.contains(index))
    }
}

fn at(index: u64) -> usize {
    usize::try_from(index % PAGE).expect("a page is small")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_far_apart_are_kept_and_ranges_give_only_theirs() {
        let mut table = Paged::<u64>::default();
        for index in [3, 1023, 1024, 1 << 50] {
            *table.entry(index) = index;
        }
        assert_eq!(table.get(1 << 50), 1 << 50);
        assert_eq!(table.get(4), 0);
        let set = |range| {
            let set = table.range(range).filter(|(_, entry)| *entry != 0);
            set.map(|(index, _)| index).collect::<Vec<_>>()
        };
        assert_eq!(set(0..u64::MAX), [3, 1023, 1024, 1 << 50]);
        assert_eq!(set(3..1024), [3, 1023]);
        assert!(set(1024..1024).is_empty());
        assert_eq!(table.0.len(), 3, "a page for each place");
    }
}
