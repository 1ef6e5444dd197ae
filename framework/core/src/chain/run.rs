//! One turn of a stage: the time, the room there is, and what went wrong.

use std::{
    cell::{Cell, RefCell},
    task::Waker,
};

use crate::{BoxError, Timestamp, port::Sender, record::Origin};

/// Whose code is at work in a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// What reads a source.
    Reader,
    /// The operator or sink of this number within the pipeline.
    Step(u32),
    /// The closure that gives a record its key, by the name of the method that took it.
    Closure(&'static str),
}

/// Why a stage cannot go on.
#[derive(Debug)]
pub struct Failure {
    /// Whose code it was.
    pub place: Place,
    /// The record that it was handling.
    pub origin: Origin,
    /// What it said.
    pub reason: BoxError,
}

/// One turn of a stage: the time, and what its nodes have to say to the loop that drives them.
#[derive(Debug)]
pub struct Run {
    now: Cell<Timestamp>,
    /// Some output has no room, or the stage has failed: take no further record.
    full: Cell<bool>,
    /// A node in the line has raised a watermark of its own.
    raised: Cell<bool>,
    /// Whose code is at work, and on which record.
    place: Cell<Place>,
    origin: Cell<Origin>,
    failure: RefCell<Option<Failure>>,
    /// Wakes the task that drives the stage.
    waker: RefCell<Waker>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            now: Cell::new(Timestamp::MIN),
            full: Cell::new(false),
            raised: Cell::new(false),
            place: Cell::new(Place::Reader),
            origin: Cell::new(Origin::TIMER),
            failure: RefCell::new(None),
            waker: RefCell::new(Waker::noop().clone()),
        }
    }
}

impl Run {
    pub(crate) fn now(&self) -> Timestamp {
        self.now.get()
    }

    /// Begins a turn: the time is read once, and what was said about room is forgotten.
    pub(crate) fn begin(&self, now: Timestamp, waker: &Waker) {
        self.now.set(now);
        self.waker.borrow_mut().clone_from(waker);
        self.forget_room();
    }

    /// Forgets what was said about room, to look again.
    pub(crate) fn forget_room(&self) {
        self.full.set(self.has_failed());
    }

    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        !self.full.get()
    }

    pub(crate) fn set_full(&self) {
        self.full.set(true);
    }

    pub(crate) fn look_for_room(&self, sender: &Sender) {
        if sender.available() <= 0 {
            // Registered before the last look, so that room made in between is not missed.
            sender.register(&self.waker.borrow());
            if sender.available() <= 0 {
                self.set_full();
            }
        }
    }

    pub(crate) fn raise(&self) {
        self.raised.set(true);
    }

    #[inline]
    pub(crate) fn take_raised(&self) -> bool {
        self.raised.get() && self.raised.replace(false)
    }

    /// The record that the stage goes on with.
    #[inline]
    pub(crate) fn at(&self, origin: Origin) {
        self.origin.set(origin);
    }

    #[inline]
    pub(crate) fn at_place(&self, place: Place) {
        self.place.set(place);
    }

    /// Goes to this place; gives the one that it comes from, to go back to.
    #[inline]
    pub(crate) fn enter(&self, place: Place) -> Place {
        self.place.replace(place)
    }

    /// True once the stage cannot go on: nothing may be said to be done any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// Stops the stage because user code panicked on the record at hand.
    pub(crate) fn panicked(&self, payload: &(dyn std::any::Any + Send)) {
        self.fail_here(format!("panicked: {}", panic_text(payload)).into());
    }

    /// Stops the stage because of the record at hand.
    pub(crate) fn fail_here(&self, reason: BoxError) {
        self.fail(self.origin.get(), reason);
    }

    /// Stops the stage: the first failure counts.
    pub(crate) fn fail(&self, origin: Origin, reason: BoxError) {
        let mut failure = self.failure.borrow_mut();
        if failure.is_none() {
            *failure = Some(Failure {
                place: self.place.get(),
                origin,
                reason,
            });
        }
        self.full.set(true);
    }

    pub(crate) fn take_failure(&self) -> Option<Failure> {
        self.failure.borrow_mut().take()
    }
}

/// What a panic said.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
