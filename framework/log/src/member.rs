//! Members: who commits for a group, and until when.
//!
//! 1. A group is *active* while it has members. They live in this process, so they need no file:
//!    when it ends they are gone.
//! 2. Who moves a group is decided where moves take effect one after the other, when a group commit
//!    is put together. So nothing that was queued earlier or later can slip past:
//!    - a member's commit counts if no seek has taken effect since it joined;
//!    - a plan counts if the group has no members, and stands where it stood when it was made;
//!    - a plan that fences counts.
//! 3. When a seek takes effect, all who were members until then are fenced: they may have read the
//!    position before it. Whoever joins afterwards reads the new one.

use std::sync::Arc;

use crate::{
    Error, Group, Partition, Result, Ticket, catalog::GroupState, partition::PartitionId,
    shared::lock,
};

/// Who is a member of a group.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// How often the group was sought.
    epoch: u64,
    /// How many members it has, of this epoch.
    live: usize,
}

/// On whose word a group moves.
#[derive(Debug)]
pub(crate) enum Mover {
    /// Of somebody who commits without being a member.
    Anyone,
    /// Of a member, who joined in this epoch.
    Member(u64),
    /// Of a plan that was made when the group stood here.
    Plan(Vec<(PartitionId, Option<u64>)>),
    /// Of a plan that fences.
    Fence,
}

impl GroupState {
    /// Refuses a move that must not happen, after what is `staged` of the same group commit.
    pub(crate) fn check(&self, mover: &Mover, staged: Staged) -> Result<()> {
        let group = || Arc::clone(&self.name);
        let members = lock(&self.members);
        match mover {
            Mover::Anyone | Mover::Fence => Ok(()),
            Mover::Member(epoch) if *epoch == members.epoch && staged != Staged::Seek => Ok(()),
            Mover::Member(_) => Err(Error::FencedMember { group: group() }),
            Mover::Plan(_) if members.live > 0 => Err(Error::GroupActive {
                group: group(),
                members: members.live,
            }),
            Mover::Plan(from) => {
                let positions = lock(&self.positions);
                let mut stands = from
                    .iter()
                    .map(|(id, at)| positions.get(id).copied() == *at);
                if staged == Staged::Nothing && stands.all(|stands| stands) {
                    return Ok(());
                }
                Err(Error::GroupMoved { group: group() })
            }
        }
    }

    /// Lets a durable move take effect.
    pub(crate) fn moved(
        &self,
        positions: impl IntoIterator<Item = (PartitionId, u64)>,
        by: &Mover,
    ) {
        let mut members = lock(&self.members);
        lock(&self.positions).extend(positions);
        if matches!(by, Mover::Plan(_) | Mover::Fence) {
            members.epoch += 1;
            members.live = 0;
        }
    }
}

/// What happens to a group earlier in the same group commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Staged {
    #[default]
    Nothing,
    Commit,
    Seek,
}

impl Staged {
    /// What it is after one more move.
    pub(crate) fn then(self, by: &Mover) -> Self {
        match by {
            Mover::Plan(_) | Mover::Fence => Self::Seek,
            Mover::Anyone | Mover::Member(_) => match self {
                Self::Nothing => Self::Commit,
                staged => staged,
            },
        }
    }
}

/// Membership of a group, until it is dropped: while it lives, nobody moves the group by mistake.
///
/// # Examples
///
/// ```
/// use levada_log::{Batch, Error, Log, Record, Seek, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let topic = log.create_topic("orders", TopicOptions::new()).wait()?;
/// let orders = topic.partition(0)?;
/// let mut batch = Batch::new();
/// batch.push(&Record::of(b"white lantern"))?;
/// orders.append(batch).wait()?;
///
/// let inventory = log.group("inventory")?;
/// let member = inventory.join();
/// member.commit(&[(&orders, 1)]).wait()?;
///
/// let plan = inventory.seek(&topic, Seek::Start).wait()?;
/// assert!(matches!(plan.apply().wait(), Err(Error::GroupActive { members: 1, .. })));
/// plan.apply_fenced().wait()?;
/// assert_eq!(inventory.position(&orders), Some(0));
///
/// // It does not know yet, and must not take the group back to where it was.
/// let late = member.commit(&[(&orders, 1)]).wait();
/// assert!(matches!(late, Err(Error::FencedMember { .. })));
/// assert!(member.is_fenced());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Member {
    group: Group,
    epoch: u64,
}

impl Member {
    pub(crate) fn join(group: Group) -> Self {
        let epoch = {
            let mut members = lock(&group.state().members);
            members.live += 1;
            members.epoch
        };
        Self { group, epoch }
    }

    /// The group it is a member of.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Moves the group, as [`Group::commit`] does, if it was not sought since this member joined.
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::FencedMember`] if it was; whoever reads for the group must then join
    /// again and go on from its position. Else as for [`Group::commit`].
    pub fn commit(&self, positions: &[(&Partition, u64)]) -> Ticket<()> {
        self.group.commit_by(positions, Mover::Member(self.epoch))
    }

    /// Whether the group was sought since this member joined.
    pub fn is_fenced(&self) -> bool {
        lock(&self.group.state().members).epoch != self.epoch
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut members = lock(&self.group.state().members);
        if members.epoch == self.epoch {
            members.live -= 1;
        }
    }
}
