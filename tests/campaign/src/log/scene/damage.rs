//! Bytes rot below the acknowledged end: a log that is opened on them says so, and cuts nothing.

use std::path::{Path, PathBuf};

use levada_log::{Acks, Error, Status};

use super::{FOLDER, Scene, below};
use crate::{
    campaign::Fault,
    log::{
        audit::{Excuse, audit_rotten},
        ledger::Fate,
        require,
        steps::Steps,
    },
};

/// Numbers that break careless readers of sizes.
const HOSTILE: [u64; 6] = [
    0,
    1,
    u32::MAX as u64,
    1 << 31,
    u64::MAX,
    i64::MAX.cast_unsigned(),
];

impl Scene {
    /// Damages a copy of the folder, opens that, and compares it with the ledger.
    pub(super) fn damage(&mut self) -> Result<(), Fault> {
        let Some(last) = self.last_commit()? else {
            return Ok(());
        };
        let fs = self.fs.kill();
        let Some((path, at, bytes)) = self.rotten(&fs) else {
            return Ok(());
        };
        fs.rot(&path, at, &bytes);
        self.shown.damages += 1;
        let before = fs.contents(&path).unwrap_or_default();

        let steps = Steps::new(self.seed.rng("steps on damage"));
        let healthy = std::mem::replace(&mut self.fs, fs);
        let opened = self
            .options()
            .spawner(std::sync::Arc::new(steps.clone()))
            .open(FOLDER);
        let fs = std::mem::replace(&mut self.fs, healthy);
        let log = match opened {
            Ok(log) => log,
            Err(Error::Unusable { .. } | Error::Newer { .. }) => {
                self.shown.damages_noticed += 1;
                require!(
                    fs.contents(&path) == Some(before),
                    "{} was refused, and changed",
                    path.display()
                );
                return Ok(());
            }
            Err(error) => return Err(format!("damage is called {error}").into()),
        };
        let excuse = Excuse {
            last: log.recovery().cut.as_ref().map(|_| last),
        };
        let mut ledger = self.ledger.clone();
        audit_rotten(&mut ledger, &log, &steps, excuse)
            .map_err(|fault| format!("after damage to {} at {at}: {fault}", path.display()))?;
        let topics = log.topics();
        let failed = topics.iter().flat_map(|topic| {
            let partitions = (0..topic.partitions()).filter_map(|at| topic.partition(at).ok());
            partitions.filter(|partition| partition.status() != Status::Healthy)
        });
        if failed.count() > 0 {
            self.shown.damages_noticed += 1;
            let now = fs.contents(&path).unwrap_or_default();
            require!(
                now.starts_with(&before[..at + bytes.len()]),
                "{} is damaged, and was changed",
                path.display()
            );
        }
        Ok(())
    }

    /// Makes one append the last group commit: the only one that damage may pass for torn.
    fn last_commit(&mut self) -> Result<Option<(usize, usize, usize)>, Fault> {
        self.fs.heal();
        self.drain()?;
        if self.life.is_dead || self.life.is_doomed {
            return Ok(None);
        }
        let open = |topic: &super::TopicLedger| {
            topic.acks == Acks::Durable
                && topic.fate == Fate::Acknowledged
                && topic.sealed == Fate::Refused
        };
        let Some(topic) = self.ledger.topics.iter().position(open) else {
            return Ok(None);
        };
        // The first makes durable whatever is not; the second is the last group commit, by itself.
        let mut last = None;
        for _ in 0..2 {
            let number = self.append_to(topic, 0, 1)?;
            self.drain()?;
            let attempt = &self.ledger.topics[topic].partitions[0].attempts[number];
            if attempt.fate != Fate::Acknowledged {
                return Ok(None);
            }
            last = Some((topic, 0, number));
        }
        Ok(last)
    }

    /// A place in one of the log's files that holds something, and what will be there.
    fn rotten(&mut self, fs: &super::FaultyFs) -> Option<(PathBuf, usize, Vec<u8>)> {
        let files = fs.files();
        let named = |path: &&PathBuf| path.file_name() != Some("lock".as_ref());
        let files: Vec<&PathBuf> = files.iter().filter(named).collect();
        let path: &Path = files[below(&mut self.rng, files.len())];
        let content = fs.contents(path)?;
        let end = content.iter().rposition(|byte| *byte != 0)? + 1;
        let at = below(&mut self.rng, end);
        let old = &content[at..end.min(at + 8)];
        let new = if old.len() == 8 && self.rng.chance(1, 2) {
            let number = HOSTILE[below(&mut self.rng, HOSTILE.len())].to_le_bytes();
            number[..[2, 4, 8][below(&mut self.rng, 3)]].to_vec()
        } else {
            vec![old[0] ^ (1 << self.rng.below(8))]
        };
        (old[..new.len()] != new).then(|| (path.to_path_buf(), at, new))
    }
}
