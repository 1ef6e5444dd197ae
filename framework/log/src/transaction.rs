//! Transactions: appends to many partitions that take effect together.

use std::sync::Arc;

use crate::{Appended, Batch, Group, Partition, Producer, Ticket, meta::Outcome};

/// Appends to any partitions that become visible together, or never. It belongs to a [`Producer`],
/// which has one at a time.
///
/// Readers of committed records see none of it before it is committed, and never see it if it is
/// aborted. Whatever they are to read behind it has to wait for its end, so it should be short. The
/// log aborts it when it is dropped, when its producer's name is opened again, when the log is
/// opened again, and when it is open for longer than
/// [`Options::transaction_timeout`](crate::Options::transaction_timeout).
///
/// # Examples
///
/// ```
/// use levada_log::{Batch, Log, Record, TopicOptions};
///
/// let one = |value: &str| -> levada_log::Result<Batch> {
///     let mut batch = Batch::new();
///     batch.push(&Record::of(value.as_bytes()))?;
///     Ok(batch)
/// };
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let orders = log.create_topic("orders", TopicOptions::new()).wait()?.partition(0)?;
/// let stock = log.create_topic("stock", TopicOptions::new()).wait()?.partition(0)?;
///
/// let mut shop = log.producer("shop").wait()?;
/// let sale = shop.begin()?;
/// sale.append(&orders, one("white lantern")?).wait()?;
/// sale.append(&stock, one("white lantern: 1 less")?).wait()?;
/// assert_eq!((orders.visible_end(), stock.visible_end()), (0, 0));
/// sale.commit().wait()?;
/// assert_eq!((orders.visible_end(), stock.visible_end()), (1, 1));
///
/// let mistake = shop.begin()?;
/// mistake.append(&orders, one("black lantern")?).wait()?;
/// mistake.abort().wait()?;
/// let fetched = orders.fetch(0, 1 << 20).wait()?;
/// assert_eq!((fetched.records().count(), fetched.next), (1, 2), "its offset stays empty");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a transaction that is dropped is aborted"]
pub struct Transaction<'a> {
    producer: &'a mut Producer,
    ended: bool,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(producer: &'a mut Producer) -> Self {
        let ended = false;
        Self { producer, ended }
    }

    /// Appends a batch. The ticket says `Ok` once it is acknowledged at the level of its topic; it
    /// need not be waited for before the transaction is committed.
    ///
    /// # Errors
    ///
    /// By the ticket, as for [`Partition::append`]. After any of them the transaction can only be
    /// aborted. To meet no [`Error::Busy`](crate::Error::Busy), wait for
    /// [room](Partition::poll_room) first.
    pub fn append(&self, partition: &Partition, batch: Batch) -> Ticket<Appended> {
        self.producer.append_in_transaction(partition, batch)
    }

    /// Makes all of it visible. When the ticket says `Ok`, that is durable, also in topics that
    /// acknowledge less.
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::TransactionFailed`](crate::Error::TransactionFailed) when an append
    /// of it failed or it was open for too long; [`Error::ProducerFenced`](
    /// crate::Error::ProducerFenced); [`Error::NoSpace`](crate::Error::NoSpace). It is then
    /// aborted. After [`Error::Dead`](crate::Error::Dead) it shows when the log is opened again.
    pub fn commit(mut self) -> Ticket<()> {
        self.ended = true;
        self.producer.end(Outcome::Committed, None)
    }

    /// As [`commit`](Self::commit), and moves a group to these positions with it: what was read and
    /// what was made of it take effect together.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit) and [`Group::commit`].
    ///
    /// # Examples
    ///
    /// ```
    /// use levada_log::{Batch, Log, Record, TopicOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let log = Log::open(folder.path())?;
    /// let texts = log.create_topic("texts", TopicOptions::new()).wait()?.partition(0)?;
    /// let loud = log.create_topic("loud", TopicOptions::new()).wait()?.partition(0)?;
    /// let mut batch = Batch::new();
    /// batch.push(&Record::of(b"tea"))?;
    /// texts.append(batch).wait()?;
    ///
    /// let group = log.group("shouting")?;
    /// let mut producer = log.producer("shouting").wait()?;
    /// let fetched = texts.fetch(group.position(&texts).unwrap_or(0), 1 << 20).wait()?;
    /// let transaction = producer.begin()?;
    /// let mut batch = Batch::new();
    /// for record in fetched.records() {
    ///     batch.push(&Record::of(&record.value.to_ascii_uppercase()))?;
    /// }
    /// let appended = transaction.append(&loud, batch);
    /// transaction.commit_with(&group, &[(&texts, fetched.next)]).wait()?;
    /// assert_eq!(appended.wait()?.offsets, 0..1);
    /// assert_eq!(group.position(&texts), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit_with(mut self, group: &Group, positions: &[(&Partition, u64)]) -> Ticket<()> {
        let mut partitions = positions.iter().map(|(partition, _)| partition);
        let ours = partitions.try_for_each(|it| self.producer.check_log(it));
        match ours.and_then(|()| group.checked(positions)) {
            Err(error) => Ticket::refused(error),
            Ok(positions) => {
                self.ended = true;
                let moves = (Arc::clone(group.state()), positions);
                self.producer.end(Outcome::Committed, Some(moves))
            }
        }
    }

    /// Lets nothing of it ever be visible to readers of committed records.
    ///
    /// # Errors
    ///
    /// By the ticket: [`Error::NoSpace`](crate::Error::NoSpace) (the log aborts it as soon as there
    /// is room), [`Error::ProducerFenced`](crate::Error::ProducerFenced) (it is aborted already),
    /// [`Error::Dead`](crate::Error::Dead), [`Error::Closed`](crate::Error::Closed).
    pub fn abort(mut self) -> Ticket<()> {
        self.ended = true;
        self.producer.end(Outcome::Aborted, None)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // Whoever drops it does not want to know.
            drop(self.producer.end(Outcome::Aborted, None));
        }
    }
}
