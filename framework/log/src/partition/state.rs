//! What is shared about one partition, behind two locks.
//!
//! 1. `appending` is taken by whoever appends: offsets, times, sequences and the order in the queue
//!    are decided under it, and refusals of what was queued are answered under it. The lock of a
//!    producer is taken inside it, and the queue's own lock inside that; never the other way round.
//! 2. `reading` is taken by readers, and by the writer and the keeper when something becomes
//!    visible or moves from memory to a segment. No other lock is taken inside it.

use std::sync::{Arc, Mutex, MutexGuard};

use super::{
    Appended, Isolation, PartitionId,
    appending::Appending,
    reading::{Phase, Reading},
    sequences::Sequence,
    view::View,
};
use crate::{
    Acks, Batch, Compression, Error, Fetched, FetchedBatch, PartitionDescription, Result,
    batch::header::Header,
    meta::{Sequenced, TopicImage},
    planted::planted,
    producer::By,
    shared::{Item, Shared, lock},
    ticket::Completion,
};

/// What is shared about one partition.
#[derive(Debug)]
pub(crate) struct PartitionState {
    pub(crate) id: PartitionId,
    pub(crate) topic: Arc<str>,
    pub(crate) acks: Acks,
    compression: Compression,
    appending: Mutex<Appending>,
    reading: Mutex<Reading>,
}

impl PartitionState {
    pub(crate) fn new(id: PartitionId, name: &Arc<str>, of: &TopicImage) -> Self {
        let image = &of.partitions[id.partition as usize];
        let topic = Arc::clone(name);
        let refusal = match &image.failed {
            Some(reason) => Some(Error::Damaged {
                topic: Arc::clone(&topic),
                partition: id.partition,
                reason: reason.as_str().into(),
            }),
            None => of.sealed.then(|| Error::Sealed {
                topic: Arc::clone(&topic),
            }),
        };
        let phase = if of.sealed {
            Phase::Sealed
        } else {
            Phase::Growing
        };
        Self {
            id,
            topic,
            acks: of.settings.acks,
            compression: of.settings.compression,
            appending: Mutex::new(Appending::new(image, refusal)),
            reading: Mutex::new(Reading::new(image, phase, of.settings.retention)),
        }
    }

    /// Gives a batch its offsets and queues it.
    pub(crate) fn append(
        self: &Arc<Self>,
        shared: &Shared,
        batch: Batch,
        by: Option<&By<'_>>,
        completion: Completion<Appended>,
    ) -> Result<(), (Completion<Appended>, Error)> {
        // Whoever appends compresses, before the lock: others append meanwhile.
        let batch = batch.packed(self.compression);
        let mut appending = lock(&self.appending);
        if let Some(refusal) = &appending.refusal {
            return Err((completion, refusal.clone()));
        }
        if batch.lacks_key() && self.reading().retention.is_compacted() {
            let topic = Arc::clone(&self.topic);
            return Err((completion, Error::NoKey { topic }));
        }
        // Held until the batch is queued: nothing of an epoch comes behind what ends it.
        let admitted = match by.map(By::admit).transpose() {
            Ok(admitted) => admitted,
            Err(error) => return Err((completion, error)),
        };
        let produced = by.map(|by| by.produced(batch.len() as u64));
        if let Some(by) = by
            && let Some((first, last)) = by.sequences(batch.len() as u64)
        {
            match appending.sequences().judge(by.producer.id, first, last) {
                Sequence::New => {}
                Sequence::Repeat(original) => {
                    self.repeat(shared, original, completion);
                    return Ok(());
                }
                Sequence::Refused { expected } => {
                    return Err((completion, self.out_of_sequence(by, expected, first)));
                }
            }
        }
        let (name, bytes) = (by.map(|by| &*by.producer.name), batch.size());
        let taken = shared.quotas.take(name, bytes, shared.clock.elapsed());
        if let Err(error) = taken {
            return Err((completion, error));
        }
        if let Err(error) = shared.queue.reserve(bytes) {
            shared.quotas.put_back(name, bytes);
            return Err((completion, error));
        }
        let producer = by.map(|by| Arc::clone(by.producer));
        let place = appending.place(self.id, shared.instance, shared.clock.now(), produced);
        let (header, bytes) = batch.seal(&place);
        appending.pushed(&header);
        let completion = self.at_once(completion, || Appended {
            offsets: header.base_offset..header.end(),
            append_time: header.append_time,
        });
        shared.queue.push(Item::Batch {
            partition: Arc::clone(self),
            producer,
            header,
            bytes,
            completion,
        });
        drop(admitted);
        Ok(())
    }

    /// Answers a repeat when its original is acknowledged: it waits in the queue behind it.
    fn repeat(
        self: &Arc<Self>,
        shared: &Shared,
        original: Sequenced,
        completion: Completion<Appended>,
    ) {
        let offsets = original.offsets.clone();
        if offsets.end <= self.reading().end || planted("repeat_early") {
            return completion.complete(Ok(original.appended()));
        }
        if let Some(completion) = self.at_once(completion, || original.appended()) {
            shared.queue.push_always(Item::Repeat {
                partition: Arc::clone(self),
                original,
                completion,
            });
        }
    }

    /// Answers now what the topic acknowledges at once.
    fn at_once(
        &self,
        completion: Completion<Appended>,
        appended: impl FnOnce() -> Appended,
    ) -> Option<Completion<Appended>> {
        if self.acks != Acks::None {
            return Some(completion);
        }
        completion.complete(Ok(appended()));
        None
    }

    /// The sequence that is expected of a producer.
    pub(crate) fn next_sequence(&self, producer: u64) -> u64 {
        lock(&self.appending).sequences().next(producer)
    }

    /// Forgets a producer.
    pub(crate) fn forget(&self, producer: u64) {
        lock(&self.appending).sequences().forget(producer);
    }

    /// Refuses appends from now on, because the topic is being sealed.
    pub(crate) fn refuse_sealed(&self) {
        let mut appending = lock(&self.appending);
        if appending.refusal.is_none() {
            appending.refusal = Some(Error::Sealed {
                topic: Arc::clone(&self.topic),
            });
        }
    }

    /// Refuses a batch that was queued. Its offsets are not given again.
    pub(crate) fn refuse(
        &self,
        header: &Header,
        completion: Option<Completion<Appended>>,
        error: Error,
    ) {
        let mut appending = lock(&self.appending);
        appending.refused(header, self.reading().end);
        if let Some(completion) = completion {
            completion.complete(Err(error));
        } else {
            tracing::error!(
                topic = %self.topic, partition = self.id.partition, %error,
                "a batch is lost that was acknowledged before it was written"
            );
        }
    }

    pub(crate) fn reading(&self) -> MutexGuard<'_, Reading> {
        lock(&self.reading)
    }

    /// Answers a fetch if no file is needed for it, else says what may be shown.
    pub(crate) fn fetch_from_memory(
        &self,
        from: u64,
        max_bytes: usize,
        isolation: Isolation,
    ) -> Result<Result<Fetched>, View> {
        let reading = self.reading();
        if from < reading.start {
            return Ok(Err(Error::OutOfRange {
                topic: Arc::clone(&self.topic),
                partition: self.id.partition,
                offset: from,
                start: reading.start,
            }));
        }
        let view = reading.view(isolation);
        if from >= view.end {
            return Ok(match &reading.failed {
                Some(reason) => Err(self.damaged(reason)),
                None => Ok(Fetched {
                    batches: Vec::new(),
                    next: from,
                }),
            });
        }
        if reading.segment_at(from).is_some() {
            return Err(view);
        }
        let (found, next) = reading.in_memory(&view, from, max_bytes);
        // Decompressed by whoever fetches, after the lock: others read meanwhile.
        drop(reading);
        let batches = found.into_iter();
        let batches = batches.map(|(header, bytes)| FetchedBatch::new(header, bytes, from));
        let batches = batches.collect();
        Ok(Ok(Fetched { batches, next }))
    }

    /// Shows what `newer`, the same partition seen later, shows.
    pub(crate) fn become_as(&self, newer: &Self) {
        self.reading().become_as(&mut newer.reading());
    }

    /// What there is to say about it.
    pub(crate) fn describe(&self) -> PartitionDescription {
        self.reading().describe(self.id.partition)
    }

    /// Stops the partition because acknowledged bytes are damaged.
    pub(crate) fn fail(&self, reason: &str) -> Error {
        tracing::error!(
            topic = %self.topic, partition = self.id.partition, reason, "partition stopped"
        );
        let error = self.damaged(&Arc::from(reason));
        lock(&self.appending).refusal = Some(error.clone());
        let mut reading = self.reading();
        reading.failed = Some(reason.into());
        reading.wake();
        error
    }

    /// The error that says so.
    pub(crate) fn damaged(&self, reason: &Arc<str>) -> Error {
        Error::Damaged {
            topic: Arc::clone(&self.topic),
            partition: self.id.partition,
            reason: Arc::clone(reason),
        }
    }

    fn out_of_sequence(&self, by: &By<'_>, expected: u64, sequence: u64) -> Error {
        Error::OutOfSequence {
            producer: Arc::clone(&by.producer.name),
            topic: Arc::clone(&self.topic),
            partition: self.id.partition,
            expected,
            sequence,
        }
    }
}
