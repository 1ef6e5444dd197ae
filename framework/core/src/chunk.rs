//! The records that travel together: columns, and the watermark steps between them.

use std::{any::Any, collections::VecDeque};

use crate::{
    Timestamp,
    record::{Head, Origin},
};

/// A chunk whose types only its stage knows.
///
/// It is the engine's: see [`port`](crate::port) for how chunks travel.
pub type AnyChunk = Box<dyn Any + Send>;

/// Records in columns. At most 16 bytes a record are added to value and key: 4 of them for the hash
/// of the key and 8 for the event time, both left out where they are not used, and 4 for the
/// origin.
#[derive(Debug)]
pub(crate) struct Chunk<T, K> {
    values: VecDeque<T>,
    keys: VecDeque<K>,
    /// Left out on streams without keys.
    hashes: Vec<u32>,
    /// Left out until a record has an event time.
    times: Vec<Timestamp>,
    origins: Vec<OriginRun>,
    /// How far behind the first of its run each record is. Behind an exchange records come in any
    /// order of a few splits: a number each is cheaper than to see which of them follow each other.
    deltas: Vec<u32>,
    /// Where the watermark rose: before the record of this index, or after the last.
    steps: Vec<(u32, Timestamp)>,
}

/// Records from here on are of one split.
#[derive(Clone, Copy, Debug)]
struct OriginRun {
    from: u32,
    first: Origin,
}

impl OriginRun {
    /// How far behind the first of this run `origin` is, if it can be of this run.
    #[inline]
    fn delta(&self, origin: Origin) -> Option<u32> {
        let delta = origin.offset.checked_sub(self.first.offset)?;
        u32::try_from(delta)
            .ok()
            .filter(|_| origin.split == self.first.split)
    }
}

impl<T, K> Chunk<T, K> {
    pub(crate) fn with_capacity(records: usize) -> Self {
        Self {
            values: VecDeque::with_capacity(records),
            keys: VecDeque::with_capacity(records),
            hashes: Vec::with_capacity(if size_of::<K>() == 0 { 0 } else { records }),
            times: Vec::new(),
            origins: Vec::new(),
            deltas: Vec::with_capacity(records),
            steps: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn has_no_records(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.steps.is_empty()
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a chunk holds far fewer than 2³² records"
    )]
    fn count(&self) -> u32 {
        self.values.len() as u32
    }

    #[inline]
    pub(crate) fn push(&mut self, value: T, key: K, head: &Head) {
        let at = self.count();
        if size_of::<K>() != 0 || head.hash != 0 {
            self.hashes.push(head.hash);
        }
        if head.at != Timestamp::MIN || !self.times.is_empty() {
            self.times.resize(self.values.len(), Timestamp::MIN);
            self.times.push(head.at);
        }
        let delta = self
            .origins
            .last()
            .and_then(|run| run.delta(head.origin))
            .unwrap_or_else(|| {
                self.origins.push(OriginRun {
                    from: at,
                    first: head.origin,
                });
                0
            });
        self.deltas.push(delta);
        self.values.push_back(value);
        self.keys.push_back(key);
    }

    /// Lets go of what it holds, and keeps its memory.
    fn clear(&mut self) {
        let Self {
            values,
            keys,
            hashes,
            times,
            origins,
            deltas,
            steps,
        } = self;
        values.clear();
        keys.clear();
        hashes.clear();
        times.clear();
        origins.clear();
        deltas.clear();
        steps.clear();
    }

    /// Says that the watermark rises here.
    pub(crate) fn step(&mut self, watermark: Timestamp) {
        let at = self.count();
        match self.steps.last_mut() {
            Some((index, held)) if *index == at => *held = watermark,
            _ => self.steps.push((at, watermark)),
        }
    }
}

/// A chunk being handled, record by record; it may rest between any two.
#[derive(Debug)]
pub(crate) struct Cursor<T, K> {
    chunk: Box<Chunk<T, K>>,
    /// The index of the next record.
    next: u32,
    /// The run that the next record belongs to, or the one before it.
    run: usize,
    next_step: usize,
}

impl<T, K> From<Box<Chunk<T, K>>> for Cursor<T, K> {
    fn from(chunk: Box<Chunk<T, K>>) -> Self {
        Self {
            chunk,
            next: 0,
            run: 0,
            next_step: 0,
        }
    }
}

impl<T, K> Cursor<T, K> {
    /// The chunk with nothing in it, to be filled again.
    pub(crate) fn into_spare(self) -> Box<Chunk<T, K>> {
        let mut chunk = self.chunk;
        chunk.clear();
        chunk
    }

    /// The watermark step that comes before the next record, once.
    #[inline]
    pub(crate) fn next_step(&mut self) -> Option<Timestamp> {
        let (at, watermark) = *self.chunk.steps.get(self.next_step)?;
        if at > self.next {
            return None;
        }
        self.next_step += 1;
        Some(watermark)
    }

    /// The next record.
    #[inline]
    pub(crate) fn next_record(&mut self) -> Option<(T, K, Head)> {
        let (value, key) = (self.chunk.values.pop_front()?, self.chunk.keys.pop_front()?);
        let head = self.head();
        self.next += 1;
        Some((value, key, head))
    }

    /// The next keys with their hashes, if a look at so many of them falls due here.
    #[inline]
    pub(crate) fn keys_ahead(&self, count: usize) -> Option<(&[K], &[u32])> {
        let at = self.next as usize;
        if size_of::<K>() == 0 || !at.is_multiple_of(count) {
            return None;
        }
        // A chunk is filled from its beginning, so its keys lie in one piece.
        let (keys, _) = self.chunk.keys.as_slices();
        let end = count.min(keys.len());
        Some((&keys[..end], self.chunk.hashes.get(at..at + end)?))
    }

    #[inline]
    fn head(&mut self) -> Head {
        let (chunk, at) = (&*self.chunk, self.next as usize);
        while chunk
            .origins
            .get(self.run + 1)
            .is_some_and(|run| run.from <= self.next)
        {
            self.run += 1;
        }
        let first = chunk.origins[self.run].first;
        Head {
            at: chunk.times.get(at).copied().unwrap_or(Timestamp::MIN),
            hash: chunk.hashes.get(at).copied().unwrap_or(0),
            origin: Origin {
                split: first.split,
                offset: first.offset + u64::from(chunk.deltas[at]),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(at: i64, split: u32, offset: u64) -> Head {
        Head {
            at: Timestamp::from_millis(at),
            hash: 5,
            origin: Origin { split, offset },
        }
    }

    #[test]
    fn a_cursor_gives_back_what_was_pushed_with_each_step_in_its_place() {
        let heads = [
            head(1, 0, 7),
            head(2, 0, 8),
            head(3, 1, 3),
            head(4, 0, 9),
            head(4, 0, 9),
        ];
        let mut chunk = Chunk::with_capacity(8);
        for (i, head) in heads.iter().enumerate() {
            chunk.push(i, (), head);
            if i % 2 == 0 {
                chunk.step(Timestamp::from_millis(i64::try_from(i).unwrap()));
            }
        }
        let mut cursor = Cursor::from(Box::new(chunk));
        let mut seen = Vec::new();
        loop {
            while let Some(step) = cursor.next_step() {
                seen.push(format!("w{}", step.as_millis()));
            }
            let Some((value, (), head)) = cursor.next_record() else {
                break;
            };
            assert_eq!(head.origin, heads[value].origin);
            assert_eq!((head.at, head.hash), (heads[value].at, 5));
            seen.push(value.to_string());
        }
        assert_eq!(seen, ["0", "w0", "1", "2", "w2", "3", "4", "w4"]);
    }

    #[test]
    fn records_in_the_order_of_their_split_share_one_origin() {
        let mut chunk = Chunk::with_capacity(100);
        for offset in 0..100 {
            chunk.push(offset, (), &head(0, 2, offset));
        }
        assert_eq!(chunk.origins.len(), 1);
    }

    #[test]
    fn a_chunk_that_is_filled_again_holds_nothing_of_before() {
        let fill = |chunk: &mut Chunk<u32, u32>, first: u32| {
            for value in first..first + 40 {
                chunk.push(value, value, &head(i64::from(value), 1, value.into()));
                chunk.step(Timestamp::from_millis(i64::from(value)));
            }
        };
        let mut chunk = Box::new(Chunk::with_capacity(40));
        fill(&mut chunk, 0);
        let memory = chunk.values.as_slices().0.as_ptr();
        let mut cursor = Cursor::from(chunk);
        for _ in 0..30 {
            assert!(cursor.next_record().is_some());
        }
        let mut again = cursor.into_spare();
        assert!(again.is_empty());
        fill(&mut again, 100);
        assert_eq!(
            again.values.as_slices().0.as_ptr(),
            memory,
            "its memory is used again"
        );
        let mut cursor = Cursor::from(again);
        let (keys, hashes) = cursor.keys_ahead(32).unwrap();
        assert_eq!((keys[0], keys.len(), hashes.len()), (100, 32, 32));
        assert_eq!(cursor.next_step(), None);
        let (value, key, of) = cursor.next_record().unwrap();
        assert_eq!((value, key, of.origin), (100, 100, head(0, 1, 100).origin));
        assert_eq!(cursor.next_step(), Some(Timestamp::from_millis(100)));
    }
}
