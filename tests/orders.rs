//! The real order lines that promises are held to, and what happens where they are missing.
//!
//! They lie outside the repository: in `../shared`, or where `LEVADA_SHARED` says.

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use csv::StringRecord;
use flate2::read::GzDecoder;
use levada_core::Seed;
use lzma_rust2::XzReader;

use crate::{
    reference::reference,
    support::{root, skip},
};

/// How many rows of the year a subset is drawn from: about three weeks.
const SPAN: u64 = 30_000;

/// The folder of the real order lines, or nothing where it is missing and may be.
///
/// # Panics
///
/// Where it is missing and `LEVADA_REQUIRE` lists `data`.
pub(crate) fn real_data() -> Option<PathBuf> {
    let shared = env::var_os("LEVADA_SHARED").map_or_else(|| root().join("../shared"), Into::into);
    let folder = shared.join("data/online-retail");
    if folder.is_dir() {
        return Some(folder);
    }
    let reason = format!(
        "no order lines in `{}`: set LEVADA_SHARED",
        folder.display()
    );
    skip("data", &reason);
    None
}

/// The rows of December 2010, those that the golden files are about.
pub(crate) fn december(data: &Path) -> Vec<StringRecord> {
    let file = File::open(data.join("online_retail_2010-12.csv.gz")).unwrap();
    rows(GzDecoder::new(file))
}

/// The golden file of a group.
pub(crate) fn golden(data: &Path, file: &str) -> String {
    fs::read_to_string(data.join("golden-2010-12").join(file)).unwrap()
}

/// The rows of the whole year.
pub(crate) fn year(data: &Path) -> Vec<StringRecord> {
    let file = File::open(data.join("online_retail.csv.xz")).unwrap();
    rows(XzReader::new(file, false))
}

/// The rows of an order file.
pub(crate) fn rows(file: impl Read) -> Vec<StringRecord> {
    csv::Reader::from_reader(file)
        .into_records()
        .map(Result::unwrap)
        .collect()
}

/// Draws a subset of the year: a stretch of rows from anywhere, of which about one in eight is
/// left out. So most invoices are there, some lack lines, and some are cut at the ends.
pub(crate) fn draw(year: &[StringRecord], seed: u64) -> Vec<StringRecord> {
    let mut rng = Seed::new(seed).rng("subset of the year");
    let start = rng.below((year.len() as u64).saturating_sub(SPAN).max(1));
    let stretch = year.iter().skip(usize::try_from(start).unwrap());
    let mut rows: Vec<_> = stretch
        .take(usize::try_from(SPAN).unwrap())
        .cloned()
        .collect();
    rows.retain(|_| !rng.chance(1, 8));
    rows
}

#[test]
fn subsets_differ_by_seed_and_keep_the_order() {
    let year: Vec<_> = (0..100_000)
        .map(|row| StringRecord::from(vec![row.to_string()]))
        .collect();
    let starts: BTreeSet<u64> = (0..20)
        .map(|seed| {
            let drawn = draw(&year, seed);
            assert_eq!(drawn, draw(&year, seed));
            assert!(
                (25_000..27_500).contains(&drawn.len()),
                "{} rows",
                drawn.len()
            );
            let numbers: Vec<u64> = drawn.iter().map(|row| row[0].parse().unwrap()).collect();
            assert!(numbers.is_sorted());
            numbers[0]
        })
        .collect();
    assert_eq!(starts.len(), 20);
}

#[test]
fn the_year_has_all_its_rows() {
    let Some(data) = real_data() else { return };
    let year = year(&data);
    assert_eq!(year.len(), 541_909);
    assert_eq!(year[..42_481], december(&data));
}

#[test]
fn the_answers_equal_the_golden_files_byte_for_byte() {
    let Some(data) = real_data() else {
        return;
    };
    let answers = reference(&december(&data));
    for ((group, answer), file) in answers.into_iter().zip([
        "g_inventory_net_per_sku.csv",
        "g_loyalty_points.csv",
        "g_recommend_top100_pairs.csv",
        "g_fraud_flags.csv",
        "g_warehouse_month_country.csv",
    ]) {
        assert!(
            answer == golden(&data, file),
            "{group} differs from {file}:\n{answer}"
        );
    }
}

#[test]
fn rules_that_december_has_no_case_for_hold_too() {
    let file = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
        1,10001,,1,2010-12-01 08:00:00,0.999,a,EIRE
        A2,10001,,1,2010-12-01 08:10:00,1000,a,EIRE
        3,10001,,2,2010-12-01 08:20:00,2500,a,EIRE
        4,10001,,-1,2010-12-01 08:30:00,1,a,EIRE
        C5,10001,,-1,2010-12-01 08:40:00,1,a,EIRE
        6,10001,,1,2010-12-01 09:00:00,1,a,EIRE";
    let rows = rows(file.replace("        ", "").as_bytes());
    let [_, loyalty, _, fraud_audit, _] = reference(&rows);
    // The bad debt earns nothing, the invoice below 1 is an order, the one below 0 is none.
    assert_eq!(loyalty.1, "cust,orders,points\na,3,5001\n");
    assert_eq!(
        fraud_audit.1,
        "rule,id,at_,detail
invoice_total_ge_5000,3,2010-12-01 08:20:00,5000.000
invoices_per_customer_1h_ge_5,a,2010-12-01 08:00:00,5
unit_price_ge_1000,3,2010-12-01 08:20:00,2500.000
unit_price_ge_1000,A2,2010-12-01 08:10:00,1000.000
"
    );
}
