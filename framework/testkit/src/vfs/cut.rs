//! Power cuts: what of the unsynced is on the disk afterwards.

use levada_core::Rng;

use super::{
    Machine,
    change::Change,
    disk::File,
    faults::{Control, Fault},
};

/// What a power cut keeps of what was not synced.
///
/// # Examples
///
/// ```
/// use std::path::Path;
///
/// use levada_core::Seed;
/// use levada_log::vfs::{Open, Vfs};
/// use levada_testkit::vfs::{FaultyFs, Keep};
///
/// let fs = FaultyFs::new(Seed::new(7));
/// let file = fs.open(Path::new("/a"), Open::CreateNew)?;
/// file.sync_data()?;
/// fs.sync_dir(Path::new("/"))?;
/// file.write_all_at(b"tea", 0)?;
/// let after = |keep| fs.power_cut(keep).contents("/a").unwrap();
/// assert_eq!(after(Keep::Nothing), b"");
/// assert_eq!(after(Keep::Everything), b"tea");
/// assert_eq!(after(Keep::Zeros), [0; 3]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Any part of it, as the file system's seed decides.
    Any,
    /// All of it: the disk was faster than the power cut.
    Everything,
    /// None of it.
    Nothing,
    /// The names, and of each file the last write alone: the disk went through its queue backwards.
    LastWrites,
    /// The names and the lengths of files, with zeros where the writes were lost.
    Zeros,
    /// The names and the lengths of files, with garbage where the writes were lost.
    Garbage,
}

/// What lies where a file has grown and nothing was written.
#[derive(Clone, Copy, Debug)]
enum Tail {
    Cut,
    Zeros,
    Garbage,
}

/// What becomes of one unsynced change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Torn,
    Lost,
}

impl Machine {
    pub(super) fn cut_power(&mut self, keep: Keep) {
        let keep = match keep {
            // Both extremes are rare by themselves where much is unsynced.
            Keep::Any if self.control.rng.chance(1, 8) => Keep::Everything,
            Keep::Any if self.control.rng.chance(1, 8) => Keep::Nothing,
            keep => keep,
        };
        for file in self.disk.files.values_mut() {
            file.cut_power(keep, &mut self.control);
        }
        for change in std::mem::take(&mut self.disk.unsynced) {
            let kept = match keep {
                Keep::Any => self.control.rng.chance(1, 2),
                Keep::Nothing => false,
                Keep::Everything | Keep::LastWrites | Keep::Zeros | Keep::Garbage => true,
            };
            if kept {
                change.apply(&mut self.disk.durable);
            } else {
                self.control.fired.count(Fault::LostName);
            }
        }
        self.disk.live = std::mem::take(&mut self.disk.durable);
        self.disk.drop_unreachable();
    }
}

impl File {
    fn cut_power(&mut self, keep: Keep, control: &mut Control) {
        let changes = std::mem::take(&mut self.unsynced);
        let mut lost = false;
        for (at, change) in changes.iter().enumerate() {
            let fate = match keep {
                Keep::Any => [Fate::Kept, Fate::Torn, Fate::Lost][below(&mut control.rng, 3)],
                Keep::LastWrites if at + 1 == changes.len() => Fate::Kept,
                Keep::Everything => Fate::Kept,
                Keep::Nothing | Keep::LastWrites | Keep::Zeros | Keep::Garbage => Fate::Lost,
            };
            if fate != Fate::Lost && lost {
                control.fired.count(Fault::Reordered);
            }
            match (fate, change) {
                (Fate::Kept, _) => change.apply(&mut self.durable),
                (Fate::Torn, Change::Write { offset, bytes }) => {
                    control.fired.count(Fault::TornWrite);
                    tear(&mut self.durable, *offset, bytes, &mut control.rng);
                }
                (Fate::Torn | Fate::Lost, _) => {
                    control.fired.count(Fault::LostWrite);
                    lost = true;
                }
            }
        }
        if self.durable.len() < self.live.len() && !changes.is_empty() {
            let tail = match keep {
                Keep::Any => [Tail::Cut, Tail::Zeros, Tail::Garbage][below(&mut control.rng, 3)],
                Keep::Zeros => Tail::Zeros,
                Keep::Garbage => Tail::Garbage,
                Keep::Everything | Keep::Nothing | Keep::LastWrites => Tail::Cut,
            };
            self.grow(tail, control);
        }
        self.live.clone_from(&self.durable);
    }

    /// Gives the file on the disk the length that programs saw.
    fn grow(&mut self, tail: Tail, control: &mut Control) {
        let (from, to) = (self.durable.len(), self.live.len());
        match tail {
            Tail::Cut => {}
            Tail::Zeros => {
                control.fired.count(Fault::ZeroTail);
                self.durable.resize(to, 0);
            }
            Tail::Garbage => {
                control.fired.count(Fault::GarbageTail);
                let garbage = || control.rng.next_u64().to_le_bytes()[0];
                self.durable.resize_with(to, garbage);
            }
        }
        assert!(from <= self.durable.len(), "a tail takes nothing away");
    }
}

/// Writes a part of `bytes`: some of their blocks, or their front.
fn tear(content: &mut Vec<u8>, offset: usize, bytes: &[u8], rng: &mut Rng) {
    let block = [512, 4096, usize::MAX][below(rng, 3)];
    if block == usize::MAX {
        let bytes = bytes[..below(rng, bytes.len() + 1)].to_vec();
        Change::Write { offset, bytes }.apply(content);
        return;
    }
    let mut from = 0;
    while from < bytes.len() {
        let to = (block - (offset + from) % block + from).min(bytes.len());
        if rng.chance(1, 2) {
            let (offset, bytes) = (offset + from, bytes[from..to].to_vec());
            Change::Write { offset, bytes }.apply(content);
        }
        from = to;
    }
}

fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).expect("it is below a usize")
}
