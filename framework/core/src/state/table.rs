//! One declared state: rows by key, in key groups, on pages that never move.

use std::{any::Any, hash::BuildHasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::{Timer, timers::Timers};
use crate::key::Key;

/// Where a row lies: stable for as long as the row lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowId {
    group: u32,
    row: u32,
}

/// What a node may do with a table without knowing what it holds.
pub(crate) trait AnyTable<K>: Any {
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn find_or_insert(&mut self, key: &K, hash: u32) -> RowId;
    /// Finds the rows of keys that are asked for soon, in this order.
    fn look_ahead(&mut self, keys: &[K], hashes: &[u32]);
    fn key(&self, row: RowId) -> Option<&K>;
    fn timers(&mut self, row: RowId) -> &mut Timers;
    /// Takes a timer out of its row, if the row still has it under the same key hash.
    fn take_timer(&mut self, row: RowId, hash: u32, timer: Timer) -> Option<(K, u32)>;
    fn remove_if_empty(&mut self, row: RowId);
    fn seal(&mut self);
}

struct Row<K, V> {
    key: K,
    value: Option<V>,
    timers: Timers,
    /// The key's hash for routing.
    hash: u32,
    /// The epoch of its last change.
    epoch: u32,
}

/// The rows of one key group.
struct Group<K, V> {
    /// Row number and the table's own hash of its key, so that growing touches no row.
    index: HashTable<(u32, u32)>,
    /// Page *p* holds 8 · 2ᵖ rows: small groups stay small, and no row ever moves.
    pages: Vec<Vec<Option<Row<K, V>>>>,
    /// Rows that are free, with the epoch of their last change.
    free: Vec<(u32, u32)>,
    rows: u32,
    /// Rows that changed in this epoch: what a capture will write.
    dirty: Vec<u32>,
}

impl<K, V> Default for Group<K, V> {
    fn default() -> Self {
        Self {
            index: HashTable::new(),
            pages: Vec::new(),
            free: Vec::new(),
            rows: 0,
            dirty: Vec::new(),
        }
    }
}

const FIRST_PAGE_BITS: u32 = 3;

/// How many keys are looked for at once: as many as a core waits for, and some more.
pub(crate) const LOOK_AHEAD: usize = 32;

/// The page of a row, and its place there.
fn place(row: u32) -> (usize, usize) {
    let shifted = row + (1 << FIRST_PAGE_BITS);
    let page = shifted.ilog2() - FIRST_PAGE_BITS;
    (
        page as usize,
        (shifted - (1 << (page + FIRST_PAGE_BITS))) as usize,
    )
}

impl<K, V> Group<K, V> {
    fn get(&self, row: u32) -> Option<&Row<K, V>> {
        let (page, at) = place(row);
        self.pages[page][at].as_ref()
    }

    /// Adds a row, which joins the dirty list.
    fn add(&mut self, new: Row<K, V>) -> u32 {
        if let Some((row, changed)) = self.free.pop() {
            if changed != new.epoch {
                self.dirty.push(row);
            }
            let (page, at) = place(row);
            self.pages[page][at] = Some(new);
            return row;
        }
        let row = self.rows;
        self.dirty.push(row);
        let (page, _) = place(row);
        if self.pages.len() == page {
            self.pages
                .push(Vec::with_capacity(1 << (page + FIRST_PAGE_BITS as usize)));
        }
        self.pages[page].push(Some(new));
        self.rows += 1;
        row
    }
}

/// The rows of one declared state, for the key groups of one copy.
pub(crate) struct Table<K, V> {
    groups: Vec<Option<Box<Group<K, V>>>>,
    /// The table's own, seeded: keys chosen to collide under murmur2 do not collide here.
    hasher: FixedState,
    epoch: u32,
    /// Rows that were found ahead, with the hash of the key, the next one last. A row may be gone
    /// since, or be another key's.
    ahead: Vec<(u32, RowId)>,
}

impl<K: Key, V: Send + 'static> Table<K, V> {
    pub(crate) fn new(groups: u32, seed: u64) -> Self {
        Self {
            groups: (0..groups).map(|_| None).collect(),
            hasher: FixedState::with_seed(seed),
            epoch: 1,
            ahead: Vec::with_capacity(LOOK_AHEAD),
        }
    }

    /// The value of a row, marked as changed.
    #[inline]
    pub(crate) fn value(&mut self, at: RowId) -> &mut Option<V> {
        &mut self.change(at).value
    }

    /// A row, marked as changed.
    #[inline]
    fn change(&mut self, at: RowId) -> &mut Row<K, V> {
        let epoch = self.epoch;
        let group = self.groups[at.group as usize]
            .as_mut()
            .expect("the row is in it");
        let (page, place) = place(at.row);
        let row = group.pages[page][place]
            .as_mut()
            .expect("rows that are held are live");
        if row.epoch != epoch {
            row.epoch = epoch;
            group.dirty.push(at.row);
        }
        row
    }

    fn own_hash(&self, key: &K) -> u32 {
        own_hash(&self.hasher, key)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "there are as many groups as were made from a u32"
    )]
    fn group_of(&self, hash: u32) -> u32 {
        (hash & 0x7fff_ffff) % self.groups.len() as u32
    }

    /// The row of this key, if it is the next that was found ahead, or one of the few behind it:
    /// those of records that were dropped on the way are passed over.
    #[inline]
    fn found_ahead(&mut self, key: &K, hash: u32) -> Option<RowId> {
        const FEW: usize = 4;
        let from = self.ahead.len().saturating_sub(FEW);
        let at = from + self.ahead[from..].iter().rposition(|(of, _)| *of == hash)?;
        let (_, row) = self.ahead[at];
        self.ahead.truncate(at);
        self.row(row)
            .is_some_and(|row| row.key == *key)
            .then_some(row)
    }

    fn row(&self, at: RowId) -> Option<&Row<K, V>> {
        self.groups[at.group as usize].as_ref()?.get(at.row)
    }
}

/// A key's hash in the table.
#[expect(
    clippy::cast_possible_truncation,
    reason = "half of the hash is enough to tell rows"
)]
fn own_hash<K: Key>(hasher: &FixedState, key: &K) -> u32 {
    hasher.hash_one(key) as u32
}

/// Spreads a 32-bit hash over the 64 bits that the index looks at, one to one.
fn spread(own_hash: u32) -> u64 {
    u64::from(own_hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl<K: Key, V: Send + 'static> AnyTable<K> for Table<K, V> {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn find_or_insert(&mut self, key: &K, hash: u32) -> RowId {
        if let Some(row) = self.found_ahead(key, hash) {
            return row;
        }
        let own_hash = self.own_hash(key);
        let number = self.group_of(hash);
        let group = self.groups[number as usize].get_or_insert_default();
        let pages = &group.pages;
        let found = group.index.find(spread(own_hash), |(row, held)| {
            let (page, at) = place(*row);
            *held == own_hash && pages[page][at].as_ref().is_some_and(|row| row.key == *key)
        });
        if let Some((row, _)) = found {
            return RowId {
                group: number,
                row: *row,
            };
        }
        let timers = Timers::None;
        let new = Row {
            key: key.clone(),
            value: None,
            timers,
            hash,
            epoch: self.epoch,
        };
        let row = group.add(new);
        group
            .index
            .insert_unique(spread(own_hash), (row, own_hash), |(_, own)| spread(*own));
        RowId { group: number, row }
    }

    /// A search waits for memory, and the processor looks only so far ahead: searching for many at
    /// once, with nothing in between, lets it wait for all of them together.
    fn look_ahead(&mut self, keys: &[K], hashes: &[u32]) {
        self.ahead.clear();
        for (key, hash) in keys.iter().zip(hashes).rev() {
            let (own_hash, number) = (self.own_hash(key), self.group_of(*hash));
            let Some(group) = &self.groups[number as usize] else {
                continue;
            };
            let found = group
                .index
                .find(spread(own_hash), |(_, held)| *held == own_hash);
            if let Some((row, _)) = found {
                let (group, row) = (number, *row);
                self.ahead.push((*hash, RowId { group, row }));
            }
        }
        let epochs = self
            .ahead
            .iter()
            .map(|(_, at)| self.row(*at).map_or(0, |row| row.epoch));
        // Nothing comes of it but that the rows were read.
        std::hint::black_box(epochs.fold(0, u32::wrapping_add));
    }

    fn key(&self, row: RowId) -> Option<&K> {
        self.row(row).map(|row| &row.key)
    }

    fn timers(&mut self, at: RowId) -> &mut Timers {
        &mut self.change(at).timers
    }

    fn take_timer(&mut self, at: RowId, hash: u32, timer: Timer) -> Option<(K, u32)> {
        self.row(at)
            .filter(|row| row.hash == hash && row.timers.holds(timer))?;
        let row = self.change(at);
        row.timers.clear(timer.time, timer.tag);
        Some((row.key.clone(), row.hash))
    }

    fn remove_if_empty(&mut self, at: RowId) {
        let empty = self
            .row(at)
            .is_some_and(|row| row.value.is_none() && matches!(row.timers, Timers::None));
        if !empty {
            return;
        }
        let group = self.groups[at.group as usize]
            .as_mut()
            .expect("the row is in it");
        let (page, place) = place(at.row);
        let row = group.pages[page][place]
            .take()
            .expect("it is there and empty");
        let own_hash = own_hash(&self.hasher, &row.key);
        if let Ok(found) = group
            .index
            .find_entry(spread(own_hash), |(id, _)| *id == at.row)
        {
            let _vacant = found.remove();
        }
        group.free.push((at.row, row.epoch));
    }

    fn seal(&mut self) {
        for group in self.groups.iter_mut().flatten() {
            group.dirty.clear();
        }
        self.epoch = self
            .epoch
            .checked_add(1)
            .expect("a life has fewer than 2³² epochs");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_double_and_no_row_shares_a_place() {
        let places: Vec<_> = (0..56).map(place).collect();
        let want = (0..3).flat_map(|page| (0..8 << page).map(move |at| (page, at)));
        assert_eq!(places, want.collect::<Vec<_>>());
    }

    #[test]
    fn a_row_is_listed_as_changed_once_per_epoch() {
        let mut table = Table::<u64, u64>::new(256, 1);
        for _ in 0..3 {
            let row = table.find_or_insert(&7, 7);
            *table.value(row) = Some(1);
        }
        let dirty = |table: &Table<u64, u64>| table.groups[7].as_ref().unwrap().dirty.len();
        assert_eq!(dirty(&table), 1);
        table.seal();
        assert_eq!(dirty(&table), 0);
        let row = table.find_or_insert(&7, 7);
        *table.value(row) = Some(2);
        *table.value(row) = Some(3);
        assert_eq!(dirty(&table), 1);
    }

    #[test]
    fn a_row_that_is_used_again_in_its_epoch_is_listed_once() {
        let mut table = Table::<u64, u64>::new(1, 1);
        for key in 0..5_u64 {
            let row = table.find_or_insert(&key, 0);
            *table.value(row) = Some(key);
            *table.value(row) = None;
            table.remove_if_empty(row);
        }
        assert_eq!(table.groups[0].as_ref().unwrap().dirty, [0]);
        table.seal();
        table.find_or_insert(&9, 0);
        assert_eq!(table.groups[0].as_ref().unwrap().dirty, [0]);
    }

    #[test]
    fn a_row_whose_timer_alone_is_set_or_taken_is_listed_as_changed() {
        let mut table = Table::<u64, u64>::new(1, 1);
        let row = table.find_or_insert(&7, 0);
        let timer = Timer::event(crate::Timestamp::from_millis(1));
        table.seal();
        table.timers(row).set(timer);
        assert_eq!(table.groups[0].as_ref().unwrap().dirty, [0]);
        table.seal();
        assert_eq!(table.take_timer(row, 0, timer), Some((7, 0)));
        assert_eq!(table.groups[0].as_ref().unwrap().dirty, [0]);
    }

    #[test]
    fn a_table_answers_like_a_map_through_growth_and_removal() {
        let mut table = Table::<u64, u64>::new(256, 1);
        let mut map = std::collections::HashMap::new();
        let mut rng = crate::Seed::new(3).rng("table");
        for i in 0..200_000_u64 {
            let key = rng.below(5_000);
            let hash = u32::try_from(key % 1_000).unwrap();
            table.look_ahead(&[key, key + 1], &[hash, hash]);
            let row = table.find_or_insert(&key, hash);
            assert_eq!(*table.value(row), map.get(&key).copied());
            if rng.chance(1, 3) {
                *table.value(row) = None;
                map.remove(&key);
            } else {
                *table.value(row) = Some(i);
                map.insert(key, i);
            }
            table.remove_if_empty(row);
        }
    }
}
