//! What there is to say about a topic, for people and for programs.

use std::fmt;

use levada_core::Timestamp;

use crate::{Acks, Compression, Retention, Status, catalog::TopicState};

/// A topic at one moment, partition by partition: made by [`Topic::describe`].
///
/// Each partition is looked at in one instant, but not all in the same. It is printed as a table.
///
/// [`Topic::describe`]: crate::Topic::describe
///
/// # Examples
///
/// ```
/// use levada_log::{Acks, Batch, Log, Record, TopicOptions};
///
/// let folder = tempfile::tempdir()?;
/// let log = Log::open(folder.path())?;
/// let orders = log.create_topic("orders", TopicOptions::new().partitions(2)).wait()?;
/// let mut batch = Batch::new();
/// batch.push(&Record::of(b"white lantern"))?;
/// let size = batch.size() as u64;
/// orders.partition(1)?.append(batch).wait()?;
///
/// let orders = orders.describe();
/// assert_eq!((orders.name.as_str(), orders.acks), ("orders", Acks::Durable));
/// assert_eq!(orders.partitions[1].visible_end, 1);
/// assert_eq!((orders.memory_bytes(), orders.segment_bytes()), (size, 0), "it is not flushed yet");
/// assert!(orders.to_string().starts_with("topic orders, 2 partitions"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// Its name.
    pub name: String,
    /// When an append is answered.
    pub acks: Acks,
    /// How its batches are compressed.
    pub compression: Compression,
    /// What is kept, and for how long.
    pub retention: Retention,
    /// What turns values into bytes; empty if none was named.
    pub codec: String,
    /// What turns keys into slots; empty if none was named.
    pub partitioner: String,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition at one moment.
///
/// See [`Description`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionDescription {
    /// Its number, from 0.
    pub number: u32,
    /// The first offset that is kept.
    pub start: u64,
    /// The offset after the last record that readers may see.
    pub visible_end: u64,
    /// The offset after the last record that was acknowledged.
    pub end: u64,
    /// Bytes of its segments.
    pub segment_bytes: u64,
    /// Bytes that are in no segment yet: in the journal, and in memory.
    pub memory_bytes: u64,
    /// How many segments it has.
    pub segments: usize,
    /// When the first batch that is kept was appended, if there is one.
    pub first_append: Option<Timestamp>,
    /// When the last one was.
    pub last_append: Option<Timestamp>,
    /// Whether it can be used.
    pub status: Status,
    /// Whether it has ended for good.
    pub sealed: bool,
}

impl Description {
    pub(crate) fn of(topic: &TopicState) -> Self {
        let settings = &topic.settings;
        let partitions = topic.partitions.iter();
        Self {
            name: topic.name.to_string(),
            acks: settings.acks,
            compression: settings.compression,
            retention: settings.retention,
            codec: settings.codec.clone(),
            partitioner: settings.partitioner.clone(),
            partitions: partitions.map(|partition| partition.describe()).collect(),
        }
    }

    /// Bytes of all segments.
    pub fn segment_bytes(&self) -> u64 {
        self.partitions.iter().map(|it| it.segment_bytes).sum()
    }

    /// Bytes that are in no segment yet, of all partitions.
    pub fn memory_bytes(&self) -> u64 {
        self.partitions.iter().map(|it| it.memory_bytes).sum()
    }

    /// How many segments all partitions have.
    pub fn segments(&self) -> usize {
        self.partitions.iter().map(|it| it.segments).sum()
    }
}

/// The names of the columns.
const COLUMNS: [&str; 10] = [
    "partition",
    "start",
    "visible",
    "end",
    "segments",
    "on disk",
    "in memory",
    "first append",
    "last append",
    "status",
];

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partitions = self.partitions.len();
        writeln!(
            f,
            "topic {}, {partitions} partitions, acks {:?}, compression {:?}, keeps {}",
            self.name,
            self.acks,
            self.compression,
            kept(&self.retention)
        )?;
        for (what, name) in [("codec", &self.codec), ("partitioner", &self.partitioner)] {
            if !name.is_empty() {
                writeln!(f, "{what} {name}")?;
            }
        }
        let head = COLUMNS.map(str::to_owned);
        let rows = self.partitions.iter().map(row);
        let rows: Vec<_> = [head].into_iter().chain(rows).chain([self.sum()]).collect();
        let widths: [usize; COLUMNS.len()] = std::array::from_fn(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        });
        for row in &rows {
            let cells = row.iter().zip(widths);
            let cells: Vec<_> = cells
                .map(|(cell, width)| format!("{cell:>width$}"))
                .collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

impl Description {
    fn sum(&self) -> [String; COLUMNS.len()] {
        let mut sum = [(); COLUMNS.len()].map(|()| String::new());
        "all".clone_into(&mut sum[0]);
        sum[4] = self.segments().to_string();
        sum[5] = size(self.segment_bytes());
        sum[6] = size(self.memory_bytes());
        sum
    }
}

fn row(of: &PartitionDescription) -> [String; COLUMNS.len()] {
    let time = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), utc);
    let status = match (&of.status, of.sealed) {
        (Status::Failed { reason }, _) => format!("failed: {reason}"),
        (Status::Healthy, true) => "sealed".to_owned(),
        (Status::Healthy, false) => "healthy".to_owned(),
    };
    [
        of.number.to_string(),
        of.start.to_string(),
        of.visible_end.to_string(),
        of.end.to_string(),
        of.segments.to_string(),
        size(of.segment_bytes),
        size(of.memory_bytes),
        time(of.first_append),
        time(of.last_append),
        status,
    ]
}

fn kept(retention: &Retention) -> String {
    let age = retention.max_age().map(|age| format!("{age:?}"));
    let bytes = retention.max_bytes().map(size);
    let compacted = retention
        .is_compacted()
        .then(|| "the last of each key".to_owned());
    let parts: Vec<_> = [age, bytes, compacted].into_iter().flatten().collect();
    if parts.is_empty() {
        return "everything".to_owned();
    }
    parts.join(", ")
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let steps = (0..UNITS.len() - 1).take_while(|step| bytes >> (10 * (step + 1)) > 0);
    let unit = steps.count();
    if unit == 0 {
        return format!("{bytes} B");
    }
    let tenths = (u128::from(bytes) * 10) >> (10 * unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A time as people read it, to the second: in UTC, by the Gregorian calendar.
fn utc(time: Timestamp) -> String {
    const DAY: i64 = 24 * 60 * 60;
    /// Days in 400 years, after which the calendar repeats itself.
    const CYCLE: i64 = 146_097;
    let seconds = time.as_millis().div_euclid(1000);
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    // Years are counted from March, so that a leap day is the last of its year; from the year 0.
    let days = days + 719_468;
    let (cycle, day) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months from March on have 153 days, again and again.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = 400 * cycle + year + next;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let times = [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_800_000, "2000-03-01T00:00:00Z"),
            (1_795_290_142_000, "2026-11-21T19:42:22Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
            (-2_203_891_200_000, "1900-03-01T00:00:00Z"),
        ];
        for (millis, said) in times {
            assert_eq!(utc(Timestamp::from_millis(millis)), said);
        }
    }

    #[test]
    fn sizes_are_cut_to_a_tenth_of_the_largest_unit_below_them() {
        let sizes = [0, 1023, 1024, 1536, (1 << 20) - 1, 1 << 20];
        let said = [
            "0 B",
            "1023 B",
            "1.0 KiB",
            "1.5 KiB",
            "1023.9 KiB",
            "1.0 MiB",
        ];
        assert_eq!(sizes.map(size), said);
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
    }
}
