//! What a check found, for programs and for people.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use crate::CutCommit;

/// What [`check`](crate::check) found in a data folder. Shown, it is a page for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What each partition has that is whole.
    pub partitions: Vec<Checked>,
    /// What is damaged.
    pub findings: Vec<Finding>,
    /// Files that the log does not know: left alone, and no damage.
    pub stray: Vec<PathBuf>,
    /// The last group commit is torn or has rotted, nobody can tell: opening the folder will cut
    /// it, as after any crash.
    pub cut: Option<CutCommit>,
}

impl Report {
    /// Whether nothing is damaged: the folder can be opened, and every record in it read.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// What a partition has that is whole.
///
/// See [`check`](crate::check).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// Its topic.
    pub topic: String,
    /// Its number in the topic.
    pub partition: u32,
    /// The first offset that is kept, and the one after the last that is acknowledged.
    pub offsets: Range<u64>,
    /// Batches.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Something that is damaged: where, what, and what it is about. Shown, it is one sentence.
///
/// See [`check`](crate::check).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// Where in it, in bytes, if at one place.
    pub position: Option<u64>,
    /// What was found.
    pub what: String,
    /// The topic and the number of the partition, if it is about one.
    pub partition: Option<(String, u32)>,
    /// The offsets that cannot be read because of it; empty if there are none, or nobody knows.
    pub offsets: Range<u64>,
}

impl Finding {
    pub(super) fn new(path: &Path, what: impl Into<String>) -> Self {
        Self {
            path: path.to_path_buf(),
            position: None,
            what: what.into(),
            partition: None,
            offsets: 0..0,
        }
    }

    pub(super) fn at(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }

    pub(super) fn of(mut self, (topic, partition): (&str, u32), offsets: Range<u64>) -> Self {
        self.partition = Some((topic.to_owned(), partition));
        self.offsets = offsets;
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(position) = self.position {
            write!(f, ", byte {position}")?;
        }
        write!(f, ": {}", self.what)?;
        if let Some((topic, partition)) = &self.partition {
            write!(f, "; topic `{topic}` partition {partition}")?;
        }
        if !self.offsets.is_empty() {
            write!(
                f,
                ", offsets {} to {}",
                self.offsets.start,
                self.offsets.end - 1
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Checked {
            topic,
            partition,
            offsets,
            batches,
            records,
            bytes,
        } in &self.partitions
        {
            writeln!(
                f,
                "topic `{topic}` partition {partition}: {records} records in {batches} batches, \
                 {bytes} bytes, offsets {} to {}",
                offsets.start, offsets.end
            )?;
        }
        if let Some(cut) = &self.cut {
            let (journal, position) = (cut.journal, cut.position);
            writeln!(
                f,
                "the last group commit, at byte {position} of journal {journal}, is torn: it was \
                 possibly acknowledged, and opening the folder cuts it"
            )?;
        }
        for stray in &self.stray {
            writeln!(f, "not a file of the log: {}", stray.display())?;
        }
        for finding in &self.findings {
            writeln!(f, "DAMAGED {finding}")?;
        }
        match self.findings.len() {
            0 => writeln!(f, "sound"),
            1 => writeln!(f, "1 finding"),
            many => writeln!(f, "{many} findings"),
        }
    }
}
