//! Producers that number what they send, send it again when nobody answers, and are fenced when
//! another opens their name.

use std::collections::HashMap;

use levada_log::Producer;

use super::{asked::Asked, stage::Stage, topics};
use crate::{
    campaign::Fault,
    history::{Call, Keeps},
};

/// How many names there are.
const NAMES: usize = 2;
/// The number of the first of them, as a client, and of the first that is fenced.
const FIRST: u32 = 200;
const FENCED: u32 = 300;

/// All producers that number what they send.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    /// Those that were opened in this life.
    handles: [Option<Producer>; NAMES],
    /// What each has sent last to each partition: the call, and its sequence.
    last: HashMap<(usize, usize), (Call, u64)>,
}

impl Numbered {
    /// The log has ended. What was sent last may have to be sent again.
    pub(super) fn let_go(&mut self) {
        self.handles = [const { None }; NAMES];
    }
}

impl Stage {
    /// Lets one of them send something; or what it sent last once more, be it answered or not.
    pub(super) fn send_numbered(&mut self) -> Result<(), Fault> {
        let name = self.rig.below(NAMES);
        let at = self.rig.below(self.partitions.len());
        // Whoever has lost what was acknowledged early sends it anew, and not again.
        if topics::keeps(self.partitions[at].0) == Keeps::UntilRestarted {
            return Ok(());
        }
        let zombie = if self.rig.rng.chance(1, 3) {
            self.numbered.handles[name].take()
        } else {
            None
        };
        if self.numbered.handles[name].is_none() {
            let log = self.log.as_ref().ok_or("no log is open")?;
            let opened = log.producer(&format!("numbered-{name}"));
            self.numbered.handles[name] = self.rig.steps.wait(opened)?.ok();
        }
        let Some(handle) = &self.numbered.handles[name] else {
            return Ok(());
        };
        let next = handle.next_sequence(&self.partitions[at].1);
        let last = self.numbered.last.get(&(name, at)).copied();
        // One before it may have been refused: then that comes first.
        let last = last.filter(|(_, sequence)| *sequence <= next);
        if let Some((call, sequence)) =
            last.filter(|_| self.rig.rng.chance(1, 2) && zombie.is_none())
        {
            self.struck.retries += 1;
            return self.send_as(name, at, call, sequence);
        }
        let (call, _) = self.batch(None, at, 2)?;
        if let Some(zombie) = zombie {
            self.send_as_zombie(&zombie, name, at, next)?;
        }
        self.numbered.last.insert((name, at), (call, next));
        self.send_as(name, at, call, next)?;
        if self.rig.rng.chance(1, 4) {
            // As a client that has lost patience, while the first is on its way.
            self.struck.retries += 1;
            self.send_as(name, at, call, next)?;
        }
        Ok(())
    }

    /// Makes a call under a sequence.
    fn send_as(&mut self, name: usize, at: usize, call: Call, sequence: u64) -> Result<(), Fault> {
        let handle = self.numbered.handles[name].as_ref();
        let handle = handle.ok_or("a producer is open before it sends")?;
        let Call::Send {
            place,
            first,
            count,
            ..
        } = call
        else {
            return Err("only sends have sequences".into());
        };
        let operation = self.recorder.invoked(FIRST + u32::try_from(name)?, call)?;
        let batch = topics::batch(place, first, count)?;
        let ticket = handle.append(&self.partitions[at].1, sequence, batch);
        self.asked.push(Asked::Send { operation, ticket });
        Ok(())
    }

    /// Lets a producer that is fenced send something under the sequence that the one after it
    /// takes for its own.
    fn send_as_zombie(
        &mut self,
        zombie: &Producer,
        name: usize,
        at: usize,
        sequence: u64,
    ) -> Result<(), Fault> {
        let (call, batch) = self.batch(None, at, 2)?;
        let operation = self.recorder.invoked(FENCED + u32::try_from(name)?, call)?;
        let ticket = zombie.append(&self.partitions[at].1, sequence, batch);
        self.struck.zombies += 1;
        self.asked.push(Asked::Send { operation, ticket });
        Ok(())
    }
}
