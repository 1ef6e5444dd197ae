//! The process that is killed: it does the acts of the script, and says which.

use std::{
    env,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use super::{
    script::{Act, Topic, batch, records, script},
    seen::Single,
};
use crate::campaign::Fault;

/// The first argument of a child that lives.
pub(super) const LIFE: &str = "do-the-script";
/// The first argument of one that opens what another has left.
pub(super) const RECOVERY: &str = "open-what-is-left";
/// What a child says last.
pub(super) const SURVIVED: &str = "survived";

/// Is the child, if the command line says so.
pub(crate) fn child() -> Option<ExitCode> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [word, folder, rests] = &arguments[..] else {
        return None;
    };
    let folder = Path::new(folder);
    let done = match word.to_str()? {
        LIFE => live(folder),
        RECOVERY => recover(folder, rests.to_str()?.parse().ok()?),
        _ => return None,
    };
    let last = match &done {
        Ok(()) => SURVIVED.to_owned(),
        Err(fault) => format!("failed {fault}"),
    };
    // If nobody listens any more there is nothing left to say.
    drop(say(&last));
    Some(done.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

fn recover(folder: &Path, rests: u32) -> Result<(), Fault> {
    let single = Single::open(&folder.join("data"), rests)?;
    single.settle();
    Ok(())
}

fn live(folder: &Path) -> Result<(), Fault> {
    let data = folder.join("data");
    let mut single = Single::open(&data, 0)?;
    for (number, act) in script().into_iter().enumerate() {
        say(&format!("begin {number}"))?;
        match act {
            Act::Reopen => single.reopen(&data)?,
            act => single.act(act, folder)?,
        }
        say(&format!("done {number}"))?;
        single.settle();
    }
    Ok(())
}

impl Single {
    fn act(&self, act: Act, folder: &Path) -> Result<(), Fault> {
        let Self { steps, log, .. } = self;
        let orders = Topic::Orders;
        match act {
            Act::Create(topic) => {
                steps.wait(log.create_topic(topic.name(), topic.options()))??;
            }
            Act::Append(topic, partition, number) => {
                let batch = batch(&records(topic, number))?;
                steps.wait(self.partition(topic, partition)?.append(batch))??;
            }
            Act::Sequence(first) => {
                let import = steps.wait(log.producer("import"))??;
                let batch = batch(&records(orders, u32::try_from(first)?))?;
                let right = self.partition(orders, 1)?;
                steps.wait(import.append(&right, first, batch))??;
            }
            Act::Commit(number) | Act::Abort(number) => self.sell(number, act)?,
            Act::Move(to) => {
                let left = self.partition(orders, 0)?;
                steps.wait(log.group("readers")?.commit(&[(&left, to)]))??;
            }
            Act::Rest => self.rest(),
            Act::Backup => {
                steps.wait(log.backup(folder.join("backup")))??;
            }
            Act::Seal => steps.wait(log.topic(Topic::Packed.name())?.seal())??,
            Act::Reopen => {}
        }
        Ok(())
    }

    /// A transaction over both partitions, and how it ends.
    fn sell(&self, number: u32, end: Act) -> Result<(), Fault> {
        let Self { steps, log, .. } = self;
        let mut shop = steps.wait(log.producer("shop"))??;
        let both = [0, 1].map(|number| self.partition(Topic::Orders, number));
        let [left, right] = both;
        let (left, right) = (left?, right?);
        let sale = shop.begin()?;
        for partition in [&left, &right] {
            let batch = batch(&records(Topic::Orders, number))?;
            steps.wait(sale.append(partition, batch))??;
        }
        if end == Act::Commit(number) {
            let clerks = log.group("clerks")?;
            let committed = sale.commit_with(&clerks, &[(&left, u64::from(number / 10))]);
            steps.wait(committed)??;
        } else {
            steps.wait(sale.abort())??;
        }
        Ok(())
    }
}
