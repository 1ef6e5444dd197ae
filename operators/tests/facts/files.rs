//! Sources and sinks on files.

use std::fs;

use levada_engine::Pipeline;
use levada_operators::{prelude::*, sink::Collected};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    sku: String,
    quantity: i32,
}

#[test]
fn a_file_that_is_not_there_is_named_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent.txt");
    for csv_too in [false, true] {
        let pipeline = Pipeline::new("absent");
        if csv_too {
            pipeline.source(csv::<Line>(&path)).sink(discard());
        } else {
            pipeline.source(lines(&path)).sink(discard());
        }
        let error = pipeline.run().unwrap_err().to_string();
        assert!(error.contains("absent.txt"), "{error}");
    }
}

#[test]
fn all_lines_of_a_long_file_come_in_order_with_or_without_a_last_line_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.txt");
    let want: Vec<String> = (0..20_000).map(|n| format!("line {n}")).collect();
    for text in [want.join("\n"), want.join("\r\n") + "\r\n"] {
        fs::write(&path, text).unwrap();
        let pipeline = Pipeline::new("long");
        let read = Collected::new();
        pipeline.source(lines(&path)).sink(collect(&read));
        pipeline.run().unwrap();
        assert_eq!(read.take(), want);
    }
}

#[test]
fn a_line_that_cannot_be_taken_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.txt");
    let longest = "x".repeat(8);
    for (text, says) in [
        (
            &b"tea\ncaf\xe9\n"[..],
            "is not UTF-8 from byte 4 on: read it with `.lossy()`",
        ),
        (
            b"tea\nxxxxxxxxx\n",
            "is longer than 8 bytes: allow more with `.longest(..)`",
        ),
        (
            b"tea\nxxxxxxxxx",
            "is longer than 8 bytes: allow more with `.longest(..)`",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let pipeline = Pipeline::new("odd");
        pipeline.source(lines(&path).longest(8)).sink(discard());
        let error = pipeline.run().unwrap_err().to_string();
        assert!(
            error.contains(&format!("line 2 of `{}` {says}", path.display())),
            "{error}"
        );
    }
    for end in ["", "\n", "\r\n"] {
        fs::write(&path, longest.clone() + end).unwrap();
        let pipeline = Pipeline::new("just");
        let read = Collected::new();
        pipeline
            .source(lines(&path).longest(8))
            .sink(collect(&read));
        pipeline.run().unwrap();
        assert_eq!(read.take(), [longest.as_str()]);
    }
}

#[test]
fn an_empty_file_has_no_lines_and_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty");
    fs::write(&path, "").unwrap();
    let pipeline = Pipeline::new("empty");
    let (text, rows) = (Collected::new(), Collected::new());
    pipeline.source(lines(&path)).sink(collect(&text));
    pipeline.source(csv::<Line>(&path)).sink(collect(&rows));
    pipeline.run().unwrap();
    assert!(text.is_empty() && rows.is_empty());
}

#[test]
fn a_bad_row_names_its_line_and_the_rows_behind_it_follow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let text = b"sku,quantity\n\"a,\nb\",1\nc,many\nd\ne,4,5\n\xff,6\ng,7\n";
    fs::write(&path, text).unwrap();
    let pipeline = Pipeline::new("rows");
    let read = Collected::new();
    pipeline.source(csv::<Line>(&path)).sink(collect(&read));
    pipeline.run().unwrap();
    let (good, bad): (Vec<_>, Vec<_>) = read.take().into_iter().partition(Result::is_ok);
    let good: Vec<_> = good
        .into_iter()
        .flatten()
        .map(|line| line.quantity)
        .collect();
    assert_eq!(good, [1, 7]);
    let bad: Vec<_> = bad.into_iter().filter_map(Result::err).collect();
    assert_eq!(bad.len(), 4, "{bad:?}");
    // The first row takes two lines.
    for (reason, line) in bad.iter().zip([4, 5, 6, 7]) {
        let named = [format!("line: {line}"), format!("line {line}")];
        assert!(named.iter().any(|line| reason.contains(line)), "{reason}");
    }
}

#[test]
fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inner/numbers");
    for records in [5_000, 3_u32] {
        let pipeline = Pipeline::new("numbers");
        pipeline
            .source(iter(0..records))
            .sink(files(&path, u32::to_string));
        pipeline.run().unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "0\n1\n2\n");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn input_without_records_leaves_a_file_of_its_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none");
    let pipeline = Pipeline::new("none");
    pipeline
        .source(iter(0..0_u32))
        .sink(files(&path, u32::to_string).header("n"));
    pipeline.run().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "n\n");
}

#[test]
fn all_copies_write_into_one_file_in_the_order_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sorted");
    let levada = levada_engine::Levada::builder().arbiters(3).in_memory();
    let pipeline = levada.pipeline("sorted");
    pipeline
        .source(iter(0..1_000_u32))
        .key_by(|n| *n)
        .sink(files(&path, u32::to_string).sorted_by(|a, b| b.cmp(a)));
    pipeline.run().unwrap();
    let want: Vec<String> = (0..1_000).rev().map(|n| format!("{n}\n")).collect();
    assert_eq!(fs::read_to_string(&path).unwrap(), want.concat());
}

#[test]
fn a_pipeline_that_fails_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers");
    fs::write(&path, "old").unwrap();
    let pipeline = Pipeline::new("failing");
    pipeline
        .source(iter(0..10_u32))
        .map(|n| if n == 5 { panic!("five") } else { n })
        .sink(files(&path, u32::to_string));
    assert!(pipeline.run().unwrap_err().to_string().contains("five"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
}

#[test]
fn a_path_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let pipeline = Pipeline::new("nowhere");
    pipeline
        .source(iter(0..1_u32))
        .sink(files(folder.path().join("file/inside"), u32::to_string));
    let error = pipeline.run().unwrap_err().to_string();
    assert!(error.contains("file/inside"), "{error}");
}

#[test]
fn a_line_that_panics_is_an_error_and_not_a_hang() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers");
    let pipeline = Pipeline::new("panicking");
    pipeline
        .source(iter(0..1_u32))
        .sink(files(&path, |_: &u32| panic!("no line")));
    pipeline.run().unwrap_err();
    assert!(!path.exists());
}
