//! Groups, seals and names: the metadata is as durable as the records.

use levada_log::{Error, Log, MAX_PARTITIONS, Seek, TopicOptions};

use crate::support::{batch, contents, found, made, small};

#[test]
fn positions_survive_a_restart_and_journals_that_were_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let log = small().open(folder.path()).unwrap();
    let orders = made(&log, "orders");
    let inventory = log.group("inventory").unwrap();
    assert!(log.groups().is_empty());
    for i in 1..=100 {
        orders.append(batch(&[&[7; 500]])).wait().unwrap();
        inventory.commit(&[(&orders, i)]).wait().unwrap();
        assert_eq!(inventory.position(&orders), Some(i));
    }
    log.group("fraud_audit")
        .unwrap()
        .commit(&[(&orders, 3)])
        .wait()
        .unwrap();
    log.close().wait().unwrap();

    let log = small().open(folder.path()).unwrap();
    let orders = found(&log, "orders");
    let positions: Vec<_> = log
        .groups()
        .iter()
        .map(|g| (g.name().to_owned(), g.position(&orders)))
        .collect();
    assert_eq!(
        positions,
        [
            ("fraud_audit".into(), Some(3)),
            ("inventory".into(), Some(100))
        ]
    );
}

#[test]
fn position_beyond_the_visible_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    let orders = made(&log, "orders");
    let group = log.group("inventory").unwrap();
    assert!(matches!(
        group.commit(&[(&orders, 1)]).wait(),
        Err(Error::BeyondEnd { .. })
    ));
    assert_eq!(group.position(&orders), None);
}

#[test]
fn sealed_topic_stays_sealed_and_keeps_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    let topic = log
        .create_topic("orders", TopicOptions::new().partitions(2))
        .wait()
        .unwrap();
    let orders = topic.partition(0).unwrap();
    let last = orders.append(batch(&[b"a", b"b"]));
    assert_eq!(orders.sealed_at(), None);
    let sealed = topic.seal();
    let late = orders.append(batch(&[b"late"])).wait();
    assert!(matches!(late, Err(Error::Sealed { .. })));
    sealed.wait().unwrap();
    last.wait().unwrap();
    topic.seal().wait().unwrap();
    log.close().wait().unwrap();

    let log = Log::open(folder.path()).unwrap();
    let topic = log.topic("orders").unwrap();
    assert!(topic.is_sealed());
    let ends = [0, 1].map(|number| topic.partition(number).unwrap().sealed_at());
    assert_eq!(ends, [Some(2), Some(0)]);
    let refused = topic.partition(1).unwrap().append(batch(&[b"c"])).wait();
    assert!(matches!(refused, Err(Error::Sealed { .. })));
}

#[test]
fn what_a_topic_was_made_with_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    let options = TopicOptions::new()
        .partitions(3)
        .codec("msgpack")
        .partitioner("murmur2");
    log.create_topic("orders", options).wait().unwrap();
    log.close().wait().unwrap();
    let log = Log::open(folder.path()).unwrap();
    let topic = log.topic("orders").unwrap();
    assert_eq!((topic.codec(), topic.partitioner()), ("msgpack", "murmur2"));
    assert_eq!((topic.partitions(), topic.slots()), (3, 258));
    assert!(matches!(
        topic.partition(3),
        Err(Error::UnknownPartition { .. })
    ));
}

#[test]
fn bad_and_taken_names_are_refused_and_nothing_is_touched() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a/b/data");
    let log = Log::open(&folder).unwrap();
    made(&log, "Orders");
    let before = contents(parent.path());
    for name in [
        "", ".", "..", "a/../b", "../x", "a\0b", "%2e%2e", "CON", "-a", "оrders",
    ] {
        let refused = log.create_topic(name, TopicOptions::new()).wait();
        assert!(matches!(refused, Err(Error::BadName { .. })), "{name:?}");
        assert!(
            matches!(log.group(name), Err(Error::BadName { .. })),
            "{name:?}"
        );
    }
    for name in ["Orders", "orders", "ORDERS"] {
        let refused = log.create_topic(name, TopicOptions::new()).wait();
        assert!(
            matches!(refused, Err(Error::TopicExists { .. })),
            "{name:?}"
        );
    }
    assert!(matches!(
        log.topic("orders"),
        Err(Error::UnknownTopic { .. })
    ));
    assert_eq!(contents(parent.path()), before);
}

#[test]
fn of_two_topics_that_differ_in_case_created_at_once_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let steps = crate::support::Steps::default();
    let log = Log::options().spawner(std::sync::Arc::new(steps.clone()));
    let log = log.open(folder.path()).unwrap();
    let first = log.create_topic("orders", TopicOptions::new());
    let twin = log.create_topic("Orders", TopicOptions::new());
    steps.wait(first).unwrap();
    assert!(matches!(steps.wait(twin), Err(Error::TopicExists { .. })));
}

#[test]
fn partition_of_another_log_is_no_place_for_a_group() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [log, other] = [0, 1].map(|at| Log::open(folders[at].path()).unwrap());
    let (orders, astray) = (made(&log, "orders"), made(&other, "orders"));
    let group = log.group("shipping").unwrap();
    let refused = group.commit(&[(&orders, 0), (&astray, 0)]).wait();
    assert!(matches!(refused, Err(Error::ForeignPartition { .. })));
    let refused = refused.unwrap_err().to_string();
    let said = "`shipping` and topic `orders` belong to different logs";
    assert_eq!(refused, said);

    let topic = other.topic("orders").unwrap();
    let refused = group.seek(&topic, Seek::Start).wait();
    assert!(matches!(refused, Err(Error::ForeignPartition { .. })));
    let mut shop = log.producer("shop").wait().unwrap();
    let sale = shop.begin().unwrap();
    let refused = sale.commit_with(&group, &[(&astray, 0)]).wait();
    assert!(matches!(refused, Err(Error::ForeignPartition { .. })));
    let sale = shop.begin().unwrap();
    let elsewhere = other.group("shipping").unwrap();
    let refused = sale.commit_with(&elsewhere, &[(&astray, 0)]).wait();
    assert!(matches!(refused, Err(Error::ForeignPartition { .. })));
    assert_eq!(group.position(&orders), None);
}

#[test]
fn number_of_partitions_has_limits() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path()).unwrap();
    let made = |partitions| {
        log.create_topic("orders", TopicOptions::new().partitions(partitions))
            .wait()
    };
    assert!(matches!(made(0), Err(Error::BadOption { .. })));
    assert!(matches!(
        made(MAX_PARTITIONS + 1),
        Err(Error::TooLarge { .. })
    ));
    assert_eq!(made(MAX_PARTITIONS).unwrap().partitions(), MAX_PARTITIONS);
}
