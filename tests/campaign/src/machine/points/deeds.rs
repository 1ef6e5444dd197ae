//! What the script is there for, as the files show it that a life leaves which was let be.
//!
//! Readers see all that was appended and not aborted, so the bytes of a transaction that are in a
//! file are those of one that was committed or aborted, as the script says.

use std::{fs, path::Path};

use super::script::{Act, Topic, records};
use crate::{campaign::Fault, log::require};

/// The file of a segment.
struct Segment {
    start: u64,
    /// How often it was compacted.
    generation: u64,
    content: Vec<u8>,
}

/// Requires that there are files that only appends, rolls, transactions, retention and compaction
/// leave.
pub(super) fn look(data: &Path, acts: &[Act]) -> Result<(), Fault> {
    let orders = segments(data, Topic::Orders)?;
    require!(orders.len() > 1, "no segment of the orders was rolled");
    let is_there = |number| {
        let [(_, first), _] = records(Topic::Orders, number);
        let value = first.unwrap_or_default().into_bytes();
        let holds = |segment: &Segment| {
            let mut parts = segment.content.windows(value.len());
            parts.any(|part| part == value)
        };
        orders.iter().any(holds)
    };
    let committed = |act: &Act| matches!(act, Act::Commit(number) if is_there(*number));
    let aborted = |act: &Act| matches!(act, Act::Abort(number) if is_there(*number));
    require!(acts.iter().any(committed), "nothing was committed");
    require!(acts.iter().any(aborted), "nothing was aborted");

    let short = segments(data, Topic::Short)?;
    let start = short.iter().map(|segment| segment.start).min();
    require!(start > Some(0), "nothing has expired");

    let map = segments(data, Topic::Map)?;
    let compacted = map.iter().any(|segment| segment.generation > 0);
    require!(compacted, "nothing was compacted");

    let mut last = 0;
    for entry in fs::read_dir(data.join("journal"))? {
        last = last.max(name(&entry?)?.parse::<u64>()?);
    }
    require!(last > 1, "no journal was rolled");
    Ok(())
}

/// The segments of the first partition of a topic. Topics are numbered as they are created.
fn segments(data: &Path, topic: Topic) -> Result<Vec<Segment>, Fault> {
    let number = 1 + Topic::ALL.iter().take_while(|it| **it != topic).count();
    let folder = data.join(format!("topics/{number:08}/{:08}", 0));
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = name(&entry)?;
        let (start, generation) = name.split_once('.').unwrap_or((&name, "0"));
        segments.push(Segment {
            start: start.parse()?,
            generation: generation.parse()?,
            content: fs::read(entry.path())?,
        });
    }
    Ok(segments)
}

fn name(entry: &fs::DirEntry) -> Result<String, Fault> {
    let name = entry.file_name().into_string();
    name.map_err(|name| format!("{} is not text", name.display()).into())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const ACTS: [Act; 2] = [Act::Commit(3), Act::Abort(4)];
    /// Files that show all there is to show.
    const FILES: [(&str, Option<u32>); 5] = [
        ("topics/00000001/00000000/00000000000000000000", Some(3)),
        ("topics/00000001/00000000/00000000000000000010", Some(4)),
        ("topics/00000003/00000000/00000000000000000007.2", None),
        ("topics/00000004/00000000/00000000000000000006", None),
        ("journal/00000000000000000002", None),
    ];

    /// What is said of these files.
    fn said(files: &[(&str, Option<u32>)]) -> String {
        let folder = TempDir::new().unwrap();
        for (path, number) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let value = number.map(|number| records(Topic::Orders, number)[0].1.clone());
            fs::write(path, value.flatten().unwrap_or_default()).unwrap();
        }
        let looked = look(folder.path(), &ACTS);
        looked.map_or_else(|fault| fault.to_string(), |()| String::new())
    }

    /// What is said with an empty file in the place of one.
    fn with(at: usize, path: &str) -> String {
        let mut files: [(&str, Option<u32>); 5] = FILES;
        files[at] = (path, None);
        said(&files)
    }

    #[test]
    fn script_has_done_nothing_of_which_no_file_is_left() {
        let map = "topics/00000003/00000000/00000000000000000007";
        let short = "topics/00000004/00000000/00000000000000000000";
        let journal = "journal/00000000000000000001";
        assert_eq!(said(&FILES), "");
        assert!(said(&FILES[1..]).contains("no segment of the orders was rolled"));
        assert!(with(0, FILES[0].0).contains("nothing was committed"));
        assert!(with(1, FILES[1].0).contains("nothing was aborted"));
        assert!(with(2, map).contains("nothing was compacted"));
        assert!(with(3, short).contains("nothing has expired"));
        assert!(with(4, journal).contains("no journal was rolled"));
    }
}
