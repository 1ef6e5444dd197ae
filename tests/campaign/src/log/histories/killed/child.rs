//! The process that is killed: it opens the folder, and its threads send and read as fast as they
//! can.

use std::{
    collections::VecDeque,
    convert::Infallible,
    env,
    fs::File,
    future::poll_fn,
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::sync_channel},
};

use levada_core::{Seed, Spawner, Threads};
use levada_log::{Batch, Error, Partition, Producer, TopicOptions};

use super::{client, data, history, options};
use crate::{
    campaign::Fault,
    history::{Call, Isolation, Outcome, Place, recorder::Recorder},
    log::payload::Tag,
};

/// The first argument of a process that is to be killed.
pub(super) const CHILD: &str = "send-and-read-until-killed";
/// Threads that send, each to all partitions, that read, each from all, and that have transactions.
const SENDERS: u32 = 1;
const READERS: u32 = 2;
const PRODUCERS: u32 = 3;
const PARTITIONS: u32 = 2;
/// Sends that a thread has under way.
const UNDER_WAY: usize = 16;

/// A history that several threads record.
pub(super) type Shared = Arc<Mutex<Recorder<File>>>;

/// Is the process that is to be killed, if the command line says so.
#[expect(
    clippy::print_stdout,
    reason = "the process that starts this one listens"
)]
pub(crate) fn child() -> Option<ExitCode> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [word, folder, cycle] = &arguments[..] else {
        return None;
    };
    if word != CHILD {
        return None;
    }
    let cycle = cycle.to_str()?.parse().ok()?;
    let Err(failure) = work(Path::new(folder), cycle);
    println!("{failure}");
    Some(ExitCode::FAILURE)
}

/// Opens the folder, sends and reads until this process is killed, or something fails.
fn work(folder: &Path, cycle: u64) -> Result<Infallible, Fault> {
    let recorder = Arc::new(Mutex::new(Recorder::resume(&history(folder))?));
    let log = options().open(data(folder))?;
    let topic = match log.topic("topic") {
        Err(Error::UnknownTopic { .. }) => {
            let options = TopicOptions::new().partitions(PARTITIONS);
            log.create_topic("topic", options).wait()?
        }
        found => found?,
    };
    let (failed, failure) = sync_channel(1);
    for number in 0..SENDERS + READERS + PRODUCERS {
        let mut producer = match number.checked_sub(SENDERS + READERS) {
            Some(number) => Some(log.producer(&format!("producer-{number}")).wait()?),
            None => None,
        };
        let (places, recorder, failed) = (places(&topic)?, Arc::clone(&recorder), failed.clone());
        let client = client(cycle, number);
        let work = async move {
            let ended = match &mut producer {
                Some(producer) => transact(&recorder, client, &places, producer),
                None if number < SENDERS => send(&recorder, client, &places),
                None => read_on(&recorder, client, &places).await,
            };
            let Err(fault) = ended;
            // The first failure is the one that is told.
            drop(failed.try_send(fault.to_string()));
        };
        Threads.spawn("client", Box::pin(work))?;
    }
    Err(failure.recv()?.into())
}

pub(super) fn places(topic: &levada_log::Topic) -> Result<Vec<(Place, Partition)>, Fault> {
    let places = (0..PARTITIONS).map(|partition| {
        let place = Place {
            topic: 0,
            partition,
        };
        Ok((place, topic.partition(partition)?))
    });
    places.collect()
}

fn send(
    recorder: &Shared,
    client: u32,
    places: &[(Place, Partition)],
) -> Result<Infallible, Fault> {
    let mut rng = Seed::new(client.into()).rng("send");
    let mut under_way = VecDeque::new();
    let mut first = u64::from(client) << 32;
    loop {
        for place in places {
            let count = u32::try_from(1 + rng.below(20))?;
            let (call, batch) = call(place.0, None, first, count)?;
            let operation = lock(recorder).invoked(client, call)?;
            under_way.push_back((operation, place.1.append(batch)));
            first += u64::from(count);
        }
        while under_way.len() > UNDER_WAY {
            let (operation, ticket) = under_way.pop_front().ok_or("nothing is under way")?;
            let base = ticket.wait()?.offsets.start;
            lock(recorder).completed(operation, Outcome::Sent { base })?;
        }
    }
}

/// Has one transaction after the other, each in all partitions.
fn transact(
    recorder: &Shared,
    client: u32,
    places: &[(Place, Partition)],
    producer: &mut Producer,
) -> Result<Infallible, Fault> {
    let mut rng = Seed::new(client.into()).rng("transact");
    let mut first = u64::from(client) << 32;
    loop {
        // A transaction is named after its first value.
        let id = first;
        let transaction = producer.begin()?;
        let mut under_way = Vec::new();
        for place in places.iter().cycle().take(places.len() * 5) {
            let (call, batch) = call(place.0, Some(id), first, 2)?;
            let operation = lock(recorder).invoked(client, call)?;
            under_way.push((operation, transaction.append(&place.1, batch)));
            first += 2;
        }
        for (operation, ticket) in under_way {
            let base = ticket.wait()?.offsets.start;
            lock(recorder).completed(operation, Outcome::Sent { base })?;
        }
        let (operation, ticket) = if rng.chance(1, 4) {
            let abort = Call::Abort { transaction: id };
            (lock(recorder).invoked(client, abort)?, transaction.abort())
        } else {
            let commit = Call::Commit { transaction: id };
            (
                lock(recorder).invoked(client, commit)?,
                transaction.commit(),
            )
        };
        ticket.wait()?;
        lock(recorder).completed(operation, Outcome::Done)?;
    }
}

/// The call that sends these values, and their batch.
fn call(
    place: Place,
    transaction: Option<u64>,
    first: u64,
    count: u32,
) -> Result<(Call, Batch), Fault> {
    let tag = Tag {
        topic: place.topic,
        partition: place.partition,
        attempt: first,
        index: 0,
        count,
    };
    let call = Call::Send {
        place,
        transaction,
        first,
        count,
    };
    Ok((call, tag.batch()?))
}

/// Reads what is there and what comes.
async fn read_on(
    recorder: &Shared,
    client: u32,
    places: &[(Place, Partition)],
) -> Result<Infallible, Fault> {
    let mut positions = vec![0; places.len()];
    loop {
        for ((place, partition), position) in places.iter().zip(&mut positions) {
            *position = read(recorder, client, *place, partition, *position)?;
            poll_fn(|context| partition.poll_visible(context, *position)).await;
        }
    }
}

/// Reads from a position to the end; where that is.
pub(super) fn read(
    recorder: &Shared,
    client: u32,
    place: Place,
    partition: &Partition,
    mut from: u64,
) -> Result<u64, Fault> {
    loop {
        let call = Call::Poll {
            place,
            transaction: None,
            from,
            sought: false,
            isolation: Isolation::Committed,
        };
        let operation = lock(recorder).invoked(client, call)?;
        let fetched = partition.fetch(from, 64 << 10).wait()?;
        let (next, end) = (fetched.next, partition.visible_end());
        let mut records = Vec::new();
        for record in fetched.records() {
            let tag = Tag::of(record.value).ok_or("bytes of nobody were fetched")?;
            records.push((record.offset, tag.attempt + u64::from(tag.index)));
        }
        lock(recorder).completed(operation, Outcome::Polled { next, end, records })?;
        if next == from {
            return Ok(from);
        }
        from = next;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
