//! The program that is killed: it opens the folder, appends as fast as it can, and says what it
//! does.
//!
//! It says each thing in a line on its standard output, which the parent keeps: another place than
//! the files that are at stake.

use std::{
    collections::VecDeque,
    env,
    fmt::Debug,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    sync::{Arc, mpsc::sync_channel},
};

use levada_core::{Seed, Spawner, Threads};
use levada_log::{
    Error, Log, Options, Partition, TopicOptions,
    vfs::{Entry, Open, OsFs, Vfs, VfsFile},
};

use super::acknowledged::{Appended, attempt};
use crate::{campaign::Fault, log::payload::Tag};

/// The first argument of a child.
pub(crate) const CHILD: &str = "append-until-killed";
/// Topics, each with a thread of its own that appends to it.
const TOPICS: u32 = 3;
/// Partitions of each topic.
const PARTITIONS: u32 = 2;
/// Appends that one thread has under way.
const UNDER_WAY: usize = 16;

/// What a child says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It begins to open the folder.
    Opening,
    /// It has opened it.
    Opened,
    /// It begins a file: a journal, a segment or an image.
    Rolling,
    /// A batch was acknowledged.
    Appended(Appended),
    /// It cannot go on.
    Failed(String),
}

impl Event {
    /// The event of a whole line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "opening" => Some(Self::Opening),
            "opened" => Some(Self::Opened),
            "rolling" => Some(Self::Rolling),
            "failed" => Some(Self::Failed(rest.to_owned())),
            "appended" => {
                let (numbers, end) = rest.split_once(" .")?;
                let numbers: Vec<u64> = numbers.split(' ').flat_map(str::parse).collect();
                let &[topic, partition, attempt, count, offset] = &numbers[..] else {
                    return None;
                };
                let small = |number: u64| u32::try_from(number).ok();
                let appended = Appended {
                    topic: small(topic)?,
                    partition: small(partition)?,
                    attempt,
                    count: small(count)?,
                    offset,
                };
                end.is_empty().then_some(Self::Appended(appended))
            }
            _ => None,
        }
    }

    fn say(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self {
            Self::Opening => writeln!(out, "opening"),
            Self::Opened => writeln!(out, "opened"),
            Self::Rolling => writeln!(out, "rolling"),
            Self::Failed(sentence) => writeln!(out, "failed {}", sentence.replace('\n', " ")),
            Self::Appended(it) => writeln!(
                out,
                // The full stop shows that a line was not cut short in its last number.
                "appended {} {} {} {} {} .",
                it.topic, it.partition, it.attempt, it.count, it.offset
            ),
        }
    }
}

/// How the folder is opened: with files so small that many are begun.
pub(crate) fn options() -> Options {
    Log::options()
        .journal_bytes(256 << 10)
        .segment_bytes(128 << 10)
}

/// Is the child, if the command line says so.
pub(crate) fn child() -> Option<ExitCode> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [word, folder, cycle] = &arguments[..] else {
        return None;
    };
    if word != CHILD {
        return None;
    }
    let cycle = cycle.to_str()?.parse().ok()?;
    let Err(failure) = append(Path::new(folder), cycle);
    // If nobody listens any more there is nothing left to say.
    drop(Event::Failed(failure.to_string()).say());
    Some(ExitCode::FAILURE)
}

/// Opens the folder and appends until this process is killed, or something fails.
fn append(folder: &Path, cycle: u64) -> Result<std::convert::Infallible, Fault> {
    Event::Opening.say()?;
    let log = options().vfs(Arc::new(Announced)).open(folder)?;
    Event::Opened.say()?;
    let (failed, failure) = sync_channel(TOPICS as usize);
    for topic in 0..TOPICS {
        let name = format!("topic-{topic}");
        let made = match log.topic(&name) {
            Err(Error::UnknownTopic { .. }) => {
                let options = TopicOptions::new().partitions(PARTITIONS);
                log.create_topic(&name, options).wait()?
            }
            found => found?,
        };
        let partitions = (0..PARTITIONS).map(|partition| made.partition(partition));
        let partitions = partitions.collect::<Result<Vec<_>, _>>()?;
        let failed = failed.clone();
        let work = async move {
            let Err(fault) = append_to(topic, &partitions, cycle);
            drop(failed.send(fault.to_string()));
        };
        Threads.spawn(&name, Box::pin(work))?;
    }
    Err(failure.recv()?.into())
}

fn append_to(
    topic: u32,
    partitions: &[Partition],
    cycle: u64,
) -> Result<std::convert::Infallible, Fault> {
    let mut rng = Seed::new(cycle).rng(&format!("topic {topic}"));
    let mut under_way = VecDeque::new();
    for number in 0.. {
        for (place, partition) in (0..).zip(partitions) {
            let tag = Tag {
                topic,
                partition: place,
                attempt: attempt(cycle, number),
                index: 0,
                count: u32::try_from(1 + rng.below(30))?,
            };
            under_way.push_back((tag, partition.append(tag.batch()?)));
        }
        while under_way.len() > UNDER_WAY {
            let (tag, ticket) = under_way.pop_front().ok_or("nothing is under way")?;
            let offset = ticket.wait()?.offsets.start;
            let Tag {
                partition,
                attempt,
                count,
                ..
            } = tag;
            Event::Appended(Appended {
                topic,
                partition,
                attempt,
                count,
                offset,
            })
            .say()?;
        }
    }
    Err("all numbers are used up".into())
}

/// The operating system's files, which say when one is begun.
#[derive(Debug)]
struct Announced;

impl Vfs for Announced {
    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        if open == Open::CreateNew {
            Event::Rolling.say()?;
        }
        OsFs.open(path, open)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        OsFs.create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        OsFs.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Event::Rolling.say()?;
        OsFs.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        OsFs.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        OsFs.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        OsFs.sync_dir(path)
    }

    fn free_space(&self, folder: &Path) -> io::Result<u64> {
        OsFs.free_space(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        OsFs.lock(path)
    }
}
