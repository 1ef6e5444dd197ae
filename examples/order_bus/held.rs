//! Which rows a topic holds already, so that a restart sends only what is missing.

use std::{collections::HashSet, fmt, future::poll_fn, ops::ControlFlow, sync::Arc, task::Poll};

use levada::core::backend::{BackendError, FetchedBatch, Partition, RecordView, Topic};

/// The header of a record that says which row of the input it was, in big-endian bytes.
pub const ROW_HEADER: &str = "row";

/// Bytes to fetch at once.
const FETCH_BYTES: usize = 1 << 20;

/// The rows that a topic holds. Row numbers are all that is kept in memory.
///
/// Every record is looked at, not only the last of each partition: order is kept per key, so rows
/// of different invoices may overtake each other, and a crash may leave gaps between them.
pub struct Held {
    topic: String,
    partitions: Vec<Follower>,
    rows: HashSet<u64>,
}

/// A partition, and what was seen of it.
struct Follower {
    partition: Arc<dyn Partition>,
    next: u64,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("topic", &self.topic)
            .field("rows", &self.rows.len())
            .finish_non_exhaustive()
    }
}

impl Held {
    /// Reads which rows a topic holds now.
    ///
    /// # Errors
    ///
    /// When the topic cannot be read, or holds what the order bus did not write.
    pub async fn by(topic: &Arc<dyn Topic>) -> Result<Self, BackendError> {
        let follow = |number| {
            let partition = topic.partition(number);
            let next = partition.ends().start;
            Follower { partition, next }
        };
        let mut held = Self {
            topic: topic.name().to_owned(),
            partitions: (0..topic.spec().partitions).map(follow).collect(),
            rows: HashSet::new(),
        };
        held.catch_up().await?;
        Ok(held)
    }

    /// Whether it holds this row.
    pub fn contains(&self, row: u64) -> bool {
        self.rows.contains(&row)
    }

    /// Whether nothing can be added to it.
    pub fn is_sealed(&self) -> bool {
        self.partitions.iter().any(|of| of.partition.ends().sealed)
    }

    /// How many rows it holds.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Completes when it holds so many rows.
    ///
    /// # Errors
    ///
    /// When the topic cannot be read, or is sealed with fewer.
    pub async fn until(&mut self, count: usize) -> Result<(), BackendError> {
        loop {
            self.catch_up().await?;
            if self.rows.len() >= count {
                return Ok(());
            }
            self.growth().await?;
        }
    }

    /// Completes when any partition has more than was seen.
    async fn growth(&self) -> Result<(), BackendError> {
        poll_fn(|cx| {
            let mut is_final = true;
            for Follower { partition, next } in &self.partitions {
                match partition.poll_visible(*next, cx) {
                    Poll::Ready(Ok(ends)) if ends.visible > *next => return Poll::Ready(Ok(())),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => is_final = false,
                }
            }
            if is_final {
                let reason = format!("topic `{}` was sealed before all was in it", self.topic);
                return Poll::Ready(Err(BackendError::Failed(reason.into())));
            }
            Poll::Pending
        })
        .await
    }

    async fn catch_up(&mut self) -> Result<(), BackendError> {
        for (number, follower) in self.partitions.iter_mut().enumerate() {
            let seen = follower.catch_up(&mut self.rows).await?;
            seen.map_err(|offset| not_ours(&self.topic, number, offset))?;
        }
        Ok(())
    }
}

/// All rows were added, or a record has none and this offset.
type Seen = Result<(), u64>;

impl Follower {
    /// Adds the rows of what is visible now.
    async fn catch_up(&mut self, rows: &mut HashSet<u64>) -> Result<Seen, BackendError> {
        while self.next < self.partition.ends().visible {
            let fetched = self.partition.fetch(self.next, FETCH_BYTES).await?;
            for batch in &fetched.batches {
                if let Err(offset) = self.add(&**batch, rows) {
                    return Ok(Err(offset));
                }
            }
            self.next = fetched.next;
        }
        Ok(Ok(()))
    }

    fn add(&self, batch: &dyn FetchedBatch, rows: &mut HashSet<u64>) -> Seen {
        let mut seen = Ok(());
        batch.each_from(self.next, &mut |record| {
            let row = row(&record);
            rows.extend(row);
            if row.is_some() {
                return ControlFlow::Continue(());
            }
            seen = Err(record.offset);
            ControlFlow::Break(())
        });
        seen
    }
}

/// The row of the input that a record was.
fn row(record: &RecordView<'_>) -> Option<u64> {
    let bytes = record.headers.get(ROW_HEADER)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

fn not_ours(topic: &str, partition: usize, offset: u64) -> BackendError {
    let reason = format!(
        "record {offset} in partition {partition} of topic `{topic}` has no row number, so the \
         order bus did not write it: choose another data folder"
    );
    BackendError::Failed(reason.into())
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, executor::block_on};
    use levada::{
        Levada,
        core::backend::{Batch, NewRecord},
    };

    use super::*;

    /// A topic, and what keeps it open.
    fn topic() -> (Levada, Arc<dyn Topic>) {
        let levada = Levada::in_memory();
        let topic = levada.topic::<String>("orders").partitions(2).create();
        (levada, Arc::clone(topic.unwrap().raw()))
    }

    fn append(topic: &Arc<dyn Topic>, partition: u32, headers: &[(&str, &[u8])]) {
        let mut batch = Batch::default();
        batch.push(NewRecord {
            key: None,
            value: b"line",
            event_time: levada::Timestamp::MIN,
            headers,
        });
        block_on(topic.partition(partition).append(batch)).unwrap();
    }

    fn append_row(topic: &Arc<dyn Topic>, partition: u32, row: u64) {
        append(topic, partition, &[(ROW_HEADER, &row.to_be_bytes())]);
    }

    #[test]
    fn rows_of_all_partitions_are_held_in_whatever_order() {
        let (_levada, topic) = topic();
        for (partition, row) in [(0, 7), (1, 2), (0, 3)] {
            append_row(&topic, partition, row);
        }
        let held = block_on(Held::by(&topic)).unwrap();
        assert_eq!(held.count(), 3);
        let rows: Vec<u64> = (0..10).filter(|row| held.contains(*row)).collect();
        assert_eq!(rows, [2, 3, 7]);
    }

    #[test]
    fn it_waits_for_rows_that_are_on_their_way() {
        let (_levada, topic) = topic();
        append_row(&topic, 0, 0);
        let mut held = block_on(Held::by(&topic)).unwrap();
        assert!(held.until(1).now_or_never().is_some());
        assert!(held.until(2).now_or_never().is_none());
        append_row(&topic, 1, 1);
        block_on(held.until(2)).unwrap();
        block_on(topic.seal()).unwrap();
        let refused = block_on(held.until(3)).unwrap_err().to_string();
        assert_eq!(refused, "topic `orders` was sealed before all was in it");
    }

    #[test]
    fn a_record_that_the_order_bus_did_not_write_is_named() {
        for headers in [&[][..], &[(ROW_HEADER, &b"seven"[..])]] {
            let (_levada, topic) = topic();
            append_row(&topic, 1, 0);
            append(&topic, 1, headers);
            let refused = block_on(Held::by(&topic)).unwrap_err().to_string();
            let said = "record 1 in partition 1 of topic `orders` has no row number";
            assert!(refused.starts_with(said), "{refused}");
        }
    }
}
