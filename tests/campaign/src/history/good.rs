//! Good histories, with everything in them that a checker may take for wrong.

use super::{
    Call, Outcome,
    checker::{Malformed, Promise},
    written::{HERE, THERE, Written},
};

#[track_caller]
fn is_good(write: impl FnOnce(&mut Written)) {
    let mut history = Written::new();
    write(&mut history);
    assert_eq!(history.anomalies(), []);
}

#[test]
fn calls_of_unknown_result_may_have_been_done_or_not() {
    is_good(|it| {
        it.sent(HERE, 1, 2, 0);
        let unknown = it.sending(HERE, 3, 2);
        it.sending(HERE, 5, 2);
        it.completed(unknown, Outcome::Unknown).restarted();
        it.sent(HERE, 7, 1, 4);
        it.read(HERE, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 7)]);
    });
    is_good(|it| {
        it.sending(HERE, 1, 2);
        it.restarted().sent(HERE, 3, 1, 2).read(HERE, &[(2, 3)]);
    });
}

#[test]
fn readers_may_pass_offsets_of_what_was_refused_cut_or_aborted() {
    is_good(|it| {
        let refused = it.sending(HERE, 1, 5);
        it.completed(refused, Outcome::Failed);
        it.wrote(1, HERE, 6, 5).sent(HERE, 7, 1, 6).aborted(1);
        it.restarted().sent(HERE, 8, 1, 1 << 40);
        it.read(HERE, &[(6, 7), (1 << 40, 8)]);
        it.read_uncommitted(HERE, &[(5, 6), (6, 7), (1 << 40, 8)]);
    });
}

#[test]
fn a_retry_is_the_same_send_and_has_the_same_offsets() {
    is_good(|it| {
        let unknown = it.sending(HERE, 1, 2);
        it.completed(unknown, Outcome::Unknown);
        it.sent(HERE, 1, 2, 0).sent(HERE, 1, 2, 0);
        it.read(HERE, &[(0, 1), (1, 2)]);
    });
    // That the second was refused says nothing of the first.
    is_good(|it| {
        it.sending(HERE, 1, 1);
        let again = it.restarted().sending(HERE, 1, 1);
        it.completed(again, Outcome::Failed).read(HERE, &[(0, 1)]);
    });
}

#[test]
fn a_send_that_is_tried_again_after_others_lies_behind_them() {
    is_good(|it| {
        let refused = it.sending(HERE, 1, 1);
        it.completed(refused, Outcome::Failed);
        it.sent(HERE, 2, 1, 1).sent(HERE, 1, 1, 2);
        it.read(HERE, &[(1, 2), (2, 1)]);
    });
}

#[test]
fn readers_choose_where_they_read_and_see_what_comes_meanwhile() {
    is_good(|it| {
        it.sent(HERE, 1, 3, 0);
        let meanwhile = it.sending(HERE, 4, 1);
        it.polled(None, HERE, 2, &[(2, 3)], 3);
        it.went_on(HERE, 3, &[(3, 4)], 4);
        it.completed(meanwhile, Outcome::Sent { base: 3 });
        it.polled(None, HERE, 0, &[(0, 1), (1, 2), (2, 3), (3, 4)], 4);
        it.restarted().went_on(HERE, 4, &[], 4);
    });
}

#[test]
fn a_transaction_whose_commit_is_unknown_is_there_as_a_whole_or_not_at_all() {
    for is_there in [false, true] {
        is_good(|it| {
            it.wrote(1, HERE, 1, 0).wrote(1, THERE, 2, 0);
            it.committing(1);
            it.restarted().sent(HERE, 3, 1, 1).sent(THERE, 4, 1, 1);
            let first = usize::from(!is_there);
            it.read(HERE, &[(0, 1), (1, 3)][first..]);
            it.read(THERE, &[(0, 2), (1, 4)][first..]);
        });
    }
}

#[test]
fn a_read_that_is_answered_while_its_transaction_commits_may_see_it() {
    is_good(|it| {
        it.wrote(1, HERE, 1, 0);
        let commit = it.committing(1);
        it.read(HERE, &[(0, 1)]).completed(commit, Outcome::Done);
    });
}

#[test]
fn an_open_transaction_keeps_back_what_lies_behind_it() {
    is_good(|it| {
        it.sent(HERE, 1, 1, 0)
            .wrote(1, HERE, 2, 1)
            .sent(HERE, 3, 1, 2);
        it.read(HERE, &[(0, 1)]);
        it.read_uncommitted(HERE, &[(0, 1), (1, 2), (2, 3)]);
        it.committed(1).read(HERE, &[(0, 1), (1, 2), (2, 3)]);
    });
}

#[test]
fn transactions_one_after_the_other_are_no_cycle() {
    is_good(|it| {
        it.wrote(1, HERE, 1, 0).committed(1);
        it.read_in(2, HERE, &[(0, 1)])
            .wrote(2, THERE, 2, 0)
            .committed(2);
        it.read_in(3, THERE, &[(0, 2)])
            .wrote(3, HERE, 3, 1)
            .committed(3);
        it.read(HERE, &[(0, 1), (1, 3)]);
    });
}

#[test]
fn what_is_counted_is_what_was_called() {
    let mut history = Written::new();
    history
        .sent(HERE, 1, 1, 0)
        .wrote(1, HERE, 2, 1)
        .committed(1);
    history.sending(HERE, 3, 1);
    history.restarted().read(HERE, &[(0, 1), (1, 2)]);
    let findings = history.findings(Promise::ReadCommitted).unwrap();
    assert_eq!((findings.operations, findings.transactional), (5, 2));
    assert_eq!((findings.unknown, findings.restarts), (1, 1));
    assert_eq!((findings.read, findings.found), (2, 0));
}

#[test]
fn what_was_not_recorded_in_order_is_no_history() {
    let refused = |write: fn(&mut Written)| {
        let mut history = Written::new();
        write(&mut history);
        history.findings(Promise::ReadCommitted).unwrap_err()
    };
    let answered = refused(|it| {
        it.completed(7, Outcome::Done);
    });
    assert!(matches!(answered, Malformed::NotInvoked(7)), "{answered}");
    let twice = refused(|it| {
        it.sent(HERE, 1, 2, 0).sent(HERE, 2, 1, 2);
    });
    assert!(matches!(twice, Malformed::SentTwice(2)), "{twice}");
    let other = refused(|it| {
        let send = it.sending(HERE, 1, 1);
        it.completed(send, Outcome::Done);
    });
    assert!(matches!(other, Malformed::OtherKind(0)), "{other}");
    let ended = refused(|it| {
        it.committed(1).wrote(1, HERE, 1, 0);
    });
    assert!(matches!(ended, Malformed::NotOpen(1)), "{ended}");
    let empty = refused(|it| {
        let (place, transaction) = (HERE, None);
        let (first, count) = (u64::MAX, 2);
        it.invoked(
            1,
            Call::Send {
                place,
                transaction,
                first,
                count,
            },
        );
    });
    assert!(matches!(empty, Malformed::NoValues { .. }), "{empty}");
}
