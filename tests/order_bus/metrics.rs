//! Metrics are true on real lines: what is scraped adds up to the input, to the last record.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
};

use ::order_bus::Group;

use super::{ROWS, program::Bus};
use crate::orders::real_data;

/// What one scrape showed, by metric and labels.
type Scrape = BTreeMap<String, f64>;

fn scrape(address: SocketAddr) -> Scrape {
    let mut stream = TcpStream::connect(address).unwrap();
    // Of version 1.0, so that what is answered comes in one piece.
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 OK"), "{head}");
    let samples = body
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    samples
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// An address of this machine's own that nobody serves.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// The values of all series whose names begin so.
fn values(scrape: &Scrape, begin: &str) -> Vec<f64> {
    let series = scrape
        .iter()
        .filter(|(series, _)| series.starts_with(begin));
    series.map(|(_, value)| *value).collect()
}

fn records_in(group: Group) -> String {
    let family = "levada_operator_records_in_total";
    format!("{family}{{pipeline=\"{group}\",operator=\"service\"}}")
}

#[test]
fn metrics_of_the_real_run_count_every_line_and_end_without_lag() {
    let Some(data) = real_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let input = data.join("online_retail_2010-12.csv.gz");
    let (input, address) = (input.to_str().unwrap(), free_address());
    let metrics = address.to_string();
    let args = ["--input", input, "--work", "0", "--rate", "10000"];
    let served = ["--metrics", &metrics, "--linger"];
    let mut bus = Bus::start(folder.path(), &[&args[..], &served].concat());

    let mut scrapes: Vec<Scrape> = Vec::new();
    bus.until(|line| {
        scrapes.push(scrape(address));
        line.contains("until this is told to stop")
    });
    for pair in scrapes.windows(2) {
        for (series, before) in pair[0]
            .iter()
            .filter(|(series, _)| series.contains("_total{"))
        {
            assert!(pair[1][series] >= *before, "{series} went back");
        }
    }
    for (series, value) in scrapes.iter().flatten() {
        assert!(*value >= 0.0, "{series} is {value}");
    }
    let moving = |scrape: &&Scrape| {
        let count = scrape.get(&records_in(Group::Loyalty));
        count.is_some_and(|count| (1.0..f64::from(ROWS)).contains(count))
    };
    assert!(scrapes.iter().any(|scrape| moving(&scrape)), "{scrapes:?}");

    let last = scrapes.last().unwrap();
    for group in Group::ALL {
        assert_eq!(
            values(last, &records_in(group)),
            [f64::from(ROWS)],
            "{group}"
        );
        for unit in ["records", "seconds"] {
            let family = format!("levada_group_lag_{unit}{{group=\"{group}\"");
            assert_eq!(values(last, &family), [0.0; 8], "{family}");
        }
    }
    bus.terminate();
    bus.wait().assert_success();
}
