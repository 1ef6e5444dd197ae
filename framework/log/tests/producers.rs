//! Producers: a repeat is known as one, a gap or a zombie is refused.

use levada_log::{Acks, Error, Partition, Producer, TopicOptions};
use levada_testkit::vfs::{FaultyFs, Keep};

use crate::{machine::Machine, support::batch};

fn offset(machine: &Machine, producer: &Producer, to: &Partition, sequence: u64) -> u64 {
    let record = format!("record {sequence}");
    let ticket = producer.append(to, sequence, batch(&[record.as_bytes()]));
    machine.wait(ticket).unwrap().offsets.start
}

fn expected(refused: levada_log::Result<levada_log::Appended>) -> u64 {
    match refused.unwrap_err() {
        Error::OutOfSequence { expected, .. } => expected,
        other => panic!("{other}"),
    }
}

#[test]
fn repeat_gets_the_offsets_of_the_original_however_often_and_whenever() {
    let mut machine = Machine::new();
    let mut orders = machine.made("orders", TopicOptions::new()).remove(0);
    let mut import = machine.producer("import");
    for sequence in 0..4 {
        // The answer is lost, and it is sent again at once, while the original is on its way.
        let record = format!("record {sequence}");
        let of = || batch(&[record.as_bytes()]);
        drop(import.append(&orders, sequence, of()));
        for _ in 0..100 {
            drop(import.append(&orders, sequence, of()));
        }
        assert_eq!(offset(&machine, &import, &orders, sequence), sequence);
        // And again in another life, from the journal and from segments.
        if sequence == 2 {
            machine.flush();
        }
        machine = machine.power_cut(Keep::Nothing);
        orders = machine.found("orders", 0);
        import = machine.producer("import");
        assert_eq!(offset(&machine, &import, &orders, sequence), sequence);
        assert_eq!(import.next_sequence(&orders), sequence + 1);
    }
    let all: Vec<_> = machine
        .committed(&orders)
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    assert_eq!(all, ["record 0", "record 1", "record 2", "record 3"]);
}

#[test]
fn gaps_resets_and_other_cuts_are_refused_and_say_what_comes_next() {
    let machine = Machine::new();
    let orders = machine.made("orders", TopicOptions::new()).remove(0);
    let import = machine.producer("import");
    let append =
        |sequence, values: &[&[u8]]| machine.wait(import.append(&orders, sequence, batch(values)));
    assert_eq!(expected(append(1, &[b"gap"])), 0);
    for n in 0..8 {
        append(2 * n, &[b"a", b"b"]).unwrap();
    }
    assert_eq!(
        expected(append(0, &[b"a", b"b"])),
        16,
        "older than what is remembered"
    );
    assert_eq!(expected(append(14, &[b"a"])), 16, "half of the last batch");
    assert_eq!(
        expected(append(15, &[b"b", b"c"])),
        16,
        "half old, half new"
    );
    assert_eq!(expected(append(17, &[b"c"])), 16);
    assert_eq!(append(14, &[b"a", b"b"]).unwrap().offsets, 14..16);
    assert_eq!(machine.committed(&orders).len(), 16);
}

#[test]
fn each_partition_and_each_producer_counts_by_itself() {
    let machine = Machine::new();
    let orders = machine.made("orders", TopicOptions::new().partitions(2));
    let (one, other) = (machine.producer("one"), machine.producer("other"));
    assert_eq!(offset(&machine, &one, &orders[0], 0), 0);
    assert_eq!(offset(&machine, &one, &orders[1], 0), 0);
    assert_eq!(offset(&machine, &other, &orders[0], 0), 1);
    assert_eq!(offset(&machine, &one, &orders[0], 1), 2);
}

#[test]
fn zombie_is_refused_from_the_moment_its_name_is_opened_again() {
    let machine = Machine::new();
    let orders = machine.made("orders", TopicOptions::new()).remove(0);
    let mut zombie = machine.producer("import");
    assert_eq!(offset(&machine, &zombie, &orders, 0), 0);
    let opening = machine.log.producer("import"); // Not waited for.
    let refused = machine.wait(zombie.append(&orders, 1, batch(&[b"late"])));
    assert!(matches!(refused, Err(Error::ProducerFenced { .. })));
    assert!(matches!(zombie.begin(), Err(Error::ProducerFenced { .. })));
    let import = machine.wait(opening).unwrap();
    assert_eq!(offset(&machine, &import, &orders, 1), 1, "sequences go on");
}

#[test]
fn producer_that_was_forgotten_is_refused_and_begins_anew_under_its_name() {
    let machine = Machine::new();
    let orders = machine.made("orders", TopicOptions::new()).remove(0);
    let old = machine.producer("import");
    offset(&machine, &old, &orders, 0);
    machine.flush();
    machine.wait(machine.log.forget_producer("import")).unwrap();
    for sequence in [0, 1] {
        let refused = machine.wait(old.append(&orders, sequence, batch(&[b"late"])));
        assert!(matches!(refused, Err(Error::ProducerFenced { .. })));
    }
    let machine = machine.power_cut(Keep::Nothing);
    assert!(machine.log.producers().is_empty());
    let orders = machine.found("orders", 0);
    let new = machine.producer("import");
    assert_eq!(
        expected(machine.wait(new.append(&orders, 1, batch(&[b"gap"])))),
        0
    );
    assert_eq!(offset(&machine, &new, &orders, 0), 1);
    let missing = machine.wait(machine.log.forget_producer("nobody"));
    assert!(matches!(missing, Err(Error::UnknownProducer { .. })));
}

#[test]
fn of_a_producer_that_was_forgotten_soon_nothing_is_kept() {
    let images = [false, true].map(|is_used| {
        let machine = Machine::new();
        let orders = machine.made("orders", TopicOptions::new()).remove(0);
        let import = machine.producer("import");
        if is_used {
            offset(&machine, &import, &orders, 0);
        } else {
            machine.append(&orders, b"record 0");
        }
        machine.wait(machine.log.forget_producer("import")).unwrap();
        machine.flush();
        machine.fs.contents("/data/image").unwrap().len()
    });
    assert_eq!(images[0], images[1]);
}

#[test]
fn producer_that_a_full_disk_did_not_forget_is_known_and_forgotten_later() {
    let machine = Machine::new();
    let orders = machine.made("orders", TopicOptions::new()).remove(0);
    let mut import = machine.producer("import");
    assert_eq!(offset(&machine, &import, &orders, 0), 0);
    machine.rest();
    machine.fs.set_room(Some(0));
    let forget = || machine.log.forget_producer("import");
    let (refused, reopened) = (forget(), machine.log.producer("import"));
    assert!(matches!(machine.wait(refused), Err(Error::NoSpace { .. })));
    assert!(matches!(machine.wait(reopened), Err(Error::NoSpace { .. })));
    assert_eq!(machine.log.producers(), ["import".into()]);
    let refused = machine.wait(forget());
    assert!(matches!(refused, Err(Error::NoSpace { .. })), "{refused:?}");

    room(&machine.fs);
    drop(import.begin().unwrap());
    let again = machine.producer("import");
    assert_eq!(offset(&machine, &again, &orders, 1), 1, "sequences go on");
    machine.wait(forget()).unwrap();
    let machine = machine.power_cut(Keep::Nothing);
    assert!(machine.log.producers().is_empty());
}

#[test]
fn name_that_is_opened_while_it_is_being_forgotten_begins_anew() {
    let machine = Machine::new();
    let orders = machine.made("orders", TopicOptions::new()).remove(0);
    let old = machine.producer("import");
    assert_eq!(offset(&machine, &old, &orders, 0), 0);
    let tickets = [(); 3].map(|()| {
        let forgotten = machine.log.forget_producer("import");
        (forgotten, machine.log.producer("import"))
    });
    let opened = tickets.map(|(forgotten, opened)| {
        machine.wait(forgotten).unwrap();
        machine.wait(opened).unwrap()
    });
    let refused = machine.wait(opened[1].append(&orders, 0, batch(&[b"late"])));
    assert!(matches!(refused, Err(Error::ProducerFenced { .. })));
    assert_eq!(offset(&machine, &opened[2], &orders, 0), 1);
    assert_eq!(machine.log.producers(), ["import".into()]);
    machine.wait(machine.log.forget_producer("import")).unwrap();
    assert!(machine.log.producers().is_empty());
}

#[test]
fn batches_that_a_full_disk_refused_are_expected_again_in_order() {
    let machine = Machine::new();
    let orders = machine.made("orders", TopicOptions::new()).remove(0);
    let import = machine.producer("import");
    assert_eq!(offset(&machine, &import, &orders, 0), 0);
    machine.rest();
    machine.fs.set_room(Some(0));
    let send = |sequence| import.append(&orders, sequence, batch(&[&[b'x'; 9 << 10]]));
    let tickets: Vec<_> = (1..9).map(send).collect();
    let repeat = send(8);
    for ticket in tickets.into_iter().chain([repeat]) {
        assert!(matches!(machine.wait(ticket), Err(Error::NoSpace { .. })));
    }
    assert_eq!(import.next_sequence(&orders), 1);
    room(&machine.fs);
    assert_eq!(expected(machine.wait(send(2))), 1);
    for sequence in 1..9 {
        machine.wait(send(sequence)).unwrap();
    }
    assert_eq!(machine.committed(&orders).len(), 9);
}

fn room(fs: &FaultyFs) {
    fs.set_room(None);
}

#[test]
fn weakly_acknowledged_topics_know_repeats_as_well() {
    for acks in [Acks::Written, Acks::None] {
        let machine = Machine::new();
        let clicks = machine
            .made("clicks", TopicOptions::new().acks(acks))
            .remove(0);
        let import = machine.producer("import");
        let send = || {
            machine
                .wait(import.append(&clicks, 0, batch(&[b"click"])))
                .unwrap()
        };
        assert_eq!(send(), send());
        machine.rest();
        assert_eq!(machine.committed(&clicks).len(), 1);
    }
}

#[test]
fn partition_of_another_log_is_refused() {
    let (machine, other) = (Machine::new(), Machine::new());
    let orders = machine.made("orders", TopicOptions::new()).remove(0);
    let import = other.producer("import");
    let refused = other.wait(import.append(&orders, 0, batch(&[b"astray"])));
    assert!(matches!(refused, Err(Error::ForeignPartition { .. })));
}
