//! What waits to be made durable: bounded by bytes, in the order of the calls.

use std::{
    collections::VecDeque,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use futures::task::AtomicWaker;

use crate::{
    Error, Result,
    limits::{COMMIT_BYTES, COMMIT_RECORDS, MAX_ENTRIES},
    shared::{Item, lock},
};

/// The queue in front of the writer.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    limit: usize,
    /// Wakes the writer.
    pub(crate) filled: AtomicWaker,
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<(usize, Item)>,
    /// Bytes of the items, and of those that have been reserved for.
    bytes: usize,
    /// Why nothing is taken any more, if so.
    closed: Option<Error>,
    wakers: Vec<Waker>,
}

/// More than a metadata change takes, apart from its lists.
const CHANGE_BYTES: usize = 512;
/// More than one element of a change's list takes.
const ELEMENT_BYTES: usize = 40;

impl Queue {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            limit,
            filled: AtomicWaker::new(),
        }
    }

    /// Takes room for an item of `bytes`, which must then be pushed. An empty queue takes any item.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<()> {
        let mut waiting = lock(&self.waiting);
        if let Some(error) = &waiting.closed {
            return Err(error.clone());
        }
        if waiting.bytes > 0 && waiting.bytes + bytes > self.limit {
            let what = "bytes to be written";
            return Err(Error::Busy {
                what,
                waiting: waiting.bytes,
                limit: self.limit,
            });
        }
        waiting.bytes += bytes;
        Ok(())
    }

    /// Takes room for a metadata change without lists, which must then be pushed.
    pub(crate) fn reserve_change(&self) -> Result<()> {
        self.reserve(CHANGE_BYTES)
    }

    /// Queues an item that room was reserved for.
    pub(crate) fn push(&self, item: Item) {
        let bytes = size(&item);
        let mut waiting = lock(&self.waiting);
        if let Some(error) = waiting.closed.clone() {
            drop(waiting);
            // Whoever pushes holds the locks of what a refusal would touch; nothing follows any
            // more.
            item.answer(error);
            return;
        }
        waiting.items.push_back((bytes, item));
        drop(waiting);
        self.filled.wake();
    }

    /// Queues a metadata change, or refuses it.
    pub(crate) fn push_change(&self, item: Item) {
        match self.reserve(size(&item)) {
            Ok(()) => self.push(item),
            Err(error) => item.refuse(error),
        }
    }

    /// Queues an item, whatever else waits: one that ends something that would else stay.
    pub(crate) fn push_always(&self, item: Item) {
        lock(&self.waiting).bytes += size(&item);
        self.push(item);
    }

    /// Takes items for one group commit off the front.
    pub(crate) fn take_commit(&self) -> Vec<Item> {
        let mut waiting = lock(&self.waiting);
        let mut taken = Vec::new();
        let (mut bytes, mut records) = (0, 0);
        while bytes < COMMIT_BYTES && records < COMMIT_RECORDS && taken.len() < MAX_ENTRIES {
            let Some((size, item)) = waiting.items.pop_front() else {
                break;
            };
            bytes += size;
            if let Item::Batch { header, .. } = &item {
                records += u64::from(header.count);
            }
            taken.push(item);
        }
        waiting.bytes -= bytes;
        waiting.wake();
        taken
    }

    /// Takes all items, to refuse them.
    pub(crate) fn take_all(&self) -> Vec<Item> {
        let mut waiting = lock(&self.waiting);
        let (sizes, items): (Vec<_>, Vec<_>) = waiting.items.drain(..).unzip();
        waiting.bytes -= sizes.into_iter().sum::<usize>();
        waiting.wake();
        items
    }

    /// Takes nothing any more, with `error` as the reason unless there was one before; returns what
    /// waited.
    pub(crate) fn close(&self, error: &Error) -> Vec<Item> {
        lock(&self.waiting)
            .closed
            .get_or_insert_with(|| error.clone());
        self.take_all()
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.waiting).items.is_empty()
    }

    /// Why nothing is taken any more, if so.
    pub(crate) fn refusal(&self) -> Option<Error> {
        lock(&self.waiting).closed.clone()
    }

    /// Whether nothing is taken any more.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.waiting).closed.is_some()
    }

    /// Ready when an append of common size would be taken, or refused for good.
    pub(crate) fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        let mut waiting = lock(&self.waiting);
        // Half, so that whoever is woken finds room for more than one batch.
        if waiting.closed.is_some() || waiting.bytes <= self.limit / 2 {
            return Poll::Ready(());
        }
        if !waiting
            .wakers
            .iter()
            .any(|waker| waker.will_wake(context.waker()))
        {
            waiting.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Waiting {
    fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}

/// Bytes of an item in a frame; for a change, a bound.
fn size(item: &Item) -> usize {
    match item {
        Item::Batch { bytes, .. } => bytes.len(),
        Item::CreateTopic { .. }
        | Item::Repeat { .. }
        | Item::OpenProducer { .. }
        | Item::ForgetProducer { .. }
        | Item::Begin { .. }
        | Item::SetRetention { .. }
        | Item::Close { .. } => CHANGE_BYTES,
        Item::MovePositions { positions, .. } => CHANGE_BYTES + positions.len() * ELEMENT_BYTES,
        Item::End {
            partitions,
            positions,
            ..
        } => {
            let positions = positions.as_ref().map_or(0, |(_, moves)| moves.len());
            CHANGE_BYTES + (partitions + positions) * ELEMENT_BYTES
        }
        Item::Seal { topic, .. } => CHANGE_BYTES + topic.partitions.len() * ELEMENT_BYTES,
    }
}
