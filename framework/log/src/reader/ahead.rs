//! Reading ahead: who goes through a partition finds the next batches read while it was busy with
//! those before.
//!
//! 1. What is read ahead is a fetch like any other, done early; so it is checked like any other.
//!    Errors are forgotten: whoever gets there finds them.
//! 2. It stays right, however late it is asked for: below a visible end nothing changes, except
//!    that what is too old goes. So the start is looked at before it is given out.
//! 3. It is done when nobody waits, for whoever has fetched twice in a row.
//! 4. It takes at most [`FOLLOWED`] times [`MAX_BYTES`] of memory: larger batches are not kept.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    Fetched, Isolation, Result,
    meta::SegmentName,
    partition::{state::PartitionState, view::View},
    planted::planted,
};

/// Readers that are followed; for more than that the reader has enough to do.
const FOLLOWED: usize = 8;
/// Larger fetches are not done ahead: whoever asks for so much waits for the disk, not for us.
const MAX_BYTES: usize = 1 << 20;

/// The readers that were here last.
#[derive(Default)]
pub(super) struct Ahead(VecDeque<Followed>);

/// A reader, known by where it goes on.
struct Followed {
    next: Place,
    state: State,
}

/// A fetch.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) partition: Arc<PartitionState>,
    pub(super) isolation: Isolation,
    pub(super) from: u64,
    pub(super) max_bytes: usize,
}

impl Place {
    /// What is found there, unless a file is needed for it.
    pub(super) fn in_memory(&self) -> Result<Result<Fetched>, View> {
        let partition = &self.partition;
        partition.fetch_from_memory(self.from, self.max_bytes, self.isolation)
    }

    fn is(&self, other: &Self) -> bool {
        let of = |place: &Self| (place.partition.id, place.from, place.max_bytes);
        of(self) == of(other) && self.isolation == other.isolation
    }
}

enum State {
    /// It has been here once, or what lies before it could not be read.
    Seen,
    /// It goes through the partition.
    Wanted,
    /// From this segment.
    Read(SegmentName, Fetched),
}

/// What is known of the reader that comes to a place.
pub(super) enum Known {
    Nothing,
    /// It was expected.
    Expected,
    Read(Fetched),
}

impl Ahead {
    /// Who comes to this place.
    pub(super) fn take(&mut self, place: &Place) -> Known {
        let at = self.0.iter().position(|it| it.next.is(place));
        let Some(followed) = at.and_then(|at| self.0.remove(at)) else {
            return Known::Nothing;
        };
        match followed.state {
            State::Read(segment, fetched)
                if planted("read_ahead_stale")
                    || place.partition.reading().has_segment(segment) =>
            {
                Known::Read(fetched)
            }
            _ => Known::Expected,
        }
    }

    /// Expects a reader at this place.
    pub(super) fn expect(&mut self, next: Place) {
        self.follow(next, State::Seen);
    }

    /// Expects a reader at this place, who was given so many bytes before, and has its batches read
    /// before it is there.
    pub(super) fn want(&mut self, next: Place, before: usize) {
        let state = match next.max_bytes.max(before) {
            ..=MAX_BYTES => State::Wanted,
            _ => State::Seen,
        };
        self.follow(next, state);
    }

    fn follow(&mut self, next: Place, state: State) {
        if self.0.len() == FOLLOWED {
            self.0.pop_front();
        }
        self.0.push_back(Followed { next, state });
    }

    /// What is to be read next: of those that wait, what was wanted first.
    pub(super) fn wanted(&mut self) -> Option<Place> {
        let is_wanted = |it: &&mut Followed| matches!(it.state, State::Wanted);
        let followed = self.0.iter_mut().find(is_wanted)?;
        followed.state = State::Seen;
        Some(followed.next.clone())
    }

    /// Keeps what was found at a place.
    pub(super) fn keep(&mut self, place: &Place, segment: SegmentName, fetched: Fetched) {
        let followed = self.0.iter_mut().find(|it| it.next.is(place));
        if let Some(followed) = followed.filter(|_| fetched.size() <= MAX_BYTES) {
            followed.state = State::Read(segment, fetched);
        }
    }
}
