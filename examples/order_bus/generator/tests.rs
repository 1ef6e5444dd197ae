//! What the generator promises: the real data's proportions, and the same lines for ever.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use super::*;
use crate::{Money, civil, write_csv};

const COUNT: usize = 100_000;

fn lines(seed: u64, count: usize) -> Vec<OrderLine> {
    Generator::new(Seed::new(seed))
        .take(count)
        .map(|(_, line)| line)
        .collect()
}

fn count(lines: &[OrderLine], is_counted: impl Fn(&OrderLine) -> bool) -> usize {
    lines.iter().filter(|line| is_counted(line)).count()
}

/// Repeats of lines of the last ten minutes.
fn repeats(lines: &[OrderLine]) -> usize {
    let mut last_seen: HashMap<&OrderLine, Timestamp> = HashMap::new();
    let span = Duration::from_mins(10);
    lines
        .iter()
        .filter(|line| {
            let before = last_seen.insert(*line, line.at);
            before.is_some_and(|before| line.at.since(before) <= span)
        })
        .count()
}

/// Five digits and at most two letters.
fn is_odd(sku: &str) -> bool {
    let letters = sku.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_article = sku.len() - letters.len() == 5
        && letters.len() <= 2
        && letters.bytes().all(|b| b.is_ascii_alphabetic());
    !is_article
}

/// The lines of one invoice, each with its row.
type Invoice<'a> = Vec<(usize, &'a OrderLine)>;

/// Invoices in the order of their first lines.
fn invoices(lines: &[OrderLine]) -> Vec<Invoice<'_>> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut invoices: Vec<Invoice<'_>> = Vec::new();
    for (row, line) in lines.iter().enumerate() {
        let place = *places.entry(&line.invoice).or_insert(invoices.len());
        if place == invoices.len() {
            invoices.push(Vec::new());
        }
        invoices[place].push((row, line));
    }
    invoices
}

fn is_interrupted(invoice: &Invoice<'_>) -> bool {
    invoice[invoice.len() - 1].0 - invoice[0].0 + 1 != invoice.len()
}

fn spans_two_minutes(invoice: &Invoice<'_>) -> bool {
    !is_interrupted(invoice) && invoice[0].1.at != invoice[invoice.len() - 1].1.at
}

fn is_large(invoice: &Invoice<'_>) -> bool {
    let amounts = invoice
        .iter()
        .map(|(_, line)| line.amount().unwrap().thousandths());
    amounts.sum::<i64>() >= 5_000_000
}

/// How often a customer had five invoices or more within a clock hour.
fn busy_hours(invoices: &[Invoice<'_>]) -> usize {
    let mut counts: HashMap<(&str, Timestamp), u32> = HashMap::new();
    for first in invoices.iter().map(|invoice| invoice[0].1) {
        let hour = (first.customer.as_str(), civil::hour(first.at));
        *counts.entry(hour).or_default() += u32::from(!first.customer.is_empty());
    }
    counts.values().filter(|count| **count >= 5).count()
}

#[test]
fn proportions_are_those_of_the_real_data() {
    for seed in [1, 2, 3] {
        let lines = lines(seed, COUNT);
        for (what, real, made) in [
            ("repeats", 5_268, repeats(&lines)),
            (
                "no customer",
                135_080,
                count(&lines, |line| line.customer.is_empty()),
            ),
            (
                "no description",
                1_454,
                count(&lines, |line| line.description.is_empty()),
            ),
            (
                "cancellations",
                9_288,
                count(&lines, OrderLine::is_cancellation),
            ),
            (
                "negative quantities",
                10_624,
                count(&lines, |line| line.quantity < 0),
            ),
            (
                "prices of zero or less",
                2_517,
                count(&lines, |line| line.price <= Money::ZERO),
            ),
            ("odd codes", 2_995, count(&lines, |line| is_odd(&line.sku))),
        ] {
            let expected = real * COUNT / 541_909;
            let is_near = made.abs_diff(expected) * 5 <= expected;
            assert!(
                is_near,
                "seed {seed}, {what}: {made} lines instead of {expected}"
            );
        }
    }
}

#[test]
fn what_is_rare_in_a_year_is_there_in_a_hundred_thousand_lines() {
    let thousand = Money::from_thousandths(1_000_000);
    for seed in [1, 2, 3] {
        let lines = lines(seed, COUNT);
        let invoices = invoices(&lines);
        let count_invoices = |is_counted: fn(&Invoice<'_>) -> bool| {
            invoices.iter().filter(|i| is_counted(i)).count()
        };
        for (what, made) in [
            ("bad debt", count(&lines, OrderLine::is_bad_debt)),
            (
                "prices below zero",
                count(&lines, |line| line.price < Money::ZERO),
            ),
            (
                "unit prices of 1,000",
                count(&lines, |line| line.price >= thousand),
            ),
            (
                "codes in lower case",
                count(&lines, |line| line.sku.ends_with(['a', 'b', 'c'])),
            ),
            ("two minutes", count_invoices(spans_two_minutes)),
            ("interrupted", count_invoices(is_interrupted)),
            ("totals of 5,000", count_invoices(is_large)),
            ("five invoices in an hour", busy_hours(&invoices)),
        ] {
            // Rare is still rare.
            assert!(
                (1..500).contains(&made),
                "seed {seed}: {what} come {made} times"
            );
        }
    }
}

#[test]
fn sizes_and_countries_are_skewed_as_the_real_ones() {
    let lines = lines(1, COUNT);
    let invoices = invoices(&lines).len();
    assert!(
        (3_800..5_800).contains(&invoices),
        "{invoices} invoices; the year has 4,780"
    );
    let home = count(&lines, |line| line.country == "United Kingdom");
    assert!(
        (80_000..97_000).contains(&home),
        "{home} lines from home; the year has 91,432"
    );
    let countries: HashSet<&str> = lines.iter().map(|line| line.country.as_str()).collect();
    assert!(countries.len() >= 15, "only {countries:?}");
    let mut skus: HashMap<&str, usize> = HashMap::new();
    for line in &lines {
        *skus.entry(&line.sku).or_default() += 1;
    }
    let mut counts: Vec<usize> = skus.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let busiest: usize = counts[..100].iter().sum();
    assert!(
        (16_000..22_000).contains(&busiest),
        "{busiest} lines on 100 codes; 18,824 in the year"
    );
}

#[test]
fn times_never_go_back_and_the_shop_keeps_its_hours() {
    let lines = lines(1, COUNT);
    assert!(lines.is_sorted_by_key(|line| line.at));
    assert_eq!(civil::format(lines[0].at).split_at(10).0, "2010-12-01");
    for line in &lines {
        let time = civil::format(line.at);
        assert!(
            ("08:00:00"..="18:30:00").contains(&&time[11..]),
            "open at {time}"
        );
        let day = line.at.as_millis() / 86_400_000;
        assert_ne!(day % 7, 2, "open on a Saturday, {time}");
    }
}

#[test]
fn a_seed_means_the_same_lines_for_ever() {
    let mut file = Vec::new();
    write_csv(&mut file, lines(1, 20_000)).unwrap();
    // Other bytes mean other results for everyone's seeds: then `VERSION` must go up, too.
    assert_eq!(
        (Generator::VERSION, xxh3_64(&file)),
        (1, 0x980a_27a0_c378_a30f)
    );
    let text = String::from_utf8(file).unwrap();
    let mut rows = text.lines().skip(1);
    let cancellation = "C536365,46540,JUMBO WALL CLOCK ,-8,2010-12-01 09:03:00,13.950,15648.0,\
        United Kingdom";
    assert_eq!(rows.next(), Some(cancellation));
    let sale = "536367,34347,CREAM JAM JAR,6,2010-12-01 09:20:00,7.610,15358.0,United Kingdom";
    assert_eq!(rows.nth(1), Some(sale));
}

#[test]
fn other_seeds_give_other_lines() {
    assert_ne!(lines(1, 100), lines(2, 100));
}
