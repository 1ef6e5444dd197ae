//! Campaign: a process that sends and reads at full speed is killed, again and again, and what it
//! recorded until then is judged.
//!
//! The process records each call before it makes it, straight into a file: a kill takes nothing of
//! that, so a call without an answer is one of unknown result.

use std::{
    collections::VecDeque,
    convert::Infallible,
    env,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::sync_channel},
    time::Duration,
};

use levada_core::{Clock, Seed, Spawner, SystemClock, Threads};
use levada_log::{Error, Log, Partition, TopicOptions};
use levada_testkit::{Heard, Victim};
use tempfile::TempDir;

use super::{judge, said};
use crate::{
    campaign::{Campaign, Cases, Fault, Verdict},
    history::{Call, Isolation, Outcome, Place, anomaly::Findings, recorder::Recorder},
    log::{payload::Tag, require},
};

/// The campaign.
pub(crate) const KILLED: Campaign = Campaign {
    name: "history-kills",
    about: "Kills processes that record what they send to a log and read from it, and judges it.",
    full: 100,
    ci: 4,
    weight: 1,
    start: || Ok(Box::new(Killed::default())),
};

/// The first argument of a process that is to be killed.
const CHILD: &str = "send-and-read-until-killed";
/// How often the process of one case is killed.
const KILLS: u64 = 5;
/// Threads that send, each to all partitions, and threads that read, each from all.
const SENDERS: u32 = 3;
const READERS: u32 = 2;
const PARTITIONS: u32 = 2;
/// Sends that a thread has under way.
const UNDER_WAY: usize = 16;

/// A history that several threads record.
type Shared = Arc<Mutex<Recorder<File>>>;

/// What the cases so far have shown.
#[derive(Debug, Default)]
struct Killed {
    cases: u64,
    kills: u64,
    total: Findings,
}

impl Cases for Killed {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        let folder = TempDir::new()?;
        let mut rng = Seed::new(number).rng("history of the killed");
        for cycle in 0..KILLS {
            let span = Duration::from_micros(rng.below(400_000));
            run_and_kill(folder.path(), cycle, span)?;
        }
        let history = history(folder.path());
        let recorder = Arc::new(Mutex::new(Recorder::resume(&history)?));
        let log = options().open(data(folder.path()))?;
        if let Ok(topic) = log.topic("topic") {
            for (place, partition) in places(&topic)? {
                read(&recorder, client(KILLS, 0), place, &partition, 0)?;
            }
        }
        log.close().wait()?;
        let findings = judge(&history)?;
        self.cases += 1;
        self.kills += KILLS;
        self.total.add_counts(&findings);
        if findings.found > 0 {
            let kept = folder.keep();
            let shown = said(&findings).join("\n    ");
            return Err(format!("{shown}\n    all is kept in {}", kept.display()).into());
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let mut lines = said(&self.total);
        lines.push(format!("{} kills", self.kills));
        lines
    }

    fn judge(&self) -> Result<Verdict, Fault> {
        if self.cases < KILLED.ci {
            let (cases, needed) = (self.cases, KILLED.ci);
            let reason = format!("{cases} cases have run, and {needed} are needed");
            return Ok(Verdict::NotJudged(reason));
        }
        let Findings { unknown, read, .. } = self.total;
        require!(
            unknown >= self.kills && read > 1_000,
            "{unknown} calls of unknown result in {} kills, {read} values read",
            self.kills
        );
        Ok(Verdict::Shown)
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn history(folder: &Path) -> PathBuf {
    folder.join("history")
}

/// The number of a client: no other life of the log has the same.
fn client(cycle: u64, number: u32) -> u32 {
    u32::try_from(cycle).unwrap_or(u32::MAX) * 16 + number
}

/// How the folder is opened: with files so small that many are begun.
fn options() -> levada_log::Options {
    Log::options()
        .journal_bytes(256 << 10)
        .segment_bytes(128 << 10)
}

/// Starts the process and kills it after some time.
fn run_and_kill(folder: &Path, cycle: u64, span: Duration) -> Result<(), Fault> {
    let victim = Victim::start(Command::new(env::current_exe()?).args([
        CHILD.as_ref(),
        folder.as_os_str(),
        cycle.to_string().as_ref(),
    ]))?;
    let clock = SystemClock::new();
    let deadline = clock.elapsed() + span;
    // It says one thing, if any: why it has stopped of itself.
    let heard = victim.listen(deadline.saturating_sub(clock.elapsed()));
    let unheard = victim.kill()?;
    match (heard, unheard.first()) {
        (Heard::Line(failure), _) => Err(format!("the child says: {failure}").into()),
        (_, Some(failure)) => Err(format!("the child says: {failure}").into()),
        (Heard::End, None) => Err("the child has ended".into()),
        (Heard::Nothing, None) => Ok(()),
    }
}

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
    for number in 0..SENDERS + READERS {
        let (places, recorder, failed) = (places(&topic)?, Arc::clone(&recorder), failed.clone());
        let client = client(cycle, number);
        let work = async move {
            let ended = match number {
                0..SENDERS => send(&recorder, client, &places),
                _ => read_on(&recorder, client, &places),
            };
            let Err(fault) = ended;
            // The first failure is the one that is told.
            drop(failed.try_send(fault.to_string()));
        };
        Threads.spawn("client", Box::pin(work))?;
    }
    Err(failure.recv()?.into())
}

fn places(topic: &levada_log::Topic) -> Result<Vec<(Place, Partition)>, Fault> {
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
        for (place, partition) in places {
            let count = u32::try_from(1 + rng.below(20))?;
            let tag = Tag {
                topic: place.topic,
                partition: place.partition,
                attempt: first,
                index: 0,
                count,
            };
            let call = Call::Send {
                place: *place,
                transaction: None,
                first,
                count,
            };
            let operation = lock(recorder).invoked(client, call)?;
            under_way.push_back((operation, partition.append(tag.batch()?)));
            first += u64::from(count);
        }
        while under_way.len() > UNDER_WAY {
            let (operation, ticket) = under_way.pop_front().ok_or("nothing is under way")?;
            let base = ticket.wait()?.offsets.start;
            lock(recorder).completed(operation, Outcome::Sent { base })?;
        }
    }
}

/// Reads what is there and what comes.
fn read_on(
    recorder: &Shared,
    client: u32,
    places: &[(Place, Partition)],
) -> Result<Infallible, Fault> {
    let mut positions = vec![0; places.len()];
    loop {
        for ((place, partition), position) in places.iter().zip(&mut positions) {
            *position = read(recorder, client, *place, partition, *position)?;
        }
    }
}

/// Reads from a position to the end; where that is.
fn read(
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
