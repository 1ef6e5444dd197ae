//! A sync fails once, and the next would succeed: nothing is believed any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use levada_log::{
    Error, Log, Options, Partition, TopicOptions,
    vfs::{Open, OsFs, Vfs, VfsFile},
};

use crate::support::{Steps, batch, found, in_memory, pass_to_file, pass_to_os};

/// Files of which one sync fails. As on Linux, what it covered is lost and reads still show it, and
/// the next sync says that all is well.
#[derive(Clone, Debug, Default)]
struct FailsOnce(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    /// How many syncs go well before one fails; `None` before that is decided.
    good: Option<usize>,
    /// What every file has on the disk, since its last sync.
    durable: BTreeMap<PathBuf, Vec<u8>>,
    /// The file or folder whose sync failed.
    failed: Option<PathBuf>,
    /// Calls of any sync since.
    later: usize,
}

#[derive(Debug)]
struct Synced {
    file: Box<dyn VfsFile>,
    path: PathBuf,
    disk: FailsOnce,
}

impl FailsOnce {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    /// Makes a sync, or fails in its place.
    fn sync(&self, path: &Path, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut disk = self.disk();
        disk.later += usize::from(disk.failed.is_some());
        if disk.good == Some(0) && disk.failed.is_none() {
            disk.failed = Some(path.to_owned());
            return Err(io::Error::from_raw_os_error(5));
        }
        disk.good = disk.good.map(|good| good.saturating_sub(1));
        sync()?;
        if path.is_file() {
            disk.durable.insert(path.to_owned(), fs::read(path)?);
        }
        Ok(())
    }

    /// What was failed to be synced is read from the disk again: it never got there.
    fn forget_cached(&self) {
        let disk = self.disk();
        let failed = disk.failed.as_ref().expect("a sync has failed");
        if failed.is_file() {
            let durable = disk.durable.get(failed).map_or(&[][..], Vec::as_slice);
            fs::write(failed, durable).unwrap();
        }
    }

    /// What the failed sync was of: its first name in the data folder, and whether it is a folder.
    fn place(&self, folder: &Path) -> String {
        let failed = self.disk().failed.clone().expect("a sync has failed");
        let inside = failed.strip_prefix(folder).unwrap();
        let first = inside.iter().next().unwrap_or_default().to_string_lossy();
        let kind = if failed.is_dir() { " (folder)" } else { "" };
        format!("{first}{kind}")
    }
}

impl Vfs for FailsOnce {
    pass_to_os!(create_dir_all list remove_file remove_dir free_space lock);

    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn VfsFile>> {
        let (file, path) = (OsFs.open(path, open)?, path.to_owned());
        let disk = self.clone();
        Ok(Box::new(Synced { file, path, disk }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsFs.rename(from, to)?;
        let durable = &mut self.disk().durable;
        let content = durable.remove(from).unwrap_or_default();
        durable.insert(to.to_owned(), content);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.sync(path, || OsFs.sync_dir(path))
    }
}

impl VfsFile for Synced {
    pass_to_file!(file: read_at write_at set_len len);

    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync(&self.path, || self.file.sync_data())
    }
}

fn options(disk: &FailsOnce, steps: &Steps) -> Options {
    Log::options()
        .journal_bytes(32 << 10)
        .segment_bytes(8 << 10)
        .vfs(Arc::new(disk.clone()))
        .spawner(Arc::new(steps.clone()))
}

/// Appends, three at a time so that some wait behind the others, until one is refused: all that was
/// acknowledged, and the refusals.
fn append_until_refused(orders: &Partition, steps: &Steps) -> (Vec<(u64, Vec<u8>)>, Vec<Error>) {
    let (mut acknowledged, mut refusals) = (Vec::new(), Vec::new());
    for first in (0..1000_u64).step_by(3) {
        let values = [0, 1, 2].map(|n| [&(first + n).to_le_bytes()[..], &[7; 992]].concat());
        let tickets = values.clone().map(|value| orders.append(batch(&[&value])));
        for (ticket, value) in tickets.into_iter().zip(values) {
            match steps.wait(ticket) {
                Ok(appended) => acknowledged.push((appended.offsets.start, value)),
                Err(error) => refusals.push(error),
            }
        }
        if !refusals.is_empty() {
            break;
        }
    }
    (acknowledged, refusals)
}

#[test]
fn failed_sync_is_never_tried_again_and_reopening_reads_the_truth() {
    let mut places = BTreeSet::new();
    for good in 0..60 {
        let (folder, disk) = (in_memory(), FailsOnce::default());
        let steps = Steps::default();
        let log = options(&disk, &steps).open(folder.path()).unwrap();
        let made = steps.wait(log.create_topic("orders", TopicOptions::new()));
        let orders = made.unwrap().partition(0).unwrap();
        disk.disk().good = Some(good);

        let (acknowledged, refusals) = append_until_refused(&orders, &steps);
        let is_dead = |error: &Error| matches!(error, Error::Dead { .. });
        assert!(!refusals.is_empty(), "a failed sync stops the log");
        assert!(refusals.iter().all(is_dead), "{refusals:?}");
        // Whatever it is asked for, it acknowledges nothing, and touches no file in vain.
        let group = log.group("readers").unwrap();
        let later = [
            steps.wait(orders.append(batch(&[b"x"]))).map(drop),
            steps
                .wait(log.create_topic("other", TopicOptions::new()))
                .map(drop),
            steps.wait(group.commit(&[(&orders, 0)])),
            steps.wait(log.close()),
        ];
        let is_refused = |answer: &Result<(), Error>| answer.as_ref().is_err_and(is_dead);
        assert!(later.iter().all(is_refused), "{later:?}");
        assert_eq!(disk.disk().later, 0, "syncs after the one that failed");
        assert_eq!(steps.read_all(&orders), acknowledged, "reads go on");
        drop((log, orders, group, steps));

        places.insert(disk.place(folder.path()));
        disk.forget_cached();
        let steps = Steps::default();
        let log = options(&disk, &steps).open(folder.path()).unwrap();
        assert_eq!(steps.read_all(&found(&log, "orders")), acknowledged);
    }
    // A journal, a segment, an image, and the folders in which each is named.
    let expected = [
        " (folder)",
        "image.new",
        "journal",
        "journal (folder)",
        "topics",
        "topics (folder)",
    ];
    assert!(places.iter().eq(&expected), "{places:?}");
}
