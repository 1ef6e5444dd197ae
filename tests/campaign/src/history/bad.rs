//! Twelve bad histories, as small as they can be. Each is flagged as what it is, and as nothing
//! else.

use super::{
    Outcome,
    anomaly::Anomaly,
    checker::Promise,
    written::{HERE, THERE, Written},
};

/// What is wrong with a history, its class, and how it is written.
type Bad = (&'static str, &'static str, fn(&mut Written));

/// The histories.
const BAD: [Bad; 12] = [
    (
        "an acknowledged value is not where it was acknowledged",
        "lost write",
        |it| {
            it.sent(HERE, 1, 1, 0)
                .sent(HERE, 2, 1, 1)
                .sent(HERE, 3, 1, 2);
            it.read(HERE, &[(0, 1), (2, 3)]);
        },
    ),
    (
        "what was acknowledged last before a crash is gone",
        "lost write",
        |it| {
            it.sent(HERE, 1, 1, 0).sent(HERE, 2, 1, 1);
            it.restarted().read(HERE, &[(0, 1)]);
        },
    ),
    ("a value lies at two offsets", "duplicate", |it| {
        it.sent(HERE, 1, 1, 0).sent(HERE, 2, 1, 1);
        it.read(HERE, &[(0, 1), (1, 2), (2, 1)]);
    }),
    (
        "a send that was refused is read after a restart",
        "aborted read",
        |it| {
            let refused = it.sending(HERE, 1, 1);
            it.completed(refused, Outcome::Failed).restarted();
            it.read(HERE, &[(0, 1)]);
        },
    ),
    (
        "a value of an aborted transaction is read",
        "aborted read",
        |it| {
            it.wrote(1, HERE, 1, 0).aborted(1);
            it.read(HERE, &[(0, 1)]);
        },
    ),
    (
        "an offset is given again after a crash",
        "inconsistent offset",
        |it| {
            let lost = it.sending(HERE, 1, 1);
            it.read(HERE, &[(0, 1)]).restarted();
            it.sent(HERE, 2, 1, 0).read(HERE, &[(0, 2)]);
            assert!(lost < 9, "it is never answered");
        },
    ),
    ("a reader passes what another has read", "skip", |it| {
        it.sent(HERE, 1, 3, 0);
        it.read(HERE, &[(0, 1), (1, 2), (2, 3)]);
        it.polled(None, HERE, 0, &[(0, 1), (2, 3)], 3);
    }),
    (
        "a reader goes on before where it was",
        "non-monotone read",
        |it| {
            it.sent(HERE, 1, 2, 0).read(HERE, &[(0, 1), (1, 2)]);
            it.went_on(HERE, 1, &[(1, 2)], 2);
        },
    ),
    (
        "a value is read before its transaction is to be committed",
        "precommitted read",
        |it| {
            it.wrote(1, HERE, 1, 0).read(HERE, &[(0, 1)]);
            it.committed(1);
        },
    ),
    (
        "of a transaction one partition is there after a crash, and the other is not",
        "torn transaction or batch",
        |it| {
            it.wrote(1, HERE, 1, 0).wrote(1, THERE, 2, 0);
            it.committing(1);
            it.restarted().sent(THERE, 3, 1, 1);
            it.read(HERE, &[(0, 1)]).read(THERE, &[(1, 3)]);
        },
    ),
    (
        "what a transaction sent first lies last",
        "write order",
        |it| {
            it.wrote(1, HERE, 1, 1).wrote(1, HERE, 2, 0).committed(1);
            it.read(HERE, &[(0, 2), (1, 1)]);
        },
    ),
    (
        "two transactions have read each other's values",
        "cycle",
        |it| {
            it.wrote(1, HERE, 1, 0).wrote(2, THERE, 2, 0);
            let (first, second) = (it.committing(1), it.committing(2));
            it.read_in(1, THERE, &[(0, 2)]).read_in(2, HERE, &[(0, 1)]);
            it.completed(first, Outcome::Done);
            it.completed(second, Outcome::Done);
        },
    ),
];

/// The class of an anomaly.
pub(super) fn class_of(anomaly: &Anomaly) -> &'static str {
    match anomaly {
        Anomaly::LostWrite { .. } | Anomaly::LostEnd { .. } => "lost write",
        Anomaly::Duplicate { .. } => "duplicate",
        Anomaly::Invented { .. } => "invented",
        Anomaly::AbortedRead { .. } => "aborted read",
        Anomaly::InconsistentOffset { .. } => "inconsistent offset",
        Anomaly::Skip { .. } => "skip",
        Anomaly::NonMonotone { .. } => "non-monotone read",
        Anomaly::PrecommittedRead { .. } => "precommitted read",
        Anomaly::Torn { .. } => "torn transaction or batch",
        Anomaly::WriteOrder { .. } => "write order",
        Anomaly::Cycle { .. } => "cycle",
        Anomaly::ExpiredEarly { .. } => "expired early",
        Anomaly::CompactedAway { .. } => "compacted away",
        Anomaly::FalseAlarm { .. } => "false alarm",
    }
}

pub(super) fn anomalies(write: fn(&mut Written)) -> Vec<Anomaly> {
    let mut history = Written::new();
    write(&mut history);
    history.findings(Promise::ReadCommitted).unwrap().anomalies
}

/// The only class of a history's anomalies.
pub(super) fn class(write: fn(&mut Written)) -> &'static str {
    let found = anomalies(write);
    let mut classes: Vec<_> = found.iter().map(class_of).collect();
    classes.dedup();
    assert_eq!(classes.len(), 1, "{found:?}");
    classes[0]
}

#[test]
fn each_of_twelve_bad_histories_is_flagged_as_what_it_is_and_as_nothing_else() {
    for (what, expected, write) in BAD {
        let found = anomalies(write);
        assert_eq!(found.len(), 1, "{what}: {found:?}");
        assert_eq!(class_of(&found[0]), expected, "{what}: {found:?}");
    }
}
