//! What else is flagged, and what is not, of each class of anomaly.

use super::{
    Call, Keeps, Outcome,
    anomaly::Anomaly,
    bad::{anomalies, class, class_of},
    checker::Promise,
    is_tombstone, key,
    written::{HERE, THERE, Written},
};

#[test]
fn a_value_that_nobody_sent_or_that_was_sent_elsewhere_is_invented() {
    assert_eq!(
        class(|it| {
            it.read(HERE, &[(0, 1)]);
        }),
        "invented"
    );
    let elsewhere = class(|it| {
        it.sent(HERE, 1, 1, 0).read(THERE, &[(0, 1)]);
    });
    assert_eq!(elsewhere, "invented");
}

#[test]
fn reads_that_go_back_inside_a_poll_or_say_so_of_the_end_are_not_monotone() {
    let inside = class(|it| {
        it.sent(HERE, 1, 2, 0);
        it.polled(None, HERE, 0, &[(0, 1), (1, 2), (0, 1)], 2);
    });
    assert_eq!(inside, "non-monotone read");
    let next = class(|it| {
        it.sent(HERE, 1, 2, 0);
        it.read_a_part(HERE, &[(0, 1), (1, 2)], 1, 2);
    });
    assert_eq!(next, "non-monotone read");
    let end = class(|it| {
        let unknown = it.sending(HERE, 1, 2);
        it.read(HERE, &[(0, 1), (1, 2)]).restarted();
        it.polled(None, HERE, 0, &[(0, 1)], 1);
        assert!(unknown < 9, "it is never answered");
    });
    assert_eq!(end, "non-monotone read");
}

#[test]
fn a_reader_that_goes_on_after_where_it_was_has_passed_what_lies_between() {
    let between = class(|it| {
        it.sent(HERE, 1, 3, 0);
        it.read(HERE, &[(0, 1), (1, 2), (2, 3)]);
        it.read_a_part(HERE, &[(0, 1)], 1, 3);
        it.went_on(HERE, 2, &[(2, 3)], 3);
    });
    assert_eq!(between, "skip");
}

#[test]
fn a_transaction_that_reads_its_own_values_or_never_commits_is_read_too_early() {
    let own = class(|it| {
        it.wrote(1, HERE, 1, 0);
        let commit = it.committing(1);
        it.read_in(1, HERE, &[(0, 1)]);
        it.completed(commit, Outcome::Done);
    });
    assert_eq!(own, "precommitted read");
    let open = class(|it| {
        it.wrote(1, HERE, 1, 0).read(HERE, &[(0, 1)]);
    });
    assert_eq!(open, "precommitted read");
}

#[test]
fn a_transaction_that_a_restart_has_aborted_is_not_read() {
    let aborted = class(|it| {
        it.wrote(1, HERE, 1, 0).restarted().read(HERE, &[(0, 1)]);
    });
    assert_eq!(aborted, "aborted read");
}

#[test]
fn a_batch_of_which_some_is_missing_is_torn_or_out_of_order() {
    let torn = class(|it| {
        it.sending(HERE, 1, 3);
        it.restarted().read(HERE, &[(0, 1), (2, 3)]);
    });
    assert_eq!(torn, "torn transaction or batch");
    let moved = class(|it| {
        it.sending(HERE, 1, 2);
        it.restarted().read(HERE, &[(0, 2), (1, 1)]);
    });
    assert_eq!(moved, "write order");
    let swapped = class(|it| {
        it.sending(HERE, 1, 3);
        it.restarted().read(HERE, &[(0, 1), (1, 3), (2, 2)]);
    });
    assert_eq!(swapped, "write order");
}

#[test]
fn a_committed_transaction_of_which_nothing_is_read_is_lost() {
    let lost = class(|it| {
        it.wrote(1, HERE, 1, 0).committed(1).sent(HERE, 2, 1, 1);
        it.read(HERE, &[(1, 2)]);
    });
    assert_eq!(lost, "lost write");
}

#[test]
fn cycles_of_every_kind_are_found_where_they_are_promised_not_to_be() {
    let writes: fn(&mut Written) = |it| {
        it.wrote(1, HERE, 1, 0).wrote(2, HERE, 2, 1);
        it.wrote(2, THERE, 3, 0).wrote(1, THERE, 4, 1);
        it.committed(1).committed(2);
        it.read(HERE, &[(0, 1), (1, 2)])
            .read(THERE, &[(0, 3), (1, 4)]);
    };
    let read_too_early: fn(&mut Written) = |it| {
        it.wrote(1, HERE, 1, 0).wrote(1, THERE, 2, 0);
        it.read_in(2, HERE, &[]).committed(1);
        it.read_in(2, THERE, &[(0, 2)]).committed(2);
        it.read(HERE, &[(0, 1)]);
    };
    for write in [writes, read_too_early] {
        let mut history = Written::new();
        write(&mut history);
        let found = history.anomalies();
        assert!(matches!(found[..], [Anomaly::Cycle { .. }]), "{found:?}");
        assert_eq!(anomalies(write), []);
    }
}

#[test]
fn what_a_place_need_not_keep_may_go_and_nothing_else() {
    let young = class(|it| {
        it.declared(HERE, Keeps::Younger { millis: 10 });
        it.sent(HERE, 1, 2, 0).clock(10).expired(HERE, 2);
    });
    assert_eq!(young, "expired early");
    let old = anomalies(|it| {
        it.declared(HERE, Keeps::Younger { millis: 10 });
        it.sent(HERE, 1, 2, 0).clock(11).expired(HERE, 2);
    });
    assert_eq!(old, []);
    let kept_for_good = class(|it| {
        it.sent(HERE, 1, 2, 0).clock(99).expired(HERE, 2);
    });
    assert_eq!(kept_for_good, "expired early");
}

#[test]
fn last_value_of_a_key_stays_unless_it_is_a_tombstone_that_is_old() {
    let value = |of: fn(u64) -> bool| (0..1_000).find(|value| of(*value)).unwrap();
    let put = value(|value| !is_tombstone(value));
    let tombstone = value(is_tombstone);
    let gone = |value, seconds: u64| {
        let mut history = Written::new();
        history.declared(HERE, Keeps::LastOfKey { millis: 1_000 });
        history.sent(HERE, value, 1, 0).clock(1_000 * seconds);
        history.polled(None, HERE, 0, &[], 1);
        let found = history.findings(Promise::ReadCommitted).unwrap().anomalies;
        found.iter().map(class_of).collect::<Vec<_>>()
    };
    assert_eq!(gone(put, 9), ["compacted away"]);
    assert_eq!(gone(tombstone, 1), ["compacted away"]);
    assert!(gone(tombstone, 2).is_empty());
}

#[test]
fn value_goes_when_a_later_one_of_its_key_was_sent_and_not_before() {
    let first = 1;
    let second = (2..1_000).find(|value| key(*value) == key(first)).unwrap();
    let gone = |is_before: bool| {
        let mut history = Written::new();
        history.declared(HERE, Keeps::LastOfKey { millis: 1_000 });
        history.sent(HERE, first, 1, 0);
        if is_before {
            history.sent(HERE, second, 1, 1);
        }
        let there: &[_] = if is_before { &[(1, second)] } else { &[] };
        history.polled(None, HERE, 0, there, 1 + u64::from(is_before));
        if !is_before {
            history.sent(HERE, second, 1, 1);
        }
        history
            .findings(Promise::ReadCommitted)
            .unwrap()
            .anomalies
            .len()
    };
    assert_eq!((gone(true), gone(false)), (0, 1));
}

#[test]
fn damage_that_nobody_did_is_a_false_alarm() {
    let alarm = class(|it| {
        let open = it.invoked(99, Call::Open);
        it.completed(open, Outcome::Damaged);
    });
    assert_eq!(alarm, "false alarm");
    let rotten = anomalies(|it| {
        let open = it.rotted().invoked(99, Call::Open);
        it.completed(open, Outcome::Damaged);
    });
    assert_eq!(rotten, []);
}
