//! What one fetch may be given: nothing that is undecided, and nothing that was aborted.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    batch::header::{Header, How},
    meta::Aborted,
};

/// What one fetch may be given.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Nothing from here on.
    pub(crate) end: u64,
    /// Nothing of these; `None` if whatever is there is wanted.
    pub(super) aborted: Option<AbortedSet>,
}

impl View {
    /// Everything that is there.
    pub(crate) fn all() -> Self {
        Self {
            end: u64::MAX,
            aborted: None,
        }
    }

    /// Whether a batch before the end is to be given.
    pub(crate) fn shows(&self, header: &Header) -> bool {
        let (Some(aborted), Some(by)) = (&self.aborted, header.produced) else {
            return true;
        };
        by.how != How::Transactional || !aborted.has(by.producer, by.epoch)
    }
}

/// Aborted transactions, as long as any of their records may be there. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct AbortedSet(Arc<BTreeMap<(u64, u64), u64>>);

impl AbortedSet {
    /// Those that an image has of a partition.
    pub(super) fn of(image: &[Aborted]) -> Self {
        let ends = image.iter().map(|it| (it.transaction(), it.range.end));
        Self(Arc::new(ends.collect()))
    }

    /// Adds a transaction that ends before `end`.
    pub(super) fn add(&mut self, producer: u64, epoch: u64, end: u64) {
        Arc::make_mut(&mut self.0).insert((producer, epoch), end);
    }

    fn has(&self, producer: u64, epoch: u64) -> bool {
        self.0.contains_key(&(producer, epoch))
    }

    /// Forgets those of which nothing is left, as an image does. Whoever has a view goes on with
    /// what there was.
    pub(super) fn forget(&mut self, gone: u64) {
        let is_left = |end: u64| Aborted::is_left(end, gone);
        if !self.0.values().all(|end| is_left(*end)) {
            Arc::make_mut(&mut self.0).retain(|_, end| is_left(*end));
        }
    }

    #[cfg(test)]
    pub(super) fn transactions(&self) -> Vec<(u64, u64)> {
        self.0.keys().copied().collect()
    }
}
