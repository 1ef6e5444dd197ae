//! What edges synchronise with: the real thing, or loom's, which tries every order of steps.

use std::task::Waker;

#[cfg(not(feature = "loom"))]
pub(crate) use {
    futures::task::AtomicWaker,
    std::sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, Ordering},
    },
};
#[cfg(feature = "loom")]
pub(crate) use {
    loom::future::AtomicWaker,
    loom::sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, Ordering},
    },
};

/// Has `slot` wake this waker. The two kinds differ in how they are told.
pub(crate) fn register(slot: &AtomicWaker, waker: &Waker) {
    #[cfg(not(feature = "loom"))]
    slot.register(waker);
    #[cfg(feature = "loom")]
    slot.register_by_ref(waker);
}
