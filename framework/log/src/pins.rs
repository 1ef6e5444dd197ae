//! Pins: while there is one, no file that the image on disk names is taken away.
//!
//! Whoever copies the folder pins it, *then* reads the image. Whoever takes files away first
//! replaces the image by one that does not name them, *then* asks here. So, in whichever order the
//! two come: if the pin is not seen, the copier reads the new image.
//!
//! What is not taken away at once is taken away later: journals wait in the keeper, segments in
//! [`Image::dropped`](crate::meta::Image::dropped).

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How many copiers there are.
#[derive(Debug, Default)]
pub(crate) struct Pins(Arc<AtomicUsize>);

/// Held by a copier.
#[derive(Debug)]
pub(crate) struct Pin(Arc<AtomicUsize>);

impl Pins {
    pub(crate) fn pin(&self) -> Pin {
        self.0.fetch_add(1, Ordering::SeqCst);
        Pin(Arc::clone(&self.0))
    }

    /// Whether files must stay that an image named until now.
    pub(crate) fn are_there(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
