//! Fusing: a stage is one monomorphised line of operators.
//!
//! A [`Chain`] is what a stream was told to do since the last exchange, as a type and a prototype.
//! Fusing it to an end gives a [`Push`]: records go down it depth first, one by one, with no queue
//! and no virtual call between operators. Each node owns its state and builds its own context over
//! it, so that `Emit` borrows only the next node.
//!
//! It is public because the types of streams name chains; what drives them is the engine's.
//!
//! # Examples
//!
//! A line of two nodes and an end. A record goes down all of it in one call:
//!
//! ```
//! use levada_core::{
//!     Timestamp,
//!     chain::{Control, Push, Run},
//!     record::{Head, Origin},
//! };
//!
//! struct End(Vec<u32>);
//!
//! impl Push<u32, ()> for End {
//!     fn push(&mut self, n: u32, _: &(), _: &Head, _: &Run) {
//!         self.0.push(n);
//!     }
//!
//!     fn control(&mut self, _: Control, _: &Run) -> bool {
//!         true
//!     }
//!
//!     fn deadline(&mut self) -> Option<Timestamp> {
//!         None
//!     }
//! }
//!
//! /// Passes on as many copies of a number as it says.
//! struct Repeat<P>(P);
//!
//! impl<P: Push<u32, ()>> Push<u32, ()> for Repeat<P> {
//!     fn push(&mut self, n: u32, key: &(), head: &Head, run: &Run) {
//!         for _ in 0..n {
//!             self.0.push(n, key, head, run);
//!         }
//!     }
//!
//!     fn control(&mut self, control: Control, run: &Run) -> bool {
//!         self.0.control(control, run)
//!     }
//!
//!     fn deadline(&mut self) -> Option<Timestamp> {
//!         self.0.deadline()
//!     }
//! }
//!
//! let mut line = Repeat(Repeat(End(Vec::new())));
//! let head = Head { at: Timestamp::MIN, hash: 0, origin: Origin { split: 0, offset: 17 } };
//! line.push(2, &(), &head, &Run::default());
//! assert_eq!(line.0.0.0, [2, 2, 2, 2]);
//! ```

mod apply;
mod run;

pub(crate) use self::run::panic_text;
pub use self::{
    apply::{Applied, ApplyPush},
    run::{Failure, Place, Run},
};
use crate::{
    BoxError, Timestamp, graph::StageOpening, key::Key, port::Barrier, record::Head, stage::Stage,
};

/// What a line of operators is told besides records. Each node acts, then passes it on.
#[derive(Clone, Copy, Debug)]
pub enum Control {
    /// No record before this time is still to come: timers due by it fire first.
    Watermark(Timestamp),
    /// The clock has moved: processing-time timers that are due fire.
    Clock,
    /// The input has ended for good: say what is left to say.
    Finish,
    /// The input ran dry: let half-full chunks go.
    Flush,
    /// A checkpoint cuts here.
    Barrier(Barrier),
    /// Nothing follows.
    End,
    /// Look whether every output has room, and ask to be woken where one has none.
    Room,
    /// A split of the source has ended: its records hold the watermark back no longer.
    SplitEnd(u32),
}

/// A line of operators, or its end: what takes records of one type.
pub trait Push<T, K: Key>: 'static {
    /// Handles one record, and all that follows from it down the line.
    fn push(&mut self, value: T, key: &K, head: &Head, run: &Run);

    /// Acts on what is not a record. False if it ran out of room on the way: then it is called
    /// again, with the same word, once there is room.
    fn control(&mut self, control: Control, run: &Run) -> bool;

    /// The earliest processing time that a timer in the line waits for.
    fn deadline(&mut self) -> Option<Timestamp>;

    /// Learns which keys come next, to have their state at hand. Default: there is none.
    fn look_ahead(&mut self, keys: &[K], hashes: &[u32]) {
        let _ = (keys, hashes);
    }
}

impl<T: 'static, K: Key> Push<T, K> for Box<dyn Push<T, K>> {
    fn push(&mut self, value: T, key: &K, head: &Head, run: &Run) {
        (**self).push(value, key, head, run);
    }

    fn control(&mut self, control: Control, run: &Run) -> bool {
        (**self).control(control, run)
    }

    fn deadline(&mut self) -> Option<Timestamp> {
        (**self).deadline()
    }

    fn look_ahead(&mut self, keys: &[K], hashes: &[u32]) {
        (**self).look_ahead(keys, hashes);
    }
}

/// What a stream was told to do since the last exchange, as a type and a prototype: what the stage
/// takes its records from, and the operators behind it.
pub trait Chain<K: Key>: Send + 'static {
    /// What the last operator puts out.
    type Out: 'static;

    /// Opens a copy of the stage: this line, in front of `next`.
    ///
    /// # Errors
    ///
    /// When what it reads from cannot be opened.
    fn fuse<P: Push<Self::Out, K>>(
        &self,
        next: P,
        opening: &mut StageOpening,
    ) -> Result<Box<dyn Stage>, BoxError>;
}
