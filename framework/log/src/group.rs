//! Groups: who reads a topic together, and how far they are.

use std::sync::Arc;

use crate::{
    Error, Member, Partition, Result, Seek, SeekPlan, Ticket, Topic,
    catalog::GroupState,
    member::Mover,
    partition::PartitionId,
    seek,
    shared::{Handle, Item, lock},
};

/// More positions than any group of ours reads: a full topic of partitions.
const MAX_POSITIONS: usize = crate::limits::MAX_PARTITIONS as usize;

/// A consumer group: a name with a durable position per partition. Cheap to clone.
///
/// Any number of groups read a topic; none costs another anything.
///
/// # Examples
///
/// ```
/// use levada_log::{Batch, Log, Record, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
/// let mut batch = Batch::new();
/// batch.push(&Record::of(b"white lantern"))?;
/// orders.append(batch).wait()?;
///
/// let inventory = log.group("inventory")?;
/// assert_eq!(inventory.position(&orders), None);
/// inventory.commit(&[(&orders, 1)]).wait()?;
/// assert_eq!(inventory.position(&orders), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Group {
    handle: Arc<Handle>,
    state: Arc<GroupState>,
}

impl Group {
    pub(crate) fn new(handle: Arc<Handle>, state: Arc<GroupState>) -> Self {
        Self { handle, state }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Moves the group to these positions: in each partition, all before the offset is done. All
    /// move together, or none. It may move back.
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::BeyondEnd`] for an offset that nobody can have read yet,
    /// [`Error::ForeignPartition`], else as for [`Partition::append`].
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Error, Log, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
    /// let refused = log.group("shipping")?.commit(&[(&orders, 1)]).wait();
    /// assert!(matches!(refused, Err(Error::BeyondEnd { end: 0, .. })), "nothing was appended");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit(&self, positions: &[(&Partition, u64)]) -> Ticket<()> {
        self.commit_by(positions, Mover::Anyone)
    }

    /// Joins the group: until the [`Member`] is dropped the group is active, and only a seek that
    /// fences moves it elsewhere. Any number of members are fine.
    pub fn join(&self) -> Member {
        Member::join(self.clone())
    }

    /// Plans to move the group elsewhere in a topic; nothing moves before the plan is applied. See
    /// [`Seek`].
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::UnknownPartition`] for positions in one,
    /// [`Error::ForeignPartition`]; for times, as for [`Partition::offset_at`].
    pub fn seek(&self, topic: &Topic, to: Seek<'_>) -> Ticket<SeekPlan> {
        seek::plan(self, topic, to, self.handle.shared().clock.now())
    }

    /// Fails if a partition is of another log.
    pub(crate) fn check_log(&self, partition: &Partition) -> Result<()> {
        partition.check_log(self.handle.shared(), &self.state.name)
    }

    pub(crate) fn commit_by(&self, positions: &[(&Partition, u64)], by: Mover) -> Ticket<()> {
        match self.checked(positions) {
            Err(error) => Ticket::known(Err(error)),
            Ok(positions) => {
                let (completion, ticket) = Ticket::new();
                let group = Arc::clone(&self.state);
                let item = Item::MovePositions {
                    group,
                    positions,
                    by,
                    completion,
                };
                self.handle.shared().queue.push_change(item);
                ticket
            }
        }
    }

    /// The durable position in a partition: the offset of the first record that is not done. `None`
    /// if the group never committed there.
    pub fn position(&self, partition: &Partition) -> Option<u64> {
        lock(&self.state.positions).get(&partition.id()).copied()
    }

    /// How many offsets of a partition retention has removed that the group had not done, since the
    /// log was opened. Each time is also logged as a warning.
    ///
    /// See [`Topic::set_retention`](crate::Topic::set_retention).
    pub fn missed(&self, partition: &Partition) -> u64 {
        let missed = lock(&self.state.missed);
        missed.get(&partition.id()).copied().unwrap_or(0)
    }

    pub(crate) fn state(&self) -> &Arc<GroupState> {
        &self.state
    }

    pub(crate) fn checked(
        &self,
        positions: &[(&Partition, u64)],
    ) -> Result<Vec<(PartitionId, u64)>> {
        if positions.len() > MAX_POSITIONS {
            return Err(Error::TooLarge {
                what: "number of positions",
                size: positions.len() as u64,
                limit: MAX_POSITIONS as u64,
            });
        }
        let current = lock(&self.state.positions).clone();
        let checked = positions.iter().map(|(partition, offset)| {
            self.check_log(partition)?;
            let end = partition.visible_end();
            // After damage a group may already stand beyond the end that is left.
            if *offset > end && current.get(&partition.id()).is_none_or(|at| offset > at) {
                return Err(Error::BeyondEnd {
                    group: Arc::clone(&self.state.name),
                    topic: partition.topic().into(),
                    partition: partition.number(),
                    offset: *offset,
                    end,
                });
            }
            Ok((partition.id(), *offset))
        });
        checked.collect()
    }
}
