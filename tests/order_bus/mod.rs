//! The order bus: true answers, whatever the wiring, and after whatever happened to the process.

mod bad_input;
mod full_disk;
mod kills;
mod metrics;
mod program;
mod read_only;
mod signals;
mod truth;

use std::{collections::BTreeMap, fs, ops::ControlFlow, path::Path};

use ::order_bus::{Generator, ROW_HEADER, write_csv};
use csv::StringRecord;
use futures::executor::block_on;
use levada::{Levada, Seed};

use self::program::no_process_begins;
use crate::{
    orders::{golden, rows},
    reference::reference,
};

/// The lines of December.
const ROWS: u32 = 42_481;

/// Answers by group: what its result file holds.
type Answers = BTreeMap<&'static str, String>;

/// The answers that the golden files of December hold.
fn golden_answers(data: &Path) -> Answers {
    BTreeMap::from(
        [
            ("inventory", "g_inventory_net_per_sku.csv"),
            ("loyalty", "g_loyalty_points.csv"),
            ("recommendations", "g_recommend_top100_pairs.csv"),
            ("fraud_audit", "g_fraud_flags.csv"),
            ("warehouse", "g_warehouse_month_country.csv"),
        ]
        .map(|(group, file)| (group, golden(data, file))),
    )
}

/// The answers to these rows, computed without Levada.
fn reference_answers(rows: &[StringRecord]) -> Answers {
    BTreeMap::from(reference(rows))
}

/// The rows that the generator makes up.
fn generated(seed: u64, records: usize) -> Vec<StringRecord> {
    let lines = Generator::new(Seed::new(seed)).take(records);
    let mut file = Vec::new();
    write_csv(&mut file, lines.map(|(_, line)| line)).unwrap();
    rows(&*file)
}

/// Compares the result files with what they should hold, byte for byte.
fn assert_answers(results: &Path, expected: &Answers, told: &str) {
    for (group, answer) in expected {
        let found = fs::read_to_string(results.join(group).with_extension("csv"));
        let found = found.unwrap_or_else(|error| panic!("{told}: no answer of {group}: {error}"));
        assert!(found == *answer, "{told}: {group} answers\n{found}");
    }
}

/// The rows of all records in the topic of a data folder, in order.
fn rows_in_topic(data: &Path) -> Vec<u64> {
    let _beginning = no_process_begins();
    let levada = Levada::open(data.join("log")).unwrap();
    let topic = levada.backend().topic("orders").unwrap();
    let mut rows = Vec::new();
    for number in 0..topic.spec().partitions {
        let partition = topic.partition(number);
        let mut next = partition.ends().start;
        while next < partition.ends().visible {
            let fetched = block_on(partition.fetch(next, 1 << 20)).unwrap();
            for batch in fetched.batches {
                batch.each_from(next, &mut |record| {
                    let row = record.headers.get(ROW_HEADER).unwrap();
                    rows.push(u64::from_be_bytes(row.try_into().unwrap()));
                    ControlFlow::Continue(())
                });
            }
            next = fetched.next;
        }
    }
    rows.sort_unstable();
    rows
}
