//! Campaign: the power is cut under a process that appends to a log on a real ext4.
//!
//! The file system lies in an image. The process is stopped, the image is copied, and the copy is
//! what a disk holds whose power was cut: what the kernel had not written yet is not in it. What
//! was acknowledged before the copy must be. What nobody syncs, a file that is written between
//! the stop and the copy, shows that the cut is one.

use std::{fs, path::Path, process::Command, time::Duration};

use levada_core::{Clock as _, Seed, SystemClock};
use levada_testkit::{Heard, Victim};
use tempfile::TempDir;

use super::{
    disk::{Mounted, make_image, try_mounting},
    lacks, run,
};
use crate::{
    campaign::{Campaign, Cases, Extent, Fault, Verdict},
    log::{
        kills::{
            acknowledged::Acknowledged,
            child::{CHILD, Event, options},
        },
        require,
    },
};

/// The campaign.
pub(crate) const EXT4: Campaign = Campaign {
    name: "ext4",
    about: "Cuts the power under a log on a real ext4, by copies of its image.",
    full: 100,
    ci: 3,
    weight: 1,
    start: || Ok(Box::new(Ext4::new()?)),
};

/// Cuts in one case: the first under a new folder, each other under one that was recovered.
const CUTS: u64 = 2;
/// The size of the disk, in MiB.
const DISK: u64 = 256;
/// A child that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the cases so far have shown.
#[derive(Debug)]
struct Ext4 {
    clock: SystemClock,
    cuts: u64,
    acknowledged: u64,
    torn: u64,
    /// Cuts that took a file which was not synced.
    took: u64,
}

impl Ext4 {
    fn new() -> Result<Self, Fault> {
        let reason = |fault| lacks("ext4", &format!("no image can be mounted: {fault}"));
        try_mounting().map_err(reason)?;
        Ok(Self {
            clock: SystemClock::new(),
            cuts: 0,
            acknowledged: 0,
            torn: 0,
            took: 0,
        })
    }

    /// Lets a child append on a disk, and cuts its power after `span`: the copy.
    fn cut(&mut self, disk: &Disk, cycle: u64, span: Duration) -> Result<Disk, Fault> {
        let mounted = Mounted::image(&disk.image())?;
        let data = mounted.path().join("data");
        let victim = Victim::start(Command::new(std::env::current_exe()?).args([
            CHILD.as_ref(),
            data.as_os_str(),
            cycle.to_string().as_ref(),
        ]))?;
        let mut said = Vec::new();
        let mut deadline = self.clock.elapsed() + PATIENCE;
        let mut opened = false;
        loop {
            let line = match victim.listen(deadline.saturating_sub(self.clock.elapsed())) {
                Heard::Line(line) => line,
                Heard::Nothing => break,
                Heard::End => return Err("the child has ended by itself".into()),
            };
            if let Some(event) = Event::parse(&line) {
                if event == Event::Opened {
                    (opened, deadline) = (true, self.clock.elapsed() + span);
                }
                said.push(event);
            }
        }
        require!(opened, "the child hangs in its opening");
        let id = victim.id().to_string();
        run(Command::new("kill").args(["-STOP", &id]))?;
        // Nobody syncs any more, so nothing takes this to the disk along with other things.
        fs::write(mounted.path().join("unsynced"), [1; 4096])?;
        let copy = disk.copy();
        let unheard = victim.kill()?;
        mounted.unmount()?;
        let mut copy = copy?;
        said.extend(unheard.iter().filter_map(|line| Event::parse(line)));
        for event in said {
            match event {
                Event::Appended(appended) => {
                    self.acknowledged += u64::from(appended.count);
                    copy.acknowledged.add(appended)?;
                }
                Event::Failed(sentence) => return Err(format!("the child says: {sentence}").into()),
                Event::Opening | Event::Opened | Event::Rolling => {}
            }
        }
        Ok(copy)
    }

    /// Opens what the disk holds after its power was cut.
    fn look(&mut self, disk: &Disk, cycle: u64) -> Result<(), Fault> {
        let mounted = Mounted::image(&disk.image())?;
        self.took += u64::from(!mounted.path().join("unsynced").exists());
        let data = mounted.path().join("data");
        let log = options().open(&data)?;
        self.torn += u64::from(log.recovery().cut.is_some());
        disk.acknowledged.compare(&log, cycle)?;
        log.close().wait()?;
        self.cuts += 1;
        Ok(())
    }
}

/// An image of a disk, and what was acknowledged to be on it.
#[derive(Debug)]
struct Disk {
    folder: TempDir,
    acknowledged: Acknowledged,
}

impl Disk {
    fn new() -> Result<Self, Fault> {
        let folder = TempDir::new()?;
        make_image(folder.path(), DISK)?;
        Ok(Self {
            folder,
            acknowledged: Acknowledged::default(),
        })
    }

    fn image(&self) -> std::path::PathBuf {
        self.folder.path().join("disk")
    }

    fn copy(&self) -> Result<Self, Fault> {
        let folder = TempDir::new()?;
        copy_image(&self.image(), &folder.path().join("disk"))?;
        Ok(Self {
            folder,
            acknowledged: self.acknowledged.clone(),
        })
    }
}

fn copy_image(from: &Path, to: &Path) -> Result<(), Fault> {
    run(Command::new("cp").arg("--sparse=always").args([from, to])).map(drop)
}

impl Cases for Ext4 {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        let mut rng = Seed::new(number).rng("power cuts");
        let mut disk = Disk::new()?;
        for cycle in 0..CUTS {
            let span = Duration::from_micros(rng.below(400_000));
            let at = |fault| format!("cut {cycle}, {span:?} after the opening: {fault}");
            disk = self.cut(&disk, cycle, span).map_err(at)?;
            // The next child recovers it; here a copy is.
            let copy = disk.copy()?;
            self.look(&copy, cycle).map_err(at)?;
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let (cuts, torn, took) = (self.cuts, self.torn, self.took);
        vec![
            format!(
                "{} records acknowledged, {torn} torn commits",
                self.acknowledged
            ),
            format!("of {cuts} power cuts {took} took a file that was not synced"),
        ]
    }

    fn judge(&self, _: Extent) -> Result<Verdict, Fault> {
        // The kernel writes back when it likes, so not each cut finds something to take.
        require!(
            self.took > 0,
            "none of {} power cuts took anything",
            self.cuts
        );
        require!(self.acknowledged > 0, "nothing was acknowledged");
        Ok(Verdict::Shown)
    }
}
