//! The order bus's five answers, computed a second time: maps, sorting and nothing of Levada.
//!
//! Every line counts for every group, and money is whole thousandths.

use std::collections::{BTreeMap, BTreeSet};

use csv::{StringRecord, Writer};

/// Computes what each group's file holds, by its name, from the rows of an order file in order.
pub(crate) fn reference(rows: &[StringRecord]) -> [(&'static str, String); 5] {
    let invoices = invoices(rows);
    [
        ("inventory", inventory(rows)),
        ("loyalty", loyalty(&invoices)),
        ("recommendations", recommendations(rows)),
        ("fraud_audit", fraud_audit(&invoices)),
        ("warehouse", warehouse(rows)),
    ]
}

// The columns that the answers are made of.
const INVOICE: usize = 0;
const SKU: usize = 1;
const QUANTITY: usize = 3;
const AT: usize = 4;
const PRICE: usize = 5;
const CUSTOMER: usize = 6;
const COUNTRY: usize = 7;

fn quantity(row: &StringRecord) -> i128 {
    row[QUANTITY].parse().unwrap()
}

fn price(row: &StringRecord) -> i128 {
    let (whole, fraction) = row[PRICE].split_once('.').unwrap_or((&row[PRICE], ""));
    assert!(fraction.len() <= 3, "{row:?} has too many places");
    format!("{whole}{fraction:0<3}").parse().unwrap()
}

fn money(thousandths: i128) -> String {
    let sign = if thousandths < 0 { "-" } else { "" };
    let all = thousandths.abs();
    format!("{sign}{}.{:03}", all / 1_000, all % 1_000)
}

/// Per invoice and customer: the time of the first line, the total, the highest price.
type Invoices<'a> = BTreeMap<(&'a str, &'a str), (&'a str, i128, i128)>;

fn invoices(rows: &[StringRecord]) -> Invoices<'_> {
    let mut invoices = Invoices::new();
    for row in rows {
        let first = (&row[AT], 0, price(row));
        let (_, total, highest) = invoices
            .entry((&row[INVOICE], &row[CUSTOMER]))
            .or_insert(first);
        *total += quantity(row) * price(row);
        *highest = price(row).max(*highest);
    }
    invoices
}

fn inventory(rows: &[StringRecord]) -> String {
    let mut stock: BTreeMap<&str, (i128, u64)> = BTreeMap::new();
    for row in rows {
        let (change, lines) = stock.entry(&row[SKU]).or_default();
        *change -= quantity(row);
        *lines += 1;
    }
    let rows = stock
        .into_iter()
        .map(|(sku, (change, lines))| [sku.to_owned(), change.to_string(), lines.to_string()]);
    file("sku,stock_change,lines_n", rows)
}

fn loyalty(invoices: &Invoices<'_>) -> String {
    let mut earned: BTreeMap<&str, (u64, i128)> = BTreeMap::new();
    for ((number, customer), (_, total, _)) in invoices {
        let is_sale = !number.starts_with(['C', 'A']);
        if is_sale && !customer.is_empty() && *total > 0 {
            let (orders, points) = earned.entry(customer).or_default();
            *orders += 1;
            *points += *total / 1_000;
        }
    }
    let rows = earned.into_iter().map(|(customer, (orders, points))| {
        [customer.to_owned(), orders.to_string(), points.to_string()]
    });
    file("cust,orders,points", rows)
}

fn recommendations(rows: &[StringRecord]) -> String {
    let mut baskets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in rows {
        let letters = row[SKU].trim_start_matches(|c: char| c.is_ascii_digit());
        let is_article = row[SKU].len() - letters.len() == 5
            && letters.bytes().all(|letter| letter.is_ascii_alphabetic());
        if is_article && quantity(row) > 0 && !row[INVOICE].starts_with('C') {
            baskets.entry(&row[INVOICE]).or_default().insert(&row[SKU]);
        }
    }
    let mut together: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for basket in baskets.values().filter(|basket| basket.len() <= 30) {
        for a in basket {
            for b in basket.range(*a..).skip(1) {
                *together.entry((a, b)).or_default() += 1;
            }
        }
    }
    let mut pairs: Vec<_> = together.into_iter().collect();
    // The sort is stable, so that equal counts stay in the order of the codes.
    pairs.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let rows = pairs
        .into_iter()
        .take(100)
        .map(|((a, b), count)| [a.to_owned(), b.to_owned(), count.to_string()]);
    file("sku_a,sku_b,together", rows)
}

fn fraud_audit(invoices: &Invoices<'_>) -> String {
    let mut flags = Vec::new();
    let mut in_one_hour: BTreeMap<(&str, String), u64> = BTreeMap::new();
    for ((number, customer), (at, total, highest)) in invoices {
        let mut flag = |rule: &str, detail| {
            flags.push([
                rule.to_owned(),
                (*number).to_owned(),
                (*at).to_owned(),
                money(detail),
            ]);
        };
        if *total >= 5_000_000 {
            flag("invoice_total_ge_5000", *total);
        }
        if *highest >= 1_000_000 {
            flag("unit_price_ge_1000", *highest);
        }
        if !customer.is_empty() {
            let hour = format!("{}:00:00", &at[..13]);
            *in_one_hour.entry((customer, hour)).or_default() += 1;
        }
    }
    let many = in_one_hour.into_iter().filter(|(_, count)| *count >= 5);
    flags.extend(many.map(|((customer, hour), count)| {
        let rule = "invoices_per_customer_1h_ge_5".to_owned();
        [rule, customer.to_owned(), hour, count.to_string()]
    }));
    flags.sort();
    file("rule,id,at_,detail", flags.into_iter())
}

fn warehouse(rows: &[StringRecord]) -> String {
    let mut months: BTreeMap<(&str, &str), Vec<&StringRecord>> = BTreeMap::new();
    for row in rows {
        months
            .entry((&row[AT][..7], &row[COUNTRY]))
            .or_default()
            .push(row);
    }
    let rows = months.into_iter().map(|((month, country), rows)| {
        let distinct = |column: usize| rows.iter().map(|row| &row[column]).collect::<BTreeSet<_>>();
        let mut customers = distinct(CUSTOMER);
        customers.remove("");
        let pieces: i128 = rows.iter().map(|row| quantity(row)).sum();
        let amount = rows.iter().map(|row| quantity(row) * price(row)).sum();
        let [invoices, lines, customers] = [distinct(INVOICE).len(), rows.len(), customers.len()];
        [
            month.to_owned(),
            country.to_owned(),
            invoices.to_string(),
            lines.to_string(),
            pieces.to_string(),
            money(amount),
            customers.to_string(),
        ]
    });
    file("month,country,invoices,lines_n,qty,amount,customers", rows)
}

fn file<const N: usize>(header: &str, rows: impl Iterator<Item = [String; N]>) -> String {
    let mut file = Writer::from_writer(format!("{header}\n").into_bytes());
    rows.for_each(|row| file.write_record(row).unwrap());
    String::from_utf8(file.into_inner().unwrap()).unwrap()
}
