//! What the fuzz targets share: a small data folder in memory, and bytes put into its files.
//!
//! The log is reached as its users reach it, by opening the folder and reading it. No bytes may
//! make it panic, hang, or take memory beyond its limits.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll, Waker},
};

use futures::future::BoxFuture;
use levada_core::{Seed, Spawner};
use levada_log::{
    Batch, Compression, Isolation, Log, Options, Record, Ticket, TopicOptions,
    vfs::{Open, Vfs as _},
};
use levada_testkit::{TestClock, vfs::FaultyFs};

/// The data folder.
pub const FOLDER: &str = "/data";
/// Polls of all works after which the log hangs.
const PATIENCE: u32 = 100_000;
/// The head of a batch.
const BATCH_HEAD: usize = 120;
/// The head of an image.
const IMAGE_HEAD: usize = 24;

/// Runs the works of a log on this thread.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steps")
    }
}

impl Spawner for Steps {
    fn spawn(&self, _name: &str, work: BoxFuture<'static, ()>) -> io::Result<()> {
        let mut works = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        works.push(work);
        Ok(())
    }
}

impl Steps {
    fn wait<T>(&self, mut ticket: Ticket<T>) -> levada_log::Result<T> {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..PATIENCE {
            if let Poll::Ready(answer) = Pin::new(&mut ticket).poll(&mut context) {
                return answer;
            }
            let mut works = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            works.retain_mut(|work| work.as_mut().poll(&mut context).is_pending());
        }
        panic!("the log answers in bounded steps");
    }
}

fn options(fs: &FaultyFs, steps: &Steps) -> Options {
    Log::options()
        .vfs(Arc::new(fs.clone()))
        .clock(Arc::new(TestClock::default()))
        .spawner(Arc::new(steps.clone()))
        .seed(Seed::new(1))
        .journal_bytes(16 << 10)
        .segment_bytes(8 << 10)
        .reserve_bytes(0)
}

/// A sound folder: segments, plain and compressed, a journal that was not closed, and metadata of
/// all kinds.
pub fn sound() -> FaultyFs {
    static SOUND: OnceLock<FaultyFs> = OnceLock::new();
    SOUND
        .get_or_init(|| made().expect("nothing fails in memory"))
        .kill()
}

fn made() -> levada_log::Result<FaultyFs> {
    let (fs, steps) = (FaultyFs::new(Seed::new(1)), Steps::default());
    let log = options(&fs, &steps).open(FOLDER)?;
    let packed = TopicOptions::new().compression(Compression::Lz4);
    steps.wait(log.create_topic("packed", packed))?;
    let plain = steps
        .wait(log.create_topic("plain", TopicOptions::new()))?
        .partition(0)?;
    let packed = log.topic("packed")?.partition(0)?;
    let mut shop = steps.wait(log.producer("shop"))?;
    for _ in 0..6 {
        for partition in [&plain, &packed] {
            let mut batch = Batch::new();
            batch.push(&Record {
                key: Some(b"key"),
                headers: &[("header", b"of it")],
                ..Record::of(&[b'x'; 500])
            })?;
            batch.push(&Record::of(b"short"))?;
            steps.wait(partition.append(batch))?;
        }
        let sale = shop.begin()?;
        let mut batch = Batch::new();
        batch.push(&Record::of(b"in a transaction"))?;
        steps.wait(sale.append(&plain, batch))?;
        steps.wait(sale.abort())?;
    }
    let readers = log.group("readers")?;
    steps.wait(readers.commit(&[(&plain, 3)]))?;
    Ok(fs)
}

/// The files below this folder of the data folder.
pub fn files(fs: &FaultyFs, below: &str) -> Vec<PathBuf> {
    let below = Path::new(FOLDER).join(below);
    let all = fs.files().into_iter();
    all.filter(|path| path.starts_with(&below)).collect()
}

/// Writes these bytes over the front of a file.
pub fn overwrite(fs: &FaultyFs, path: &Path, bytes: &[u8]) {
    let file = fs.open(path, Open::Write).expect("the file is there");
    file.write_all_at(bytes, 0)
        .expect("nothing fails in memory");
}

/// Puts the checksum right of a batch that lies at the front of these bytes, if it is as long as it
/// says.
pub fn seal_batch(bytes: &mut [u8]) {
    let Some(head) = bytes.first_chunk::<BATCH_HEAD>() else {
        return;
    };
    let records = u32::from_le_bytes([head[12], head[13], head[14], head[15]]);
    if let Some(batch) = bytes.get_mut(..BATCH_HEAD.saturating_add(records as usize)) {
        let checksum = crc32c::crc32c(&batch[12..]);
        batch[8..12].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// An image with this body.
pub fn image(body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; IMAGE_HEAD];
    bytes[..4].copy_from_slice(b"LVIm");
    bytes[4..6].copy_from_slice(&1_u16.to_le_bytes());
    bytes[6..8].copy_from_slice(&24_u16.to_le_bytes());
    bytes[16..24].copy_from_slice(&(body.len() as u64).to_le_bytes());
    bytes.extend_from_slice(body);
    let checksum = crc32c::crc32c(&bytes[12..]);
    bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Opens the folder, reads all that it has in every way, and closes it. What is refused is refused.
pub fn open_and_read(fs: &FaultyFs) {
    let steps = Steps::default();
    drop(options(fs, &steps).check(FOLDER));
    let Ok(log) = options(fs, &steps).open(FOLDER) else {
        return;
    };
    for topic in log.topics() {
        for number in 0..topic.partitions().min(4) {
            let Ok(partition) = topic.partition(number) else {
                continue;
            };
            for isolation in [Isolation::Committed, Isolation::Uncommitted] {
                let partition = partition.clone().isolation(isolation);
                let mut from = partition.start();
                while let Ok(fetched) = steps.wait(partition.fetch(from, 1 << 16)) {
                    for record in fetched.records() {
                        let headers = record.headers.get("header").map_or(0, <[u8]>::len);
                        assert!(record.value.len() + headers < 1 << 26);
                    }
                    if fetched.next <= from || from >= partition.visible_end() {
                        break;
                    }
                    from = fetched.next;
                }
            }
        }
    }
    drop(steps.wait(log.close()));
}

/// Gives this name to a topic, a group and a producer: which were taken, and the files there are
/// then.
pub fn use_name(name: &str) -> ([bool; 3], Vec<PathBuf>) {
    let (fs, steps) = (FaultyFs::new(Seed::new(1)), Steps::default());
    let log = options(&fs, &steps)
        .open(FOLDER)
        .expect("nothing fails in memory");
    let topic = steps
        .wait(log.create_topic(name, TopicOptions::new()))
        .is_ok();
    let group = log.group(name).is_ok();
    let producer = steps.wait(log.producer(name)).is_ok();
    ([topic, group, producer], fs.files())
}
