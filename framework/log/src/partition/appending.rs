//! Where the next batch of a partition goes: the chain of those that wait for the writer.
//!
//! Each batch names, as its previous end, the end of the one pushed before it; the first that waits
//! names the acknowledged end. A full disk breaks the chain, and what was pushed behind a refused
//! batch must not overtake it. So:
//!
//! 1. The writer takes a batch only if it follows what is acknowledged, or what is before it in the
//!    same group commit. Behind a refused batch none does, so each is refused in its turn.
//! 2. The chain starts anew, at the acknowledged end, when the *last* batch that was pushed is
//!    refused. So at any moment all batches of the partition that wait will be refused, or none for
//!    this.
//! 3. A refusal is answered under the same lock: what is pushed before its caller can know of it
//!    is behind it, and what is pushed by a caller who knows finds the new start.
//!
//! Which batch is the last shows by its end, since offsets are never given twice.

use levada_core::Timestamp;

use super::{PartitionId, sequences::Sequences};
use crate::{
    Error,
    batch::{
        Place,
        header::{Header, Produced},
    },
    meta::PartitionImage,
};

/// Where the next batch of a partition goes.
#[derive(Debug)]
pub(super) struct Appending {
    next: u64,
    /// The end of the last batch that was pushed; once that is refused, the acknowledged end.
    previous_end: u64,
    append_time: Timestamp,
    sequences: Sequences,
    /// Why nothing more is taken, if so.
    pub(super) refusal: Option<Error>,
}

impl Appending {
    pub(super) fn new(image: &PartitionImage, refusal: Option<Error>) -> Self {
        Self {
            next: image.next,
            previous_end: image.end,
            append_time: image.append_time,
            sequences: Sequences::new(&image.sequences),
            refusal,
        }
    }

    /// Where and when a batch that is appended now goes.
    pub(super) fn place(
        &self,
        id: PartitionId,
        incarnation: u64,
        now: Timestamp,
        produced: Option<Produced>,
    ) -> Place {
        Place {
            id,
            incarnation,
            previous_end: self.previous_end,
            base_offset: self.next,
            append_time: self.append_time.max(now),
            produced,
        }
    }

    /// Says that a batch is being pushed to its [`place`](Self::place).
    pub(super) fn pushed(&mut self, header: &Header) {
        self.next = header.end();
        self.previous_end = header.end();
        self.append_time = header.append_time;
        self.sequences.pushed(header);
    }

    /// Says that a batch which was pushed is refused. If none was pushed behind it, the next
    /// follows what is acknowledged, which ends at `end`.
    pub(super) fn refused(&mut self, header: &Header, end: u64) {
        if self.previous_end == header.end() {
            self.previous_end = end;
        }
        self.sequences.refused(header);
    }

    /// What the producers have appended.
    pub(super) fn sequences(&mut self) -> &mut Sequences {
        &mut self.sequences
    }
}
