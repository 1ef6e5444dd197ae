//! What an operator remembers: its tables and timers, which the framework owns.
//!
//! Each node of a stage (an operator in its place) owns one [`NodeState`]: a table per declared
//! state, a calendar per kind of time, its watermark and its random source. Invariants:
//!
//! 1. A node sees its own state only, and only that of the current key.
//! 2. Timers live in the rows of one of the node's tables: the one in use when the first timer is
//!    set, or a table of timers alone. A calendar is derived from them: an entry counts only while
//!    its row still holds the same timer.
//! 3. Timers fire in the order of time, key hash, key bytes, tag, whatever the layout in memory.
//! 4. A row goes when it holds no value and no timer.
//! 5. A row joins its key group's dirty list at its first change in an epoch, once.

mod calendar;
mod table;
mod timers;

use std::any::Any;

use smallvec::SmallVec;

use self::calendar::{Calendar, Entry};
pub(crate) use self::table::{AnyTable, LOOK_AHEAD, RowId, Table};
use crate::{
    Rng, Timestamp,
    key::{Key, key_bytes},
};

/// Which clock a timer follows.
///
/// See [`Timer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Time {
    /// The watermark: fires when no earlier record is still to come.
    Event,
    /// The clock on the wall: fires when that much time has gone by.
    Processing,
}

/// A wish to be called back for the current key.
///
/// Identified by (key, kind of time, tag): setting it again replaces it.
///
/// # Examples
///
/// Says when a key has been silent for a minute. Each record sets the same timer anew:
///
/// ```
/// use levada::{BoxError, Context, Emit, Open, Operator, Timer, prelude::*};
/// use std::time::Duration;
///
/// #[derive(Clone)]
/// struct Silences;
///
/// impl<T: Data, K: Key> Operator<T, K> for Silences {
///     type Out = (K, Timestamp);
///
///     fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
///         open.timers();
///         Ok(())
///     }
///
///     fn record(
///         &mut self,
///         _: T,
///         cx: &mut Context<'_, K>,
///         _: &mut impl Emit<(K, Timestamp)>,
///     ) -> Result<(), Fault> {
///         cx.set_timer(Timer::event(cx.event_time() + Duration::from_secs(60)));
///         Ok(())
///     }
///
///     fn timer(
///         &mut self,
///         timer: Timer,
///         cx: &mut Context<'_, K>,
///         out: &mut impl Emit<(K, Timestamp)>,
///     ) -> Result<(), Fault> {
///         out.emit((cx.key().clone(), timer.at));
///         Ok(())
///     }
/// }
///
/// let readings = [("attic", 0), ("attic", 30), ("hall", 100)];
/// let pipeline = Pipeline::new("sensors");
/// let silent = Collected::new();
/// pipeline
///     .source(iter(readings.map(|(room, second)| (room.to_owned(), second))))
///     .event_time(Duration::ZERO, |(_, second)| Timestamp::from_millis(second * 1000))
///     .key_by(|(room, _)| room.clone())
///     .apply("silences", Silences)
///     .map(|(key, at)| (key, at.as_millis() / 1000))
///     .sink(collect(&silent));
/// pipeline.run()?;
/// assert_eq!(silent.take_sorted(), [("attic".to_owned(), 90), ("hall".to_owned(), 160)]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Which clock it follows.
    pub time: Time,
    /// When it fires.
    pub at: Timestamp,
    /// Tells apart several timers of one key.
    pub tag: u32,
}

impl Timer {
    /// A timer that fires when the watermark reaches `at`.
    pub const fn event(at: Timestamp) -> Self {
        Self {
            time: Time::Event,
            at,
            tag: 0,
        }
    }

    /// A timer that fires when the clock reaches `at`.
    pub const fn processing(at: Timestamp) -> Self {
        Self {
            time: Time::Processing,
            at,
            tag: 0,
        }
    }

    /// The same timer under another tag.
    #[must_use]
    pub const fn tagged(self, tag: u32) -> Self {
        Self { tag, ..self }
    }
}

/// A timer that has come due, with the key it belongs to.
pub(crate) struct Fired<K> {
    pub(crate) key: K,
    pub(crate) hash: u32,
    pub(crate) timer: Timer,
}

/// What one node remembers.
pub(crate) struct NodeState<K> {
    /// By the slot of their handle, from 1; made at first use, where key and value types are both
    /// known. Slot 0 is for timers alone.
    tables: Vec<Option<Box<dyn AnyTable<K>>>>,
    /// How many states its operator has declared.
    declared: usize,
    /// Whose rows hold the timers; known from the first timer on.
    timer_slot: Option<u32>,
    event: Calendar,
    processing: Calendar,
    /// How many key groups there are, of which this copy has some.
    groups: u32,
    seed: u64,
    pub(crate) rng: Rng,
    /// Everything due up to here has fired.
    pub(crate) watermark: Timestamp,
    /// Rows that the current record or timer looked at, by table.
    touched: SmallVec<[(u32, RowId); 2]>,
}

impl<K: Key> NodeState<K> {
    /// For an operator that has declared so many states.
    pub(crate) fn new(groups: u32, declared: usize, mut rng: Rng) -> Self {
        Self {
            declared,
            tables: Vec::new(),
            timer_slot: None,
            event: Calendar::default(),
            processing: Calendar::default(),
            groups,
            seed: rng.next_u64(),
            rng,
            watermark: Timestamp::MIN,
            touched: SmallVec::new(),
        }
    }

    /// The value of `key` in the table of `slot`, marked as changed.
    #[inline]
    pub(crate) fn entry<V: Send + 'static>(
        &mut self,
        slot: u32,
        key: &K,
        hash: u32,
    ) -> &mut Option<V> {
        let (groups, seed) = (self.groups, self.seed);
        let table = typed::<K, V>(&mut self.tables, slot, groups, seed);
        let looked_at = self
            .touched
            .iter()
            .find(|(of, _)| *of == slot)
            .map(|(_, row)| *row);
        let row = looked_at.unwrap_or_else(|| {
            let row = table.find_or_insert(key, hash);
            self.touched.push((slot, row));
            row
        });
        table.value(row)
    }

    /// Sets or replaces a timer of `key`.
    pub(crate) fn set_timer(&mut self, timer: Timer, key: &K, hash: u32) {
        assert!(
            self.declared > 0,
            "a timer was set, and no state was declared: call `open.timers()` in `open`"
        );
        let row = self.timer_row(key, hash);
        let rows = timer_table(&mut self.tables, self.timer_slot).expect("`timer_row` chose it");
        if rows.timers(row).holds(timer) {
            // Its entry is in the calendar already: a timer set again and again costs no memory.
            return;
        }
        rows.timers(row).set(timer);
        let entry = Entry {
            at: timer.at,
            hash,
            row,
            tag: timer.tag,
        };
        match timer.time {
            Time::Event => self.event.insert(entry),
            Time::Processing => self.processing.insert(entry),
        }
    }

    /// Clears a timer of `key`; nothing happens where there is none.
    pub(crate) fn clear_timer(&mut self, time: Time, tag: u32, key: &K, hash: u32) {
        if self.timer_slot.is_some() {
            let row = self.timer_row(key, hash);
            let rows = timer_table(&mut self.tables, self.timer_slot).expect("as just asked");
            rows.timers(row).clear(time, tag);
        }
    }

    /// The row that holds the timers of `key`.
    fn timer_row(&mut self, key: &K, hash: u32) -> RowId {
        let in_use = self.touched.first().map_or(0, |(slot, _)| *slot);
        let slot = *self.timer_slot.get_or_insert(in_use);
        if let Some((_, row)) = self.touched.iter().find(|(of, _)| *of == slot) {
            return *row;
        }
        if slot == 0 {
            typed::<K, ()>(&mut self.tables, slot, self.groups, self.seed);
        }
        let rows = timer_table(&mut self.tables, self.timer_slot).expect("made, or in use before");
        let row = rows.find_or_insert(key, hash);
        self.touched.push((slot, row));
        row
    }

    /// Finds the rows of keys that are asked for soon, in this order: at most [`LOOK_AHEAD`].
    pub(crate) fn look_ahead(&mut self, keys: &[K], hashes: &[u32]) {
        for table in self.tables.iter_mut().flatten() {
            table.look_ahead(keys, hashes);
        }
    }

    /// Lets go of rows that the current record or timer left with nothing in them.
    #[inline]
    pub(crate) fn settle(&mut self) {
        // Most operators keep nothing, and pay for no more than this look.
        if self.touched.is_empty() {
            return;
        }
        for (slot, row) in &self.touched {
            if let Some(table) = self.tables[*slot as usize].as_mut() {
                table.remove_if_empty(*row);
            }
        }
        self.touched.clear();
    }

    /// Takes the next timer of this kind that is due at `limit`.
    pub(crate) fn pop_due(&mut self, time: Time, limit: Timestamp) -> Option<Fired<K>> {
        let calendar = match time {
            Time::Event => &mut self.event,
            Time::Processing => &mut self.processing,
        };
        let slot = self.timer_slot?;
        let rows = timer_table(&mut self.tables, Some(slot))?;
        loop {
            let entry = calendar.pop_due(limit, |a, b| order(rows, a, b))?;
            let timer = Timer {
                time,
                at: entry.at,
                tag: entry.tag,
            };
            if let Some((key, hash)) = rows.take_timer(entry.row, entry.hash, timer) {
                // The operator will look at its row: it need not be searched for.
                self.touched.push((slot, entry.row));
                return Some(Fired { key, hash, timer });
            }
        }
    }

    /// True if a timer may be due at `limit`; a stale entry may answer for one that is not.
    #[inline]
    pub(crate) fn is_due(&self, time: Time, limit: Timestamp) -> bool {
        match time {
            Time::Event => self.event.may_be_due(limit),
            Time::Processing => self.processing.may_be_due(limit),
        }
    }

    /// The earliest processing time that a timer may wait for.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.processing.earliest()
    }

    /// Ends an epoch: what changes from here on belongs to the next.
    pub(crate) fn seal(&mut self) {
        for table in self.tables.iter_mut().flatten() {
            table.seal();
        }
    }
}

fn timer_table<K>(
    tables: &mut [Option<Box<dyn AnyTable<K>>>],
    slot: Option<u32>,
) -> Option<&mut dyn AnyTable<K>> {
    tables.get_mut(slot? as usize)?.as_deref_mut()
}

/// Makes the table at first use: only there are both its types known.
fn typed<K: Key, V: Send + 'static>(
    tables: &mut Vec<Option<Box<dyn AnyTable<K>>>>,
    slot: u32,
    groups: u32,
    seed: u64,
) -> &mut Table<K, V> {
    let slot = slot as usize;
    if tables.len() <= slot {
        tables.resize_with(slot + 1, || None);
    }
    let table: &mut dyn Any = tables[slot]
        .get_or_insert_with(|| Box::new(Table::<K, V>::new(groups, seed)))
        .as_any_mut();
    table
        .downcast_mut()
        .expect("a handle keeps the type that it was declared with")
}

/// Time and key hash decide; key bytes and tag only where they are equal.
fn order<K: Key>(rows: &dyn AnyTable<K>, a: &Entry, b: &Entry) -> std::cmp::Ordering {
    (a.at, a.hash).cmp(&(b.at, b.hash)).then_with(|| {
        let bytes = |entry: &Entry| rows.key(entry.row).map(|key| key_bytes(key).ok());
        bytes(a).cmp(&bytes(b)).then(a.tag.cmp(&b.tag))
    })
}

#[cfg(test)]
mod tests;
