//! Campaign: a sync of a real ext4 fails, because what its image lies on is full.
//!
//! The image has room, so every write succeeds; the kernel finds out in the sync. Nothing is
//! acknowledged from then on, and all that was acknowledged before is there when the folder is
//! opened again.

use std::{
    env,
    io::{self, Write as _},
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

use levada_log::{Error, Log, Options, TopicOptions};
use levada_testkit::{Heard, Victim};

use super::{
    disk::{Mounted, make_image, try_mounting},
    lacks, run,
};
use crate::{
    campaign::{Campaign, Cases, Extent, Fault, Verdict},
    log::{payload::Tag, require},
};

/// The campaign.
pub(crate) const FAILED_SYNC: Campaign = Campaign {
    name: "failed-sync",
    about: "Appends to a log on a real ext4 until a sync fails, and looks what was acknowledged.",
    full: 10,
    ci: 1,
    weight: 1,
    start: || Ok(Box::new(FailedSync::new()?)),
};

/// The first argument of the child.
const CHILD: &str = "append-until-a-sync-fails";
/// What the image lies on.
const MEMORY: &str = "12m";
/// What it is given so that the folder can be opened again.
const MORE_MEMORY: &str = "remount,size=96m";
/// The size that the disk claims to have, in MiB.
const DISK: u64 = 64;
/// Appends that are tried after the failure.
const AFTER: u64 = 20;
/// Records in a batch.
const COUNT: u32 = 400;
/// A child that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// Lives in a case, of which one must end with a failed sync: now and then the file system is the
/// first to find out.
const TRIES: u32 = 10;

/// What the cases so far have shown.
#[derive(Debug, Default)]
struct FailedSync {
    failed: u64,
    /// Lives that ended because the file system had made itself read-only.
    read_only: u64,
    acknowledged: u64,
    /// What the log said of the sync that failed.
    said: String,
}

/// What a log has died of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Died {
    /// A sync that failed.
    Sync,
    /// The kernel's own sync has failed before, and it lets nobody write any more.
    ReadOnly,
}

impl FailedSync {
    fn new() -> Result<Self, Fault> {
        let reason = |fault| lacks("failed-sync", &format!("no image can be mounted: {fault}"));
        try_mounting().map_err(reason)?;
        Ok(Self::default())
    }

    /// Lets a child live until its log is dead, and looks at what it leaves.
    fn live(&mut self, number: u64) -> Result<Died, Fault> {
        let memory = Mounted::memory(MEMORY)?;
        let image = make_image(memory.path(), DISK)?;
        let disk = Mounted::image(&image)?;
        let data = disk.path().join("data");
        let victim = Victim::start(Command::new(env::current_exe()?).args([
            CHILD.as_ref(),
            data.as_os_str(),
            number.to_string().as_ref(),
        ]))?;
        let (mut acknowledged, mut dead) = (Vec::new(), None);
        loop {
            let line = match victim.listen(PATIENCE) {
                Heard::Line(line) => line,
                Heard::Nothing => return Err("the child hangs".into()),
                Heard::End => break,
            };
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["appended", attempt, offset] => {
                    require!(dead.is_none(), "{line}: after {dead:?}");
                    acknowledged.push((attempt.parse()?, offset.parse()?));
                }
                ["dead", ..] => {
                    let died = died(&line);
                    dead = Some(died.ok_or_else(|| format!("no sync has failed, but: {line}"))?);
                    self.said.clone_from(&line);
                }
                ["end"] => {}
                _ => return Err(format!("the child says: {line}").into()),
            }
        }
        victim.kill()?;
        let died = dead.ok_or("no sync has failed")?;
        disk.unmount()?;
        let more = ["-o", MORE_MEMORY].map(Path::new);
        run(Command::new("mount").args(more).arg(memory.path()))?;
        look(&image, number, &acknowledged)?;
        self.acknowledged += acknowledged.len() as u64;
        Ok(died)
    }
}

fn options(number: u64) -> Options {
    // The more a journal holds the fewer syncs are of segments.
    Log::options()
        .journal_bytes(256 << (10 + number % 3))
        .segment_bytes(1 << 20)
        .reserve_bytes(0)
}

fn tag(attempt: u64) -> Tag {
    Tag {
        topic: 0,
        partition: 0,
        attempt,
        index: 0,
        count: COUNT,
    }
}

/// Is the child, if the command line says so.
pub(crate) fn child() -> Option<ExitCode> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [word, folder, number] = &arguments[..] else {
        return None;
    };
    let number = number.to_str()?.parse().ok()?;
    if word != CHILD {
        return None;
    }
    let last = match append(Path::new(folder), number) {
        Ok(()) => "end".to_owned(),
        Err(fault) => format!("fault {fault}"),
    };
    // If nobody listens any more there is nothing left to say.
    drop(say(&last));
    Some(ExitCode::SUCCESS)
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Appends until something fails, and goes on trying.
fn append(folder: &Path, number: u64) -> Result<(), Fault> {
    let log = options(number).open(folder)?;
    let topic = log.create_topic("topic-0", TopicOptions::new()).wait()?;
    let partition = topic.partition(0)?;
    let mut after = 0;
    for attempt in 0.. {
        match partition.append(tag(attempt).batch()?).wait() {
            Ok(appended) => say(&format!("appended {attempt} {}", appended.offsets.start))?,
            Err(Error::Dead { cause }) if after == 0 => {
                say(&format!("dead {cause}"))?;
                after = 1;
            }
            Err(Error::Dead { .. }) => after += 1,
            Err(error) => say(&format!("refused {error}"))?,
        }
        if after > AFTER {
            break;
        }
    }
    Ok(())
}

impl Cases for FailedSync {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        for _ in 0..TRIES {
            match self.live(number)? {
                Died::Sync => {
                    self.failed += 1;
                    return Ok(());
                }
                Died::ReadOnly => self.read_only += 1,
            }
        }
        Err(format!("no sync has failed in {TRIES} lives: {}", self.said).into())
    }

    fn summary(&self) -> Vec<String> {
        let (failed, acknowledged, read_only) = (self.failed, self.acknowledged, self.read_only);
        vec![
            format!("{failed} syncs failed, {acknowledged} batches were acknowledged before"),
            format!("{read_only} file systems made themselves read-only first"),
            format!("the last was told as: {}", self.said),
        ]
    }

    fn judge(&self, _: Extent) -> Result<Verdict, Fault> {
        require!(self.acknowledged > 0, "nothing was acknowledged");
        Ok(Verdict::Shown)
    }
}

/// What the log has died of, by what the child says, if it is a thing to die of here.
fn died(line: &str) -> Option<Died> {
    if line.starts_with("dead cannot sync /") {
        Some(Died::Sync)
    } else {
        let is_read_only = line.contains(": Read-only file system ");
        is_read_only.then_some(Died::ReadOnly)
    }
}

/// Opens what the disk holds: all that was acknowledged, and nothing that was not sent.
fn look(image: &Path, number: u64, acknowledged: &[(u64, u64)]) -> Result<(), Fault> {
    let disk = Mounted::image(image)?;
    let log = options(number).open(disk.path().join("data"))?;
    let partition = log.topic("topic-0")?.partition(0)?;
    let (mut from, mut next) = (0, 0);
    while from < partition.visible_end() {
        let fetched = partition.fetch(from, 1 << 20).wait()?;
        for record in fetched.records() {
            let (attempt, index) = (next / u64::from(COUNT), next % u64::from(COUNT));
            let index = u32::try_from(index)?;
            let value = Tag {
                index,
                ..tag(attempt)
            }
            .value();
            require!(
                record.value == value,
                "offset {}: other bytes",
                record.offset
            );
            if index == 0
                && let Some(place) = acknowledged.get(usize::try_from(attempt)?)
            {
                let found = (attempt, record.offset);
                require!(found == *place, "{found:?}, and it was {place:?}");
            }
            next += 1;
        }
        from = fetched.next;
    }
    let (found, all) = (next / u64::from(COUNT), acknowledged.len() as u64);
    require!(
        found >= all,
        "{found} of {all} batches that were acknowledged"
    );
    log.close().wait()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sync_that_failed_is_one() {
        let died = |cause: &str| died(&format!("dead {cause}"));
        let failed = died("cannot sync /data/journal/1: Input/output error (os error 5)");
        assert_eq!(failed, Some(Died::Sync));
        let turned = died("cannot write /data/journal/1: Read-only file system (os error 30)");
        assert_eq!(turned, Some(Died::ReadOnly));
        for other in ["cannot write /data/sync", "cannot rename /data/image.new"] {
            assert_eq!(
                died(&format!("{other}: Input/output error (os error 5)")),
                None
            );
        }
        assert_eq!(
            died("no space left for /data/image: free some, then append again"),
            None
        );
    }
}
