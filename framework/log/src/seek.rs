//! Seeking: moving a group on purpose, planned first.
//!
//! A plan says for each partition where the group stands and where it would stand, and changes
//! nothing. Applying it moves the group in all partitions, or in none. Who may move it when, is
//! decided in [`member`](crate::member).

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use futures::future::try_join_all;
use levada_core::Timestamp;

use crate::{Error, Group, Partition, Result, Ticket, Topic, member::Mover};

/// Where a group is to stand in a topic.
///
/// Whatever is asked for, it ends up at an offset that is kept, or at the visible end.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use levada_log::{Batch, Log, Record, Seek, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let topic = log.create_topic("orders", TopicOptions::new()).wait()?;
/// let orders = topic.partition(0)?;
/// for value in ["tea", "jam", "nut"] {
///     let mut batch = Batch::new();
///     batch.push(&Record::of(value.as_bytes()))?;
///     orders.append(batch).wait()?;
/// }
///
/// let inventory = log.group("inventory")?;
/// inventory.seek(&topic, Seek::End).wait()?.apply().wait()?;
/// assert_eq!(inventory.position(&orders), Some(3));
///
/// let an_hour_back = inventory.seek(&topic, Seek::Ago(Duration::from_secs(60 * 60))).wait()?;
/// assert_eq!((an_hour_back.moves()[0].from, an_hour_back.moves()[0].to), (Some(3), 0));
/// assert_eq!(inventory.position(&orders), Some(3), "a plan changes nothing");
///
/// let shipping = log.group("shipping")?;
/// shipping.seek(&topic, Seek::Like(&inventory)).wait()?.apply().wait()?;
/// let back = shipping.seek(&topic, Seek::By(-10)).wait()?;
/// assert_eq!((back.moves()[0].to, back.moves()[0].is_clamped), (0, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Seek<'a> {
    /// At the first record that is kept.
    Start,
    /// At the visible end: only what comes later.
    End,
    /// At this offset, in every partition.
    Offset(u64),
    /// So many offsets further, or back. A group without a position stands at the start.
    By(i64),
    /// At the first record that was appended at this time or later.
    Time(Timestamp),
    /// At the first record that was appended so long ago, or later.
    Ago(Duration),
    /// Where another group of the same log stands; where it has no position, nothing moves.
    Like(&'a Group),
    /// At these offsets, by partition; in the others nothing moves.
    Positions(BTreeMap<u32, u64>),
}

impl Seek<'_> {
    /// The positions in a topic that a file has, as [`SeekPlan::to_csv`] and Kafka's
    /// `kafka-consumer-groups --export` write them: lines of `topic,partition,offset`. Lines of
    /// other topics are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::BadPositions`] for a line that is none, or that names a partition again.
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Error, Log, Seek, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let topic = log.create_topic("orders", TopicOptions::new().partitions(2)).wait()?;
    /// let inventory = log.group("inventory")?;
    ///
    /// let seek = Seek::from_csv("orders,0,17\nreturns,0,4\norders,1,0\n", "orders")?;
    /// let plan = inventory.seek(&topic, seek).wait()?;
    /// assert!(plan.moves()[0].is_clamped, "there are no 17 records");
    /// assert_eq!(plan.to_csv(), "orders,0,0\norders,1,0\n");
    ///
    /// let refused = Seek::from_csv("orders,0\n", "orders");
    /// assert!(matches!(refused, Err(Error::BadPositions { line: 1, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_csv(csv: &str, topic: &str) -> Result<Self> {
        let mut positions = BTreeMap::new();
        for (line, text) in (1..).zip(csv.lines()) {
            let bad = |reason| Error::BadPositions { line, reason };
            let cells: Vec<_> = text.split(',').map(str::trim).collect();
            let [name, partition, offset] = cells[..] else {
                return Err(bad("it is not `topic,partition,offset`"));
            };
            let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse()) else {
                return Err(bad("its partition or its offset is no number"));
            };
            if name == topic && positions.insert(partition, offset).is_some() {
                return Err(bad("its partition was named before"));
            }
        }
        Ok(Self::Positions(positions))
    }
}

/// Where a group would move, and nothing moved yet.
///
/// See [`Seek`]. It is printed as a table.
#[derive(Clone, Debug)]
pub struct SeekPlan {
    group: Group,
    topic: Arc<str>,
    partitions: Vec<Partition>,
    moves: Vec<Move>,
}

/// Where a group would move in one partition.
///
/// See [`Seek`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Move {
    /// The partition.
    pub partition: u32,
    /// Where the group stands, if it has a position.
    pub from: Option<u64>,
    /// Where it would stand.
    pub to: u64,
    /// Whether what was asked for is not kept, or not there yet, so that it is the nearest offset.
    pub is_clamped: bool,
}

impl SeekPlan {
    /// What it does, by partition.
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// Moves the group, in all partitions or in none.
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::GroupActive`] while the group has a [`Member`](crate::Member),
    /// [`Error::GroupMoved`] if it does not stand any more where it stood when the plan was made,
    /// else as for [`Group::commit`]. Nothing has moved then.
    pub fn apply(&self) -> Ticket<()> {
        let from = self.moves.iter().zip(&self.partitions);
        let from = from.map(|(one, partition)| (partition.id(), one.from));
        self.apply_by(Mover::Plan(from.collect()))
    }

    /// Moves the group, also if it has members or has moved: commits of those who are its members
    /// then are refused from that moment on, with [`Error::FencedMember`].
    ///
    /// # Errors
    ///
    /// By the ticket, as for [`Group::commit`]. Nothing has moved then, and nobody is fenced.
    pub fn apply_fenced(&self) -> Ticket<()> {
        self.apply_by(Mover::Fence)
    }

    fn apply_by(&self, mover: Mover) -> Ticket<()> {
        let to = self.partitions.iter().zip(&self.moves);
        let to: Vec<_> = to.map(|(partition, one)| (partition, one.to)).collect();
        self.group.commit_by(&to, mover)
    }

    /// Where the group would stand, as [`Seek::from_csv`] reads it.
    pub fn to_csv(&self) -> String {
        self.moves.iter().fold(String::new(), |mut csv, one| {
            writeln!(csv, "{},{},{}", self.topic, one.partition, one.to)
                .expect("a string takes all that is written");
            csv
        })
    }
}

impl fmt::Display for SeekPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "group {}, topic {}", self.group.name(), self.topic)?;
        writeln!(f, "{:>9}  {:>20}  {:>20}", "partition", "from", "to")?;
        for one in &self.moves {
            let from = one.from.map_or_else(|| "-".to_owned(), |at| at.to_string());
            let note = if one.is_clamped { "  (clamped)" } else { "" };
            writeln!(f, "{:>9}  {from:>20}  {:>20}{note}", one.partition, one.to)?;
        }
        Ok(())
    }
}

/// Makes a plan; see [`Group::seek`].
pub(crate) fn plan(
    group: &Group,
    topic: &Topic,
    seek: Seek<'_>,
    now: Timestamp,
) -> Ticket<SeekPlan> {
    let checked = topic.partition(0).and_then(|it| group.check_log(&it));
    if let Err(error) = checked {
        return Ticket::refused(error);
    }
    let asked: Result<Vec<_>> = match seek {
        Seek::Time(time) => return plan_at(group, topic, time),
        Seek::Ago(ago) => {
            let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
            let time = Timestamp::from_millis(now.as_millis().saturating_sub(ago));
            return plan_at(group, topic, time);
        }
        Seek::Positions(positions) => {
            let asked = positions.into_iter().map(|(number, offset)| {
                let partition = topic.partition(number)?;
                Ok((partition, i128::from(offset)))
            });
            asked.collect()
        }
        Seek::Start => all(topic, |partition| Some(partition.start().into())),
        Seek::End => all(topic, |partition| Some(partition.visible_end().into())),
        Seek::Offset(offset) => all(topic, |_| Some(offset.into())),
        Seek::By(by) => all(topic, |partition| {
            let from = group.position(partition);
            let from = from.unwrap_or_else(|| partition.start());
            Some(i128::from(from) + i128::from(by))
        }),
        Seek::Like(other) => all(topic, |partition| other.position(partition).map(i128::from)),
    };
    Ticket::known(asked.map(|asked| planned(group, topic, asked)))
}

/// Plans to go where the records begin that were appended at `time` or later.
fn plan_at(group: &Group, topic: &Topic, time: Timestamp) -> Ticket<SeekPlan> {
    let (group, topic) = (group.clone(), topic.clone());
    Ticket::made(async move {
        let partitions = (0..topic.partitions()).map(|number| topic.partition(number));
        let partitions = partitions.collect::<Result<Vec<_>>>()?;
        let offsets = partitions.iter().map(|partition| partition.offset_at(time));
        let offsets = try_join_all(offsets).await?.into_iter().map(i128::from);
        Ok(planned(&group, &topic, partitions.into_iter().zip(offsets)))
    })
}

/// Asks for an offset in every partition.
fn all(
    topic: &Topic,
    asked: impl Fn(&Partition) -> Option<i128>,
) -> Result<Vec<(Partition, i128)>> {
    let partitions = (0..topic.partitions()).map(|number| topic.partition(number));
    let asked = partitions.filter_map(|partition| match partition {
        Ok(partition) => asked(&partition).map(|asked| Ok((partition, asked))),
        Err(error) => Some(Err(error)),
    });
    asked.collect()
}

fn planned(
    group: &Group,
    topic: &Topic,
    asked: impl IntoIterator<Item = (Partition, i128)>,
) -> SeekPlan {
    let moves = asked.into_iter().map(|(partition, asked)| {
        let to = asked.clamp(partition.start().into(), partition.visible_end().into());
        let one = Move {
            partition: partition.number(),
            from: group.position(&partition),
            to: u64::try_from(to).expect("it lies between two offsets"),
            is_clamped: to != asked,
        };
        (partition, one)
    });
    let (partitions, moves) = moves.unzip();
    SeekPlan {
        group: group.clone(),
        topic: topic.name().into(),
        partitions,
        moves,
    }
}
