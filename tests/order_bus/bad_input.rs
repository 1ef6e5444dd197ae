//! Bad input loses nothing and gets one sentence that names the thing and the fix.

use std::{fs, io::Write as _, net::TcpListener, path::Path};

use ::order_bus::{COLUMNS, Generator, write_csv};
use flate2::{Compression, write::GzEncoder};
use levada::{Levada, Seed};

use super::{
    assert_answers, generated,
    program::{Bus, Ended, no_process_begins},
    reference_answers, rows_in_topic,
};

const FAST: [&str; 4] = ["--rate", "0", "--work", "0"];

fn run(folder: &Path, args: &[&str]) -> Ended {
    Bus::start(folder, &[&FAST, args].concat()).wait()
}

/// Writes an order file of generated lines into `folder`.
fn order_file(folder: &Path, records: usize) -> String {
    let mut file = Vec::new();
    let lines = Generator::new(Seed::new(1)).take(records);
    write_csv(&mut file, lines.map(|(_, line)| line)).unwrap();
    put(folder, "orders.csv", &file)
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn arguments_that_mean_nothing_are_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["--groups", "billing"]).assert_refused(2, &["billing", "--groups"]);
    run(folder.path(), &["--partitions", "0"]).assert_refused(2, &["--partitions"]);
    assert!(!folder.path().join("data").exists());
}

#[test]
fn an_unknown_topic_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let beginning = no_process_begins();
    drop(Levada::open(folder.path().join("data/log")).unwrap());
    drop(beginning);
    let ended = run(folder.path(), &["--read-only", "--topic", "nowhere"]);
    ended.assert_refused(1, &["there is no topic `nowhere`", "create it first"]);
}

#[test]
fn a_bad_topic_name_is_refused_with_the_rule() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), &["--topic", "a/b"]);
    ended.assert_refused(1, &["topic name \"a/b\" is not allowed", "use 1 to 128 of"]);
}

#[test]
fn a_data_folder_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let held = Levada::open(folder.path().join("data/log")).unwrap();
    let ended = run(folder.path(), &[]);
    ended.assert_refused(
        1,
        &["is in use by another process", "choose another folder"],
    );
    let beginning = no_process_begins();
    drop(held);
    drop(beginning);
    run(folder.path(), &["--records", "10"]).assert_success();
}

#[test]
fn a_metrics_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(folder.path(), &["--metrics", &address]);
    ended.assert_refused(1, &[&address, "choose another with --metrics"]);
}

#[test]
fn an_input_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), &["--input", "no-such-file.csv"]);
    ended.assert_refused(1, &["cannot open input `no-such-file.csv`", "can be read"]);
    assert!(!folder.path().join("data").exists());
}

#[test]
fn missing_columns_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let input = put(folder.path(), "short.csv", b"InvoiceNo,StockCode\n1,2\n");
    let ended = run(folder.path(), &["--input", &input]);
    ended.assert_refused(
        1,
        &["short.csv` lacks Description, Quantity", &COLUMNS.join(",")],
    );
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_truncated_gzip_keeps_what_was_read_and_the_whole_file_completes_it() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read(order_file(folder.path(), 5_000)).unwrap();
    let mut lines: Vec<&[u8]> = good.split_inclusive(|byte| *byte == b'\n').collect();
    lines.insert(50, MALFORMED);
    let whole = put(folder.path(), "whole.csv", &lines.concat());
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&lines.concat()).unwrap();
    let packed = packed.finish().unwrap();
    let cut = put(folder.path(), "cut.csv.gz", &packed[..packed.len() / 2]);
    let rejected = "line,column,reason\n51,Quantity,not a whole number\n";

    let ended = run(folder.path(), &["--input", &cut]);
    let kept = rows_in_topic(&folder.path().join("data"));
    assert!(kept.len() > 1_000, "{} rows", kept.len());
    let is_good = |row: &u64| *row != 49;
    let read = kept.len() as u64 + 1;
    assert_eq!(kept, (0..read).filter(is_good).collect::<Vec<_>>());
    let after = format!("is cut off after {read} rows");
    ended.assert_refused(1, &["cut.csv.gz`", &after, "copy the whole file again"]);
    assert_eq!(rejected_in(folder.path()), rejected);

    run(folder.path(), &["--input", &whole]).assert_success();
    let expected = reference_answers(&generated(1, 5_000));
    assert_answers(&folder.path().join("results"), &expected, "completed");
    assert_eq!(rejected_in(folder.path()), rejected);
}

/// What tells a file from others is its first thousand rows: one that is cut off within them is not
/// known, and takes no folder.
#[test]
fn a_gzip_cut_off_before_it_can_be_known_claims_nothing_and_the_whole_file_runs() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read(order_file(folder.path(), 5_000)).unwrap();
    let whole = put(folder.path(), "whole.csv", &good);
    let rows = good.split_inclusive(|byte| *byte == b'\n');
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed
        .write_all(&rows.take(501).collect::<Vec<_>>().concat())
        .unwrap();
    packed.flush().unwrap(); // All these rows can be unpacked, and the end is missing.
    let cut = put(folder.path(), "cut.csv.gz", packed.get_ref());

    let ended = run(folder.path(), &["--input", &cut]);
    let said = [
        "cut.csv.gz` is cut off after 500 rows",
        "copy the whole file again",
    ];
    ended.assert_refused(1, &said);
    assert!(!folder.path().join("data").exists());

    run(folder.path(), &["--input", &whole]).assert_success();
    let expected = reference_answers(&generated(1, 5_000));
    assert_answers(&folder.path().join("results"), &expected, "whole");
}

const MALFORMED: &[u8] = b"1,2,3,many,2010-12-01 08:26:00,1,,EIRE\n";

/// The file of the rows that were no order lines.
fn rejected_in(folder: &Path) -> String {
    fs::read_to_string(folder.join("results/rejected.csv")).unwrap()
}

/// Good lines with three bad ones among them: columns, a number, and bytes that are no text.
fn with_bad_rows(folder: &Path) -> String {
    let good = fs::read(order_file(folder, 100)).unwrap();
    let mut lines: Vec<&[u8]> = good.split_inclusive(|byte| *byte == b'\n').collect();
    lines.insert(1, b"1,2,3\n");
    lines.insert(50, MALFORMED);
    lines.insert(90, b"1,2,caf\xe9,4,2010-12-01 08:26:00,1,,EIRE\n");
    put(folder, "bad.csv", &lines.concat())
}

#[test]
fn malformed_rows_are_told_apart_and_the_rest_flows() {
    let folder = tempfile::tempdir().unwrap();
    let input = with_bad_rows(folder.path());
    let expected = reference_answers(&generated(1, 100));
    for told in ["first", "again"] {
        let ended = run(folder.path(), &["--input", &input]);
        ended.assert_success();
        assert!(ended.has_said("100 sent, 3 rejected"), "{ended:?}");
        let results = folder.path().join("results");
        assert_answers(&results, &expected, told);
        assert_eq!(
            rejected_in(folder.path()),
            "line,column,reason\n\
             2,Quantity,missing: the row has 3 columns instead of 8\n\
             51,Quantity,not a whole number\n\
             91,Description,not valid UTF-8\n"
        );
    }
}

#[test]
fn strict_ends_at_the_first_malformed_row_and_keeps_those_before() {
    let folder = tempfile::tempdir().unwrap();
    let file = fs::read(with_bad_rows(folder.path())).unwrap();
    let mut lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
    lines.remove(1);
    let input = put(folder.path(), "later.csv", &lines.concat());
    let ended = run(folder.path(), &["--input", &input, "--strict"]);
    ended.assert_refused(
        1,
        &["later.csv`, line 50, column Quantity: not a whole number"],
    );
    let kept = rows_in_topic(&folder.path().join("data"));
    assert_eq!(kept, (0..48).collect::<Vec<_>>());
    assert_eq!(
        rejected_in(folder.path()),
        "line,column,reason\n50,Quantity,not a whole number\n"
    );
}

#[test]
fn a_results_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("results/rejected.csv")).unwrap();
    let ended = run(folder.path(), &["--records", "10"]);
    let said = ["results/rejected.csv cannot be written", "--results"];
    ended.assert_refused(1, &said);
}

#[test]
fn another_input_or_other_partitions_on_old_data_are_refused_and_both_are_named() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["--records", "50"]).assert_success();
    let ended = run(folder.path(), &["--records", "50", "--seed", "2"]);
    ended.assert_refused(
        1,
        &["the generator's seed 1", "the generator's seed 2", "--data"],
    );
    let ended = run(folder.path(), &["--records", "50", "--partitions", "3"]);
    ended.assert_refused(1, &["8 partitions, not 3", "--partitions 8"]);
    let input = order_file(folder.path(), 60);
    let ended = run(folder.path(), &["--input", &input]);
    ended.assert_refused(1, &["the generator's seed 1", "an order file with hash"]);
    assert_eq!(rows_in_topic(&folder.path().join("data")).len(), 50);
}

#[test]
fn an_input_that_has_grown_since_it_was_finished_is_named() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["--records", "50"]).assert_success();
    let ended = run(folder.path(), &["--records", "60"]);
    let error = ended.last_line();
    assert_eq!(ended.code, Some(1), "{error}");
    for part in [
        "error: ",
        "row 50",
        "has grown",
        "choose another data folder",
    ] {
        assert!(error.contains(part), "`{part}` is not in {error:?}");
    }
    run(folder.path(), &["--records", "50"]).assert_success();
}

#[test]
fn a_group_that_is_named_twice_runs_once() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--records", "50", "--groups", "loyalty,loyalty"];
    run(folder.path(), &args).assert_success();
}
