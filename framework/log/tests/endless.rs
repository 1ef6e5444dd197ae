//! Times that never come are none: whoever wants no limit may say so by the longest time there is.

use std::{sync::Arc, time::Duration};

use levada_core::SystemClock;
use levada_log::{Options, Retention, Seek, TopicOptions};
use levada_testkit::vfs::Keep;

use crate::{
    machine::Machine,
    support::{Steps, batch, small},
};

const NEVER: Duration = Duration::MAX;

/// Every time that one may give, and none of them ever comes.
fn endless(options: Options) -> Options {
    options.transaction_timeout(NEVER).cleaning_interval(NEVER)
}

fn keeping() -> TopicOptions {
    TopicOptions::new().retention(Retention::forever().age(NEVER).tombstones(NEVER))
}

#[test]
fn time_that_never_comes_is_no_limit() {
    let machine = Machine::with(endless);
    let [orders] = machine
        .made("orders", TopicOptions::new())
        .try_into()
        .unwrap();
    let kept = TopicOptions::new().retention(Retention::forever().age(NEVER));
    let [clicks] = machine.made("clicks", kept).try_into().unwrap();
    machine.topic("customers", keeping());
    machine.pass(Duration::from_mins(1));

    let mut shop = machine.producer("shop");
    let sale = shop.begin().unwrap();
    machine
        .wait(sale.append(&orders, batch(&[b"tea"])))
        .unwrap();
    machine.append(&clicks, b"click");
    machine.flush();
    for _ in 0..10 {
        machine.pass(Duration::from_hours(365 * 24));
    }
    machine.wait(sale.commit()).unwrap();
    assert_eq!(machine.values(&orders), ["tea"]);
    assert_eq!(machine.values(&clicks), ["click"]);
    assert!(
        clicks
            .retained_for(0)
            .is_none_or(|left| left > Duration::from_hours(1 << 30))
    );

    let group = machine.log.group("reports").unwrap();
    let topic = machine.log.topic("clicks").unwrap();
    let plan = machine.wait(group.seek(&topic, Seek::Ago(NEVER))).unwrap();
    assert_eq!(plan.moves()[0].to, 0);

    let machine = machine.power_cut(Keep::Nothing);
    machine.pass(Duration::from_mins(1));
    let clicks = machine.found("clicks", 0);
    assert_eq!(machine.values(&clicks), ["click"]);
}

#[test]
fn clock_of_the_machine_waits_for_a_time_that_never_comes() {
    let (folder, steps) = (tempfile::tempdir().unwrap(), Steps::default());
    let seams = small().clock(Arc::new(SystemClock::new()));
    let options = endless(seams.spawner(Arc::new(steps.clone())));
    let log = options.open(folder.path()).unwrap();
    let mut shop = steps.wait(log.producer("shop")).unwrap();
    let sale = shop.begin().unwrap();
    steps.settle();
    steps.wait(sale.commit()).unwrap();
}
