//! The answers are true: on real lines and made-up ones, however the work is spread.

use std::{fs::File, path::Path};

use ::order_bus::{Config, run};
use clap::Parser as _;
use csv::StringRecord;

use super::{assert_answers, generated, golden_answers, reference_answers};
use crate::orders::{draw, real_data, year};

/// Runs the bus in this process, as fast as it goes, with its folders inside `folder`.
fn run_in(folder: &Path, args: &[&str]) {
    let path = |name: &str| folder.join(name).display().to_string();
    let (data, results) = (path("data"), path("results"));
    let fixed = ["order_bus", "--work", "0", "--rate", "0"];
    let folders = ["--data", &data, "--results", &results];
    let config = Config::try_parse_from(fixed.iter().chain(&folders).chain(args)).unwrap();
    run(&config).unwrap();
}

fn run_on_file(input: &Path, folder: &Path, args: &[&str]) {
    let input = input.display().to_string();
    run_in(folder, &[&["--input", &input], args].concat());
}

#[test]
fn answers_on_real_lines_are_golden_however_the_work_is_spread() {
    let Some(data) = real_data() else { return };
    let expected = golden_answers(&data);
    let input = data.join("online_retail_2010-12.csv.gz");
    for backend in ["embedded", "memory"] {
        for partitions in ["1", "2", "8"] {
            for arbiters in ["1", "2"] {
                let folder = tempfile::tempdir().unwrap();
                let args = [
                    ["--backend", backend],
                    ["--partitions", partitions],
                    ["--arbiters", arbiters],
                ];
                run_on_file(&input, folder.path(), args.as_flattened());
                let told = format!("{backend}, {partitions} partitions, {arbiters} arbiters");
                assert_answers(&folder.path().join("results"), &expected, &told);
            }
        }
    }
}

#[test]
fn answers_on_generated_lines_equal_the_reference() {
    for seed in 1..=5 {
        let folder = tempfile::tempdir().unwrap();
        let number = seed.to_string();
        run_in(folder.path(), &["--backend", "memory", "--seed", &number]);
        let expected = reference_answers(&generated(seed, 20_000));
        assert_answers(
            &folder.path().join("results"),
            &expected,
            &format!("seed {seed}"),
        );
    }
}

#[test]
fn answers_on_subsets_of_the_year_equal_the_reference() {
    let Some(data) = real_data() else { return };
    let year = year(&data);
    for seed in 0..20 {
        let rows = draw(&year, seed);
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("subset.csv");
        write(&rows, &input);
        run_on_file(&input, folder.path(), &["--backend", "memory"]);
        let expected = reference_answers(&rows);
        assert_answers(
            &folder.path().join("results"),
            &expected,
            &format!("subset {seed}"),
        );
    }
}

/// Writes rows as an order file.
fn write(rows: &[StringRecord], path: &Path) {
    let mut file = csv::Writer::from_writer(File::create(path).unwrap());
    file.write_record(::order_bus::COLUMNS).unwrap();
    for row in rows {
        file.write_record(row).unwrap();
    }
    file.flush().unwrap();
}
